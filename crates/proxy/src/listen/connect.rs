//! A stream that is to go on with another protocol: the extended CONNECT of RFC 8441.
//!
//! For routes and upstreams it is what an upgrade is in HTTP/1.1, a GET: people write a route for
//! `GET /chat`, and the app behind it knows nothing else.

use crate::{tunnel, websocket};
use exchange::{Malformed, Refusal};
use http::Method;
use http::header::{self, HeaderValue};
use http::request::Parts;

/// Why a CONNECT is not let through; `protocol` is its `:protocol`.
pub(crate) fn refusal(parts: &Parts, protocol: Option<&[u8]>) -> Option<Refusal> {
    let Some(protocol) = protocol else {
        // A plain one asks for a way to any host (RFC 9113 8.5): nobody gets that here.
        return Some(Refusal::Malformed(Malformed::Target));
    };
    if !tunnel::may_pass(protocol) {
        return Some(Refusal::Malformed(Malformed::Protocol));
    }
    // What comes is no content, and of no length that could be told.
    parts
        .headers
        .contains_key(header::CONTENT_LENGTH)
        .then_some(Refusal::Malformed(Malformed::LengthInvalid))
}

/// The same as a request of HTTP/1.1, where [`refusal`] has nothing against it.
pub(crate) fn as_upgrade(parts: &mut Parts, protocol: &[u8], random: u128) {
    parts.method = Method::GET;
    let headers = &mut parts.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(value) = HeaderValue::from_bytes(protocol) {
        headers.insert(header::UPGRADE, value);
    }
    // What a client says here means nothing (RFC 8441 5).
    headers.remove(header::SEC_WEBSOCKET_KEY);
    if tunnel::is_websocket(protocol) {
        headers.insert(header::SEC_WEBSOCKET_KEY, websocket::key(random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(fields: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::connect("https://ws.test/chat");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn only_what_may_pass_over_http_1_passes() {
        let check = |protocol: Option<&[u8]>, fields: &[_], expected: Option<Malformed>| {
            let refused = refusal(&parts(fields), protocol);
            assert_eq!(refused, expected.map(Refusal::Malformed), "{protocol:?} {fields:?}");
        };
        check(None, &[], Some(Malformed::Target));
        check(Some(b"websocket"), &[], None);
        check(Some(b"connect-udp"), &[], None);
        for hostile in ["", "h2c", "HTTP/1.1", "a, b", "web socket", "ws\r\nx: y", "\u{e9}"] {
            check(Some(hostile.as_bytes()), &[], Some(Malformed::Protocol));
        }
        check(Some(b"websocket"), &[("content-length", "0")], Some(Malformed::LengthInvalid));
    }

    #[test]
    fn an_upstream_sees_an_upgrade() {
        let mut asked = parts(&[("sec-websocket-key", "own"), ("sec-websocket-version", "13")]);
        as_upgrade(&mut asked, b"websocket", 0);
        assert_eq!(asked.method, Method::GET);
        let field = |name: &str| asked.headers[name].to_str().expect("text").to_owned();
        assert_eq!(field("connection"), "upgrade");
        assert_eq!(field("upgrade"), "websocket");
        assert_eq!(field("sec-websocket-version"), "13");
        assert_eq!(field("sec-websocket-key"), "AAAAAAAAAAAAAAAAAAAAAA==");
        let mut other = parts(&[("sec-websocket-key", "own")]);
        as_upgrade(&mut other, b"connect-udp", 0);
        assert!(!other.headers.contains_key("sec-websocket-key"));
    }
}
