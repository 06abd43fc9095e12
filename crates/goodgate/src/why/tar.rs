//! Files in a tar archive, one after the other: ustar, with the long names of GNU and POSIX (pax).

use std::io::{self, Read};

const BLOCK: u64 = 512;

/// The longest name or set of attributes that is read, in bytes.
const LONGEST_NAME: u64 = 64 * 1024;

/// Reads an archive from a stream. What a file was not read to its end of is passed over.
pub(super) struct Tar<R> {
    source: R,
    /// What is left of the present file, and what pads it.
    left: u64,
    padding: u64,
}

/// A regular file of the archive; its bytes come next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Seconds since 1970-01-01.
    pub(super) changed: Option<u64>,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(source: R) -> Tar<R> {
        Tar { source, left: 0, padding: 0 }
    }

    /// The next regular file.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut long_name = None;
        loop {
            self.pass(self.left + self.padding)?;
            let mut head = [0; BLOCK as usize];
            let count = read_up_to(&mut self.source, &mut head)?;
            // Two empty blocks end an archive; one, or none, where it was cut.
            if count < head.len() || head.iter().all(|it| *it == 0) {
                return Ok(None);
            }
            if number(&head[148..156]) != Some(sum(&head)) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a head of it is damaged"));
            }
            let size = number(&head[124..136]).unwrap_or(0);
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK).saturating_sub(size);
            match head[156] {
                b'L' => long_name = self.attributes()?.map(|it| text(&it)),
                b'x' => {
                    long_name = self.attributes()?.and_then(|it| pax_path(&it)).or(long_name);
                }
                b'0' | 0 | b'7' => {
                    let name = long_name.unwrap_or_else(|| short_name(&head));
                    return Ok(Some(Entry { name, changed: number(&head[136..148]) }));
                }
                _ => long_name = None,
            }
        }
    }

    /// The present file's bytes, where they are a name or attributes of the next one.
    fn attributes(&mut self) -> io::Result<Option<Vec<u8>>> {
        if LONGEST_NAME < self.left {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        (self.left, self.padding) = (0, 0);
        io::copy(&mut self.source.by_ref().take(bytes), &mut io::sink())?;
        Ok(())
    }
}

/// The bytes of the present file.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let count = self.source.read(&mut into[..most])?;
        self.left -= count as u64;
        if count == 0 && most > 0 {
            self.left = 0;
        }
        Ok(count)
    }
}

fn read_up_to(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < into.len() {
        match source.read(&mut into[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(it) if it.kind() == io::ErrorKind::Interrupted => {}
            Err(it) => return Err(it),
        }
    }
    Ok(count)
}

/// Octal digits, or the binary form of GNU for large numbers.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let tail = field.get(field.len() - 8..)?;
        let number = u64::from_be_bytes(tail.try_into().ok()?);
        // What is larger than any file is damage; below it, sums cannot overflow.
        return (number >> 60 == 0).then_some(number);
    }
    let digits = field.iter().skip_while(|it| **it == b' ');
    let digits = digits.take_while(|it| it.is_ascii_digit());
    digits.copied().try_fold(0u64, |sum, it| {
        let digit = it.wrapping_sub(b'0');
        if digit < 8 { Some(sum << 3 | u64::from(digit)) } else { None }
    })
}

/// The sum of a head, with spaces in place of itself.
fn sum(head: &[u8; BLOCK as usize]) -> u64 {
    let bytes = head.iter().enumerate();
    bytes.map(|(at, it)| if (148..156).contains(&at) { 32 } else { u64::from(*it) }).sum()
}

fn short_name(head: &[u8; BLOCK as usize]) -> String {
    let name = text(&head[..100]);
    match text(&head[345..500]) {
        prefix if head[257..263] == *b"ustar\0" && !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name,
    }
}

fn text(field: &[u8]) -> String {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// `path` among records such as `18 path=x/y.log\n`.
fn pax_path(records: &[u8]) -> Option<String> {
    let mut rest = records;
    let mut path = None;
    while let Some(space) = memchr::memchr(b' ', rest) {
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?;
        if let Some(it) = record.strip_prefix(b"path=") {
            path = Some(text(it.strip_suffix(b"\n").unwrap_or(it)));
        }
        rest = &rest[length..];
    }
    path
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive as GNU tar writes it.
    pub(in crate::why) fn archive(files: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let mut all = Vec::new();
        for (name, kind, bytes) in files {
            let mut head = [0; 512];
            head[..name.len()].copy_from_slice(name.as_bytes());
            head[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
            head[136..147].copy_from_slice(b"15137654321");
            head[156] = *kind;
            head[257..265].copy_from_slice(b"ustar  \0");
            let sum = format!("{:06o}\0 ", sum(&head));
            head[148..156].copy_from_slice(sum.as_bytes());
            all.extend(head);
            all.extend(*bytes);
            all.resize(all.len().next_multiple_of(512), 0);
        }
        all.resize(all.len() + 1024, 0);
        all
    }

    fn names(bytes: &[u8]) -> Vec<(String, String)> {
        let mut tar = Tar::new(bytes);
        let mut names = Vec::new();
        while let Ok(Some(entry)) = tar.next() {
            let mut text = String::new();
            tar.read_to_string(&mut text).expect("text");
            names.push((entry.name, text));
        }
        names
    }

    #[test]
    fn files_are_read_and_what_is_none_is_passed_over() {
        let long = "x/".repeat(120) + "error.log";
        let record = format!("{} path={long}\n", long.len() + 10);
        let bytes = archive(&[
            ("logs/", b'5', b""),
            ("logs/error.log", b'0', b"one\n"),
            ("logs/link", b'2', b""),
            ("././@LongLink", b'L', format!("{long}\0").as_bytes()),
            ("cut", b'0', b"two\n"),
            ("PaxHeaders", b'x', record.as_bytes()),
            ("cut", b'0', &[b'y'; 600]),
        ]);
        let seen = names(&bytes);
        let names: Vec<&str> = seen.iter().map(|(it, _)| it.as_str()).collect();
        assert_eq!(names, ["logs/error.log", &long, &long]);
        assert_eq!((seen[0].1.as_str(), seen[2].1.len()), ("one\n", 600));
    }

    #[test]
    fn a_damaged_or_cut_archive_ends() {
        let bytes = archive(&[("a.log", b'0', b"one\n"), ("b.log", b'0', &[b'y'; 900])]);
        for end in 0..bytes.len() {
            assert!(names(&bytes[..end]).len() <= 2);
        }
        for at in 0..1024 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let mut tar = Tar::new(&*damaged);
            for _ in 0..10 {
                drop(tar.next());
            }
        }
    }
}
