//! Clients that send each request when it is due, however those before it fare, over connections
//! that they keep, and never twice.

use super::message::{self, Broken, Buffer, NUMBER};
use super::schedule::{Ask, Method};
use super::target;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a client waits for an answer, from when the request was due.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);
/// Of each POST.
const UPLOAD: usize = 256;

/// What a client saw of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    Answered,
    /// Any status but 200.
    Status(u16),
    /// The connection ended without any byte of an answer.
    Closed,
    /// The answer ended before it was whole.
    Cut,
    /// Status 200, with a body that is not the one of this request.
    Foreign,
    /// No whole answer within its patience.
    Late,
    /// The proxy took no connection.
    Refused,
    /// The client gave up, as it was to.
    Left,
}

impl Seen {
    pub(crate) fn is_failure(self) -> bool {
        !matches!(self, Seen::Answered | Seen::Left)
    }

    pub(crate) fn name(self) -> String {
        match self {
            Seen::Answered => "answered".to_owned(),
            Seen::Status(it) => it.to_string(),
            Seen::Closed => "closed".to_owned(),
            Seen::Cut => "cut".to_owned(),
            Seen::Foreign => "foreign".to_owned(),
            Seen::Late => "late".to_owned(),
            Seen::Refused => "refused".to_owned(),
            Seen::Left => "left".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) ask: Ask,
    pub(crate) seen: Seen,
    /// Since it was due.
    pub(crate) took: Duration,
}

/// Their connections to one proxy.
struct Callers {
    at: SocketAddr,
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    stream: TcpStream,
    buffer: Buffer,
}

/// Plays a schedule that begins at `began`; gives all calls in its order.
pub(crate) async fn play(at: SocketAddr, schedule: &[Ask], began: Instant) -> Vec<Call> {
    let callers = Arc::new(Callers { at, kept: Mutex::default() });
    let mut calls = JoinSet::new();
    for ask in schedule.iter().copied() {
        sleep_until(began + ask.due).await;
        let callers = Arc::clone(&callers);
        calls.spawn(async move {
            let due = began + ask.due;
            let seen = callers.call(&ask, due).await;
            Call { ask, seen, took: due.elapsed() }
        });
    }
    let mut calls = calls.join_all().await;
    calls.sort_by_key(|it| it.ask.number);
    calls
}

/// One request over a connection of its own, to see whether a proxy serves.
pub(crate) async fn status(at: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(at).await?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let answer = message::answer(&mut stream, &mut Buffer::default()).await;
    answer.map(|it| it.status).map_err(|_| io::ErrorKind::UnexpectedEof.into())
}

impl Callers {
    async fn call(&self, ask: &Ask, due: Instant) -> Seen {
        let (patience, given_up) = match ask.leaves_after {
            Some(after) => (after, Seen::Left),
            None => (PATIENCE, Seen::Late),
        };
        timeout_at(due + patience, self.exchange(ask)).await.unwrap_or(given_up)
    }

    async fn exchange(&self, ask: &Ask) -> Seen {
        let mut kept = match self.idle() {
            Some(it) => it,
            None => match TcpStream::connect(self.at).await {
                Ok(stream) => Kept { stream, buffer: Buffer::default() },
                Err(_) => return Seen::Refused,
            },
        };
        let _ = kept.stream.set_nodelay(true);
        // A proxy may have answered and closed before it took the whole request.
        let _ = kept.stream.write_all(&self.request(ask)).await;
        match message::answer(&mut kept.stream, &mut kept.buffer).await {
            Err(Broken::Unanswered) => Seen::Closed,
            Err(Broken::Cut) => Seen::Cut,
            Ok(answer) => {
                if answer.keeps {
                    self.kept().push(kept);
                }
                match answer.status {
                    200 if answer.body == target::body(Some(ask.number)) => Seen::Answered,
                    200 => Seen::Foreign,
                    status => Seen::Status(status),
                }
            }
        }
    }

    fn request(&self, ask: &Ask) -> Vec<u8> {
        let upload = match ask.method {
            Method::Get => 0,
            Method::Post => UPLOAD,
        };
        let length = match ask.method {
            Method::Get => String::new(),
            Method::Post => format!("Content-Length: {upload}\r\n"),
        };
        let (method, path, at, number) = (ask.method.name(), ask.path, self.at, ask.number);
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{NUMBER}: {number}\r\n{length}\r\n");
        [head.into_bytes(), vec![b'u'; upload]].concat()
    }

    /// The connection that was used last, if the proxy has not closed it.
    fn idle(&self) -> Option<Kept> {
        loop {
            let kept = self.kept().pop()?;
            let open = kept.stream.try_read(&mut [0]);
            if open.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock) {
                return Some(kept);
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        // A connection is in it or not, even if another thread panicked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
