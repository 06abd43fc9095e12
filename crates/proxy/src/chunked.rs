//! The chunked transfer coding (RFC 9112 7.1), read strictly: what two readers might take
//! differently is an error.

use crate::framing::is_token;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A chunk's size line, extensions included.
const SIZE_LINE: usize = 1024;

/// Reads one chunked body; the caller keeps the bytes.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Of the trailer section, to bound it.
    trailer_limit: usize,
    trailers: Vec<u8>,
    /// How many trailer fields may still come.
    fields_left: usize,
    /// How many bytes of extensions may still come, over all chunks.
    extensions_left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
        value: u64,
        line: usize,
    },
    Extension {
        value: u64,
        line: usize,
    },
    SizeEnd {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In the trailer section; `blank` when the line has no byte yet.
    Trailer {
        blank: bool,
        cr: bool,
    },
    Done,
    /// Once wrong is wrong for good: a part of a piece must not be read twice.
    Bad(BadChunk),
}

/// What the bytes at hand begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing can be said without more bytes.
    Need,
    /// So many bytes of framing, to be skipped.
    Framing(usize),
    /// So many bytes of data.
    Data(usize),
    /// So many bytes of framing, and the body is over.
    End(usize),
}

/// What is wrong with a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadChunk {
    Framing,
    Trailer,
}

/// A little below what hyper's server takes of extensions and of trailers.
const HYPER_BYTES: usize = 15 * 1024;
const HYPER_FIELDS: usize = 99;

const START: State = State::Size { digits: 0, value: 0, line: 0 };

impl Chunked {
    pub(crate) fn new(trailer_limit: usize) -> Chunked {
        let (fields_left, extensions_left) = (usize::MAX, usize::MAX);
        Chunked { state: START, trailer_limit, trailers: Vec::new(), fields_left, extensions_left }
    }

    /// For what hyper's server reads after us: not laxer than it, which would end the connection
    /// without a word.
    pub(crate) fn before_hyper(trailer_limit: usize) -> Chunked {
        Chunked {
            fields_left: HYPER_FIELDS,
            extensions_left: HYPER_BYTES,
            ..Chunked::new(trailer_limit.min(HYPER_BYTES))
        }
    }

    /// Reads on. `input` must start where the last piece ended.
    pub(crate) fn next(&mut self, input: &[u8]) -> Result<Piece, BadChunk> {
        if let State::Data { left } = self.state {
            return Ok(self.data(left, input.len()));
        }
        for (at, &byte) in input.iter().enumerate() {
            self.state = self.step(byte).unwrap_or_else(State::Bad);
            match self.state {
                State::Bad(bad) => return Err(bad),
                State::Data { .. } => return Ok(Piece::Framing(at + 1)),
                State::Done => return Ok(Piece::End(at + 1)),
                _ => {}
            }
        }
        Ok(if input.is_empty() { Piece::Need } else { Piece::Framing(input.len()) })
    }

    /// The trailer fields, once the body is over.
    pub(crate) fn trailers(&self) -> Result<Option<HeaderMap>, BadChunk> {
        if self.trailers.is_empty() {
            return Ok(None);
        }
        let mut map = HeaderMap::new();
        for line in self.trailers.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = memchr::memchr(b':', line).ok_or(BadChunk::Trailer)?;
            let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| BadChunk::Trailer)?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
                .map_err(|_| BadChunk::Trailer)?;
            map.try_append(name, value).map_err(|_| BadChunk::Trailer)?;
        }
        Ok(Some(map))
    }

    fn data(&mut self, left: u64, have: usize) -> Piece {
        let taken = left.min(have as u64);
        if taken == 0 {
            return Piece::Need;
        }
        let left = left - taken;
        self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        Piece::Data(taken as usize)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        let bad = Err(BadChunk::Framing);
        Ok(match (self.state, byte) {
            (State::Bad(bad), _) => return Err(bad),
            (State::Size { digits, value, line }, byte) => {
                return size(digits, value, line, byte);
            }
            (State::Extension { value, .. }, b'\r') => State::SizeEnd { value },
            (State::Extension { line, .. }, _) if SIZE_LINE <= line => return bad,
            (State::Extension { .. }, _) if self.extensions_left == 0 => return bad,
            (State::Extension { value, line }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extensions_left -= 1;
                State::Extension { value, line: line + 1 }
            }
            (State::SizeEnd { value: 0 }, b'\n') => State::Trailer { blank: true, cr: false },
            (State::SizeEnd { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => START,
            (State::Trailer { blank, cr }, byte) => return self.trailer(blank, cr, byte),
            _ => return bad,
        })
    }

    /// The trailer field that is being read.
    fn last_line(&self) -> &[u8] {
        let before = memchr::memrchr(b'\n', &self.trailers);
        &self.trailers[before.map_or(0, |at| at + 1)..]
    }

    fn trailer(&mut self, blank: bool, cr: bool, byte: u8) -> Result<State, BadChunk> {
        match (blank, cr, byte) {
            (true, true, b'\n') => return Ok(State::Done),
            (false, true, b'\n') if self.fields_left == 0 || !is_field(self.last_line()) => {
                return Err(BadChunk::Trailer);
            }
            (false, true, b'\n') => {
                self.fields_left -= 1;
                self.trailers.extend(b"\r\n");
            }
            (_, true, _) | (_, false, b'\n') => return Err(BadChunk::Trailer),
            (_, false, b'\r') => return Ok(State::Trailer { blank, cr: true }),
            (true, false, b' ' | b'\t') => return Err(BadChunk::Trailer),
            (_, false, byte) if byte != b'\t' && byte.is_ascii_control() => {
                return Err(BadChunk::Trailer);
            }
            (_, false, byte) => {
                if self.trailer_limit <= self.trailers.len() {
                    return Err(BadChunk::Trailer);
                }
                self.trailers.push(byte);
                return Ok(State::Trailer { blank: false, cr: false });
            }
        }
        Ok(State::Trailer { blank: true, cr: false })
    }
}

/// A name and a colon; control characters are refused as they come.
fn is_field(line: &[u8]) -> bool {
    let name = memchr::memchr(b':', line).map(|at| &line[..at]);
    name.is_some_and(|it| !it.is_empty() && it.iter().all(|it| is_token(*it)))
}

fn size(digits: u8, value: u64, line: usize, byte: u8) -> Result<State, BadChunk> {
    match (byte, char::from(byte).to_digit(16)) {
        // Sixteen digits could overflow what a length may be.
        (_, Some(digit)) if digits < 15 => {
            let value = value << 4 | u64::from(digit);
            Ok(State::Size { digits: digits + 1, value, line: line + 1 })
        }
        (b'\r', None) if 0 < digits => Ok(State::SizeEnd { value }),
        (b';', None) if 0 < digits => Ok(State::Extension { value, line: line + 1 }),
        _ => Err(BadChunk::Framing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, bytes used, and whether the body ended; fed `step` bytes at a time.
    fn read(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let mut chunked = Chunked::new(1024);
        let (mut data, mut at, mut seen) = (Vec::new(), 0, step.min(input.len()));
        loop {
            match chunked.next(&input[at..seen])? {
                Piece::Need if seen == input.len() => return Ok((data, at, false)),
                Piece::Need => seen = (seen + step).min(input.len()),
                Piece::Framing(n) => at += n,
                Piece::Data(n) => {
                    data.extend(&input[at..at + n]);
                    at += n;
                }
                Piece::End(n) => return Ok((data, at + n, true)),
            }
        }
    }

    #[track_caller]
    fn check(input: &str, data: &str, rest: usize) {
        for step in [1, 2, 7, 4096] {
            let whole = Ok((data.as_bytes().to_vec(), input.len() - rest, true));
            assert_eq!(read(input.as_bytes(), step), whole, "{input:?} by {step}");
        }
    }

    #[track_caller]
    fn check_bad(input: &str, bad: BadChunk) {
        for step in [1, 3, 4096] {
            assert_eq!(read(input.as_bytes(), step), Err(bad), "{input:?} by {step}");
        }
    }

    #[test]
    fn chunks_become_data_and_what_follows_is_left() {
        check("0\r\n\r\n", "", 0);
        check("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
        check("5\r\nhello\r\n1\r\n!\r\n00\r\n\r\nGET /", "hello!", 5);
        check("A;name=value\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0);
        check("1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x", 0);
    }

    #[test]
    fn a_cut_body_does_not_end() {
        let (data, _, ended) = read(b"5\r\nhel", 4096).expect("so far it is right");
        assert_eq!((data.as_slice(), ended), (b"hel".as_slice(), false));
    }

    #[test]
    fn what_readers_disagree_on_is_an_error() {
        check_bad("5\nhello\r\n0\r\n\r\n", BadChunk::Framing);
        check_bad("\r\n", BadChunk::Framing);
        check_bad(" 5\r\n", BadChunk::Framing);
        check_bad("5 \r\n", BadChunk::Framing);
        check_bad("0x5\r\n", BadChunk::Framing);
        check_bad("+5\r\n", BadChunk::Framing);
        check_bad("5\r\nhello!\r\n", BadChunk::Framing);
        check_bad("5\r\nhello\n", BadChunk::Framing);
        check_bad("fffffffffffffffff\r\n", BadChunk::Framing);
        check_bad("5;a\nb\r\n", BadChunk::Framing);
        check_bad("0\r\n folded\r\n\r\n", BadChunk::Trailer);
        check_bad("0\r\nA: b\n\r\n", BadChunk::Trailer);
        check_bad("0\r\nA: \0\r\n\r\n", BadChunk::Trailer);
        check_bad("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadChunk::Trailer);
        check_bad("0\r\nA: b\r\nA : b\r\n\r\n", BadChunk::Trailer);
        check_bad("0\r\n: b\r\n\r\n", BadChunk::Trailer);
    }

    #[test]
    fn size_lines_and_trailers_are_bounded() {
        check_bad(&format!("5;{}\r\n", "x".repeat(2000)), BadChunk::Framing);
        check_bad(&format!("0\r\nA: {}\r\n\r\n", "x".repeat(2000)), BadChunk::Trailer);
    }

    #[test]
    fn trailers_are_fields() {
        let mut chunked = Chunked::new(1024);
        assert_eq!(chunked.next(b"0\r\nA: b\r\nA: c\r\n\r\n"), Ok(Piece::End(17)));
        let map = chunked.trailers().expect("they are fields").expect("there are some");
        assert_eq!(map.get_all("a").iter().count(), 2);
    }

    #[test]
    fn what_was_wrong_once_is_wrong_when_it_is_read_again() {
        let mut chunked = Chunked::new(1024);
        assert_eq!(chunked.next(b"2\r\n"), Ok(Piece::Framing(3)));
        assert_eq!(chunked.next(b"ab"), Ok(Piece::Data(2)));
        // Had the first reading left its mark, the line end would now end the size line.
        let input = b"\r\nf;\x01";
        assert_eq!(chunked.next(input), Err(BadChunk::Framing));
        assert_eq!(chunked.next(input), Err(BadChunk::Framing));
    }

    #[test]
    fn more_trailers_than_a_map_holds_are_an_error() {
        let mut chunked = Chunked::new(1 << 20);
        let lines: String = (0..40_000).map(|it| format!("x{it}:\r\n")).collect();
        let body = format!("0\r\n{lines}\r\n");
        assert_eq!(chunked.next(body.as_bytes()), Ok(Piece::End(body.len())));
        assert_eq!(chunked.trailers(), Err(BadChunk::Trailer));
    }

    #[test]
    fn before_hyper_neither_extensions_nor_trailers_go_on_for_ever() {
        let check = |body: String, expected| {
            let mut chunked = Chunked::before_hyper(32 * 1024);
            let mut rest = body.as_bytes();
            let end = loop {
                match chunked.next(rest) {
                    Ok(Piece::Framing(n) | Piece::Data(n)) => rest = &rest[n..],
                    other => break other.map(|_| ()),
                }
            };
            assert_eq!(end, expected);
        };
        let chunk = format!("1;{}\r\nx\r\n", "a".repeat(900));
        check(chunk.repeat(16) + "0\r\n\r\n", Ok(()));
        check(chunk.repeat(18) + "0\r\n\r\n", Err(BadChunk::Framing));
        let fields = |count| format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
        check(fields(99), Ok(()));
        check(fields(100), Err(BadChunk::Trailer));
    }
}
