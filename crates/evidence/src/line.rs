//! A line as readers get it: without the layers that carried it.

use crate::clock::Stamp;
use crate::layers;
use std::borrow::Cow;

/// The most that a unit of several lines, such as a traceback, may hold.
pub(crate) const UNIT_LINES: usize = 400;

/// The inner line and what the layers around it said.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Without end of line, colours and container layers.
    pub text: Cow<'a, str>,
    /// The time that the outermost layer gives.
    pub at: Option<Stamp>,
    /// The compose service, container, pod or unit that wrote it, from a prefix.
    pub service: Option<Cow<'a, str>>,
    /// From syslog or journald: the name of the process, and its id.
    pub ident: Option<Cow<'a, str>>,
    pub pid: Option<u32>,
    /// Where the text begins in the raw line. `None` where a layer decoded it (JSON), so that raw
    /// bytes are not those of the text.
    pub inset: Option<usize>,
    /// The year that formats without one are taken for.
    pub year: i32,
    rest: &'a [u8],
    before: &'a [u8],
    layers: layers::Layers,
}

/// A line after the one that is read, of the same service.
#[derive(Clone, Debug)]
pub struct Below<'a> {
    pub text: Cow<'a, str>,
    /// Where it begins, counted from the end of the line that is read.
    pub(crate) start: usize,
    pub(crate) raw: &'a [u8],
    pub(crate) inset: Option<usize>,
}

/// How far back [`Line::preceding`] looks, in bytes and in lines: as long as the description of a pod.
const LOOK_BACK: usize = 16 * 1024;
const LOOK_BACK_LINES: usize = 160;

impl<'a> Line<'a> {
    #[must_use]
    pub fn new(text: Cow<'a, str>, rest: &'a [u8], layers: layers::Layers, year: i32) -> Line<'a> {
        Line {
            text,
            at: None,
            service: None,
            ident: None,
            pid: None,
            inset: Some(0),
            year,
            rest,
            before: &[],
            layers,
        }
    }

    /// A bare line without anything around or after it, for tests.
    #[must_use]
    pub fn bare(text: &'a str) -> Line<'a> {
        Line::new(Cow::Borrowed(text), &[], layers::Layers::NONE, 2026)
    }

    /// The same line, with what stands before it in its source.
    #[must_use]
    pub fn after(self, before: &'a [u8]) -> Line<'a> {
        Line { before, ..self }
    }

    /// The same line without its first bytes, which end between two letters.
    pub(crate) fn from(self, inset: usize) -> Line<'a> {
        let text = match self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[inset..]),
            Cow::Owned(text) => Cow::Owned(text[inset..].to_owned()),
        };
        Line { text, inset: self.inset.map(|it| it + inset), ..self }
    }

    /// The lines before this one that come from the same process, unwrapped alike, nearest first:
    /// the head of the block or table that the line stands in.
    pub fn preceding(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let (layers, year, service) = (self.layers, self.year, self.service.clone());
        let cut = self.before.len().saturating_sub(LOOK_BACK);
        let mut before = &self.before[cut..];
        let raw_lines = std::iter::from_fn(move || {
            let text = before.strip_suffix(b"\n").unwrap_or(before);
            if before.is_empty() {
                return None;
            }
            let start = memchr::memrchr(b'\n', text).map_or(0, |it| it + 1);
            before = &text[..start];
            Some(text[start..].strip_suffix(b"\r").unwrap_or(&text[start..]))
        });
        raw_lines.take(LOOK_BACK_LINES).filter_map(move |raw| {
            let line = layers.unwrap(raw, &[], year);
            (line.service == service).then_some(line.text)
        })
    }

    /// The lines after this one that come from the same process, unwrapped alike, for units of
    /// several lines. At most [`UNIT_LINES`].
    pub fn below(&self) -> impl Iterator<Item = Below<'a>> + use<'a> {
        let (layers, year) = (self.layers, self.year);
        let (service, ident, pid) = (self.service.clone(), self.ident.clone(), self.pid);
        let rest = self.rest;
        let mut goes_on = [false; 2];
        lines(rest)
            .take(UNIT_LINES * 4)
            .filter_map(move |raw| {
                // What goes on in more pieces is told by the first.
                if let Some(piece) = layers.piece(raw) {
                    let within = std::mem::replace(&mut goes_on[piece.stream], !piece.ends);
                    if within {
                        return None;
                    }
                }
                let start = (raw.as_ptr() as usize).wrapping_sub(rest.as_ptr() as usize);
                let raw = &raw[..raw.len().min(crate::scan::MAX_LINE)];
                let line = layers.unwrap(raw, &[], year);
                let same = line.service == service && line.ident == ident && line.pid == pid;
                let (text, inset) = (line.text, line.inset);
                same.then_some(Below { text, start, raw, inset })
            })
            .take(UNIT_LINES)
    }

    /// The texts of [`Line::below`].
    pub fn following(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.below().map(|it| it.text)
    }

    /// The line's text with what follows it up to the first line for which `ends` holds, joined by
    /// line ends.
    pub fn unit(&self, ends: impl Fn(&str) -> bool) -> String {
        let mut unit = self.text.clone().into_owned();
        for line in self.following().take_while(|it| !ends(it)) {
            unit.push('\n');
            unit += &line;
        }
        unit
    }
}

/// The lines of a text, without their ends; a carriage return before it is no part of a line.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}
