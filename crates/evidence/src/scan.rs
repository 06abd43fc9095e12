//! Reads a part of a source: finds the lines that may say something, and gives them to readers.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::ledger::{Context, Ledger, Place};
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::READERS;
use crate::source::Shape;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::LazyLock;

/// The longest line that is read; what comes after is cut.
pub const MAX_LINE: usize = 64 * 1024;

/// How much before a part helps to read it: times of lines that have none are looked for there.
pub const LOOK_BACK: usize = 64 * 1024;

/// How much after the start of its first line a unit of several lines may reach.
pub const LOOK_AHEAD: usize = 256 * 1024;

/// A part of a source: the lines that begin in `start..end`. What stands before and after is there
/// for times and units of several lines: with [`LOOK_BACK`] and [`LOOK_AHEAD`] bytes of it, a source
/// reads the same however it is cut.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub bytes: &'a [u8],
    pub start: usize,
    pub end: usize,
    /// Where `bytes` begins in the source.
    pub offset: u64,
}

impl<'a> Part<'a> {
    /// A whole source at once.
    #[must_use]
    pub fn whole(bytes: &'a [u8]) -> Part<'a> {
        Part { bytes, start: 0, end: bytes.len(), offset: 0 }
    }
}

/// The times that count: from, up to and including.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub since: Option<i64>,
    pub until: Option<i64>,
}

impl Window {
    fn holds(self, at: Option<Stamp>) -> bool {
        let Some(Stamp { micros, .. }) = at else { return true };
        self.since.is_none_or(|it| it <= micros) && self.until.is_none_or(|it| micros <= it)
    }
}

static HOOKS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let hooks = READERS.iter().flat_map(|it| it.hooks);
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .build(hooks)
        .expect("hooks are short texts")
});

/// Reads a part. Line numbers count from the part's first line.
#[must_use]
pub fn scan(shape: &Shape, source: u32, part: Part<'_>, window: Window) -> Ledger {
    scan_holding(shape, source, part, window, None)
}

/// Reads those lines of a part that hold this text; units that begin with one are read whole.
#[must_use]
pub fn scan_holding(
    shape: &Shape,
    source: u32,
    part: Part<'_>,
    window: Window,
    holding: Option<&str>,
) -> Ledger {
    let mut reading = Reading {
        shape,
        source,
        part,
        window,
        holding: holding.map(memchr::memmem::Finder::new),
        ledger: Ledger::default(),
        counted: part.start,
        lines: 0,
        usual: usual(shape),
    };
    // Access lines are all counted, so that failures can be told as a share.
    match shape.readers.iter().any(|it| it.hooks.is_empty()) {
        true => reading.every_line(),
        false => reading.hooked_lines(),
    }
    reading.lines += reading.count(part.end);
    reading.ledger.lines = reading.lines;
    if part.bytes[..part.end].last().is_some_and(|it| *it != b'\n') && part.start < part.end {
        reading.ledger.lines += 1;
    }
    reading.ledger.bytes = (part.end - part.start) as u64;
    reading.ledger
}

struct Reading<'a> {
    shape: &'a Shape,
    source: u32,
    part: Part<'a>,
    window: Window,
    /// What a line must hold.
    holding: Option<memchr::memmem::Finder<'a>>,
    ledger: Ledger,
    /// Up to where lines are counted, and how many.
    counted: usize,
    lines: u64,
    /// Tried first: most lines of a source are of one format.
    usual: Option<&'static Reader>,
}

/// The most frequent reader of a source that is strict about its lines. It stays the same over all
/// parts of the source, so that they are read alike.
fn usual(shape: &Shape) -> Option<&'static Reader> {
    shape.readers.iter().copied().find(|it| it.product != Product::Unknown)
}

impl Reading<'_> {
    fn every_line(&mut self) {
        let mut at = self.part.start;
        while at < self.part.end {
            let end = self.line_end(at);
            self.line(at, end);
            at = end + 1;
        }
    }

    fn hooked_lines(&mut self) {
        let hooks = &*HOOKS;
        let mut at = self.part.start;
        while at < self.part.end {
            let Some(found) = hooks.find(&self.part.bytes[at..self.part.end]) else { break };
            let hit = at + found.start();
            let start =
                memchr::memrchr(b'\n', &self.part.bytes[at..hit]).map_or(at, |it| at + it + 1);
            let end = self.line_end(hit);
            // What comes after the cut of a line is not read, so a hook there is none.
            if hit - start < MAX_LINE {
                self.line(start, end);
            }
            at = end + 1;
        }
    }

    fn line_end(&self, at: usize) -> usize {
        let bytes = self.part.bytes;
        memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |it| at + it)
    }

    /// Line ends between what is counted and this place.
    fn count(&mut self, to: usize) -> u64 {
        let to = to.max(self.counted);
        let lines = memchr::memchr_iter(b'\n', &self.part.bytes[self.counted..to]).count() as u64;
        self.counted = to;
        lines
    }

    fn line(&mut self, start: usize, end: usize) {
        let bytes = self.part.bytes;
        let raw = &bytes[start..end];
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let raw = &raw[..raw.len().min(MAX_LINE)];
        let unit = bytes.len().min(start + LOOK_AHEAD);
        let rest = bytes.get(end + 1..unit).unwrap_or_default();
        let line = self.shape.layers.unwrap(raw, rest, self.shape.year);
        if let Some(text) = &self.holding {
            let holds = |it: &[u8]| text.find(it).is_some();
            if !holds(raw) && !holds(line.text.as_bytes()) {
                return;
            }
        }
        self.ledger.looked_at += 1;
        let Some(reader) = self.reader(&line) else { return };
        self.ledger.understood += 1;
        let product = reader.product;
        self.lines += self.count(start);
        let place = Place {
            source: self.source,
            line: Some(self.lines + 1),
            offset: self.part.offset + start as u64,
        };
        if !self.shape.admits(product.stack()) {
            self.ledger.unexpected(product, place, 1);
            return;
        }
        let at = line.at;
        let mut found = Found { reading: self, line: &line, raw, place, at, start };
        (reader.read)(&line, &mut found);
    }

    fn reader(&self, line: &Line<'_>) -> Option<&'static Reader> {
        let usual = self.usual.filter(|it| (it.fits)(line));
        usual.or_else(|| READERS.iter().find(|it| (it.fits)(line)))
    }

    /// The time of the nearest line before this one that has any: lines of one process come in
    /// order.
    fn time_before(&self, start: usize, service: Option<&str>) -> Option<Stamp> {
        const LINES: usize = 30;
        let floor = start.saturating_sub(LOOK_BACK);
        let mut end = start;
        for _ in 0..LINES {
            end = end.checked_sub(1).filter(|it| floor < *it)?;
            let begin = match memchr::memrchr(b'\n', &self.part.bytes[floor..end]) {
                Some(at) => floor + at + 1,
                // The line begins before what is looked at, unless the source does.
                None if 0 < floor || 0 < self.part.offset => return None,
                None => 0,
            };
            let raw = &self.part.bytes[begin..end];
            let line = self.shape.layers.unwrap(&raw[..raw.len().min(1024)], b"", self.shape.year);
            if line.service.as_deref() == service {
                if let Some(at) = line.at.or_else(|| leading_time(&line.text)) {
                    return Some(at);
                }
            }
            end = begin;
        }
        None
    }
}

/// A time at the start of a line, in brackets or not.
#[must_use]
pub fn leading_time(text: &str) -> Option<Stamp> {
    let text = text.trim_start();
    let text = text.strip_prefix('[').unwrap_or(text);
    let head = text.as_bytes().first()?;
    if head.is_ascii_digit() {
        return clock::iso(text).or_else(|| clock::day_first(text)).map(|(it, _)| it);
    }
    clock::ctime(text).map(|(it, _)| it)
}

/// Takes what a reader finds in one line.
struct Found<'r, 'a, 'l> {
    reading: &'r mut Reading<'a>,
    line: &'l Line<'l>,
    raw: &'l [u8],
    place: Place,
    at: Option<Stamp>,
    start: usize,
}

impl Sink for Found<'_, '_, '_> {
    fn event(&mut self, event: Event<'_>) {
        if event.at.or(self.at).is_none() {
            self.at = self.reading.time_before(self.start, self.line.service.as_deref());
        }
        if !self.reading.window.holds(event.at.or(self.at)) {
            return;
        }
        let context = Context {
            place: self.place,
            text: &self.line.text,
            raw: self.raw,
            inset: self.line.inset,
            at: self.at,
            service: self.line.service.as_deref(),
            pid: self.line.pid,
        };
        self.reading.ledger.event(event, &context);
    }

    fn served(&mut self, served: Served) {
        let served = Served { at: served.at.or(self.at), ..served };
        if self.reading.window.holds(served.at) {
            self.reading.ledger.served(self.place.source, served);
        }
    }
}

/// The first bytes of a text, at most so many, cut between letters.
#[must_use]
pub fn clip(text: &str, bytes: usize) -> &str {
    match text
        .char_indices()
        .map(|(at, it)| at + it.len_utf8())
        .take_while(|it| *it <= bytes)
        .last()
    {
        _ if text.len() <= bytes => text,
        Some(end) => &text[..end],
        None => "",
    }
}
