//! Reads an upstream's answer head from the bytes that came, and names what is wrong with it.
//!
//! The second half of the tap: faults are named from these bytes, never from a library's words.

use config::Limits;
use exchange::{HeadFault, Limit};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// A whole answer head.
#[derive(Debug)]
pub(crate) struct Head {
    /// Its bytes, the empty line included.
    pub(crate) len: usize,
    pub(crate) status: u16,
    /// End-to-end fields only.
    pub(crate) fields: HeaderMap,
    pub(crate) body: AnswerFraming,
    /// The connection may serve another request after this answer.
    pub(crate) keep_alive: bool,
    /// `Keep-Alive: timeout=`.
    pub(crate) idle_limit: Option<Duration>,
    /// What the connection goes on with, where the answer says so (RFC 9110 7.8).
    pub(crate) upgrade: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFraming {
    None,
    Length(u64),
    Chunked,
    /// Until the connection closes.
    Close,
}

/// Most answers have fewer; more than that and the list is made larger.
const FEW: usize = 64;

/// `None` while the head goes on. `bodyless` is true for an answer to `HEAD`.
pub(crate) fn answer_head(
    bytes: &[u8],
    limits: &Limits,
    bodyless: bool,
) -> Result<Option<Head>, HeadFault> {
    let mut few = [httparse::EMPTY_HEADER; FEW];
    let mut answer = httparse::Response::new(&mut few);
    match answer.parse(bytes) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; limits.response_fields + 1];
            let mut answer = httparse::Response::new(&mut many);
            let parsed = answer.parse(bytes);
            finish(parsed, &answer, bytes, limits, bodyless)
        }
        parsed => finish(parsed, &answer, bytes, limits, bodyless),
    }
}

fn finish(
    parsed: httparse::Result<usize>,
    answer: &httparse::Response<'_, '_>,
    bytes: &[u8],
    limits: &Limits,
    bodyless: bool,
) -> Result<Option<Head>, HeadFault> {
    let too_many = || {
        let value = limits.response_fields as u64;
        HeadFault::TooManyFields(Limit { name: "limits.response_fields", value })
    };
    match parsed {
        Ok(httparse::Status::Partial) if bytes.len() < limits.response_head => Ok(None),
        Ok(httparse::Status::Partial) => Err(too_big(bytes, limits)),
        Ok(httparse::Status::Complete(len)) if limits.response_head < len => {
            Err(too_big(&bytes[..len], limits))
        }
        Ok(httparse::Status::Complete(_)) if limits.response_fields < answer.headers.len() => {
            Err(too_many())
        }
        Ok(httparse::Status::Complete(len)) => head(answer, len, bodyless).map(Some),
        Err(httparse::Error::TooManyHeaders) => Err(too_many()),
        Err(error) => Err(wrong(error, bytes)),
    }
}

/// The fields of a head that was read by another, against the same limits.
pub(crate) fn fits(fields: &HeaderMap, limits: &Limits) -> Result<(), HeadFault> {
    if limits.response_fields < fields.len() {
        let value = limits.response_fields as u64;
        return Err(HeadFault::TooManyFields(Limit { name: "limits.response_fields", value }));
    }
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    if fields.iter().map(size).sum::<usize>() <= limits.response_head {
        return Ok(());
    }
    let largest = fields.iter().max_by_key(|it| size(*it));
    Err(HeadFault::TooBig {
        limit: Limit { name: "limits.response_head", value: limits.response_head as u64 },
        largest_field: largest.map(|(name, _)| name.as_str().to_owned()),
        largest_bytes: largest.map_or(0, |it| size(it) as u64),
    })
}

/// The largest field is the one to look at; its name is told, its value never.
fn too_big(bytes: &[u8], limits: &Limits) -> HeadFault {
    let lines = bytes.split(|it| *it == b'\n').skip(1);
    let largest = lines.max_by_key(|it| it.len()).unwrap_or_default();
    let name = largest.split(|it| *it == b':').next().filter(|it| it.len() <= 64);
    let name = name.map(|it| String::from_utf8_lossy(it).to_ascii_lowercase());
    HeadFault::TooBig {
        limit: Limit { name: "limits.response_head", value: limits.response_head as u64 },
        largest_field: name.filter(|it| it.bytes().all(crate::framing::is_token)),
        largest_bytes: largest.len() as u64,
    }
}

fn wrong(error: httparse::Error, bytes: &[u8]) -> HeadFault {
    let line = bytes.split(|it| *it == b'\n').next().unwrap_or_default();
    match error {
        _ if !b"HTTP/".starts_with(&bytes[..bytes.len().min(5)]) => HeadFault::NotHttp,
        httparse::Error::HeaderName => field_line(bytes),
        httparse::Error::HeaderValue => HeadFault::ControlCharacter,
        httparse::Error::NewLine if line.len() + 1 < bytes.len() => HeadFault::FieldLine,
        _ => HeadFault::StatusLine,
    }
}

/// A name that is no token is a broken line, unless a control character broke it.
fn field_line(bytes: &[u8]) -> HeadFault {
    let odd = |it: &u8| it.is_ascii_control() && !matches!(it, b'\r' | b'\n' | b'\t');
    if bytes.iter().any(odd) { HeadFault::ControlCharacter } else { HeadFault::FieldLine }
}

fn head(
    answer: &httparse::Response<'_, '_>,
    len: usize,
    bodyless: bool,
) -> Result<Head, HeadFault> {
    let status = answer.code.filter(|it| (100..1000).contains(it)).ok_or(HeadFault::StatusLine)?;
    let version_11 = answer.version == Some(1);
    let mut fields = HeaderMap::with_capacity(answer.headers.len());
    let mut hop = Hop::default();
    for field in answer.headers.iter() {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadFault::FieldLine)?;
        if hop.take(&name, field.value)? {
            let value =
                HeaderValue::from_bytes(field.value).map_err(|_| HeadFault::ControlCharacter)?;
            fields.append(name, value);
        }
    }
    for name in hop.listed.iter().flat_map(|it| it.split(',')) {
        fields.remove(name.trim());
    }
    match hop.length {
        // It has none (RFC 9110 8.6), and some callers would wait for it.
        Some(_) if status == 204 => drop(fields.remove(header::CONTENT_LENGTH)),
        // As one number, however it was written, and whatever `Connection` said of it.
        Some(length) => drop(fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
        None => {}
    }
    let body = hop.framing(status, bodyless)?;
    // HTTP/1.0 has no codings: where this one ends is not to be relied on (RFC 9112 6.1).
    let ends_surely = body != AnswerFraming::Close && (version_11 || hop.coding.is_none());
    Ok(Head {
        len,
        status,
        fields,
        body,
        keep_alive: hop.keep_alive(version_11) && ends_surely,
        idle_limit: hop.idle_limit,
        upgrade: hop.upgrade,
    })
}

/// What belongs to this connection alone, and how the body is framed.
#[derive(Default)]
struct Hop {
    length: Option<u64>,
    coding: Option<bool>,
    close: bool,
    keep: bool,
    idle_limit: Option<Duration>,
    upgrade: Option<HeaderValue>,
    /// Values of `Connection`.
    listed: Vec<String>,
}

impl Hop {
    /// Whether the field is handed on.
    fn take(&mut self, name: &HeaderName, value: &[u8]) -> Result<bool, HeadFault> {
        match *name {
            header::CONTENT_LENGTH => {
                self.length(value)?;
                Ok(true)
            }
            header::TRANSFER_ENCODING => {
                let chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.coding = Some(chunked && self.coding.is_none());
                Ok(false)
            }
            header::CONNECTION => {
                self.connection(value);
                Ok(false)
            }
            header::UPGRADE => {
                self.upgrade = HeaderValue::from_bytes(value).ok();
                Ok(false)
            }
            header::TE => Ok(false),
            _ if name == "keep-alive" => {
                self.idle_limit = timeout_of(value);
                Ok(false)
            }
            _ => Ok(name != "proxy-connection"),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        for part in value.split(|it| *it == b',').map(<[u8]>::trim_ascii) {
            let digits =
                !part.is_empty() && part.len() <= 18 && part.iter().all(u8::is_ascii_digit);
            if !digits {
                return Err(HeadFault::LengthInvalid);
            }
            let length = part.iter().fold(0, |sum, it| sum * 10 + u64::from(it - b'0'));
            if self.length.replace(length).is_some_and(|it| it != length) {
                return Err(HeadFault::LengthRepeated);
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|it| *it == b',').map(<[u8]>::trim_ascii) {
            match () {
                () if option.eq_ignore_ascii_case(b"close") => self.close = true,
                () if option.eq_ignore_ascii_case(b"keep-alive") => self.keep = true,
                () => self.listed.push(String::from_utf8_lossy(option).into_owned()),
            }
        }
    }

    fn keep_alive(&self, version_11: bool) -> bool {
        !self.close && (version_11 || self.keep)
    }

    /// RFC 9112 6.3, refusing what it tells servers never to send.
    fn framing(&self, status: u16, bodyless: bool) -> Result<AnswerFraming, HeadFault> {
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(HeadFault::LengthAndCoding),
            (Some(false), None) => Err(HeadFault::CodingUnknown),
            _ if bodyless || matches!(status, 100..200 | 204 | 304) => Ok(AnswerFraming::None),
            (Some(true), None) => Ok(AnswerFraming::Chunked),
            (None, Some(length)) => Ok(AnswerFraming::Length(length)),
            (None, None) => Ok(AnswerFraming::Close),
        }
    }
}

/// `timeout=5, max=100`.
fn timeout_of(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split(',').filter_map(|it| it.trim().split_once('='));
    let (_, seconds) = parts.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::limits;

    fn read(head: &str) -> Result<Option<Head>, HeadFault> {
        answer_head(head.as_bytes(), &limits(), false)
    }

    #[track_caller]
    fn check(head: &str, body: AnswerFraming, keep_alive: bool) {
        let read = read(head).expect("it is right").expect("it is whole");
        assert_eq!((read.body, read.keep_alive, read.len), (body, keep_alive, head.len()));
    }

    #[track_caller]
    fn check_fault(head: &str, fault: HeadFault) {
        assert_eq!(read(head).expect_err("it is wrong"), fault, "{head:?}");
    }

    #[test]
    fn framing_by_the_book() {
        use AnswerFraming::{Chunked, Close, Length, None};
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Length(5), true);
        check(
            "HTTP/1.1 200\r\nContent-Length: 5, 5\r\nConnection: close\r\n\r\n",
            Length(5),
            false,
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Chunked, true);
        check("HTTP/1.1 200 OK\r\n\r\n", Close, false);
        check("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Length(5), false);
        check(
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n",
            Length(5),
            true,
        );
        check("HTTP/1.1 204 No Content\r\n\r\n", None, true);
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", None, true);
    }

    #[test]
    fn an_answer_to_head_has_no_body_and_keeps_its_length() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let head = answer_head(head, &limits(), true).expect("right").expect("whole");
        assert_eq!(head.body, AnswerFraming::None);
        assert_eq!(head.fields["content-length"], "5");
    }

    #[test]
    fn no_content_has_no_length() {
        let head = read("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
        assert!(head.expect("right").expect("whole").fields.is_empty());
    }

    #[test]
    fn where_an_old_answer_in_chunks_ends_is_not_relied_on() {
        let head =
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(head, AnswerFraming::Chunked, false);
    }

    #[test]
    fn what_is_for_this_hop_stays_here() {
        let head = "HTTP/1.1 200 OK\r\nConnection: X-Own, close\r\nX-Own: a\r\nX-All: b\r\n\
                    Keep-Alive: timeout=5, max=9\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = read(head).expect("right").expect("whole");
        assert_eq!(head.fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-all"]);
        assert_eq!(head.idle_limit, Some(Duration::from_secs(5)));
    }

    #[test]
    fn each_defect_has_its_name() {
        let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        check_fault("SSH-2.0-OpenSSH_9.2\r\n", HeadFault::NotHttp);
        check_fault("\x15\x03\x01\x00\x02\x02\x46", HeadFault::NotHttp);
        check_fault("\0\0\x12\x04\0\0\0\0\0", HeadFault::NotHttp);
        check_fault("HTTP/2 200 OK\r\n\r\n", HeadFault::StatusLine);
        check_fault("HTTP/1.1 abc OK\r\n\r\n", HeadFault::StatusLine);
        check_fault("HTTP/1.1 20 OK\r\n\r\n", HeadFault::StatusLine);
        check_fault(&ok("Bad Header"), HeadFault::FieldLine);
        check_fault(&ok("Bad Header: x"), HeadFault::FieldLine);
        check_fault(&ok("X : y"), HeadFault::FieldLine);
        check_fault(&ok("X: a\0b"), HeadFault::ControlCharacter);
        check_fault(&ok("Content-Length: abc"), HeadFault::LengthInvalid);
        check_fault(&ok("Content-Length: -1"), HeadFault::LengthInvalid);
        check_fault(&ok("Content-Length: 5\r\nContent-Length: 6"), HeadFault::LengthRepeated);
        check_fault(
            &ok("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            HeadFault::LengthAndCoding,
        );
        check_fault(&ok("Transfer-Encoding: foo"), HeadFault::CodingUnknown);
        check_fault(&ok("Transfer-Encoding: chunked, gzip"), HeadFault::CodingUnknown);
    }

    #[test]
    fn a_head_may_come_in_pieces() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for cut in 0..head.len() {
            assert!(matches!(read(&head[..cut]), Ok(None)), "{:?}", &head[..cut]);
        }
    }

    #[test]
    fn the_largest_field_is_named() {
        let head = format!("HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: {}", "x".repeat(2000));
        let Err(HeadFault::TooBig { largest_field, largest_bytes, .. }) = read(&head) else {
            panic!("it is too big");
        };
        assert_eq!((largest_field.as_deref(), largest_bytes), (Some("set-cookie"), 2012));
    }

    #[test]
    fn fields_are_counted() {
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(9));
        let limit = Limit { name: "limits.response_fields", value: 8 };
        check_fault(&head, HeadFault::TooManyFields(limit));
    }
}
