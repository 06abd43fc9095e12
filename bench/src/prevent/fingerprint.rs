//! Numbers that tell texts apart: FNV-1a with 64 bits (RFC 9923).

const BEGIN: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

pub(super) fn of(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(BEGIN, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_have_their_known_numbers() {
        assert_eq!(of([]), BEGIN);
        assert_eq!(of(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(*b"foobar"), 0x8594_4171_f739_67e8);
    }
}
