//! The opening handshake of a WebSocket, where we make it: clients that ask over a stream have none
//! (RFC 8441 5), and HTTP/1.1 servers answer nobody without one (RFC 6455 4.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::BASE64;
use http::header::HeaderValue;

/// What every server appends to a key (RFC 6455 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A new `Sec-WebSocket-Key`.
pub(crate) fn key(random: u128) -> HeaderValue {
    let text = BASE64.encode(&random.to_be_bytes());
    HeaderValue::from_str(&text).expect("Base64 is a field value")
}

/// The `Sec-WebSocket-Accept` that answers a key. No secret: it proves that a WebSocket server read
/// this request, and no cache or other server did.
pub(crate) fn accept(key: &[u8]) -> String {
    let salted = [key, GUID].concat();
    BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        assert_eq!(key(0), "AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(key(u128::MAX), "/////////////////////w==");
    }
}
