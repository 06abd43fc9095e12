//! An upstream that keeps every byte it gets, and answers what it reads in them.

use super::readings::{ALL, Message, Read, Reading, Transcript};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// All that came, one list a connection.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

/// What must never stand where a server looks for a request or a field.
const MARK: &str = "SMUGGLED";

impl Recorder {
    /// Plays the upstream's part on one connection, reading in this way.
    pub(crate) async fn play(self, mut stream: TcpStream, reading: Reading) -> io::Result<()> {
        let index = self.connections(|all| {
            all.push(Vec::new());
            all.len() - 1
        });
        let mut unread = Vec::new();
        let mut asked_to_go_on = false;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let amount = stream.read(&mut buffer).await?;
            if amount == 0 {
                return Ok(());
            }
            unread.extend_from_slice(&buffer[..amount]);
            self.connections(|all| all[index].extend_from_slice(&buffer[..amount]));
            loop {
                match reading.next(&unread) {
                    Read::Whole(message, used) => {
                        unread.drain(..used);
                        asked_to_go_on = false;
                        stream.write_all(&answer(&message)).await?;
                    }
                    Read::Partial(Some(head)) if head.expects() && !asked_to_go_on => {
                        asked_to_go_on = true;
                        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    }
                    Read::Partial(_) => break,
                    Read::Garbage => {
                        let bad = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
                                    Content-Length: 0\r\n\r\n";
                        return stream.write_all(bad).await;
                    }
                }
            }
        }
    }

    fn connections<T>(&self, look: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        look(&mut self.0.lock().expect("nobody panics with it"))
    }

    pub(crate) fn connections_taken(&self) -> usize {
        self.connections(|all| all.len())
    }

    /// Everything so far, as all readings have it, after a check that they have it alike.
    #[track_caller]
    pub(crate) fn requests(&self, case: &str) -> Vec<Message> {
        let connections = self.connections(|all| all.clone());
        connections.iter().flat_map(|it| read_alike(it, case)).collect()
    }
}

#[track_caller]
fn read_alike(bytes: &[u8], case: &str) -> Vec<Message> {
    let shown = bytes.escape_ascii();
    let mut first: Option<Transcript> = None;
    for reading in ALL {
        let read = reading.all(bytes);
        let read = read.unwrap_or_else(|| panic!("{case}: no HTTP by {reading:?}: {shown}"));
        for message in read.messages.iter().chain(&read.begun) {
            message.check(reading, case, &shown.to_string());
        }
        match &first {
            None => first = Some(read),
            Some(first) => {
                let parts = |it: &Transcript| -> Vec<_> {
                    let all = it.messages.iter();
                    all.map(|it| (it.method.clone(), it.target.clone(), it.body.clone())).collect()
                };
                assert_eq!(parts(first), parts(&read), "{case}: {reading:?}: {shown}");
                assert_eq!(first.left, read.left, "{case}: {reading:?}: {shown}");
            }
        }
    }
    first.map(|it| it.messages).unwrap_or_default()
}

impl Message {
    fn expects(&self) -> bool {
        self.values("expect").iter().any(|it| it.eq_ignore_ascii_case("100-continue"))
    }

    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(it, _)| it == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// What holds for every request that we send, whoever reads it.
    #[track_caller]
    fn check(&self, reading: Reading, case: &str, shown: &str) {
        let told = || format!("{case}: {reading:?}: {shown}");
        let names = || self.fields.iter().map(|(name, _)| name.as_str());
        let marked = |it: &str| it.to_ascii_uppercase().contains(MARK);
        // An escaped one is a part of a path, which everybody sees.
        let path = self.target.split(['%', '?']).next().unwrap_or_default();
        assert!(!marked(path) && !marked(&self.method) && !names().any(marked), "{}", told());
        for once in ["host", "x-forwarded-for", "x-request-id", "traceparent", "via", "forwarded"] {
            assert_eq!(self.values(once).len(), 1, "{once}: {}", told());
        }
        assert_eq!(self.values("x-forwarded-for"), ["127.0.0.1"], "{}", told());
        assert_eq!(self.values("x-forwarded-proto"), ["http"], "{}", told());
        let forwarded = self.values("forwarded");
        assert!(forwarded.iter().all(|it| it.starts_with("for=127.0.0.1;")), "{}", told());
        assert!(!self.values("host").iter().any(|it| it.contains("other")), "{}", told());
        let framings = self.values("content-length").len() + self.values("transfer-encoding").len();
        assert!(framings <= 1, "{}", told());
        for none in ["te", "trailer", "keep-alive", "proxy-connection", "http2-settings"] {
            let harmless = none == "te" && self.values("te") == ["trailers"] || none == "trailer";
            assert!(harmless || self.values(none).is_empty(), "{none}: {}", told());
        }
    }
}

fn answer(message: &Message) -> Vec<u8> {
    let text = format!("{} {}", message.method, message.target);
    let body = if message.method == "HEAD" { "" } else { &text };
    let length = text.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
