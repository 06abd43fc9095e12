//! What bytes are, told by how they begin, and the text within: compressed, UTF-16 or as it is.

use super::bunzip::Bunzip;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, Cursor, Read};

/// Bytes in one direction.
pub(super) type Stream<'a> = Box<dyn Read + 'a>;

/// What is needed to tell what bytes are: the mark of tar stands at 257.
pub(super) const HEAD: usize = 1024;

/// The most memory that a compressed file may ask for, in KiB; `xz -9` and `zstd --ultra` need 64
/// and 128 MiB.
const DICTIONARY_KIB: u32 = 192 * 1024;

/// Compressed within compressed, as `logs.tar.gz` with `error.log.1.gz` in it.
pub(super) const DEPTH: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Tar,
    Zip,
    Utf16 {
        big: bool,
    },
    /// Text or anything else, and how many bytes mark it as UTF-8.
    None {
        mark: usize,
    },
}

impl Packing {
    /// From the first bytes, [`HEAD`] of them where there are as many.
    pub(super) fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, 8, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
                Packing::Bzip2
            }
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Packing::Zip,
            [0xef, 0xbb, 0xbf, ..] => Packing::None { mark: 3 },
            [0xff, 0xfe, ..] => Packing::Utf16 { big: false },
            [0xfe, 0xff, ..] => Packing::Utf16 { big: true },
            _ if head.get(257..262) == Some(b"ustar") => Packing::Tar,
            _ => Packing::unmarked(head),
        }
    }

    /// UTF-16 of mostly Latin letters has a zero in every second byte.
    fn unmarked(head: &[u8]) -> Packing {
        let pairs = head.len() / 2;
        let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|it| **it == 0).count();
        let (high, low) = (zeros(0), zeros(1));
        match pairs >= 8 {
            true if low * 10 >= pairs * 7 && high * 10 < pairs => Packing::Utf16 { big: false },
            true if high * 10 >= pairs * 7 && low * 10 < pairs => Packing::Utf16 { big: true },
            _ => Packing::None { mark: 0 },
        }
    }
}

/// The first bytes of a stream, and all of it. An error that comes later than the first byte comes
/// again where it was met.
pub(super) fn peek(mut stream: Stream<'_>, count: usize) -> io::Result<(Vec<u8>, Stream<'_>)> {
    let mut head = Vec::new();
    let read = stream.by_ref().take(count as u64).read_to_end(&mut head);
    let start = Cursor::new(head.clone());
    Ok(match read {
        Ok(_) => (head, Box::new(start.chain(stream))),
        Err(it) if head.is_empty() => return Err(it),
        Err(it) => (head, Box::new(start.chain(Failing(Some(it))))),
    })
}

/// Fails once.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Text, or an archive of several files.
pub(super) enum Content<'a> {
    /// UTF-8, or bytes that nobody marked as anything else, and how many bytes of a mark were
    /// taken off.
    Text(Stream<'a>, u64),
    Tar(Stream<'a>),
    Zip(Stream<'a>),
}

/// Takes off every compression.
pub(super) fn unpacked(stream: Stream<'_>) -> io::Result<Content<'_>> {
    let mut stream = stream;
    for _ in 0..DEPTH {
        let (head, all) = peek(stream, HEAD)?;
        stream = match Packing::of(&head) {
            Packing::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::new(all))),
            Packing::Zstd => Box::new(Frames::of(all)),
            Packing::Xz => {
                let source = io::BufReader::new(all);
                Box::new(XzReader::new_mem_limit(source, true, DICTIONARY_KIB))
            }
            Packing::Bzip2 => Box::new(Bunzip::new(all)),
            Packing::Tar => return Ok(Content::Tar(all)),
            Packing::Zip => return Ok(Content::Zip(all)),
            Packing::Utf16 { big } => return Ok(Content::Text(Box::new(Utf16::new(all, big)), 0)),
            Packing::None { mark } => {
                let mut all = all;
                io::copy(&mut all.by_ref().take(mark as u64), &mut io::sink())?;
                return Ok(Content::Text(all, mark as u64));
            }
        };
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is compressed again and again"))
}

/// A stream whose next bytes were looked at; it can be looked at again and again.
struct Peeked<'a> {
    front: Vec<u8>,
    stream: Stream<'a>,
}

impl Peeked<'_> {
    /// The next bytes, as many as there are.
    fn next(&mut self, count: usize) -> io::Result<&[u8]> {
        let missing = count.saturating_sub(self.front.len()) as u64;
        self.stream.by_ref().take(missing).read_to_end(&mut self.front)?;
        Ok(&self.front)
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.front.is_empty() {
            return self.stream.read(into);
        }
        let count = into.len().min(self.front.len());
        into[..count].copy_from_slice(&self.front[..count]);
        self.front.drain(..count);
        Ok(count)
    }
}

/// The frames of a zstd file, one after the other.
struct Frames<'a> {
    /// Between two frames.
    source: Option<Peeked<'a>>,
    decoder: Option<StreamingDecoder<Peeked<'a>, FrameDecoder>>,
}

impl<'a> Frames<'a> {
    fn of(stream: Stream<'a>) -> Frames<'a> {
        Frames { source: Some(Peeked { front: Vec::new(), stream }), decoder: None }
    }

    /// Begins the next frame; `false` where there is none. What follows the last one and is none is
    /// left alone.
    fn begin(&mut self) -> io::Result<bool> {
        let Some(mut source) = self.source.take() else { return Ok(false) };
        loop {
            match source.next(8)? {
                [0x28, 0xb5, 0x2f, 0xfd, ..] => break,
                // A frame that is to be skipped says how long it is.
                [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d] => {
                    let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d])) + 8;
                    io::copy(&mut source.by_ref().take(length), &mut io::sink())?;
                }
                _ => return Ok(false),
            }
        }
        let limit = u64::from(DICTIONARY_KIB) * 1024;
        let decoder = StreamingDecoder::new_with_max_window_size(source, limit)
            .map_err(|it| io::Error::new(io::ErrorKind::InvalidData, it))?;
        self.decoder = Some(decoder);
        Ok(true)
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(decoder) = &mut self.decoder {
                match decoder.read(into)? {
                    0 => self.source = self.decoder.take().map(StreamingDecoder::into_inner),
                    count => return Ok(count),
                }
            }
            if !self.begin()? {
                return Ok(0);
            }
        }
    }
}

/// UTF-16 to UTF-8.
struct Utf16<'a> {
    source: io::BufReader<Stream<'a>>,
    big: bool,
    /// The second half of a pair that turned out to be none.
    held: Option<u16>,
    ready: Vec<u8>,
    at: usize,
}

impl<'a> Utf16<'a> {
    fn new(source: Stream<'a>, big: bool) -> Utf16<'a> {
        let source = io::BufReader::new(source);
        Utf16 { source, big, held: None, ready: Vec::new(), at: 0 }
    }

    fn unit(&mut self) -> io::Result<Option<u16>> {
        if let Some(unit) = self.held.take() {
            return Ok(Some(unit));
        }
        let mut bytes = [0; 2];
        let mut count = 0;
        while count < 2 {
            match self.source.read(&mut bytes[count..]) {
                Ok(0) => return Ok(None),
                Ok(more) => count += more,
                Err(it) if it.kind() == io::ErrorKind::Interrupted => {}
                Err(it) => return Err(it),
            }
        }
        Ok(Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }

    fn letter(&mut self) -> io::Result<Option<char>> {
        let Some(unit) = self.unit()? else { return Ok(None) };
        let second = match unit {
            0xd800..=0xdbff => self.unit()?,
            _ => None,
        };
        let units = [Some(unit), second];
        let mut letters = char::decode_utf16(units.into_iter().flatten());
        let letter = letters.next();
        if let (Some(Err(_)), Some(second)) = (&letter, second) {
            self.held = Some(second);
        }
        Ok(letter.map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl Read for Utf16<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            while self.ready.len() < 16 * 1024 {
                let Some(letter) = self.letter()? else { break };
                // The mark at the start is no part of the text.
                if letter != '\u{feff}' {
                    self.ready.extend(letter.encode_utf8(&mut [0; 4]).bytes());
                }
            }
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Ends a stream after so many bytes, and tells that it did.
pub(super) struct Bounded<R> {
    pub(super) source: R,
    pub(super) left: u64,
    pub(super) cut: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            // There may be nothing more anyway.
            self.cut = self.cut || into.is_empty() || self.source.read(&mut [0])? > 0;
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let count = self.source.read(&mut into[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(bytes: &[u8]) -> String {
        let Ok(Content::Text(mut stream, _)) = unpacked(Box::new(bytes)) else {
            panic!("it is text");
        };
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it reads");
        text
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("room");
        packer.finish().expect("room")
    }

    #[test]
    fn compressed_text_is_read_and_so_are_files_put_together() {
        let line = b"2026-11-20 12:00:00 INFO a line of text\n";
        let twice = [gzip(line), gzip(line)].concat();
        assert_eq!(text(&twice).lines().count(), 2);
        assert_eq!(text(&gzip(&gzip(line))).lines().count(), 1);
        let zstd = ruzstd::encoding::compress_to_vec(
            &line[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        assert_eq!(text(&[&zstd[..], &skipped, &zstd].concat()).lines().count(), 2);
    }

    #[test]
    fn compression_without_end_is_refused() {
        let mut bytes = b"x".to_vec();
        for _ in 0..DEPTH + 1 {
            bytes = gzip(&bytes);
        }
        assert!(unpacked(Box::new(&*bytes)).is_err());
    }

    #[test]
    fn utf_16_is_text_with_a_mark_and_without() {
        let words = "2026-11-20 12:00:00 ERROR grüße 🎉\r\n";
        for big in [false, true] {
            let bytes = |mark: &str| -> Vec<u8> {
                let units = mark.encode_utf16().chain(words.encode_utf16());
                units.flat_map(|it| if big { it.to_be_bytes() } else { it.to_le_bytes() }).collect()
            };
            assert_eq!(text(&bytes("\u{feff}")), words);
            assert_eq!(text(&bytes("")), words);
        }
        assert_eq!(text(b"\xef\xbb\xbfmarked"), "marked");
        // Half a letter at the end, and halves that do not belong together.
        assert_eq!(text(b"\xff\xfea\0\x3c"), "a");
        assert_eq!(text(b"\xff\xfe\x00\xd8a\0"), "\u{fffd}a");
    }

    #[test]
    fn a_bound_tells_whether_anything_was_left() {
        for (length, cut) in [(9, false), (10, false), (11, true)] {
            let text = vec![b'x'; length];
            let mut bounded = Bounded { source: &*text, left: 10, cut: false };
            let mut bytes = Vec::new();
            bounded.read_to_end(&mut bytes).expect("it reads");
            assert_eq!((bytes.len(), bounded.cut), (length.min(10), cut));
        }
    }
}
