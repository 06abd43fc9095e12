//! A request's head, from its field section (RFC 9114 4.3.1).

use super::fields::{Unread, decode};
use crate::front::{Refused, printable};
use crate::listen::streams::{OF_A_CONNECTION, join_cookies, refusal};
use config::Limits;
use exchange::{Malformed, Refusal};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};

/// A head as far as it could be read, and why it is refused.
pub(super) struct Asked {
    pub(super) parts: Parts,
    pub(super) refused: Option<Refused>,
    /// About as many bytes as HTTP/1 would need for it.
    pub(super) bytes: usize,
}

/// An error is one of the connection: nothing can be answered.
pub(super) fn read(section: &[u8], limits: &Limits) -> Result<Asked, Unread> {
    let mut reading = Reading::new(limits.request_fields);
    match decode(section, limits.request_head, |name, value| reading.take(name, value)) {
        Ok(()) => Ok(reading.finish(limits)),
        Err(Unread::TooLarge) => Ok(reading.refused(Refusal::HeadTooLarge)),
        Err(Unread::Undecodable) => Err(Unread::Undecodable),
    }
}

/// A head that is refused before it is read, and how much of it had come.
pub(super) fn unread(refusal: Refusal, bytes: usize) -> Asked {
    Asked { bytes, ..Reading::new(0).refused(refusal) }
}

#[derive(Default)]
struct Reading {
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    fields: HeaderMap,
    most_fields: usize,
    bytes: usize,
    /// What was wrong first.
    wrong: Option<Malformed>,
}

impl Reading {
    fn new(most_fields: usize) -> Reading {
        Reading { most_fields, ..Reading::default() }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        self.bytes += name.len() + value.len() + ": \r\n".len();
        let wrong = match name.strip_prefix(b":") {
            Some(pseudo) => self.take_pseudo(pseudo, value),
            None => self.take_field(name, value),
        };
        self.wrong = self.wrong.or(wrong);
    }

    /// Each once, and before all other fields (RFC 9114 4.3).
    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<Malformed> {
        let late = !self.fields.is_empty();
        let place = match name {
            b"method" => &mut self.method,
            b"scheme" => &mut self.scheme,
            b"authority" => &mut self.authority,
            b"path" => &mut self.path,
            _ => return Some(Malformed::PseudoField),
        };
        let repeated = place.is_some();
        place.get_or_insert_with(|| value.to_vec());
        (late || repeated).then_some(Malformed::PseudoField)
    }

    fn take_field(&mut self, name: &[u8], value: &[u8]) -> Option<Malformed> {
        let Ok(name) = HeaderName::from_lowercase(name) else {
            return Some(Malformed::FieldLine);
        };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return Some(Malformed::ControlCharacter);
        };
        let of_http1 = match name.as_str() {
            "te" => !value.as_bytes().eq_ignore_ascii_case(b"trailers"),
            // It has a word of its own, which the checks that follow find.
            "transfer-encoding" => false,
            other => OF_A_CONNECTION.contains(&other),
        };
        // One more than allowed is enough to see that there are too many.
        if self.fields.len() <= self.most_fields {
            // It fails beyond a size that the limit of the head keeps far away.
            let _ = self.fields.try_append(name, value);
        }
        of_http1.then_some(Malformed::ConnectionField)
    }

    fn finish(mut self, limits: &Limits) -> Asked {
        let path = self.path.as_deref().unwrap_or_default();
        if limits.uri < path.len() {
            return self.refused(Refusal::UriTooLong);
        }
        if let Some(wrong) = self.wrong {
            return self.refused(Refusal::Malformed(wrong));
        }
        let (method, uri) = match self.target() {
            Ok(target) => target,
            Err(wrong) => return self.refused(Refusal::Malformed(wrong)),
        };
        let mut parts = empty();
        parts.method = method;
        parts.uri = uri;
        parts.headers = std::mem::take(&mut self.fields);
        if let Some(refusal) = refusal(&parts, limits) {
            return self.refused(refusal);
        }
        join_cookies(&mut parts.headers);
        Asked { parts, refused: None, bytes: self.bytes }
    }

    fn target(&self) -> Result<(Method, Uri), Malformed> {
        let method = self.method.as_deref().map(Method::from_bytes);
        let Some(Ok(method)) = method else {
            return Err(Malformed::PseudoField);
        };
        if method == Method::CONNECT {
            // Its target has a form of its own, and nobody is connected here.
            return Err(Malformed::Target);
        }
        let (Some(scheme), Some(path)) = (&self.scheme, &self.path) else {
            return Err(Malformed::PseudoField);
        };
        let scheme = Scheme::try_from(&scheme[..]).map_err(|_| Malformed::PseudoField)?;
        // It is seen here, since without an authority it is not kept.
        if scheme != Scheme::HTTPS && scheme != Scheme::HTTP {
            return Err(Malformed::Target);
        }
        let rooted = path.starts_with(b"/") || *path == b"*" && method == Method::OPTIONS;
        // The reader of URIs would leave a fragment away.
        if !rooted || path.contains(&b'#') {
            return Err(Malformed::Target);
        }
        let path = PathAndQuery::try_from(&path[..]).map_err(|_| Malformed::Target)?;
        let mut uri = http::uri::Parts::default();
        if let Some(authority) = &self.authority {
            let read = Authority::try_from(&authority[..]);
            uri.authority = Some(read.map_err(|_| Malformed::HostInvalid)?);
            uri.scheme = Some(scheme);
        }
        uri.path_and_query = Some(path);
        Ok((method, Uri::from_parts(uri).map_err(|_| Malformed::Target)?))
    }

    fn refused(self, refusal: Refusal) -> Asked {
        let shown = |it: &Option<Vec<u8>>| it.as_deref().map(printable).unwrap_or_default();
        let method = shown(&self.method);
        let mut parts = empty();
        if method == "HEAD" {
            parts.method = Method::HEAD;
        }
        if let Some(accept) = self.fields.get(header::ACCEPT) {
            parts.headers.insert(header::ACCEPT, accept.clone());
        }
        let refused = Refused { refusal, method, target: shown(&self.path) };
        Asked { parts, refused: Some(refused), bytes: self.bytes }
    }
}

fn empty() -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.version = Version::HTTP_3;
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::limits;
    use crate::listen::http3::fields::OVERHEAD;

    const GOOD: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/x?y")];

    fn asked(fields: &[(&str, &str)]) -> Asked {
        let mut reading = Reading::new(limits().request_fields);
        for (name, value) in fields {
            reading.take(name.as_bytes(), value.as_bytes());
        }
        reading.finish(&limits())
    }

    /// The good head with one pseudo-header field changed or left out, and these fields after it.
    #[track_caller]
    fn check(changed: &[(&str, Option<&str>)], more: &[(&str, &str)], wrong: Malformed) {
        let kept = GOOD.iter().filter(|(name, _)| !changed.iter().any(|it| it.0 == *name));
        let set = changed.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let fields: Vec<_> = kept.copied().chain(set).chain(more.iter().copied()).collect();
        let refused = asked(&fields).refused.map(|it| it.refusal);
        assert_eq!(refused, Some(Refusal::Malformed(wrong)), "{fields:?}");
    }

    #[test]
    fn a_good_head_is_a_request() {
        let Asked { parts, refused, .. } =
            asked(&[&GOOD[..], &[("cookie", "a"), ("cookie", "b")]].concat());
        assert!(refused.is_none());
        assert_eq!(parts.uri, "https://a.test/x?y");
        assert_eq!((parts.method, parts.version), (Method::GET, Version::HTTP_3));
        assert_eq!(parts.headers["cookie"], "a; b");
        let by_host = [&[GOOD[0], GOOD[1], GOOD[3]][..], &[("host", "a.test")]].concat();
        assert!(asked(&by_host).refused.is_none());
        assert!(
            asked(&[&GOOD[..], &[("host", "A.test"), ("te", "trailers")]].concat())
                .refused
                .is_none()
        );
    }

    #[test]
    fn pseudo_header_fields_stand_once_and_first() {
        use Malformed::{
            HostInvalid, HostMismatch, HostMissing, HostRepeated, PseudoField, Target,
        };
        for name in [":method", ":scheme", ":path"] {
            check(&[(name, None)], &[], PseudoField);
            check(&[], &[(name, "GET")], PseudoField);
        }
        check(&[(":authority", None)], &[], HostMissing);
        check(&[], &[("accept", "*/*"), (":authority", "a.test")], PseudoField);
        check(&[(":method", None)], &[("accept", "*/*"), (":method", "GET")], PseudoField);
        check(&[], &[(":status", "200")], PseudoField);
        check(&[], &[(":protocol", "websocket")], PseudoField);
        check(&[(":method", Some("G T"))], &[], PseudoField);
        check(&[(":method", Some("CONNECT"))], &[], Target);
        check(&[(":scheme", Some("ftp"))], &[], Target);
        check(&[(":scheme", Some("ftp")), (":authority", None)], &[("host", "a.test")], Target);
        check(&[(":path", Some(""))], &[], Target);
        check(&[(":path", Some("x"))], &[], Target);
        check(&[(":path", Some("*"))], &[], Target);
        check(&[(":path", Some("/a#b"))], &[], Target);
        check(&[(":path", Some("/a b"))], &[], Target);
        check(&[(":authority", Some("a b"))], &[], HostInvalid);
        check(&[(":authority", Some("me@a.test"))], &[], HostInvalid);
        check(&[], &[("host", "b.test")], HostMismatch);
        check(&[], &[("host", "a.test"), ("host", "a.test")], HostRepeated);
    }

    #[test]
    fn fields_that_two_readers_could_read_in_two_ways_are_refused() {
        use Malformed::{
            CodingUnknown, ConnectionField, ControlCharacter, FieldLine, LengthInvalid,
            LengthRepeated,
        };
        for name in ["connection", "keep-alive", "proxy-connection", "upgrade"] {
            check(&[], &[(name, "x")], ConnectionField);
        }
        check(&[], &[("te", "gzip")], ConnectionField);
        check(&[], &[("transfer-encoding", "chunked")], CodingUnknown);
        check(&[], &[("content-length", "1"), ("content-length", "1")], LengthRepeated);
        check(&[], &[("content-length", "+1")], LengthInvalid);
        check(&[], &[("Upper", "x")], FieldLine);
        check(&[], &[("a b", "x")], FieldLine);
        check(&[], &[("", "x")], FieldLine);
        check(&[], &[("a", "x\r\ny")], ControlCharacter);
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_own_name() {
        let refusal = |fields: &[(&str, &str)]| asked(fields).refused.map(|it| it.refusal);
        let long = format!("/{}", "x".repeat(limits().uri));
        let path = [GOOD[0], GOOD[1], GOOD[2], (":path", &long)];
        assert_eq!(refusal(&path), Some(Refusal::UriTooLong));
        let many = [&GOOD[..], &vec![("a", "b"); limits().request_fields + 1]].concat();
        assert_eq!(refusal(&many), Some(Refusal::HeadTooLarge));
        let section = [&[0, 0, 0xd1][..], &[0xd7; 40]].concat();
        let large = read(&section, &Limits { request_head: 40 * OVERHEAD, ..limits() });
        let refused = large.map(|it| it.refused.map(|it| (it.refusal, it.method)));
        assert_eq!(refused, Ok(Some((Refusal::HeadTooLarge, "GET".to_owned()))));
    }
}
