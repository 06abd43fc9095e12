//! Reads a part of a source: finds the lines that may say something, and gives them to readers.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::layers::Layers;
use crate::ledger::{Carried, Context, Ledger, Place};
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::{READERS, is_lax};
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
    pub(crate) fn holds(self, at: Option<Stamp>) -> bool {
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
    let holding = holding.map(memchr::memmem::Finder::new);
    let new = |part| Reading {
        shape,
        source,
        part,
        window,
        holding: holding.clone(),
        ledger: Ledger::default(),
        counted: part.start,
        lines: 0,
        usual: usual(shape),
        taken: None,
    };
    // A unit that begins before the part may reach into it.
    let mut before = new(Part { start: warm_up(part), end: part.start, ..part });
    before.all();
    let mut reading = Reading { taken: before.taken, ..new(part) };
    reading.all();
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
    /// Up to where lines of a service belong to a unit that has been read.
    taken: Option<(usize, Option<String>)>,
}

/// The most frequent reader of a source. It stays the same over all parts of the source, so that
/// they are read alike. One that takes what others know better is never tried first.
fn usual(shape: &Shape) -> Option<&'static Reader> {
    shape.readers.iter().copied().find(|it| !is_lax(it))
}

/// The first line that begins within [`LOOK_BACK`] before a part.
fn warm_up(part: Part<'_>) -> usize {
    let floor = part.start.saturating_sub(LOOK_BACK);
    if floor == 0 && part.offset == 0 {
        return 0;
    }
    let found = memchr::memchr(b'\n', &part.bytes[floor..part.start]);
    found.map_or(part.start, |it| floor + it + 1)
}

impl Reading<'_> {
    fn all(&mut self) {
        // Access lines are all counted, so that failures can be told as a share.
        let counts = self.shape.readers.iter().any(|it| it.hooks.is_empty());
        match counts || !self.shape.formats.is_empty() {
            true => self.every_line(),
            false => self.hooked_lines(),
        }
    }

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
        let line = self.shape.layers.unwrap(raw, rest, self.shape.year).after(&bytes[..start]);
        if let Some(text) = &self.holding {
            let holds = |it: &[u8]| text.find(it).is_some();
            if !holds(raw) && !holds(line.text.as_bytes()) {
                return;
            }
        }
        self.ledger.looked_at += 1;
        if self.is_taken(start, line.service.as_deref()) {
            self.ledger.understood += 1;
            return;
        }
        let defined = self.shape.formats.iter().find(|it| it.fits(&line));
        let reader = if defined.is_some() { None } else { self.reader(&line) };
        if defined.is_none() && reader.is_none() {
            return;
        }
        self.ledger.understood += 1;
        let product = reader.map_or(Product::Nginx, |it| it.product);
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
        let after = end + 1;
        let mut found = Found { reading: self, line: &line, raw, place, at, start, after };
        match (defined, reader) {
            (Some(format), _) => format.read(&line, &mut found),
            (None, Some(reader)) => (reader.read)(&line, &mut found),
            (None, None) => {}
        }
    }

    fn is_taken(&self, start: usize, service: Option<&str>) -> bool {
        self.taken.as_ref().is_some_and(|(end, of)| start <= *end && of.as_deref() == service)
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
            if line.service.as_deref() == service
                && let Some(at) = line.at.or_else(|| leading_time(&line.text))
            {
                return Some(at);
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
    /// Where the next line begins.
    after: usize,
}

impl Found<'_, '_, '_> {
    fn put(&mut self, event: Event<'_>, below: Option<&Below<'_>>) {
        if event.at.or(self.at).is_none() {
            self.at = self.reading.time_before(self.start, self.line.service.as_deref());
        }
        if !self.reading.window.holds(event.at.or(self.at)) {
            return;
        }
        let place = below.map_or(self.place, |it| self.place_of(it));
        let context = Context {
            place,
            text: below.map_or(&self.line.text, |it| &it.text),
            raw: below.map_or(self.raw, |it| it.raw),
            inset: below.map_or(self.line.inset, |it| it.inset),
            at: self.at,
            service: self.line.service.as_deref(),
            pid: self.line.pid,
        };
        self.reading.ledger.event(event, &context);
    }

    fn place_of(&self, below: &Below<'_>) -> Place {
        let start = self.after + below.start;
        let bytes = self.reading.part.bytes.get(self.after..start).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', bytes).count() as u64;
        Place {
            line: self.place.line.map(|it| it + 1 + lines),
            offset: self.reading.part.offset + start as u64,
            ..self.place
        }
    }
}

impl Sink for Found<'_, '_, '_> {
    fn event(&mut self, event: Event<'_>) {
        self.put(event, None);
    }

    fn event_below(&mut self, below: &Below<'_>, event: Event<'_>) {
        self.put(event, Some(below));
    }

    fn taken(&mut self, last: &Below<'_>) {
        let service = self.line.service.as_deref().map(str::to_owned);
        self.reading.taken = Some((self.after + last.start, service));
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

/// Reads a line that a document carries.
pub(crate) fn carried(ledger: &mut Ledger, shape: &Shape, it: Carried<'_>, window: Window) {
    let mut line = Layers::ALL.unwrap(it.line.as_bytes(), b"", shape.year);
    line.inset = None;
    line.at = line.at.or(it.at);
    if line.service.is_none() {
        line.service = it.service.map(Into::into);
    }
    let Some(reader) = READERS.iter().find(|it| (it.fits)(&line)) else { return };
    let (at, place) = (line.at, it.place);
    let mut inside = Inside { ledger, line: &line, place, at, window };
    (reader.read)(&line, &mut inside);
}

/// Takes what a reader finds in a line inside of a document.
struct Inside<'r, 'l> {
    ledger: &'r mut Ledger,
    line: &'l Line<'l>,
    place: Place,
    at: Option<Stamp>,
    window: Window,
}

impl Sink for Inside<'_, '_> {
    fn event(&mut self, event: Event<'_>) {
        if !self.window.holds(event.at.or(self.at)) {
            return;
        }
        let context = Context {
            place: self.place,
            text: &self.line.text,
            raw: b"",
            inset: None,
            at: self.at,
            service: self.line.service.as_deref(),
            pid: self.line.pid,
        };
        self.ledger.event(event, &context);
    }

    fn served(&mut self, served: Served) {
        let served = Served { at: served.at.or(self.at), ..served };
        if self.window.holds(served.at) {
            self.ledger.served(self.place.source, served);
        }
    }

    /// A document carries one line at a time: nothing stands below.
    fn event_below(&mut self, _: &Below<'_>, event: Event<'_>) {
        let span = 0..self.line.text.len();
        self.event(Event { span, ..event });
    }

    fn taken(&mut self, _: &Below<'_>) {}
}

#[cfg(test)]
mod tests {
    use crate::sign::Sign;
    use crate::source::Arrival;
    use crate::testimony::Testimony;

    #[test]
    fn lines_that_nobody_knows_do_not_hide_the_others() {
        let text = "some words\nmore words\nand more\n\
                    app.service: Main process exited, code=exited, status=3/X\n";
        let testimony = Testimony::of(&[("x", text)], Arrival::Stream, 2026);
        let signs: Vec<Sign> = testimony.ledger.groups.keys().map(|it| it.sign).collect();
        assert_eq!(signs, [Sign::ProcessExited]);
    }
}
