//! Finds a time in a log without reading all of it: lines of a log rise in time.

use crate::clock::{DAY, MINUTE, Stamp};
use crate::event::{Event, Served, Sink};
use crate::layers::Layers;
use crate::line::{Below, lines};
use crate::reader::Reader;
use crate::readers::READERS;
use crate::scan::{MAX_LINE, leading_time};
use crate::source::Shape;
use std::io;
use std::ops::Range;

/// How far lines may be out of order, in microseconds.
pub const DISORDER: i64 = MINUTE;

/// What is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// How far a line with a time is looked for, in bytes; a place without any counts as late, so that
/// rather too much is read than too little.
const PROBE: u64 = 1024 * 1024;

/// How much of the end of a source is read for its newest time, in bytes.
pub const TAIL: usize = 256 * 1024;

/// Bytes that can be read from any place.
pub trait ReadAt {
    /// Reads from this place, and says how many bytes there were; fewer than asked for only at the
    /// end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let count = into.len().min(self.len() - from);
        into[..count].copy_from_slice(&self[from..from + count]);
        Ok(count)
    }
}

/// Tells the times of the lines of one source.
#[derive(Clone, Copy)]
pub struct Clock {
    layers: Layers,
    usual: Option<&'static Reader>,
    year: i32,
    /// The lines themselves have times, so those of the layers around them, which may be of another
    /// clock, do not count.
    inner: bool,
}

impl Clock {
    /// From a sample of the source.
    #[must_use]
    pub fn of(shape: &Shape, sample: &[u8]) -> Clock {
        let usual = shape.readers.first().copied();
        let mut clock = Clock { layers: shape.layers, usual, year: shape.year, inner: true };
        let some = lines(sample).take(200).filter(|it| !it.trim_ascii().is_empty());
        let (mut all, mut timed) = (0, 0);
        for raw in some {
            all += 1;
            timed += usize::from(clock.time(raw).is_some());
        }
        clock.inner = timed * 4 > all;
        clock
    }

    /// The time of a line, in microseconds of the clock of the source.
    #[must_use]
    pub fn time(&self, raw: &[u8]) -> Option<i64> {
        let raw = &raw[..raw.len().min(MAX_LINE)];
        let line = self.layers.unwrap(raw, b"", self.year);
        let around = line.at.filter(|_| !self.inner);
        if let Some(stamp) = around.or_else(|| leading_time(&line.text)) {
            return Some(stamp.micros);
        }
        let usual = self.usual.filter(|it| (it.fits)(&line));
        let reader = usual.or_else(|| READERS.iter().find(|it| (it.fits)(&line)))?;
        let mut told = Told(None);
        (reader.read)(&line, &mut told);
        told.0.map(|it| it.micros)
    }

    /// The newest time of the last lines of a source. A line that is a day ahead of most of the
    /// others does not count: somebody made it up.
    #[must_use]
    pub fn newest(&self, tail: &[u8]) -> Option<i64> {
        let mut times: Vec<i64> = lines(tail).filter_map(|it| self.time(it)).collect();
        times.sort_unstable();
        let middle = *times.get(times.len() / 2)?;
        times.into_iter().rev().find(|it| *it <= middle.saturating_add(DAY))
    }
}

/// The time that a reader tells.
struct Told(Option<Stamp>);

impl Sink for Told {
    fn event(&mut self, event: Event<'_>) {
        self.0 = self.0.or(event.at);
    }

    fn event_below(&mut self, _: &Below<'_>, event: Event<'_>) {
        self.event(event);
    }

    fn taken(&mut self, _: &Below<'_>) {}

    fn served(&mut self, served: Served) {
        self.0 = self.0.or(served.at);
    }
}

/// The newest time in a source of this many bytes, from its last lines.
pub fn newest(
    source: &(impl ReadAt + ?Sized),
    length: u64,
    clock: &Clock,
) -> io::Result<Option<i64>> {
    let from = length.saturating_sub(TAIL as u64);
    let mut tail = vec![0; (length - from) as usize];
    let count = fill(source, from, &mut tail)?;
    let tail = &tail[..count];
    // The first line is cut, unless it is the first of all.
    let first = if from == 0 { 0 } else { memchr::memchr(b'\n', tail).map_or(0, |it| it + 1) };
    Ok(clock.newest(&tail[first..]))
}

/// Where the first line at or after a time begins, by bisection of a span that begins with a line.
/// No line of that time or later stands before it, as long as lines are no more than [`DISORDER`]
/// out of order; so it may be a minute early, and never late.
pub fn first_line_at(
    source: &(impl ReadAt + ?Sized),
    span: Range<u64>,
    time: i64,
    clock: &Clock,
) -> io::Result<u64> {
    let wanted = time.saturating_sub(DISORDER);
    let (mut early, mut late) = (span.start, span.end);
    while late.saturating_sub(early) > BLOCK as u64 {
        let middle = early + (late - early) / 2;
        let to = late.min(middle.saturating_add(PROBE));
        match timed_line(source, middle..to, clock, |_| true)? {
            Some((at, found)) if found < wanted && early < at => early = at,
            _ => late = middle,
        }
    }
    let to = span.end.min(late.saturating_add(PROBE));
    let found = match early == span.start {
        true => timed_line(source, early..to, clock, |it| wanted <= it)?,
        // This line is too early; the one after it is the first that may not be.
        false => timed_line(source, early + 1..to, clock, |it| wanted <= it)?,
    };
    Ok(match found {
        Some((at, _)) => at,
        None if to == span.end => span.end,
        None => early,
    })
}

/// The first line that begins in a span, or just at its start, has a time and is wanted for it.
fn timed_line(
    source: &(impl ReadAt + ?Sized),
    span: Range<u64>,
    clock: &Clock,
    wanted: impl Fn(i64) -> bool,
) -> io::Result<Option<(u64, i64)>> {
    let mut block = vec![0; BLOCK + MAX_LINE];
    // The byte before tells whether a line begins at the start.
    let mut at = span.start.saturating_sub(1);
    let mut whole = span.start == 0;
    while at < span.end {
        let count = fill(source, at, &mut block)?;
        let bytes = &block[..count];
        let mut from = 0;
        if !whole {
            match memchr::memchr(b'\n', bytes) {
                Some(end) => from = end + 1,
                // Within a very long line.
                None if count == block.len() => {
                    at += count as u64;
                    continue;
                }
                None => return Ok(None),
            }
        }
        while from < count {
            let begin = at + from as u64;
            if span.end <= begin {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', &bytes[from..]).map(|it| from + it);
            // Lines that the block does not hold whole begin the next one.
            if end.is_none() && 0 < from && count == block.len() {
                break;
            }
            let raw = &bytes[from..end.unwrap_or(count)];
            if let Some(time) = clock.time(raw).filter(|it| wanted(*it)) {
                return Ok(Some((begin, time)));
            }
            from = end.map_or(count, |it| it + 1);
        }
        if count < block.len() {
            return Ok(None);
        }
        whole = bytes[from - 1] == b'\n';
        at += from as u64;
    }
    Ok(None)
}

/// Reads as much as there is.
fn fill(source: &(impl ReadAt + ?Sized), offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < into.len() {
        match source.read_at(offset + count as u64, &mut into[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SECOND, iso};
    use crate::source::Arrival;
    use std::cell::Cell;
    use std::fmt::Write;

    /// Counts what is read.
    struct Counted<'a>(&'a [u8], Cell<u64>);

    impl ReadAt for Counted<'_> {
        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read_at(offset, into)?;
            self.1.set(self.1.get() + count as u64);
            Ok(count)
        }
    }

    fn time(text: &str) -> i64 {
        iso(text).expect("a time").0.micros
    }

    fn clock(text: &str) -> Clock {
        let shape = Shape::of("x.log", text.as_bytes(), Arrival::File, 2026);
        Clock::of(&shape, text.as_bytes())
    }

    /// A line every second from noon on.
    fn log(seconds: i64) -> String {
        let mut text = String::new();
        for second in 0..seconds {
            let at = time("2026-11-20 12:00:00") + second * SECOND;
            let at = crate::clock::rfc3339(at).replace('T', " ").replace('Z', "");
            writeln!(
                text,
                "{at} INFO request {second} was served by the app\n  a line without a time"
            )
            .expect("room");
        }
        text
    }

    #[track_caller]
    fn check(text: &str, wanted: &str, line: &str) {
        let source = text.as_bytes();
        let length = source.len() as u64;
        let at = first_line_at(source, 0..length, time(wanted), &clock(text)).expect("it reads");
        let found = text[at as usize..].lines().next().unwrap_or("the end");
        assert!(found.starts_with(line), "{wanted}: {found}");
    }

    #[test]
    fn the_first_line_is_found_a_minute_early() {
        let text = log(20_000);
        check(&text, "2026-11-20 12:00:00", "2026-11-20 12:00:00");
        check(&text, "2026-11-20 14:30:00", "2026-11-20 14:29:00");
        check(&text, "2026-11-20 17:33:19", "2026-11-20 17:32:19");
        check(&text, "2026-11-21 00:00:00", "the end");
        check(&text, "2026-11-19 00:00:00", "2026-11-20 12:00:00");
    }

    #[test]
    fn lines_out_of_order_are_not_left_out() {
        let mut lines: Vec<String> = log(20_000).lines().map(|it| format!("{it}\n")).collect();
        // Two processes write by turns, the second one half a minute late.
        for at in (0..lines.len() - 80).step_by(120) {
            lines.swap(at, at + 58);
        }
        let text: String = lines.concat();
        let wanted = time("2026-11-20 15:00:00");
        let length = text.len() as u64;
        let at = first_line_at(text.as_bytes(), 0..length, wanted, &clock(&text)).expect("reads");
        let left_out = text[..at as usize].lines().filter_map(iso);
        assert!(left_out.map(|it| it.0.micros).all(|it| it < wanted));
    }

    #[test]
    fn little_of_the_source_is_read() {
        let text = log(60_000);
        let source = Counted(text.as_bytes(), Cell::new(0));
        let length = text.len() as u64;
        let wanted = time("2026-11-20 20:00:00");
        first_line_at(&source, 0..length, wanted, &clock(&text)).expect("it reads");
        assert!(source.1.get() < 3_000_000, "{} of {length}", source.1.get());
    }

    #[test]
    fn text_without_any_time_is_kept() {
        let text = "a line of no time at all\n".repeat(100_000);
        let length = text.len() as u64;
        let wanted = time("2026-11-20 20:00:00");
        let at = first_line_at(text.as_bytes(), 0..length, wanted, &clock(&text)).expect("reads");
        assert_eq!(at, 0);
        assert_eq!(newest(text.as_bytes(), length, &clock(&text)).expect("it reads"), None);
        let one = "x".repeat(3_000_000);
        let clock = clock(&one);
        let at = first_line_at(one.as_bytes(), 0..3_000_000, wanted, &clock).expect("it reads");
        assert!(at == 0 || at == 3_000_000, "{at}");
    }

    #[test]
    fn the_newest_time_is_one_of_the_last_and_not_made_up() {
        let text = log(20_000) + "9999-01-01 00:00:00 INFO hello from the future\n";
        let clock = clock(&text);
        let newest = newest(text.as_bytes(), text.len() as u64, &clock).expect("it reads");
        assert_eq!(newest, Some(time("2026-11-20 17:33:19")));
    }

    #[test]
    fn the_clock_of_the_lines_counts_and_not_that_around_them() {
        let inner = r#"{"log":"2026-11-20 14:00:00 INFO a\n","stream":"stdout","time":"2026-11-20T13:00:00Z"}"#;
        let outer = r#"{"log":"INFO a\n","stream":"stdout","time":"2026-11-20T13:00:00Z"}"#;
        assert_eq!(clock(inner).time(inner.as_bytes()), Some(time("2026-11-20 14:00:00")));
        assert_eq!(clock(outer).time(outer.as_bytes()), Some(time("2026-11-20 13:00:00")));
    }
}
