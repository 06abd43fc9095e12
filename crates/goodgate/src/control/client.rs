//! Asks a running gateway by its control socket: one request, one answer, within a time.

use super::server::API;
use super::socket::dial;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// For an answer as a whole. A reload reads files and opens sockets.
const PATIENCE: Duration = Duration::from_secs(30);
/// A list of all targets is far below.
const LONGEST: usize = 16 * 1024 * 1024;

/// Why nobody answered.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody serves with this folder.
    Nobody { folder: PathBuf },
    /// It cannot be reached, or does not answer.
    Unreachable { folder: PathBuf, why: io::Error },
}

/// What a running gateway answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn is_fine(&self) -> bool {
        self.status == 200
    }
}

/// Connects to whoever serves with this folder.
pub(crate) fn reach(folder: &Path) -> Result<UnixStream, Failure> {
    dial(folder, PATIENCE).map_err(|why| {
        let folder = folder.to_owned();
        match why.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Failure::Nobody { folder }
            }
            _ => Failure::Unreachable { folder, why },
        }
    })
}

/// Asks for `path` below the API. `body` is JSON, or nothing.
pub(crate) fn ask(folder: &Path, method: &str, path: &str, body: &str) -> Result<Answer, Failure> {
    let mut stream = reach(folder)?;
    let unreachable = |why| Failure::Unreachable { folder: folder.to_owned(), why };
    let head = format!(
        "{method} {API}/{path} HTTP/1.1\r\nHost: goodgate\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let talk = || {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all((head + body).as_bytes())?;
        let whole = read_to_end(&mut stream, Instant::now() + PATIENCE)?;
        parse(&whole).ok_or_else(|| io::Error::other("what it answers is not understood"))
    };
    talk().map_err(unreachable)
}

/// The number of the process that listens there, as it is seen from here. Another one where that has
/// numbers of its own, as in a container.
pub(crate) fn pid_behind(folder: &Path) -> Result<Option<i32>, Failure> {
    let stream = reach(folder)?;
    let seen = || {
        stream.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let _entered = runtime.enter();
        Ok(tokio::net::UnixStream::from_std(stream)?.peer_cred()?.pid())
    };
    seen().map_err(|why| Failure::Unreachable { folder: folder.to_owned(), why })
}

fn read_to_end(stream: &mut UnixStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut part = [0; 8 * 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(whole),
            Ok(length) => whole.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
        if LONGEST < whole.len() {
            return Err(io::Error::other("its answer is far too long"));
        }
    }
}

/// Our own answers have a length and end with the connection.
fn parse(whole: &[u8]) -> Option<Answer> {
    let end = whole.windows(4).position(|it| it == b"\r\n\r\n")?;
    let (head, body) = whole.split_at_checked(end + 4)?;
    let status = status(head)?;
    Some(Answer { status, body: serde_json::from_slice(body).ok()? })
}

/// The status in the head of an answer.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|it| *it == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_none() {
        let answer = parse(b"HTTP/1.1 409 Conflict\r\nA: b\r\n\r\n{\"error\": \"x\"}\n").unwrap();
        assert_eq!((answer.status, &answer.body["error"]), (409, &"x".into()));
        for wrong in [
            "",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n{",
            "HTTP/1.1 2",
            "SSH-2.0-x\r\n\r\n{}",
            "HTTP/1.1 abc\r\n\r\n{}",
        ] {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
