//! Where a request's head ends and how its body is framed, read so strictly that no server behind
//! us can read it otherwise (RFC 9112).
//!
//! Never laxer than hyper's server, which reads the same bytes after us; a fuzz target holds the
//! two together.

use config::Limits;
use exchange::{Malformed, Refusal};
use http::Uri;

/// What the bytes at hand say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The head goes on.
    Partial,
    /// A whole head of this many bytes, how the body after it is framed, and whether the client
    /// says that it is its last one.
    Head { len: usize, body: BodyFraming, last: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    None,
    Length(u64),
    Chunked,
    /// None; and what follows is no HTTP if the answer agrees to that.
    Upgrade,
}

/// Reads a request head at the start of `bytes`, which must not start with an empty line.
pub(crate) fn request_head(bytes: &[u8], limits: &Limits) -> Result<Progress, Refusal> {
    let Some(line_end) = memchr::memchr(b'\n', bytes) else {
        return line_so_far(bytes, limits);
    };
    let line = request_line(&bytes[..=line_end], limits)?;
    let mut fields = Fields::default();
    let (mut at, mut count) = (line_end + 1, 0);
    loop {
        let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else {
            return fields_so_far(bytes, at, limits);
        };
        let with_end = &bytes[at..=at + end];
        at += with_end.len();
        if limits.request_head < at {
            return Err(Refusal::HeadTooLarge);
        }
        let field = line_body(with_end)?;
        if field.is_empty() {
            let body = fields.framing(&line)?;
            let last = fields.close || !(line.version_11 || fields.keep_alive);
            return Ok(Progress::Head { len: at, body, last });
        }
        count += 1;
        if limits.request_fields < count {
            return Err(Refusal::HeadTooLarge);
        }
        fields.take(field)?;
    }
}

fn malformed<T>(what: Malformed) -> Result<T, Refusal> {
    Err(Refusal::Malformed(what))
}

/// A request line that has not ended yet: already wrong, or too long?
fn line_so_far(bytes: &[u8], limits: &Limits) -> Result<Progress, Refusal> {
    // A TLS record: handshake, version 3.x.
    if matches!(bytes, [0x16, 0x03, ..]) {
        return malformed(Malformed::TlsToPlainPort);
    }
    let odd = bytes.iter().any(|it| (*it < b' ' && *it != b'\r') || *it == 0x7f);
    if odd {
        return malformed(Malformed::RequestLine);
    }
    // Method and version need a few bytes more than the target.
    if limits.uri + 64 < bytes.len() {
        return Err(Refusal::UriTooLong);
    }
    Ok(Progress::Partial)
}

fn fields_so_far(bytes: &[u8], at: usize, limits: &Limits) -> Result<Progress, Refusal> {
    if limits.request_head < bytes.len() {
        return Err(Refusal::HeadTooLarge);
    }
    // Something that is no text will not become a field by waiting.
    let odd = bytes[at..].iter().any(|it| matches!(it, 0..=8 | 11 | 12 | 14..=31 | 127));
    if odd { malformed(Malformed::ControlCharacter) } else { Ok(Progress::Partial) }
}

/// The line without its CRLF; a bare LF or CR is refused.
fn line_body(with_end: &[u8]) -> Result<&[u8], Refusal> {
    let Some(line) = with_end.strip_suffix(b"\r\n") else {
        return malformed(Malformed::BareLineEnd);
    };
    match memchr::memchr(b'\r', line) {
        Some(_) => malformed(Malformed::BareLineEnd),
        None => Ok(line),
    }
}

struct RequestLine<'a> {
    /// Of an absolute-form target.
    authority: Option<&'a [u8]>,
    version_11: bool,
}

fn request_line<'a>(with_end: &'a [u8], limits: &Limits) -> Result<RequestLine<'a>, Refusal> {
    if matches!(with_end, [0x16, 0x03, ..]) {
        return malformed(Malformed::TlsToPlainPort);
    }
    if with_end == b"PRI * HTTP/2.0\r\n" {
        return malformed(Malformed::Http2Preface);
    }
    let line = line_body(with_end)?;
    let mut parts = line.split(|it| *it == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return malformed(Malformed::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|it| is_token(*it)) || target.is_empty() {
        return malformed(Malformed::RequestLine);
    }
    if limits.uri < target.len() {
        return Err(Refusal::UriTooLong);
    }
    if line.iter().any(u8::is_ascii_control) {
        return malformed(Malformed::ControlCharacter);
    }
    let version_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return malformed(Malformed::Version),
    };
    Ok(RequestLine { authority: target_authority(method, target)?, version_11 })
}

/// Checks the target; gives its authority where it has one.
fn target_authority<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
    // A fragment is for the client alone (RFC 9110 4.2.5); readers differ on whether it counts.
    if method == b"CONNECT" || target.contains(&b'#') {
        return malformed(Malformed::Target);
    }
    if target[0] == b'/' || target == b"*" {
        return if target.iter().all(|it| is_plain_target(*it)) || Uri::try_from(target).is_ok() {
            Ok(None)
        } else {
            malformed(Malformed::Target)
        };
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|it| target.get(..it.len()).is_some_and(|have| have.eq_ignore_ascii_case(it)));
    let (Some(scheme), Ok(_)) = (scheme, Uri::try_from(target)) else {
        return malformed(Malformed::Target);
    };
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|it| matches!(it, b'/' | b'?')).unwrap_or(rest.len());
    match &rest[..end] {
        authority if is_host(authority) => Ok(Some(authority)),
        _ => malformed(Malformed::Target),
    }
}

/// What the fields say about framing and host.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: bool,
    unknown_coding: bool,
    /// `Upgrade` names a protocol, and `Connection` says that it is meant.
    upgrade: bool,
    upgrade_listed: bool,
    /// In `Connection` (RFC 9112 9.3).
    close: bool,
    keep_alive: bool,
}

impl<'a> Fields<'a> {
    fn take(&mut self, field: &'a [u8]) -> Result<(), Refusal> {
        if matches!(field[0], b' ' | b'\t') {
            return malformed(Malformed::ObsoleteFold);
        }
        let Some(colon) = memchr::memchr(b':', field) else {
            return malformed(Malformed::FieldLine);
        };
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        if name.is_empty() || !name.iter().all(|it| is_token(*it)) {
            return malformed(Malformed::FieldLine);
        }
        if value.iter().any(|it| it.is_ascii_control() && *it != b'\t') {
            return malformed(Malformed::ControlCharacter);
        }
        // Only five names matter here, and their lengths tell them apart.
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|it| *it == b',').map(<[u8]>::trim_ascii) {
                    self.upgrade_listed |= option.eq_ignore_ascii_case(b"upgrade");
                    // hyper, who closes the connection, reads no list that is not all text.
                    self.close |= value.is_ascii() && option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |=
                        value.is_ascii() && option.eq_ignore_ascii_case(b"keep-alive");
                }
                Ok(())
            }
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value.trim_ascii()),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value.trim_ascii()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // A second field would be a second coding.
                self.unknown_coding |=
                    self.coding || !value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.coding = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        if self.host.is_some() {
            return malformed(Malformed::HostRepeated);
        }
        if !is_host(value) {
            return malformed(Malformed::HostInvalid);
        }
        self.host = Some(value);
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return malformed(Malformed::LengthRepeated);
        }
        // Nineteen digits would overflow what signed counters hold.
        let right = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
        if !right {
            return malformed(Malformed::LengthInvalid);
        }
        self.length = Some(value.iter().fold(0, |sum, it| sum * 10 + u64::from(it - b'0')));
        Ok(())
    }

    fn framing(&self, line: &RequestLine) -> Result<BodyFraming, Refusal> {
        match (self.host, line.authority) {
            (None, _) if line.version_11 => return malformed(Malformed::HostMissing),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                return malformed(Malformed::HostMismatch);
            }
            _ => {}
        }
        match (self.coding, self.length) {
            (true, Some(_)) => malformed(Malformed::LengthAndCoding),
            // HTTP/1.0 has no transfer codings (RFC 9112 6.1).
            (true, None) if self.unknown_coding || !line.version_11 => {
                malformed(Malformed::CodingUnknown)
            }
            (true, None) => Ok(BodyFraming::Chunked),
            (false, Some(0) | None) if self.upgrade && self.upgrade_listed && line.version_11 => {
                Ok(BodyFraming::Upgrade)
            }
            (false, Some(0) | None) => Ok(BodyFraming::None),
            (false, Some(length)) => Ok(BodyFraming::Length(length)),
        }
    }
}

/// RFC 9110 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Bytes that every reader takes as they are.
fn is_plain_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@?".contains(&byte)
}

/// `host` or `host:port`, by characters: names, IPv4, and IPv6 in brackets.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.first() {
        Some(b'[') => match memchr::memchr(b']', value) {
            Some(end) => (&value[..=end], &value[end + 1..]),
            None => return false,
        },
        _ => value.split_at(memchr::memchr(b':', value).unwrap_or(value.len())),
    };
    let name = match host {
        [b'[', inside @ .., b']'] => {
            inside.iter().all(|it| it.is_ascii_hexdigit() || b":.".contains(it))
        }
        _ => host.iter().all(|it| it.is_ascii_alphanumeric() || b"-._~%".contains(it)),
    };
    let port_right = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    name && port_right && !host.is_empty()
}

#[cfg(test)]
pub(crate) fn limits() -> Limits {
    Limits {
        connections: None,
        connections_per_address: None,
        client_rate: 1,
        memory: 100,
        request_head: 1024,
        request_fields: 8,
        uri: 200,
        response_head: 1024,
        response_fields: 8,
        interim_responses: 3,
        http2: config::Http2Limits { streams: 4, resets: 4, controls: 10 },
        http3: config::Http3Limits { connections: 4, streams: 4, resets: 4, controls: 10 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, body: BodyFraming) {
        check_whole(head, body, false);
    }

    #[track_caller]
    fn check_whole(head: &str, body: BodyFraming, last: bool) {
        let whole = Ok(Progress::Head { len: head.len(), body, last });
        assert_eq!(request_head(head.as_bytes(), &limits()), whole, "{head:?}");
        for cut in 0..head.len() {
            let part = request_head(&head.as_bytes()[..cut], &limits());
            assert_eq!(part, Ok(Progress::Partial), "{:?}", &head[..cut]);
        }
    }

    #[track_caller]
    fn check_refused(head: &str, refusal: Refusal) {
        assert_eq!(request_head(head.as_bytes(), &limits()), Err(refusal), "{head:?}");
    }

    #[track_caller]
    fn check_malformed(head: &str, what: Malformed) {
        check_refused(head, Refusal::Malformed(what));
    }

    #[test]
    fn heads_that_are_right() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", BodyFraming::None);
        check("GET /x?a=b%20c HTTP/1.1\r\nhost: a.example:8080\r\nX: \r\n\r\n", BodyFraming::None);
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", BodyFraming::Length(5));
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", BodyFraming::None);
        check(
            "PUT / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n",
            BodyFraming::Chunked,
        );
        check("GET http://a:1/x HTTP/1.1\r\nHost: A:1\r\n\r\n", BodyFraming::None);
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", BodyFraming::None);
    }

    #[test]
    fn a_client_says_which_request_is_its_last() {
        let check = |head: &str, last| check_whole(head, BodyFraming::None, last);
        check("GET / HTTP/1.0\r\n\r\n", true);
        check("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", false);
        check("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", false);
        check("GET / HTTP/1.1\r\nHost: a\r\nConnection: x ,CLOSE\r\n\r\n", true);
        check("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: x\r\n\r\n", true);
    }

    #[test]
    fn two_ways_to_read_a_length_are_refused() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let table = [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Malformed::LengthAndCoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", Malformed::LengthAndCoding),
            ("Content-Length: 5\r\nContent-Length: 5", Malformed::LengthRepeated),
            ("Content-Length: 5, 5", Malformed::LengthInvalid),
            ("Content-Length: +5", Malformed::LengthInvalid),
            ("Content-Length: 0x5", Malformed::LengthInvalid),
            ("Content-Length: ", Malformed::LengthInvalid),
            ("Content-Length: 18446744073709551616", Malformed::LengthInvalid),
            ("Transfer-Encoding: gzip, chunked", Malformed::CodingUnknown),
            ("Transfer-Encoding: identity", Malformed::CodingUnknown),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Malformed::CodingUnknown),
            ("Transfer-Encoding: \"chunked\"", Malformed::CodingUnknown),
            ("Transfer-Encoding : chunked", Malformed::FieldLine),
            ("X: a\r\n Transfer-Encoding: chunked", Malformed::ObsoleteFold),
            ("X: a\0b", Malformed::ControlCharacter),
            ("X: a\rTransfer-Encoding: chunked", Malformed::BareLineEnd),
            ("X: a\nContent-Length: 5", Malformed::BareLineEnd),
            ("X", Malformed::FieldLine),
            (": x", Malformed::FieldLine),
        ];
        for (fields, what) in table {
            check_malformed(&with(fields), what);
        }
        check_malformed(
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Malformed::CodingUnknown,
        );
    }

    #[test]
    fn one_host_and_no_doubt_about_it() {
        check_malformed("GET / HTTP/1.1\r\n\r\n", Malformed::HostMissing);
        check_malformed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Malformed::HostRepeated);
        check_malformed("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed::HostInvalid);
        check_malformed("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Malformed::HostInvalid);
        check_malformed("GET / HTTP/1.1\r\nHost: \r\n\r\n", Malformed::HostInvalid);
        check_malformed("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::HostMismatch);
    }

    #[test]
    fn lines_that_are_no_requests() {
        check_malformed("\x16\x03\x01\x02\0\x01", Malformed::TlsToPlainPort);
        check_malformed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed::Http2Preface);
        check_malformed("GET /\r\n", Malformed::RequestLine);
        check_malformed("GET  / HTTP/1.1\r\n", Malformed::RequestLine);
        check_malformed("G(T / HTTP/1.1\r\n", Malformed::RequestLine);
        check_malformed("GET / HTTP/1.2\r\n", Malformed::Version);
        check_malformed("GET / http/1.1\r\n", Malformed::Version);
        check_malformed("GET /\x01 HTTP/1.1\r\n", Malformed::ControlCharacter);
        check_malformed("GET / HTTP/1.1\n", Malformed::BareLineEnd);
        check_malformed("GET x HTTP/1.1\r\n", Malformed::Target);
        check_malformed("CONNECT a:443 HTTP/1.1\r\n", Malformed::Target);
        check_malformed("GET /a#b HTTP/1.1\r\n", Malformed::Target);
        check_malformed("GET http://u@a/ HTTP/1.1\r\n", Malformed::Target);
    }

    #[test]
    fn sizes_are_bounded_even_before_the_end() {
        let long = "x".repeat(300);
        check_refused(&format!("GET /{long} HTTP/1.1\r\n"), Refusal::UriTooLong);
        check_refused(&format!("GET /{long}"), Refusal::UriTooLong);
        let big = "x".repeat(2000);
        check_refused(&format!("GET / HTTP/1.1\r\nX: {big}"), Refusal::HeadTooLarge);
        let many = "X: y\r\n".repeat(9);
        check_refused(&format!("GET / HTTP/1.1\r\n{many}"), Refusal::HeadTooLarge);
    }
}
