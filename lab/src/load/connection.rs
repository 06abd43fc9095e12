//! One connection of HTTP/1, on which requests follow each other.

use super::{Loss, Stream};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

/// Above any head of an answer.
const HEAD_LIMIT: usize = 64 * 1024;

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Read and not consumed.
    read: Vec<u8>,
    /// A request was answered on it.
    used: bool,
}

pub(super) struct Answer {
    pub(super) status: u16,
    /// No other request may follow.
    pub(super) last: bool,
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    End,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Connection {
        Connection { stream, read: Vec::new(), used: false }
    }

    /// Whether nothing has come since the last answer, not even an end.
    pub(super) async fn is_open(&mut self) -> bool {
        let mut byte = [0];
        poll_fn(|cx| {
            let mut byte = ReadBuf::new(&mut byte);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut byte);
            Poll::Ready(read.is_pending() && self.read.is_empty())
        })
        .await
    }

    /// Writes a request and reads the whole answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Answer, Loss> {
        let used = std::mem::replace(&mut self.used, true);
        // What the server said before it closed may be there although writing fails; if not, reading
        // says so.
        if self.stream.write_all(request).await.is_ok() {
            drop(self.stream.flush().await);
        }
        self.answer(used).await
    }

    async fn answer(&mut self, used: bool) -> Result<Answer, Loss> {
        let head = self.head(used).await?;
        let status = head.get(9..12).and_then(|it| it.parse().ok()).ok_or(Loss::Strange)?;
        let framing = framing(&head);
        let told = field(&head, "connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        let last = told || matches!(framing, Framing::End);
        match framing {
            Framing::Length(length) => self.take(length).await?,
            Framing::Chunked => self.chunks().await?,
            Framing::End => while self.fill().await.map_err(|_| Loss::Cut)? {},
        }
        Ok(Answer { status, last })
    }

    async fn head(&mut self, used: bool) -> Result<String, Loss> {
        loop {
            if let Some(at) = self.read.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = self.read.drain(..at + 4).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if HEAD_LIMIT < self.read.len() {
                return Err(Loss::Strange);
            }
            let begun = !self.read.is_empty();
            match self.fill().await {
                Ok(true) => {}
                _ if begun => return Err(Loss::Cut),
                _ if used => return Err(Loss::Raced),
                Ok(false) => return Err(Loss::Closed),
                Err(_) => return Err(Loss::Reset),
            }
        }
    }

    async fn chunks(&mut self) -> Result<(), Loss> {
        loop {
            let line = self.line().await?;
            let size = line.split([';', '\r']).next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| Loss::Strange)?;
            if size == 0 {
                while self.line().await? != "\r\n" {}
                return Ok(());
            }
            self.take(size + 2).await?;
        }
    }

    /// With its end.
    async fn line(&mut self) -> Result<String, Loss> {
        loop {
            if let Some(at) = self.read.iter().position(|it| *it == b'\n') {
                let line = self.read.drain(..=at).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more().await?;
        }
    }

    /// Reads so many bytes and forgets them.
    async fn take(&mut self, length: usize) -> Result<(), Loss> {
        let mut left = length;
        loop {
            let now = left.min(self.read.len());
            self.read.drain(..now);
            left -= now;
            if left == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    /// More bytes of an answer that has begun.
    async fn more(&mut self) -> Result<(), Loss> {
        match self.fill().await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Loss::Cut),
        }
    }

    /// `false` at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(0 < self.stream.read_buf(&mut self.read).await?)
    }
}

fn framing(head: &str) -> Framing {
    if field(head, "transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    let length = field(head, "content-length").and_then(|it| it.parse().ok());
    length.map_or(Framing::End, Framing::Length)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1).filter_map(|it| it.split_once(':'));
    lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(answers: &[u8], times: usize) -> Vec<Result<(u16, bool), Loss>> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut connection = Connection::new(Box::new(near));
        far.write_all(answers).await.unwrap();
        far.shutdown().await.unwrap();
        let mut all = Vec::new();
        for _ in 0..times {
            all.push(connection.ask(b"GET").await.map(|it| (it.status, it.last)));
        }
        all
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_whatever_tells_it() {
        let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n\
            HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let all = asked(answers, 4).await;
        assert_eq!(all, [Ok((200, false)), Ok((404, false)), Ok((200, true)), Err(Loss::Raced)]);
        let all = asked(b"HTTP/1.1 200 OK\r\n\r\nto the end", 1).await;
        assert_eq!(all, [Ok((200, true))]);
    }

    #[tokio::test]
    async fn what_is_not_whole_is_lost() {
        for (bytes, loss) in [
            (&b""[..], Loss::Closed),
            (b"HTTP/1.1 200 OK\r\nContent-Le", Loss::Cut),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Loss::Cut),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Loss::Cut),
            (b"nonsense\r\n\r\n", Loss::Strange),
        ] {
            assert_eq!(asked(bytes, 1).await, [Err(loss)]);
        }
    }

    #[tokio::test]
    async fn an_end_between_two_requests_is_seen() {
        let (near, far) = tokio::io::duplex(64);
        let mut connection = Connection::new(Box::new(near));
        assert!(connection.is_open().await);
        drop(far);
        assert!(!connection.is_open().await);
    }
}
