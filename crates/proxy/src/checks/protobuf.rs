//! The two messages of the gRPC health checking protocol, of one field each
//! (<https://protobuf.dev/programming-guides/encoding/>).

use bytes::Bytes;

/// `HealthCheckResponse.ServingStatus`.
pub(super) const SERVING: u64 = 1;
pub(super) const SERVICE_UNKNOWN: u64 = 3;

/// Before each message: whether it is compressed, and its length (PROTOCOL-HTTP2.md of gRPC).
const PREFIX: usize = 5;

/// `HealthCheckRequest { service = 1 }` with its prefix.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message].concat().into()
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while 0x80 <= value {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// `HealthCheckResponse { status = 1 }`; 0 where it is left out. `None` where it is no such message, or
/// a compressed one, which nobody asked for.
pub(super) fn serving(bytes: &[u8]) -> Option<u64> {
    let (prefix, message) = bytes.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(*prefix.last_chunk()?);
    if prefix.first() != Some(&0) || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let mut rest = message;
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_stands_in_the_request_where_there_is_one() {
        assert_eq!(request(""), [0, 0, 0, 0, 0][..]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b'][..]);
        let long = request(&"x".repeat(300));
        // 300 = 2 * 128 + 44.
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 2]);
        assert_eq!(long.len(), 308);
    }

    #[test]
    fn the_status_is_found_among_other_fields() {
        let check = |message: &[u8], expected| {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let bytes = [&[0][..], &length, message].concat();
            assert_eq!(serving(&bytes), expected, "{message:?}");
        };
        check(&[8, 1], Some(1));
        check(&[], Some(0));
        check(&[0x12, 2, 8, 9, 8, 1], Some(1));
        check(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0x20, 7, 8, 2], Some(2));
        check(&[8], None);
        check(&[8, 0x80], None);
        check(&[0x12, 9, 8], None);
        check(&[0x0b], None);
        check(&[0xff; 12], None);
    }

    #[test]
    fn what_is_cut_compressed_or_longer_is_no_answer() {
        for wrong in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8, 1],
        ] {
            assert_eq!(serving(wrong), None, "{wrong:?}");
        }
    }
}
