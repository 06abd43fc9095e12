//! Field sections of HTTP/3, read and written without a dynamic table (QPACK, RFC 9204).
//!
//! We tell clients that the table has no room, so no section can refer to it, none waits for
//! another stream, and nobody makes us remember what they sent.

use super::tables::{LENGTHS, STATIC};
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What is counted for each field beside its name and value (RFC 9114 4.2.2).
pub(super) const OVERHEAD: usize = 32;

/// Why a section was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// These bytes are no field section: the connection cannot go on (RFC 9204 2.2).
    Undecodable,
    /// Its fields are larger than allowed.
    TooLarge,
}

/// Gives each field of a section, up to so many bytes of them.
pub(super) fn decode(
    mut section: &[u8],
    most: usize,
    mut take: impl FnMut(&[u8], &[u8]),
) -> Result<(), Unread> {
    let mut size = 0;
    prefix(&mut section).ok_or(Unread::Undecodable)?;
    while !section.is_empty() {
        let (name, value) = field(&mut section).ok_or(Unread::Undecodable)?;
        size += name.len() + value.len() + OVERHEAD;
        if most < size {
            return Err(Unread::TooLarge);
        }
        take(&name, &value);
    }
    Ok(())
}

/// The prefix of a section (RFC 9204 4.5.1), which must need nothing of the dynamic table.
fn prefix(bytes: &mut &[u8]) -> Option<()> {
    let needed = integer(bytes, 8)?;
    // Where nothing is needed there is no place before it.
    let before = *bytes.first()? & 0x80 != 0;
    integer(bytes, 7)?;
    (needed == 0 && !before).then_some(())
}

/// What an encoder says that was told that the table has no room: nothing, but that it knows
/// (RFC 9204 3.2.3, 4.3.1).
pub(super) fn keeps_no_table(instructions: &[u8]) -> bool {
    const CAPACITY_NONE: u8 = 0b0010_0000;
    instructions.iter().all(|it| *it == CAPACITY_NONE)
}

/// What a decoder says.
#[derive(Default)]
pub(super) struct Decoder {
    /// An integer goes on.
    inside: bool,
}

impl Decoder {
    /// Whether it says no more than which streams it has given up (RFC 9204 4.4.2): of a table that
    /// holds nothing there is nothing to acknowledge.
    pub(super) fn acknowledges_nothing(&mut self, instructions: &[u8]) -> bool {
        instructions.iter().all(|it| {
            let first = !std::mem::replace(&mut self.inside, false);
            self.inside = if first { it & 0x3f == 0x3f } else { it & 0x80 != 0 };
            !first || it >> 6 == 0b01
        })
    }
}

type Text<'a> = Cow<'a, [u8]>;

/// One field line (RFC 9204 4.5.2, 4.5.4, 4.5.6). The other two forms need the dynamic table.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<(Text<'a>, Text<'a>)> {
    let form = *bytes.first()?;
    match form {
        0b1100_0000.. => {
            let (name, value) = STATIC.get(integer(bytes, 6)?)?;
            Some((Cow::Borrowed(name.as_bytes()), Cow::Borrowed(value.as_bytes())))
        }
        0b0100_0000..=0b0111_1111 if form & 0b1_0000 != 0 => {
            let (name, _) = STATIC.get(integer(bytes, 4)?)?;
            Some((Cow::Borrowed(name.as_bytes()), string(bytes, 7)?))
        }
        0b0010_0000..=0b0011_1111 => Some((string(bytes, 3)?, string(bytes, 7)?)),
        _ => None,
    }
}

/// An integer whose first part has so many bits (RFC 7541 5.1). Larger ones than any section may
/// have are refused.
fn integer(bytes: &mut &[u8], bits: u32) -> Option<usize> {
    let all_ones = (1_usize << bits) - 1;
    let mut value = usize::from(next(bytes)?) & all_ones;
    if value < all_ones {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = next(bytes)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn next(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// A string whose length has so many bits in the first byte, below the one that says that it is
/// compressed (RFC 9204 4.1.2).
fn string<'a>(bytes: &mut &'a [u8], bits: u32) -> Option<Text<'a>> {
    let compressed = *bytes.first()? & (1 << bits) != 0;
    let length = integer(bytes, bits)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    if compressed { expand(text).map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

const LONGEST: usize = 30;
const END: u16 = 256;

/// The code of RFC 7541 B, ready to be read.
struct Code {
    /// Each byte and at last the end, in the order of their codes.
    symbols: [u16; LENGTHS.len()],
    /// By length: the first code, how many there are, and where in `symbols` they begin.
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    from: [usize; LONGEST + 1],
    /// By the next eight bits: the byte that they begin with and the length of its code; 0 is none.
    short: [(u8, u8); 256],
}

static CODE: LazyLock<Code> = LazyLock::new(|| {
    let mut code = Code {
        symbols: [0; LENGTHS.len()],
        first: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        from: [0; LONGEST + 1],
        short: [(0, 0); 256],
    };
    let (mut next, mut placed) = (0_u32, 0);
    for length in 1..=LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.from[length] = placed;
        let of_length = LENGTHS.iter().enumerate().filter(|(_, it)| usize::from(**it) == length);
        for (symbol, _) in of_length {
            code.symbols[placed] = symbol as u16;
            if length <= 8 {
                let spare = 8 - length;
                let at = (next as usize) << spare;
                code.short[at..at + (1 << spare)].fill((symbol as u8, length as u8));
            }
            placed += 1;
            next += 1;
        }
        code.count[length] = next - code.first[length];
    }
    code
});

/// Undoes the compression of a string (RFC 7541 5.2).
fn expand(text: &[u8]) -> Option<Vec<u8>> {
    let code = &*CODE;
    let mut whole = Vec::with_capacity(text.len() * 8 / 5);
    let mut bytes = text.iter();
    // What is read and not yet understood, from the highest bit on.
    let (mut window, mut held) = (0_u64, 0_u32);
    loop {
        while held <= 56 {
            let Some(byte) = bytes.next() else {
                break;
            };
            window |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        let (symbol, length) = match code.short[(window >> 56) as usize] {
            (_, 0) => long(code, window)?,
            (byte, length) => (u16::from(byte), u32::from(length)),
        };
        if held < length {
            // The last bits are the beginning of the end, and less than a byte.
            let ones = !(u64::MAX.checked_shr(held).unwrap_or(0));
            return (held < 8 && window == ones).then_some(whole);
        }
        if symbol == END {
            return None;
        }
        whole.push(symbol as u8);
        window <<= length;
        held -= length;
    }
}

/// What begins with a code of more than eight bits.
fn long(code: &Code, window: u64) -> Option<(u16, u32)> {
    (9..=LONGEST).find_map(|length| {
        let bits = (window >> (64 - length)) as u32;
        let at = bits.checked_sub(code.first[length]).filter(|it| *it < code.count[length])?;
        Some((code.symbols[code.from[length] + at as usize], length as u32))
    })
}

/// Where each name stands first in the static table.
static BY_NAME: LazyLock<HashMap<&str, usize>> = LazyLock::new(|| {
    let mut by_name = HashMap::new();
    for (at, (name, _)) in STATIC.iter().enumerate() {
        by_name.entry(*name).or_insert(at);
    }
    by_name
});

/// The section of an answer's head.
pub(super) fn head(status: &str, headers: &HeaderMap) -> Bytes {
    section(Some((":status", status)), headers)
}

/// The section of an answer's trailers.
pub(super) fn trailers(headers: &HeaderMap) -> Bytes {
    section(None, headers)
}

/// Strings go out as they are: compressing would cost more than the few bytes are worth.
fn section(pseudo: Option<(&str, &str)>, headers: &HeaderMap) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    // Nothing of the dynamic table is needed (RFC 9204 4.5.1).
    out.put_slice(&[0, 0]);
    let pseudo = pseudo.iter().map(|(name, value)| (*name, value.as_bytes()));
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in pseudo.chain(fields) {
        put_field(&mut out, name, value);
    }
    out.freeze()
}

fn put_field(out: &mut BytesMut, name: &str, value: &[u8]) {
    let Some(first) = BY_NAME.get(name).copied() else {
        put_integer(out, 0b0010_0000, 3, name.len());
        out.put_slice(name.as_bytes());
        put_integer(out, 0, 7, value.len());
        return out.put_slice(value);
    };
    let same = STATIC.iter().skip(first).position(|it| it.0 == name && it.1.as_bytes() == value);
    if let Some(further) = same {
        return put_integer(out, 0b1100_0000, 6, first + further);
    }
    put_integer(out, 0b0101_0000, 4, first);
    put_integer(out, 0, 7, value.len());
    out.put_slice(value);
}

/// The form in the highest bits, then the integer from so many bits on (RFC 7541 5.1).
fn put_integer(out: &mut BytesMut, form: u8, bits: u32, value: usize) {
    let all_ones = (1_usize << bits) - 1;
    if value < all_ones {
        return out.put_u8(form | value as u8);
    }
    out.put_u8(form | all_ones as u8);
    let mut left = value - all_ones;
    while 0x80 <= left {
        out.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}

/// A request's trailers; `None` where they are none that HTTP allows.
pub(super) fn read_trailers(section: &[u8], most: usize) -> Result<Option<HeaderMap>, Unread> {
    let mut trailers = Some(HeaderMap::new());
    decode(section, most, |name, value| {
        let field = (HeaderName::from_lowercase(name), HeaderValue::from_bytes(value));
        trailers = match (trailers.take(), field) {
            (Some(mut trailers), (Ok(name), Ok(value))) => {
                trailers.try_append(name, value).is_ok().then_some(trailers)
            }
            _ => None,
        };
    })?;
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|it| std::str::from_utf8(it).unwrap());
        pairs.map(|it| u8::from_str_radix(it, 16).unwrap()).collect()
    }

    type Fields = Vec<(String, String)>;

    fn read(section: &[u8]) -> Result<Fields, Unread> {
        let mut fields = Vec::new();
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        decode(section, 1000, |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    #[track_caller]
    fn check(section: &str, expected: &[(&str, &str)]) {
        let expected: Fields =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(read(&bytes(section)), Ok(expected), "{section}");
    }

    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        // RFC 9204 B.1.
        check("0000 510b 2f69 6e64 6578 2e68 746d 6c", &[(":path", "/index.html")]);
        check("0000 d1 d7 c1", &[(":method", "GET"), (":scheme", "https"), (":path", "/")]);
        check("0000 27 03 6b65 792d 6e61 6d65 2d78 01 79", &[("key-name-x", "y")]);
        // RFC 7541 C.4 and C.6: compressed strings.
        check("0000 508c f1e3 c2e5 f23a 6ba0 ab90 f4ff", &[(":authority", "www.example.com")]);
        check("0000 5f1d 86a8 eb10 649c bf", &[("accept-language", "no-cache")].map(renamed));
        check(
            "0000 5696 d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff",
            &[("date", "Mon, 21 Oct 2013 20:13:21 GMT")],
        );
    }

    /// Index 44 is a name of our choice for a value of RFC 7541.
    fn renamed<'a>(field: (&'a str, &'a str)) -> (&'a str, &'a str) {
        ("content-type", field.1)
    }

    #[test]
    fn what_is_no_section_is_told_from_what_is_too_large() {
        for section in [
            "",
            "00",
            // It needs the dynamic table: by its prefix, an index, a name, or after its base.
            "0100",
            "0080 d1",
            "0000 80",
            "0000 40 01 61",
            "0000 10",
            "0000 00 01 61",
            // There is no entry 99.
            "0000 ff 24",
            // A length that goes beyond the end, and one that is no length.
            "0000 51 0b 2f",
            "0000 51 7f ff ff ff ff 0f",
            // Padding of more than seven bits, of zeros, and the end itself.
            "0000 51 82 1f ff",
            "0000 51 81 18",
            "0000 51 84 ff ff ff ff",
        ] {
            assert_eq!(read(&bytes(section)), Err(Unread::Undecodable), "{section}");
        }
        let large = decode(&bytes("0000 d1 d7 c1"), 100, |_, _| {});
        assert_eq!(large, Err(Unread::TooLarge));
    }

    #[test]
    fn every_byte_survives_compression() {
        let code = &*CODE;
        let mut bits = String::new();
        let all: Vec<u8> = (0..=255).collect();
        for byte in &all {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let at = (0..code.count[length])
                .find(|it| code.symbols[code.from[length] + *it as usize] == u16::from(*byte))
                .unwrap();
            bits += &format!("{:0length$b}", code.first[length] + at);
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let digits: Vec<char> = bits.chars().collect();
        let compressed: Vec<u8> = digits
            .chunks(8)
            .map(|it| u8::from_str_radix(&it.iter().collect::<String>(), 2).unwrap())
            .collect();
        assert_eq!(expand(&compressed), Some(all));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut headers = HeaderMap::new();
        let long = "x".repeat(300);
        let fields = [
            ("content-type", "text/plain"),
            ("content-type", "text/odd"),
            ("content-length", "12345"),
            ("x-own-and-rather-long", &*long),
            ("vary", "origin"),
        ];
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut read = read(&head("200", &headers)).unwrap();
        assert_eq!(read.remove(0), (":status".to_owned(), "200".to_owned()));
        read.sort();
        let mut expected = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expected.sort();
        assert_eq!(read, expected);
        for status in ["201", "404", "599"] {
            let read = self::read(&head(status, &HeaderMap::new())).unwrap();
            assert_eq!(read, [(":status".to_owned(), status.to_owned())]);
        }
        assert_eq!(read_trailers(&trailers(&headers), 1000), Ok(Some(headers)));
    }

    #[test]
    fn of_a_table_without_room_nothing_is_said() {
        assert!(keeps_no_table(&bytes("20 20")));
        for instruction in ["3f 01", "c0 00", "41 61 00", "00"] {
            assert!(!keeps_no_table(&bytes(instruction)), "{instruction}");
        }
        // In one piece, and a byte at a time.
        let check = |instructions: &str, expected| {
            let all = bytes(instructions);
            for size in [1, all.len()] {
                let mut decoder = Decoder::default();
                let good = all.chunks(size).all(|it| decoder.acknowledges_nothing(it));
                assert_eq!(good, expected, "{instructions}");
            }
        };
        check("40 7f ff 01 44", true);
        check("7f 00 80", false);
        check("80", false);
        check("40 01", false);
        check("00", false);
    }

    #[test]
    fn trailers_hold_no_pseudo_field() {
        assert_eq!(read_trailers(&head("200", &HeaderMap::new()), 1000), Ok(None));
    }
}
