//! A small HTTP/1.1 client on a blocking socket, for checks and for bodies too large for `wrk`.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest that one read or write may wait.
const STALL: Duration = Duration::from_secs(10);
const HEAD_LIMIT: usize = 64 * 1024;
const BLOCK: usize = 256 * 1024;

pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    addr: SocketAddr,
}

/// A response, its body counted instead of kept beyond what a check needs.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) length: u64,
    /// The first bytes of the body.
    pub(crate) start: Vec<u8>,
}

/// How the end of a body is known.
enum Framing {
    Length(u64),
    Chunked,
}

/// A socket on which nothing waits for ever.
pub(crate) fn dial(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, STALL)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr) -> Result<Connection> {
        Ok(Connection { stream: dial(addr)?, addr })
    }
}

impl<S: Read + Write> Connection<S> {
    /// Over what lies above the socket.
    pub(crate) fn over(stream: S, addr: SocketAddr) -> Connection<S> {
        Connection { stream, addr }
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "")?;
        self.answer()
    }

    /// Sends so many bytes and reads the answer.
    pub(crate) fn post(&mut self, path: &str, bytes: u64) -> Result<Answer> {
        self.ask("POST", path, &format!("Content-Length: {bytes}\r\n"))?;
        let block = vec![b'u'; BLOCK];
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            left -= self.stream.write(&block[..most]).context("sending the body")? as u64;
        }
        self.answer()
    }

    fn ask(&mut self, method: &str, path: &str, fields: &str) -> Result<()> {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.addr);
        self.stream.write_all(head.as_bytes()).context("sending the request")
    }

    fn answer(&mut self) -> Result<Answer> {
        let (head, rest) = self.head()?;
        let status = status(&head).context("the status line cannot be read")?;
        let length = match framing(&head) {
            Framing::Length(length) => length,
            Framing::Chunked => return self.chunked(status, rest),
        };
        let mut read = rest.len() as u64;
        let mut block = vec![0; BLOCK];
        while read < length {
            read += self.some(&mut block)? as u64;
        }
        ensure!(read == length, "the body has {read} bytes and was to have {length}");
        Ok(Answer { status, length, start: rest })
    }

    /// Chunks are not taken apart: their length with the framing is close enough for a check.
    fn chunked(&mut self, status: u16, mut body: Vec<u8>) -> Result<Answer> {
        let mut block = vec![0; BLOCK];
        while !body.ends_with(b"0\r\n\r\n") {
            let count = self.some(&mut block)?;
            body.extend_from_slice(&block[..count]);
        }
        Ok(Answer { status, length: body.len() as u64, start: body })
    }

    /// The head as text, and what came of the body with it.
    fn head(&mut self) -> Result<(String, Vec<u8>)> {
        let mut input = Vec::new();
        let mut block = vec![0; 4096];
        loop {
            let count = self.some(&mut block)?;
            input.extend_from_slice(&block[..count]);
            if let Some(end) = input.windows(4).position(|it| it == b"\r\n\r\n") {
                let rest = input.split_off(end + 4);
                return Ok((String::from_utf8_lossy(&input).into_owned(), rest));
            }
            ensure!(input.len() < HEAD_LIMIT, "the head of the answer does not end");
        }
    }

    fn some(&mut self, into: &mut [u8]) -> Result<usize> {
        match self.stream.read(into).context("reading the answer")? {
            0 => bail!("the connection closed before the answer was whole"),
            count => Ok(count),
        }
    }
}

fn status(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

fn framing(head: &str) -> Framing {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    length.map_or(Framing::Chunked, Framing::Length)
}
