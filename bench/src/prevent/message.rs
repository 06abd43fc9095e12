//! Messages of HTTP/1.1 as both sides of a proxy read them (RFC 9112).

use std::io::{self, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const FIELDS: usize = 64;
const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 1024 * 1024;
const BLOCK: usize = 4 * 1024;

/// The field by which a request is known to the ledger and to the answer.
pub(crate) const NUMBER: &str = "x-number";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// `None`: not one of the load, such as a health check.
    pub(crate) number: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the connection stays.
    pub(crate) keeps: bool,
}

/// How an answer ended before it was whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// No byte of it came.
    Unanswered,
    /// It began.
    Cut,
}

enum Framing {
    Length(usize),
    Chunked,
    ToTheEnd,
}

/// A connection's bytes that were read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there was more.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        self.0.reserve(BLOCK);
        Ok(stream.read_buf(&mut self.0).await? > 0)
    }

    async fn need(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        if self.fill(stream).await? { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.0.drain(..length).collect()
    }

    async fn bytes(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: usize,
    ) -> io::Result<Vec<u8>> {
        if BODY_LIMIT < length {
            return Err(invalid("a body that is too large"));
        }
        while self.0.len() < length {
            self.need(stream).await?;
        }
        Ok(self.take(length))
    }

    /// Without its end.
    async fn line(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
        loop {
            if let Some(end) = self.0.windows(2).position(|it| it == b"\r\n") {
                let line = self.take(end + 2);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if HEAD_LIMIT < self.0.len() {
                return Err(invalid("a line that is too long"));
            }
            self.need(stream).await?;
        }
    }

    async fn body(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        framing: Framing,
    ) -> io::Result<Vec<u8>> {
        match framing {
            Framing::Length(length) => self.bytes(stream, length).await,
            Framing::Chunked => self.chunks(stream).await,
            Framing::ToTheEnd => {
                while self.fill(stream).await? {
                    if BODY_LIMIT < self.0.len() {
                        return Err(invalid("a body that is too large"));
                    }
                }
                Ok(std::mem::take(&mut self.0))
            }
        }
    }

    async fn chunks(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line(stream).await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| invalid("a chunk"))?;
            if size == 0 {
                while !self.line(stream).await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.bytes(stream, size).await?);
            if BODY_LIMIT < body.len() || !self.line(stream).await?.is_empty() {
                return Err(invalid("a chunk"));
            }
        }
    }
}

/// Reads a whole request; an error where the connection ended or carries something else. What was
/// read stays in the buffer if this is dropped before the head was whole.
pub(crate) async fn request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Buffer,
) -> io::Result<Request> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(length) = head.parse(&buffer.0).map_err(other)? {
            let path = head.path.unwrap_or_default().to_owned();
            let number = field(head.headers, NUMBER).and_then(|it| it.parse().ok());
            let framing = framing(head.headers).unwrap_or(Framing::Length(0));
            buffer.take(length);
            buffer.body(stream, framing).await?;
            return Ok(Request { path, number });
        }
        if HEAD_LIMIT < buffer.0.len() {
            return Err(invalid("a head that is too large"));
        }
        buffer.need(stream).await?;
    }
}

/// Reads a whole answer.
pub(crate) async fn answer(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Buffer,
) -> Result<Answer, Broken> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(&buffer.0).map_err(|_| Broken::Cut)?;
        if let httparse::Status::Complete(length) = parsed {
            let status = head.code.unwrap_or_default();
            if (100..200).contains(&status) {
                buffer.take(length);
                continue;
            }
            let keeps = !field(head.headers, "connection").is_some_and(|it| is(it, "close"));
            let framing = match (status, framing(head.headers)) {
                (204 | 304, _) => Framing::Length(0),
                (_, Some(it)) => it,
                (_, None) => Framing::ToTheEnd,
            };
            let keeps = keeps && !matches!(framing, Framing::ToTheEnd);
            buffer.take(length);
            let body = buffer.body(stream, framing).await.map_err(|_| Broken::Cut)?;
            return Ok(Answer { status, body, keeps });
        }
        if buffer.need(stream).await.is_err() || HEAD_LIMIT < buffer.0.len() {
            return Err(if buffer.is_empty() { Broken::Unanswered } else { Broken::Cut });
        }
    }
}

/// `None` where the message does not say.
fn framing(fields: &[httparse::Header<'_>]) -> Option<Framing> {
    if field(fields, "transfer-encoding").is_some_and(|it| is(it, "chunked")) {
        return Some(Framing::Chunked);
    }
    field(fields, "content-length")?.parse().ok().map(Framing::Length)
}

fn field<'a>(fields: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|it| it.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

fn is(value: &str, word: &str) -> bool {
    value.eq_ignore_ascii_case(word)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn other(error: httparse::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answer, Broken> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(answer(&mut text.as_bytes(), &mut Buffer::default()))
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(u16, &str, bool), Broken>) {
        let expected =
            expected.map(|(status, body, keeps)| Answer { status, body: body.into(), keeps });
        assert_eq!(read(text), expected, "{text}");
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Ok((200, "ab", true)));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            Ok((200, "abc", true)),
        );
        check("HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\nab", Ok((502, "ab", false)));
        check("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 204 No\r\n\r\n", Ok((204, "", true)));
    }

    #[test]
    fn a_cut_answer_is_told_from_none() {
        check("", Err(Broken::Unanswered));
        check("HTTP/1.1 200", Err(Broken::Cut));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Err(Broken::Cut));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", Err(Broken::Cut));
    }

    #[test]
    fn a_request_has_its_number_and_its_body_is_taken() {
        let text =
            "POST /work HTTP/1.1\r\nHost: a\r\nX-Number: 7\r\nContent-Length: 2\r\n\r\nabGET";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut buffer = Buffer::default();
        let it = runtime.block_on(request(&mut text.as_bytes(), &mut buffer)).unwrap();
        assert_eq!(it, Request { path: "/work".to_owned(), number: Some(7) });
        assert_eq!(buffer.0, b"GET");
    }
}
