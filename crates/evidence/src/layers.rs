//! The layers that carry a line: container formats, prefixes of tools, syslog.
//!
//! Which of them a source has is decided once, from a sample: a line of an app that merely looks as
//! if it were wrapped is then not unwrapped.

mod cloudwatch;
mod compose;
mod cri;
mod csv;
mod docker_json;
mod gcloud;
mod heroku;
mod journal_json;
mod kubectl;
mod loki;
mod syslog;
mod timestamp;

use crate::clock::Stamp;
use crate::line::{Line, lines};
use std::borrow::Cow;

/// What one layer takes off.
pub(crate) struct Peeled {
    pub(crate) inner: Inner,
    pub(crate) at: Option<Stamp>,
    pub(crate) service: Option<String>,
    pub(crate) ident: Option<String>,
    pub(crate) pid: Option<u32>,
}

pub(crate) enum Inner {
    /// The text from this byte on.
    From(usize),
    /// Text that had to be decoded.
    Decoded(String),
}

impl Peeled {
    pub(crate) fn from(inset: usize) -> Peeled {
        Peeled { inner: Inner::From(inset), at: None, service: None, ident: None, pid: None }
    }
}

/// A layer: its name for `goodgate formats`, and how it is taken off. The year is for times that
/// are written without one.
struct Layer {
    name: &'static str,
    /// Lines of several processes stand in it by its nature.
    multiplexes: bool,
    peel: fn(&str, i32) -> Option<Peeled>,
}

/// In the order in which they are tried, again and again, until none fits.
const LAYERS: &[Layer] = &[
    Layer { name: "Docker json-file", multiplexes: false, peel: docker_json::peel },
    Layer { name: "journald JSON", multiplexes: true, peel: journal_json::peel },
    Layer { name: "CRI container log", multiplexes: false, peel: cri::peel },
    Layer { name: "docker compose logs", multiplexes: true, peel: compose::peel },
    Layer { name: "kubectl logs --prefix", multiplexes: true, peel: kubectl::peel },
    Layer { name: "syslog and journald text", multiplexes: true, peel: syslog::peel },
    Layer { name: "heroku logs", multiplexes: true, peel: heroku::peel },
    Layer { name: "aws logs tail", multiplexes: true, peel: cloudwatch::tail },
    Layer { name: "CloudWatch events", multiplexes: true, peel: cloudwatch::event },
    Layer { name: "Loki", multiplexes: true, peel: loki::peel },
    Layer { name: "Google Cloud log entries", multiplexes: true, peel: gcloud::entry },
    Layer { name: "Google Cloud textPayload", multiplexes: true, peel: gcloud::field },
    Layer { name: "log table (CSV)", multiplexes: true, peel: csv::peel },
    Layer { name: "logs --timestamps", multiplexes: false, peel: timestamp::peel },
];

/// The names of all layers, for `goodgate formats`.
pub fn names() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|it| it.name)
}

/// Layers within layers: compose prints what a supervisor prints what nginx prints.
const DEPTH: usize = 4;

/// The layers that a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers(u32);

impl Layers {
    pub const NONE: Layers = Layers(0);
    pub const ALL: Layers = Layers(u32::MAX);

    /// Those that at least a third of the lines of a sample have.
    #[must_use]
    pub fn of(sample: &[u8], year: i32) -> Layers {
        let mut seen = [0usize; LAYERS.len()];
        let mut all = 0;
        for raw in lines(sample).filter(|it| !it.trim_ascii().is_empty()).take(500) {
            all += 1;
            let mut text = text(raw);
            for _ in 0..DEPTH {
                let Some((at, peeled)) = Layers::ALL.peel(&text, year) else { break };
                seen[at] += 1;
                text = match peeled.inner {
                    Inner::From(inset) => Cow::Owned(text[inset..].to_owned()),
                    Inner::Decoded(it) => Cow::Owned(it),
                };
            }
        }
        let kept = (0..LAYERS.len()).filter(|at| all > 0 && seen[*at] * 3 >= all);
        Layers(kept.fold(0, |set, at| set | 1 << at))
    }

    /// Lines of several processes stand in a source with these layers.
    #[must_use]
    pub fn multiplex(self) -> bool {
        LAYERS.iter().enumerate().any(|(at, it)| self.0 & (1 << at) != 0 && it.multiplexes)
    }

    fn peel(self, text: &str, year: i32) -> Option<(usize, Peeled)> {
        LAYERS.iter().enumerate().find_map(|(at, layer)| {
            if self.0 & (1 << at) == 0 {
                return None;
            }
            Some((at, (layer.peel)(text, year)?))
        })
    }

    /// Takes all layers off a raw line. `rest` is what follows it in the source.
    #[must_use]
    pub fn unwrap<'a>(self, raw: &'a [u8], rest: &'a [u8], year: i32) -> Line<'a> {
        let text = text(raw);
        let mut line = Line::new(text, rest, self, year);
        if memchr::memchr(0x1b, raw).is_some() {
            line.text = Cow::Owned(without_colours(&line.text));
            line.inset = None;
        }
        if self == Layers::NONE {
            return line;
        }
        for _ in 0..DEPTH {
            let Some((_, peeled)) = self.peel(&line.text, year) else { break };
            match peeled.inner {
                Inner::From(inset) => {
                    line.inset = line.inset.map(|it| it + inset);
                    line.text = match line.text {
                        Cow::Borrowed(text) => Cow::Borrowed(&text[inset..]),
                        Cow::Owned(text) => Cow::Owned(text[inset..].to_owned()),
                    };
                }
                Inner::Decoded(text) => {
                    line.inset = None;
                    line.text = Cow::Owned(text);
                }
            }
            line.at = line.at.or(peeled.at);
            line.service = line.service.or(peeled.service.map(Cow::Owned));
            line.ident = line.ident.or(peeled.ident.map(Cow::Owned));
            line.pid = line.pid.or(peeled.pid);
        }
        line
    }
}

/// As text of the same length: a byte that is no UTF-8 becomes a question mark.
fn text(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(raw.len());
            for chunk in raw.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|_| '?'));
            }
            Cow::Owned(text)
        }
    }
}

/// Without the escape sequences of ECMA-48 that terminals colour by.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\x1b' {
            plain.push(letter);
            continue;
        }
        match letters.peek() {
            Some('[') => {
                letters.next();
                // Parameters and intermediates, then one final byte.
                while letters.next_if(|it| matches!(it, '\x20'..='\x3f')).is_some() {}
                letters.next_if(|it| matches!(it, '\x40'..='\x7e'));
            }
            Some(']') => {
                while letters.next_if(|it| *it != '\x07' && *it != '\x1b').is_some() {}
                letters.next_if_eq(&'\x07');
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, service: Option<&str>, text: &str) {
        let line = Layers::ALL.unwrap(raw.as_bytes(), b"", 2026);
        assert_eq!((line.service.as_deref(), &*line.text), (service, text));
        if let Some(inset) = line.inset {
            assert_eq!(&raw[inset..], text);
        }
    }

    #[test]
    fn layers_come_off_one_after_the_other() {
        check(
            "nginx_1        | 2021/06/11 15:46:52 [error] x",
            Some("nginx"),
            "2021/06/11 15:46:52 [error] x",
        );
        check(
            "nginx-proxy      | nginx.1    | 2016/12/30 [error] x",
            Some("nginx-proxy"),
            "2016/12/30 [error] x",
        );
        check(
            r#"{"log":"a \"b\"\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}"#,
            None,
            "a \"b\"",
        );
        check("[pod/web-7d4/app] hello", Some("web-7d4/app"), "hello");
        check("2026-01-02T03:04:05.678901234Z stderr F boom", None, "boom");
    }

    #[test]
    fn exports_give_the_line_that_was_logged() {
        check(
            "2026-01-02T03:04:05.678000+00:00 web/app/0a1b2c [error] x",
            Some("web/app"),
            "[error] x",
        );
        check(
            r#"{"logStreamName":"web/app/1","timestamp":1767323045678,"message":"boom\n","ingestionTime":1767323045679,"eventId":"1"},"#,
            Some("web/app"),
            "boom",
        );
        check("2026-01-02T03:04:05Z {app=\"web\", job=\"x\"} boom", Some("web"), "boom");
        check(
            r#"{"labels":{"app":"web"},"line":"boom","timestamp":"2026-01-02T03:04:05Z"}"#,
            Some("web"),
            "boom",
        );
        check("textPayload: boom at last", None, "boom at last");
        check("  \"textPayload\": \"a \\\"b\\\"\",", None, "a \"b\"");
        check("2026-01-02 03:04:05.678,\"a \"\"b\"\", c\"", None, "a \"b\", c");
        check("2026-01-02T03:04:05Z,web-1,app,the message is here", None, "the message is here");
    }

    #[test]
    fn a_time_with_a_comma_is_no_table() {
        check("2026-01-02 03:04:05,678 ERROR a b", None, "2026-01-02 03:04:05,678 ERROR a b");
        check("2026-01-02 03:04:05 ERROR a, b", None, "2026-01-02 03:04:05 ERROR a, b");
    }

    #[test]
    fn a_line_that_only_looks_wrapped_stays_as_it_is() {
        let sample = b"INFO a\nINFO b\nINFO c\nINFO d\nnginx_1 | 2021/06/11 forged\n";
        assert_eq!(Layers::of(sample, 2026), Layers::NONE);
        check("a b | c", None, "a b | c");
    }

    #[test]
    fn colours_are_no_part_of_a_line() {
        check("\x1b[31mERROR\x1b[0m boom", None, "ERROR boom");
    }

    #[test]
    fn bytes_that_are_no_text_keep_their_places() {
        let line = Layers::NONE.unwrap(b"a\xffb", b"", 2026);
        assert_eq!(line.text, "a?b");
    }
}
