//! The frames of gRPC-Web: those of gRPC, and a last one that holds the trailers.

use super::{Spoken, base64};
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

/// The flag of the frame that holds the trailers (PROTOCOL-WEB.md of gRPC).
const TRAILERS: u8 = 0x80;

/// A flag and four bytes of length come before each message.
const PREFIX: u8 = 5;

/// The trailers as a frame, in the form that is wanted.
pub(super) fn trailers(fields: &HeaderMap, form: Spoken) -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            block.extend_from_slice(part);
        }
    }
    let mut frame = BytesMut::with_capacity(block.len() + usize::from(PREFIX));
    frame.put_u8(TRAILERS);
    // Trailers are bounded by `limits.response_head`, which is far less.
    frame.put_u32(u32::try_from(block.len()).unwrap_or(u32::MAX));
    frame.put(block);
    encoded(frame.freeze(), form)
}

/// A piece of a body in the form that is wanted.
pub(super) fn encoded(data: Bytes, form: Spoken) -> Bytes {
    match form {
        Spoken::WebText => base64::padded(&data),
        Spoken::Grpc | Spoken::Web => data,
    }
}

/// Where in the frames of a body we are: trailers may follow a whole message only.
#[derive(Default)]
pub(super) struct Place {
    /// Bytes of a prefix that have been seen.
    prefix: u8,
    length: u32,
    /// Bytes of a message that are to come.
    left: u32,
}

impl Place {
    pub(super) fn pass(&mut self, mut data: &[u8]) {
        while let Some((first, rest)) = data.split_first() {
            if 0 < self.left {
                let now = data.len().min(self.left as usize);
                self.left -= now as u32;
                data = data.split_at(now).1;
                continue;
            }
            if 0 < self.prefix {
                self.length = self.length << 8 | u32::from(*first);
            }
            self.prefix += 1;
            data = rest;
            if self.prefix == PREFIX {
                self.left = self.length;
                self.prefix = 0;
                self.length = 0;
            }
        }
    }

    pub(super) fn is_between_messages(&self) -> bool {
        self.prefix == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn trailers_are_a_frame_of_their_own() {
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", HeaderValue::from_static("0"));
        fields.insert("x-a", HeaderValue::from_static("b"));
        let expected = b"\x80\0\0\0\x18grpc-status: 0\r\nx-a: b\r\n";
        assert_eq!(trailers(&fields, Spoken::Web), &expected[..]);
        assert_eq!(trailers(&fields, Spoken::WebText), base64::padded(expected));
    }

    #[test]
    fn the_place_is_known_however_the_bytes_are_cut() {
        // Two messages, the first of three bytes, and one without any between them.
        let body = b"\0\0\0\0\x03abc\0\0\0\0\0\x01\0\0\0\x02de";
        let ends = [0, 8, 13, body.len()];
        for cut in 0..=body.len() {
            let mut place = Place::default();
            let (one, other) = body.split_at(cut);
            place.pass(one);
            assert_eq!(place.is_between_messages(), ends.contains(&cut), "{cut}");
            place.pass(other);
            assert!(place.is_between_messages(), "{cut}");
        }
        let mut place = Place::default();
        for it in body {
            place.pass(&[*it]);
        }
        assert!(place.is_between_messages());
    }

    #[test]
    fn the_longest_message_is_no_trouble() {
        let mut place = Place::default();
        place.pass(b"\0\xff\xff\xff\xff");
        place.pass(&[0; 10_000]);
        assert!(!place.is_between_messages());
    }
}
