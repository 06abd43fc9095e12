//! How the outcome of a call is written: `grpc-status`, `grpc-message` and
//! `grpc-status-details-bin`.

use super::base64;
use diagnosis::answer::CallStatus;
use http::header::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Codes of statuscodes.md of gRPC that we give.
pub(crate) const CANCELLED: u32 = 1;
pub(crate) const UNKNOWN: u32 = 2;
pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
pub(crate) const UNIMPLEMENTED: u32 = 12;
pub(crate) const INTERNAL: u32 = 13;
pub(crate) const UNAVAILABLE: u32 = 14;
const PERMISSION_DENIED: u32 = 7;
const UNAUTHENTICATED: u32 = 16;

/// What a caller makes of an answer that is no gRPC (http-grpc-status-mapping.md of gRPC).
pub(crate) const fn of_http(status: u16) -> u32 {
    match status {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// What a caller makes of a stream that is reset with this code (PROTOCOL-HTTP2.md of gRPC).
pub(crate) const fn of_reset(code: u32) -> u32 {
    match code {
        0..=4 | 6 | 9 | 10 => INTERNAL,
        7 => UNAVAILABLE,
        8 => CANCELLED,
        11 => RESOURCE_EXHAUSTED,
        12 => PERMISSION_DENIED,
        _ => UNKNOWN,
    }
}

/// The status that an upstream gave in its head or its trailers.
pub(crate) fn given(fields: &HeaderMap) -> Option<u32> {
    let digits = fields.get(STATUS)?.to_str().ok()?;
    digits.parse().ok().filter(|_| digits.len() <= 4)
}

/// Writes a status of ours.
pub(crate) fn put(fields: &mut HeaderMap, code: u32, status: &CallStatus) {
    fields.insert(STATUS, HeaderValue::from(code));
    fields.insert(MESSAGE, percent(&status.message));
    if let Ok(details) = HeaderValue::from_bytes(&base64::bare(&status.details)) {
        fields.insert(DETAILS, details);
    }
}

/// Takes the fields of a status out of a head.
pub(super) fn take(fields: &mut HeaderMap) -> HeaderMap {
    let mut taken = HeaderMap::new();
    for name in [STATUS, MESSAGE, DETAILS] {
        if let Some(value) = fields.remove(&name) {
            taken.insert(name, value);
        }
    }
    taken
}

/// `Percent-Encoded` of PROTOCOL-HTTP2.md: what is no printable ASCII, and the sign itself.
fn percent(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for it in text.bytes() {
        match it {
            b' '..=b'~' if it != b'%' => encoded.push(char::from(it)),
            _ => encoded += &format!("%{it:02X}"),
        }
    }
    HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        let table = [
            ("", ""),
            ("plain text, 100", "plain text, 100"),
            ("100 %", "100 %25"),
            ("a\r\nb: c\t\0\u{7f}", "a%0D%0Ab: c%09%00%7F"),
            ("é€", "%C3%A9%E2%82%AC"),
        ];
        for (text, expected) in table {
            assert_eq!(percent(text), expected, "{text:?}");
        }
    }

    #[test]
    fn http_statuses_are_mapped_as_callers_map_them() {
        let table = [
            (200, 2),
            (302, 2),
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (500, 2),
            (502, 14),
            (503, 14),
            (504, 14),
        ];
        for (http, grpc) in table {
            assert_eq!(of_http(http), grpc, "{http}");
        }
    }

    #[test]
    fn resets_are_mapped_as_callers_map_them() {
        for (code, grpc) in [(0, 13), (1, 13), (2, 13), (5, 2), (7, 14), (8, 1), (11, 8), (12, 7)] {
            assert_eq!(of_reset(code), grpc, "{code}");
        }
    }

    #[test]
    fn a_status_is_a_short_number() {
        let given = |text: &'static str| {
            let mut fields = HeaderMap::new();
            fields.insert(STATUS, HeaderValue::from_static(text));
            super::given(&fields)
        };
        assert_eq!(given("0"), Some(0));
        assert_eq!(given("14"), Some(14));
        assert_eq!(given("99999"), None);
        assert_eq!(given("-1"), None);
        assert_eq!(given("ok"), None);
        assert_eq!(super::given(&HeaderMap::new()), None);
    }
}
