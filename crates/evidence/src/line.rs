//! A line as readers get it: without the layers that carried it.

use crate::clock::Stamp;
use crate::layers;
use std::borrow::Cow;

/// The most that a unit of several lines, such as a traceback, may hold.
pub const UNIT_LINES: usize = 400;

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
    layers: layers::Layers,
}

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
            layers,
        }
    }

    /// A bare line without anything around or after it, for tests.
    #[must_use]
    pub fn bare(text: &'a str) -> Line<'a> {
        Line::new(Cow::Borrowed(text), &[], layers::Layers::NONE, 2026)
    }

    /// The lines after this one that come from the same service, unwrapped alike, for units of
    /// several lines. At most [`UNIT_LINES`].
    pub fn following(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let (layers, year) = (self.layers, self.year);
        let service = self.service.clone();
        lines(self.rest)
            .take(UNIT_LINES * 4)
            .filter_map(move |raw| {
                let line = layers.unwrap(raw, &[], year);
                (line.service == service).then_some(line.text)
            })
            .take(UNIT_LINES)
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
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
