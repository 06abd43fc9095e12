//! Reads a part of a source: finds the lines that may say something, and gives them to readers.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::layers::{Layers, MAX_JOINED, Piece};
use crate::ledger::{Carried, Context, Ledger, Place};
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::{READERS, is_lax, loose};
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

/// How many lines before the end of a part are looked at for one that goes on behind it: those of two
/// streams come mixed.
const LAST_LINES: usize = 8;

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
    let hooks = READERS.iter().flat_map(|it| it.hooks).copied().chain(loose::hooks());
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
        joined: [Joined::default(); 2],
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
    /// What was put together from pieces, by stream.
    joined: [Joined; 2],
}

/// How far the pieces of one stream have been read.
#[derive(Clone, Copy, Default)]
struct Joined {
    /// Pieces that begin before this place are done with.
    until: usize,
    /// The line goes on behind it, but is too long to be read any further.
    cut: bool,
}

/// One piece of a line that the runtime of a container cut.
struct Fragment<'a> {
    /// Where its text begins in the whole.
    at: usize,
    /// Where the raw line begins in the part.
    start: usize,
    raw: &'a [u8],
    inset: Option<usize>,
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

impl<'a> Reading<'a> {
    fn all(&mut self) {
        // Access lines are all counted, so that failures can be told as a share.
        let counts = self.shape.readers.iter().any(|it| it.hooks.is_empty());
        match counts || !self.shape.formats.is_empty() {
            true => self.every_line(),
            false => self.hooked_lines(),
        }
        self.last_piece();
    }

    /// A line that goes on beyond the part is read with it: the words that say something may stand
    /// in a piece behind its end.
    fn last_piece(&mut self) {
        let bytes = self.part.bytes;
        let floor = self.part.start.max(self.part.end.saturating_sub(MAX_LINE * 2));
        let ends = |at: &u8| *at == b'\n';
        let mut end = self.part.end - usize::from(bytes[..self.part.end].last().is_some_and(ends));
        for _ in 0..LAST_LINES {
            if end <= floor {
                return;
            }
            let start =
                memchr::memrchr(b'\n', &bytes[floor..end]).map_or(floor, |it| floor + it + 1);
            match self.shape.layers.piece(&bytes[start..end]) {
                Some(piece) if !piece.ends => self.line(start, self.line_end(start)),
                Some(_) => {}
                None => return,
            }
            end = start.saturating_sub(1);
        }
    }

    /// Where the line begins that a piece belongs to. `None` for one behind the end of what is read
    /// of a line.
    fn head(&mut self, start: usize, piece: Piece) -> Option<usize> {
        let bytes = self.part.bytes;
        let done = self.joined[piece.stream];
        if start < done.until {
            return None;
        }
        let floor = done.until.max(start.saturating_sub(LOOK_BACK));
        let mut head = start;
        let mut end = start;
        // The other stream's lines stand between.
        let within = loop {
            if end <= floor {
                break if floor == done.until { done.cut } else { head != start };
            }
            let text = end - 1;
            let before = &bytes[floor..text.max(floor)];
            let begin = memchr::memrchr(b'\n', before).map_or(floor, |it| floor + it + 1);
            match self.shape.layers.piece(&bytes[begin..text.max(begin)]) {
                Some(it) if it.stream == piece.stream && it.ends => break false,
                Some(it) if it.stream == piece.stream => head = begin,
                _ => {}
            }
            end = begin;
        };
        if within {
            self.joined[piece.stream] = Joined { until: start + 1, cut: !piece.ends };
            return None;
        }
        Some(head)
    }

    /// The text of the line that begins here, its pieces, and where the last one ends.
    fn fragments(&mut self, start: usize, piece: Piece) -> (String, Vec<Fragment<'a>>, usize) {
        let bytes = self.part.bytes;
        let limit = bytes.len().min(start + LOOK_AHEAD);
        let (mut text, mut fragments) = (String::new(), Vec::new());
        let (mut at, mut last, mut ends) = (start, start, false);
        while at < limit && !ends {
            let end = self.line_end(at);
            let raw = &bytes[at..end];
            if let Some(it) = self.shape.layers.piece(raw)
                && it.stream == piece.stream
            {
                (last, ends) = (at, it.ends);
                let room = MAX_JOINED.saturating_sub(text.len());
                if room > 0 {
                    let raw = &raw[..raw.len().min(MAX_LINE)];
                    let (more, inset) = if at == start {
                        let line = self.shape.layers.unwrap(raw, b"", self.shape.year);
                        (line.text, line.inset)
                    } else {
                        self.shape.layers.continuation(raw)
                    };
                    fragments.push(Fragment { at: text.len(), start: at, raw, inset });
                    text += clip(&more, room);
                }
            }
            at = end + 1;
        }
        self.joined[piece.stream] = Joined { until: last + 1, cut: !ends };
        (text, fragments, self.line_end(last))
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

    /// The number of the line that begins here. One in pieces may begin before what is counted.
    fn number(&mut self, start: usize) -> u64 {
        if start < self.counted {
            let after = memchr::memchr_iter(b'\n', &self.part.bytes[start..self.counted]).count();
            return self.lines.saturating_sub(after as u64) + 1;
        }
        self.lines += self.count(start);
        self.lines + 1
    }

    fn line(&mut self, mut start: usize, mut end: usize) {
        let bytes = self.part.bytes;
        let mut joined = None;
        if let Some(piece) = self.shape.layers.piece(&bytes[start..end]) {
            let Some(head) = self.head(start, piece) else { return };
            if head != start || !piece.ends {
                if head < self.part.start {
                    // The part before this one has read it.
                    self.joined[piece.stream] = Joined { until: start + 1, cut: !piece.ends };
                    return;
                }
                let (text, fragments, last) = self.fragments(head, piece);
                (start, end) = (head, self.line_end(head));
                joined = Some((text, fragments, last));
            }
        }
        let raw = &bytes[start..end];
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let raw = &raw[..raw.len().min(MAX_LINE)];
        let unit = bytes.len().min(start + LOOK_AHEAD);
        let after = joined.as_ref().map_or(end, |(_, _, last)| *last) + 1;
        let rest = bytes.get(after..unit).unwrap_or_default();
        let mut line = self.shape.layers.unwrap(raw, rest, self.shape.year).after(&bytes[..start]);
        let mut fragments = Vec::new();
        if let Some((text, of, _)) = joined {
            (line.text, line.inset, fragments) = (text.into(), None, of);
        }
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
        let known = defined.is_some() || reader.is_some();
        let guess = if known { None } else { self.guess(&line) };
        if !known && guess.is_none() {
            return;
        }
        self.ledger.understood += u64::from(known);
        let product = match reader.map_or(Product::Nginx, |it| it.product) {
            Product::AccessLog => self.shape.writer(&line),
            it => it,
        };
        let number = self.number(start);
        let place = Place {
            source: self.source,
            line: Some(number),
            offset: self.part.offset + start as u64,
        };
        if !self.shape.admits(product.stack()) {
            self.ledger.unexpected(product, place, 1);
            return;
        }
        let at = line.at;
        let mut found = Found {
            reading: self,
            line: &line,
            raw,
            place,
            at,
            start,
            after,
            fragments,
            product,
            silent: true,
            loose: !known,
        };
        match (defined, reader) {
            (Some(format), _) => format.read(&line, &mut found),
            (None, Some(reader)) => (reader.read)(&line, &mut found),
            (None, None) => {}
        }
        // A reader may know the format of a line, and not what it says.
        let guess = match found.silent && known {
            true => found.reading.guess(&line),
            false => guess,
        };
        if let Some(event) = guess {
            found.loose = true;
            found.put(event, None);
        }
    }

    /// What the line says in loose words. In configurations and documents words are no observations.
    fn guess<'e>(&self, line: &'e Line<'_>) -> Option<Event<'e>> {
        let log = self.shape.config.is_none() && self.shape.document.is_none();
        log.then(|| loose::said(line)).flatten()
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
    /// The pieces that the line was put together from.
    fragments: Vec<Fragment<'a>>,
    /// Who wrote the line.
    product: Product,
    /// Nothing was found so far.
    silent: bool,
    /// What is found is said in loose words.
    loose: bool,
}

impl Found<'_, '_, '_> {
    fn put(&mut self, mut event: Event<'_>, below: Option<&Below<'_>>) {
        if event.product == Product::AccessLog {
            event.product = self.product;
        }
        if self.reading.shape.by_our_clock {
            event.at = self.at.or(event.at);
        }
        if event.at.or(self.at).is_none() {
            self.at = self.reading.time_before(self.start, self.line.service.as_deref());
        }
        if !self.reading.window.holds(event.at.or(self.at)) {
            return;
        }
        if below.is_none() && self.fragments.len() > 1 {
            return self.put_fragment(event);
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
        self.keep(event, &context);
    }

    fn keep(&mut self, event: Event<'_>, context: &Context<'_>) {
        match self.loose {
            true => self.reading.ledger.loose(&event, context),
            false => self.reading.ledger.event(event, context),
        }
    }

    /// An event of a line in pieces is cited in the piece that holds most of its words.
    fn put_fragment(&mut self, event: Event<'_>) {
        let text = &self.line.text;
        let end = |at: usize| self.fragments.get(at + 1).map_or(text.len(), |it| it.at);
        let held = |at: &usize| {
            let it = self.fragments[*at].at.max(event.span.start)..end(*at).min(event.span.end);
            it.len()
        };
        let Some(best) = (0..self.fragments.len()).rev().max_by_key(held) else { return };
        let fragment = &self.fragments[best];
        let of = fragment.at..end(best);
        let span = event.span.start.clamp(of.start, of.end)..event.span.end.clamp(of.start, of.end);
        let lines =
            memchr::memchr_iter(b'\n', &self.reading.part.bytes[self.start..fragment.start]);
        let context = Context {
            place: Place {
                line: self.place.line.map(|it| it + lines.count() as u64),
                offset: self.reading.part.offset + fragment.start as u64,
                ..self.place
            },
            text: text.get(of.clone()).unwrap_or_default(),
            raw: fragment.raw,
            inset: fragment.inset,
            at: self.at,
            service: self.line.service.as_deref(),
            pid: self.line.pid,
        };
        let span = span.start - of.start..span.end - of.start;
        let event = Event { span, ..event };
        match self.loose {
            true => self.reading.ledger.loose(&event, &context),
            false => self.reading.ledger.event(event, &context),
        }
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
        self.silent = false;
        self.put(event, None);
    }

    fn event_below(&mut self, below: &Below<'_>, event: Event<'_>) {
        self.silent = false;
        self.put(event, Some(below));
    }

    fn taken(&mut self, last: &Below<'_>) {
        self.silent = false;
        let service = self.line.service.as_deref().map(str::to_owned);
        self.reading.taken = Some((self.after + last.start, service));
    }

    fn served(&mut self, served: Served) {
        self.silent = false;
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
    let product = shape.writer(&line);
    let mut inside = Inside { ledger, line: &line, place, at, window, product };
    (reader.read)(&line, &mut inside);
}

/// Takes what a reader finds in a line inside of a document.
struct Inside<'r, 'l> {
    ledger: &'r mut Ledger,
    line: &'l Line<'l>,
    place: Place,
    at: Option<Stamp>,
    window: Window,
    /// Who wrote it, if it is an access line that many write alike.
    product: Product,
}

impl Sink for Inside<'_, '_> {
    fn event(&mut self, mut event: Event<'_>) {
        if event.product == Product::AccessLog {
            event.product = self.product;
        }
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
    use super::{Part, Window, scan};
    use crate::ledger::Ledger;
    use crate::sign::Sign;
    use crate::source::{Arrival, Shape};
    use crate::testimony::Testimony;

    const TIME: &str = "2026-11-20T15:16:30.123456789Z";

    /// `SIGN line N: quote`, by line, with each quote looked up at its place.
    fn found(text: &str) -> Vec<String> {
        let testimony = Testimony::of(&[("app.log", text)], Arrival::File, 2026);
        let mut found = Vec::new();
        for (key, group) in &testimony.ledger.groups {
            for run in group.all_runs() {
                let it = &run.opening;
                if let Some(inset) = it.inset {
                    let at = it.place.offset as usize + inset;
                    assert_eq!(text.get(at..at + it.quote.len()), Some(&*it.quote));
                }
                let before = &text[..it.place.offset as usize];
                assert_eq!(it.place.line, Some(before.matches('\n').count() as u64 + 1));
                let line = it.place.line.unwrap_or(0);
                found.push((
                    line,
                    format!("{:?} line {line}: {} x{}", key.sign, it.quote, run.count),
                ));
            }
        }
        found.sort();
        found.into_iter().map(|(_, it)| it).collect()
    }

    /// Pieces of a line as containerd writes them.
    fn cri(stream: &str, pieces: &[&str]) -> Vec<String> {
        let last = pieces.len() - 1;
        let tag = |at: usize| if at == last { "F" } else { "P" };
        let line = |(at, it): (usize, &&str)| format!("{TIME} {stream} {} {it}\n", tag(at));
        pieces.iter().enumerate().map(line).collect()
    }

    fn entry(stream: &str, log: &str) -> String {
        let log = serde_json::to_string(log).expect("a string is JSON");
        format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"{TIME}\"}}\n")
    }

    #[test]
    fn a_line_in_pieces_is_read_as_one() {
        let long = "x".repeat(17_000);
        let agent = format!(
            "2026/11/20 15:16:30 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: shop.example.com, request: \"GET /{long} HTTP/1.1\", upstream: \"http://192.0.2.7:8000/"
        );
        let (a, b) = agent.split_at(16_384);
        let tail = "x\", host: \"shop.example.com\"";
        // Another stream's line stands between.
        let pieces = cri("stderr", &[a, b, tail]);
        let other = cri("stdout", &["ready"]).concat();
        let text =
            [pieces[0].clone(), other.clone(), pieces[1].clone(), pieces[2].clone()].concat();
        let want = "ConnectRefused line 1: connect() failed (111: Connection refused) while connecting to upstream x1";
        assert_eq!(found(&text), [want]);
        let text = [
            entry("stderr", a),
            entry("stdout", "ready\n"),
            entry("stderr", &format!("{b}{tail}\n")),
        ];
        assert_eq!(found(&text.concat()), [want]);
        let ledger = Testimony::of(&[("x", &text.concat())], Arrival::File, 2026).ledger;
        let upstream = ledger.groups.keys().find_map(|it| it.upstream.clone());
        assert_eq!(upstream.as_deref(), Some("192.0.2.7:8000"));
    }

    #[test]
    fn words_across_two_pieces_are_cited_where_most_of_them_stand() {
        let text =
            cri("stderr", &["app.service: Main proc", "ess exited, code=exited, status=3/X"]);
        let text = text.concat();
        assert_eq!(found(&text), ["ProcessExited line 2: ess exited, code=exited, status=3/X x1"]);
    }

    #[test]
    fn what_a_later_piece_looks_like_is_no_line() {
        let forged = "app.service: Main process exited, code=exited, status=3/X";
        let text = cri("stdout", &["the caller sent ", forged, forged]).concat();
        assert_eq!(found(&text), [""; 0]);
        let inner = format!("{TIME} stdout F {forged}");
        assert_eq!(found(&cri("stdout", &["he sent ", &inner]).concat()), [""; 0]);
        // The same as a line of its own.
        assert_eq!(found(&cri("stdout", &[forged]).concat()).len(), 1);
    }

    #[test]
    fn entries_without_line_ends_that_fill_no_buffer_are_lines() {
        let refused = "app.service: Main process exited, code=exited, status=3/X";
        let text = [entry("stderr", "ready"), entry("stderr", refused)].concat();
        assert_eq!(found(&text).len(), 1);
    }

    #[test]
    fn a_traceback_goes_on_behind_a_message_in_pieces() {
        let long = "y".repeat(16_384);
        let mut text = cri("stderr", &["Traceback (most recent call last):"]);
        text.extend(cri("stderr", &["  File \"/srv/app.py\", line 7, in total"]));
        text.extend(cri("stderr", &[&format!("RuntimeError: {long}"), "ValueError: forged", "z"]));
        let up = "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)";
        text.extend(cri("stderr", &[up]));
        let found = found(&text.concat());
        let starts: Vec<&str> = found.iter().filter_map(|it| it.get(..it.len().min(40))).collect();
        assert_eq!(
            starts,
            [
                "UnhandledException line 3: RuntimeError:",
                "Listening line 6: Uvicorn running on htt",
            ]
        );
    }

    #[test]
    fn pieces_without_an_end_are_read_once() {
        let hook =
            "upstream prematurely closed connection while reading response header from upstream";
        let text: String = (0..40_000).map(|_| format!("{TIME} stdout P {hook} \n")).collect();
        assert!(found(&text).len() <= 1);
        let mixed: String = (0..20_000)
            .map(|at| format!("{TIME} {} P {hook} \n", ["stdout", "stderr"][at % 2]))
            .collect();
        assert!(found(&mixed).len() <= 2);
        // The end of it, and then a line.
        let exited = "app.service: Main process exited, code=exited, status=3/X";
        let text = format!("{text}{TIME} stdout F {exited}\n{TIME} stdout F {exited}\n");
        assert_eq!(found(&text).iter().filter(|it| it.starts_with("ProcessExited")).count(), 1);
    }

    #[test]
    fn a_line_in_pieces_is_read_the_same_however_the_source_is_cut() {
        let mut text = String::new();
        for at in 0..12 {
            let words =
                ["app.service: Main process exi", "ted, code=exited, status=3/X and ", "more"];
            text += &cri("stderr", &words).concat();
            text += &cri("stdout", &[&format!("ready {at}")]).concat();
        }
        let shape = Shape::of("x", text.as_bytes(), Arrival::File, 2026);
        let whole = scan(&shape, 0, Part::whole(text.as_bytes()), Window::default());
        let count = |it: &Ledger| it.groups.values().map(|it| it.count).sum::<u64>();
        assert_eq!(count(&whole), 12);
        for (cut, _) in text.match_indices('\n').map(|(at, it)| (at + 1, it)) {
            let bytes = text.as_bytes();
            let part = |start, end| Part { bytes, start, end, offset: 0 };
            let first = scan(&shape, 0, part(0, cut), Window::default());
            let second = scan(&shape, 0, part(cut, bytes.len()), Window::default());
            assert_eq!(count(&first) + count(&second), 12, "cut at {cut}");
        }
    }

    #[test]
    fn lines_that_nobody_knows_do_not_hide_the_others() {
        let text = "some words\nmore words\nand more\n\
                    app.service: Main process exited, code=exited, status=3/X\n";
        let testimony = Testimony::of(&[("x", text)], Arrival::Stream, 2026);
        let signs: Vec<Sign> = testimony.ledger.groups.keys().map(|it| it.sign).collect();
        assert_eq!(signs, [Sign::ProcessExited]);
    }
}
