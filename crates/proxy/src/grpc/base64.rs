//! Base64 (RFC 4648 4) as gRPC uses it: unpadded in `-bin` fields, and as the text form of gRPC-Web,
//! where each piece may end with its own padding.

use bytes::{Bytes, BytesMut};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Without padding.
pub(super) fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, it| bits << 8 | u32::from(*it));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]);
        }
    }
    text
}

/// With padding, so that the next piece can follow.
pub(super) fn padded(bytes: &[u8]) -> Bytes {
    let mut text = bare(bytes);
    text.resize(text.len().next_multiple_of(4), b'=');
    text.into()
}

/// Reads text that comes in pieces. Padding may stand at the end of any group of four.
#[derive(Default)]
pub(crate) struct Decoder {
    bits: u32,
    /// Characters of the group that has begun, its padding included.
    begun: u8,
    padding: u8,
}

/// It is no base64.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

impl Decoder {
    /// The bytes of all groups that are whole.
    pub(crate) fn push(&mut self, text: &[u8]) -> Result<Bytes, NotBase64> {
        let mut bytes = BytesMut::with_capacity(text.len() / 4 * 3 + 3);
        for it in text {
            match value(*it) {
                Some(six) if self.padding == 0 => self.bits = self.bits << 6 | u32::from(six),
                None if *it == b'=' && 2 <= self.begun => {
                    self.bits <<= 6;
                    self.padding += 1;
                }
                _ => return Err(NotBase64),
            }
            self.begun += 1;
            if self.begun == 4 {
                self.end_group(&mut bytes)?;
            }
        }
        Ok(bytes.freeze())
    }

    fn end_group(&mut self, bytes: &mut BytesMut) -> Result<(), NotBase64> {
        let [_, all @ ..] = self.bits.to_be_bytes();
        let (given, rest) = all.split_at(3 - usize::from(self.padding));
        // Two texts for the same bytes would be one too many (RFC 4648 3.5).
        if rest.iter().any(|it| *it != 0) {
            return Err(NotBase64);
        }
        bytes.extend_from_slice(given);
        *self = Decoder::default();
        Ok(())
    }

    /// No group has begun: the text may end here.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun == 0
    }
}

fn value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_standard() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in table {
            assert_eq!(padded(bytes.as_bytes()), text);
            assert_eq!(bare(bytes.as_bytes()), text.trim_end_matches('=').as_bytes());
            assert_eq!(Decoder::default().push(text.as_bytes()), Ok(bytes.into()));
        }
        assert_eq!(padded(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn pieces_may_be_cut_anywhere_and_padded_each() {
        let text = [padded(b"fo"), padded(b"o"), padded(b"bar"), padded(b"xy")].concat();
        for cut in 0..=text.len() {
            let mut decoder = Decoder::default();
            let (one, other) = text.split_at(cut);
            let mut bytes = decoder.push(one).expect("base64").to_vec();
            assert_eq!(decoder.is_whole(), cut % 4 == 0, "{cut}");
            bytes.extend(decoder.push(other).expect("base64"));
            assert_eq!(bytes, b"foobarxy", "{cut}");
            assert!(decoder.is_whole());
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["=", "a=", "Zg=a", "====", "Zm9v\n", "Zm 9v", "Zm-_", "Zh==", "Zm9=", "\0"] {
            assert_eq!(Decoder::default().push(text.as_bytes()), Err(NotBase64), "{text:?}");
        }
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"Zm9"), Ok(Bytes::new()));
        assert!(!decoder.is_whole());
    }
}
