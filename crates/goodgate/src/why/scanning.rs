//! Reads one source with all cores: cut into blocks, read side by side, put together in order.
//!
//! **Invariant:** the same bytes give the same ledger, whatever the size of a block and the number
//! of threads: a line is read by the block in which it begins, with enough around it.

use super::progress::Progress;
use evidence::seek::ReadAt;
use evidence::{LOOK_AHEAD, LOOK_BACK, Ledger, Part, Shape, Window, scan_holding};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

/// What is the same for all blocks of a source.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) shape: &'a Shape,
    pub(super) source: u32,
    pub(super) window: Window,
    pub(super) holding: Option<&'a str>,
    /// Bytes of a block.
    pub(super) block: usize,
    pub(super) threads: usize,
    pub(super) progress: &'a Progress,
}

/// What was read; an error came after it.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) ledger: Ledger,
    pub(super) bytes: u64,
    pub(super) error: Option<io::Error>,
}

impl Work<'_> {
    fn block(&self, bytes: &[u8], block: Range<usize>, offset: u64) -> Ledger {
        let Range { start, end } = lines_of(bytes, block);
        if end <= start {
            return Ledger::default();
        }
        let part = Part { bytes, start, end, offset };
        scan_holding(self.shape, self.source, part, self.window, self.holding)
    }

    /// Reads a span that begins with a line. `base` is where the file begins in its source;
    /// `lines_before` how many lines of the source come before the span, if that is known.
    pub(super) fn file(
        &self,
        file: &(dyn ReadAt + Sync),
        span: Range<u64>,
        base: u64,
        lines_before: Option<u64>,
    ) -> Scanned {
        let joined = Joined::new(lines_before);
        let next = AtomicU64::new(0);
        let size = self.block as u64;
        let blocks = span.end.saturating_sub(span.start).div_ceil(size);
        let work = || {
            let mut bytes = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if blocks <= index {
                    return;
                }
                let from = span.start + index * size;
                let to = span.end.min(from + size);
                let first = span.start.max(from.saturating_sub(LOOK_BACK as u64));
                let last = span.end.min(to.saturating_add(LOOK_AHEAD as u64));
                bytes.resize((last - first) as usize, 0);
                match fill(file, first, &mut bytes) {
                    Ok(count) => bytes.truncate(count),
                    Err(it) => {
                        joined.fail(it);
                        next.store(blocks, Ordering::Relaxed);
                        return;
                    }
                }
                let block = (from - first) as usize..(to - first) as usize;
                joined.add(index, self.block(&bytes, block, base + first));
                self.progress.read(to - from);
            }
        };
        std::thread::scope(|scope| {
            let others = (self.threads as u64).min(blocks).saturating_sub(1);
            for _ in 0..others {
                scope.spawn(work);
            }
            work();
        });
        joined.end(span.end.saturating_sub(span.start))
    }

    /// Reads a stream to its end, one thread cutting it for the others.
    pub(super) fn stream(
        &self,
        stream: &mut dyn Read,
        base: u64,
        lines_before: Option<u64>,
    ) -> Scanned {
        let joined = Joined::new(lines_before);
        let (sender, receiver) = mpsc::sync_channel::<Block>(self.threads);
        let receiver = Mutex::new(receiver);
        let work = || {
            loop {
                let block = lock(&receiver).recv();
                let Ok(Block { index, bytes, block, offset }) = block else { return };
                joined.add(index, self.block(&bytes, block, offset));
            }
        };
        let bytes = std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
            let bytes = self.cut(stream, base, &sender, &joined);
            drop(sender);
            bytes
        });
        joined.end(bytes)
    }

    /// Cuts a stream into blocks and says how many bytes it had.
    fn cut(
        &self,
        stream: &mut dyn Read,
        base: u64,
        blocks: &mpsc::SyncSender<Block>,
        joined: &Joined,
    ) -> u64 {
        // What is at hand, and where in the stream it and the next block begin.
        let mut held: Vec<u8> = Vec::new();
        let (mut held_from, mut from) = (0, 0);
        for index in 0.. {
            let wanted = from - held_from + self.block + LOOK_AHEAD;
            let missing = wanted.saturating_sub(held.len()) as u64;
            let before = held.len();
            let read = stream.take(missing).read_to_end(&mut held);
            self.progress.read((held.len() - before) as u64);
            let ended = held.len() < wanted;
            let start = from - held_from;
            let end = held.len().min(start + self.block);
            let first = start.saturating_sub(LOOK_BACK);
            let last = held.len().min(end + LOOK_AHEAD);
            let block = Block {
                index,
                bytes: held[first..last].to_vec(),
                block: start - first..end - first,
                offset: base + (held_from + first) as u64,
            };
            let failed = read.is_err();
            if let Err(it) = read {
                joined.fail(it);
            }
            // Nobody takes blocks any more only if a thread ended, which none does.
            if start < end && blocks.send(block).is_err() {
                break;
            }
            let last_one = end == held.len();
            if last_one && (ended || failed) {
                return (held_from + held.len()) as u64;
            }
            from += self.block;
            let keep = (from - held_from).saturating_sub(LOOK_BACK).min(held.len());
            held.drain(..keep);
            held_from += keep;
        }
        (held_from + held.len()) as u64
    }
}

struct Block {
    index: u64,
    bytes: Vec<u8>,
    block: Range<usize>,
    offset: u64,
}

/// The lines that begin in a block of bytes: from the start of the first one to the end of the
/// last one.
fn lines_of(bytes: &[u8], block: Range<usize>) -> Range<usize> {
    let line_from = |at: usize| match at.checked_sub(1) {
        None => 0,
        Some(before) if bytes.len() <= before => bytes.len(),
        Some(before) => {
            memchr::memchr(b'\n', &bytes[before..]).map_or(bytes.len(), |it| before + it + 1)
        }
    };
    line_from(block.start)..line_from(block.end)
}

/// Ledgers of blocks, put together in the order of the blocks.
struct Joined(Mutex<Joining>);

#[derive(Default)]
struct Joining {
    next: u64,
    waiting: BTreeMap<u64, Ledger>,
    ledger: Ledger,
    lines_before: Option<u64>,
    error: Option<io::Error>,
}

impl Joined {
    fn new(lines_before: Option<u64>) -> Joined {
        Joined(Mutex::new(Joining { lines_before, ..Joining::default() }))
    }

    fn add(&self, index: u64, ledger: Ledger) {
        let joining = &mut *lock(&self.0);
        joining.waiting.insert(index, ledger);
        while let Some(ledger) = joining.waiting.remove(&joining.next) {
            let lines = ledger.lines;
            joining.ledger.absorb(ledger, joining.lines_before);
            joining.lines_before = joining.lines_before.map(|it| it + lines);
            joining.next += 1;
        }
    }

    fn fail(&self, error: io::Error) {
        lock(&self.0).error.get_or_insert(error);
    }

    fn end(self, bytes: u64) -> Scanned {
        let mut joining = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A line that is longer than what a block sees of it was counted in part.
        joining.ledger.bytes = bytes;
        Scanned { ledger: joining.ledger, bytes, error: joining.error }
    }
}

/// A thread that panicked ends the process by the scope that it is in.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads as much as there is.
pub(super) fn fill(file: &(dyn ReadAt + Sync), offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < into.len() {
        match file.read_at(offset + count as u64, &mut into[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(it) if it.kind() == io::ErrorKind::Interrupted => {}
            Err(it) => return Err(it),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::Arrival;
    use std::fmt::Write;

    /// Bytes with everything that is hard to cut: units of lines, lines without times, a line
    /// longer than any, no end of line at the end.
    fn composed() -> String {
        let mut text = String::new();
        for second in 0..3000 {
            let (minute, second) = (second / 60, second % 60);
            let at = format!("2026/11/20 15:{minute:02}:{second:02}");
            match second % 7 {
                0 => writeln!(
                    text,
                    "{at} [error] 29#29: *{second} connect() failed (111: Connection \
                    refused) while connecting to upstream, client: 192.0.2.7, server: \
                    example.com, request: \"GET /orders/{second} HTTP/1.1\", upstream: \
                    \"http://127.0.0.1:8000/orders\", host: \"example.com\""
                ),
                3 => writeln!(text, "OSError: [Errno 98] Address already in use"),
                5 => {
                    writeln!(text, "  with a word and \u{e9}\u{1f389} {}", "x".repeat(second * 40))
                }
                _ => writeln!(text, "{at} [notice] 1#1: start worker process {second}"),
            }
            .expect("room");
        }
        text += &"long ".repeat(80_000);
        text + "\n2026/11/20 16:01:00 [error] 29#29: *9 upstream timed out (110: Connection timed \
            out) while reading response header from upstream, client: 192.0.2.7, server: x, \
            request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"x\""
    }

    /// All of a ledger, in order.
    fn seen(ledger: &Ledger) -> String {
        let mut groups: Vec<_> = ledger.groups.iter().collect();
        groups.sort_by_key(|(a, _)| *a);
        let Ledger { left_out, tickets, minutes, bytes, lines, .. } = ledger;
        let rest = (left_out, tickets, minutes, bytes, lines);
        let counts = (ledger.understood, ledger.looked_at, ledger.first, ledger.last);
        format!("{groups:#?} {rest:?} {counts:?} {:?}", ledger.unexpected)
    }

    #[test]
    fn the_same_bytes_read_the_same_however_they_are_cut() {
        let text = composed();
        let bytes = text.as_bytes();
        let shape = Shape::of("error.log", bytes, Arrival::File, 2026);
        let progress = Progress::silent();
        let whole = scan_holding(&shape, 0, Part::whole(bytes), Window::default(), None);
        assert!(whole.groups.len() >= 3, "{}", seen(&whole));
        let whole = seen(&whole);
        for (block, threads) in [(5000, 1), (40_000, 2), (300_001, 4), (4 << 20, 2)] {
            {
                let work = Work {
                    shape: &shape,
                    source: 0,
                    window: Window::default(),
                    holding: None,
                    block,
                    threads,
                    progress: &progress,
                };
                let file = work.file(&Slice(bytes), 0..bytes.len() as u64, 0, Some(0));
                check(&file.ledger, &whole, &format!("{block} {threads}"));
                let stream = work.stream(&mut &*bytes, 0, Some(0));
                check(&stream.ledger, &whole, &format!("{block} {threads}: as a stream"));
                assert_eq!((file.bytes, stream.bytes), (bytes.len() as u64, bytes.len() as u64));
            }
        }
    }

    #[track_caller]
    fn check(ledger: &Ledger, whole: &str, how: &str) {
        let ledger = seen(ledger);
        let differs = ledger
            .split_inclusive(['\n', ','])
            .zip(whole.split_inclusive(['\n', ',']))
            .find(|(a, b)| a != b);
        assert_eq!(differs, None, "{how}");
        assert_eq!(ledger.len(), whole.len(), "{how}");
    }

    struct Slice<'a>(&'a [u8]);

    impl ReadAt for Slice<'_> {
        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            self.0.read_at(offset, into)
        }
    }
}
