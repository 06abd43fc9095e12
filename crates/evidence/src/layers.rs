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
mod grep;
mod heroku;
mod journal_json;
mod journal_verbose;
mod kubectl;
mod loki;
mod pm2;
mod supervisord;
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

/// A raw line of a container's log, which may hold only a part of what the process wrote as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// 0 is the standard output, 1 the error output: they come mixed.
    pub(crate) stream: usize,
    /// The line ends here; otherwise it goes on in the next piece of the stream.
    pub(crate) ends: bool,
}

/// How much of a line that was written in pieces is put together again, in bytes.
pub(crate) const MAX_JOINED: usize = crate::scan::MAX_LINE;

/// A layer: its name for `goodgate formats`, and how it is taken off. The year is for times that
/// are written without one.
struct Layer {
    name: &'static str,
    /// No line has it by chance.
    strict: bool,
    /// Lines of several processes stand in it by its nature.
    multiplexes: bool,
    peel: fn(&str, i32) -> Option<Peeled>,
}

/// In the order in which they are tried, again and again, until none fits.
const LAYERS: &[Layer] = &[
    Layer { name: "Docker json-file", strict: true, multiplexes: false, peel: docker_json::peel },
    Layer { name: "journald JSON", strict: true, multiplexes: true, peel: journal_json::peel },
    Layer { name: "CRI container log", strict: true, multiplexes: false, peel: cri::peel },
    Layer { name: "grep", strict: false, multiplexes: true, peel: grep::peel },
    Layer { name: "docker compose logs", strict: false, multiplexes: true, peel: compose::peel },
    Layer { name: "pm2 logs", strict: false, multiplexes: true, peel: pm2::peel },
    Layer { name: "kubectl logs --prefix", strict: true, multiplexes: true, peel: kubectl::peel },
    Layer { name: "heroku logs", strict: true, multiplexes: true, peel: heroku::peel },
    Layer { name: "syslog and journald text", strict: true, multiplexes: true, peel: syslog::peel },
    Layer {
        name: "journalctl -o verbose",
        strict: false,
        multiplexes: true,
        peel: journal_verbose::peel,
    },
    Layer { name: "supervisor-stdout", strict: false, multiplexes: true, peel: supervisord::peel },
    Layer { name: "aws logs tail", strict: false, multiplexes: true, peel: cloudwatch::tail },
    Layer { name: "CloudWatch events", strict: true, multiplexes: true, peel: cloudwatch::event },
    Layer { name: "Loki", strict: true, multiplexes: true, peel: loki::peel },
    Layer {
        name: "Google Cloud log entries",
        strict: true,
        multiplexes: true,
        peel: gcloud::entry,
    },
    Layer {
        name: "Google Cloud textPayload",
        strict: false,
        multiplexes: true,
        peel: gcloud::field,
    },
    Layer { name: "log table (CSV)", strict: false, multiplexes: true, peel: csv::peel },
    Layer { name: "logs --timestamps", strict: false, multiplexes: false, peel: timestamp::peel },
    Layer { name: "stern", strict: false, multiplexes: true, peel: kubectl::stern },
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

    /// Those that more than half of the lines of a sample have.
    #[must_use]
    pub fn of(sample: &[u8], year: i32) -> Layers {
        Layers::seen(sample, year, |_, seen, all| seen * 2 > all)
    }

    /// Those of a text that was put together by hand: a few lines of the journal may stand in it
    /// beside a configuration.
    #[must_use]
    pub fn of_paste(sample: &[u8], year: i32) -> Layers {
        Layers::seen(sample, year, |layer, seen, all| layer.strict && seen > 0 || seen * 3 >= all)
    }

    fn seen(sample: &[u8], year: i32, counts: fn(&Layer, usize, usize) -> bool) -> Layers {
        let mut seen = [0usize; LAYERS.len()];
        let mut all = 0;
        for raw in lines(sample).filter(|it| !it.trim_ascii().is_empty()).take(500) {
            all += 1;
            let mut text = text(raw);
            if memchr::memchr(0x1b, raw).is_some() {
                text = Cow::Owned(without_colours(&text));
            }
            for _ in 0..DEPTH {
                let Some((at, peeled)) = Layers::ALL.peel(&text, year) else { break };
                seen[at] += 1;
                text = match peeled.inner {
                    Inner::From(inset) => Cow::Owned(text[inset..].to_owned()),
                    Inner::Decoded(it) => Cow::Owned(it),
                };
            }
        }
        let kept = (0..LAYERS.len()).filter(|at| all > 0 && counts(&LAYERS[*at], seen[*at], all));
        Layers(kept.fold(0, |set, at| set | 1 << at))
    }

    /// Lines of several processes stand in a source with these layers.
    #[must_use]
    pub fn multiplex(self) -> bool {
        LAYERS.iter().enumerate().any(|(at, it)| self.0 & (1 << at) != 0 && it.multiplexes)
    }

    /// What a raw line is a piece of, where the runtime of a container wrote it.
    #[must_use]
    pub(crate) fn piece(self, raw: &[u8]) -> Option<Piece> {
        match raw.first()? {
            b'{' if self.has(docker_json::peel) => docker_json::piece(raw),
            b'0'..=b'9' if self.has(cri::peel) => cri::piece(raw),
            _ => None,
        }
    }

    /// The text of a piece that is not the first of its line, and where it begins in the raw line: what
    /// a line within it looks like is no layer.
    #[must_use]
    pub(crate) fn continuation(self, raw: &[u8]) -> (Cow<'_, str>, Option<usize>) {
        let text = text(raw);
        let peeled = match raw.first() {
            Some(b'{') => docker_json::peel(&text, 0),
            _ => cri::peel(&text, 0),
        };
        match (peeled.map(|it| it.inner), text) {
            (Some(Inner::From(inset)), Cow::Borrowed(text)) => {
                (Cow::Borrowed(&text[inset..]), Some(inset))
            }
            (Some(Inner::From(inset)), Cow::Owned(text)) => {
                (Cow::Owned(text[inset..].to_owned()), Some(inset))
            }
            (Some(Inner::Decoded(text)), _) => (Cow::Owned(text), None),
            (None, text) => (text, Some(0)),
        }
    }

    fn has(self, peel: fn(&str, i32) -> Option<Peeled>) -> bool {
        let same = |it: &Layer| std::ptr::fn_addr_eq(it.peel, peel);
        self != Layers::NONE
            && LAYERS.iter().position(same).is_some_and(|at| self.0 & (1 << at) != 0)
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
        // `... ` at the start: people leave out what comes before the telling words.
        let elided = ["... ", "\u{2026} ", "[...] "].iter().find(|it| line.text.starts_with(**it));
        if let Some(mark) = elided {
            line = line.from(mark.len());
        }
        if self == Layers::NONE {
            return line;
        }
        for _ in 0..DEPTH {
            let Some((_, peeled)) = self.peel(&line.text, year) else { break };
            match peeled.inner {
                Inner::From(inset) => line = line.from(inset),
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
    fn what_was_left_out_at_the_start_is_no_part_of_a_line() {
        check("... [error] x", None, "[error] x");
        check("[...] boom", None, "boom");
        check("...gracefully killing workers", None, "...gracefully killing workers");
        check("\t... 12 more", None, "\t... 12 more");
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
    fn a_drain_gives_the_dyno_and_its_line() {
        for raw in [
            "<190>1 2026-11-20T15:16:30.340214+00:00 host app web.1 - ready",
            "2026-11-20 15:16:30.826 122 <190>1 2026-11-20T15:16:30.340214+00:00 app web.1 - - ready",
            "83 <190>1 2026-11-20T15:16:30.340214+00:00 d.8a5b heroku web.1 - ready",
        ] {
            check(raw, Some("web.1"), "ready");
        }
        check("<34>1 2026-11-20T15:16:30Z web1 app 12 ID47 - ready", None, "ready");
    }

    #[test]
    fn a_time_with_a_comma_is_no_table() {
        check("2026-01-02 03:04:05,678 ERROR a b", None, "2026-01-02 03:04:05,678 ERROR a b");
        check("2026-01-02 03:04:05 ERROR a, b", None, "2026-01-02 03:04:05 ERROR a, b");
    }

    #[test]
    fn what_carries_a_line_names_who_wrote_it() {
        for (raw, service, text) in [
            ("web-1  | ready", Some("web"), "ready"),
            ("\x1b[36mweb-1  | \x1b[0mready", Some("web"), "ready"),
            ("shop_web.1.w7kq2x@node-1    | ready", Some("shop_web"), "ready"),
            ("10:29:00 web.1  | ready", Some("web"), "ready"),
            ("[pod/web-7d4b9c5f6-x2x9z/app] ready", Some("web-7d4b9c5f6-x2x9z/app"), "ready"),
            ("web-7d4b9c5f6-x2x9z app ready now", Some("web-7d4b9c5f6-x2x9z/app"), "ready now"),
            ("+ web-7d4b9c5f6-x2x9z › app", None, "+ web-7d4b9c5f6-x2x9z › app"),
            ("2026-11-20T15:16:30.123456789Z ready", None, "ready"),
            ("2026-11-20T15:16:30.123456789Z stdout F ready", None, "ready"),
            ("2026-11-20T15:16:30.123456789+01:00 stderr P rea", None, "rea"),
            ("web stderr | ready", Some("web"), "ready"),
            ("    MESSAGE=ready", None, "ready"),
            ("0|shop     | ready", Some("shop"), "ready"),
            ("0|shop|ready", None, "0|shop|ready"),
        ] {
            check(raw, service, text);
        }
    }

    #[test]
    fn every_shape_of_syslog_gives_time_name_and_pid() {
        for raw in [
            "Nov 20 15:16:30 web1 app[12]: ready",
            "Nov 20 15:16:30.123456 web1 app[12]: ready",
            "2026-11-20T15:16:30+0000 web1 app[12]: ready",
            "2026-11-20T15:16:30.123456+00:00 web1 app[12]: ready",
            "Fri 2026-11-20 15:16:30 UTC web1 app[12]: ready",
            "<34>Nov 20 15:16:30 web1 app[12]: ready",
            "<34>1 2026-11-20T15:16:30Z web1 app 12 ID47 - ready",
            "<34>1 2026-11-20T15:16:30Z web1 app 12 - [x@1 a=\"] \"][y b=\"c\"] ready",
        ] {
            let line = Layers::ALL.unwrap(raw.as_bytes(), b"", 2026);
            assert_eq!(
                (&*line.text, line.ident.as_deref(), line.pid),
                ("ready", Some("app"), Some(12))
            );
            let seconds = line.at.map(|it| it.micros / crate::clock::SECOND);
            assert_eq!(seconds, Some(1_795_187_790), "{raw}");
        }
        check(
            "2026-11-20T15:16:30Z ERROR shop: boom",
            None,
            "2026-11-20T15:16:30Z ERROR shop: boom",
        );
        check("<34", None, "<34");
    }

    #[test]
    fn the_verbose_journal_gives_the_message_its_time() {
        let head = "Fri 2026-11-20 15:16:30.123456 UTC [s=0a;i=1;b=2;m=3;t=4;x=5]";
        let line = Layers::ALL.unwrap(head.as_bytes(), b"", 2026);
        assert_eq!((&*line.text, line.at.is_some()), ("", true));
        check("    _COMM=gunicorn", None, "_COMM=gunicorn");
    }

    #[test]
    fn a_few_lines_of_the_journal_in_a_paste_are_unwrapped() {
        let paste = b"server {\n listen 80;\n}\nproxy\nNov 20 15:16:30 web1 app[12]: ready\n";
        assert_eq!(Layers::of(paste, 2026), Layers::NONE);
        let line =
            Layers::of_paste(paste, 2026).unwrap(b"Nov 20 15:16:30 web1 app[12]: ready", b"", 2026);
        assert_eq!(line.text, "ready");
    }

    #[test]
    fn a_piece_says_its_stream_and_whether_the_line_ends() {
        let piece = |raw: &str| {
            let found = Layers::ALL.piece(raw.as_bytes());
            found.map(|it| (it.stream, it.ends))
        };
        let time = "2026-01-02T03:04:05.678901234Z";
        assert_eq!(piece(&format!("{time} stdout F boom")), Some((0, true)));
        assert_eq!(piece(&format!("{time} stderr P:x boom")), Some((1, false)));
        assert_eq!(piece(&format!("{time} stderr Q boom")), None);
        assert_eq!(piece(&format!("{time} hello P boom")), None);
        let long = "x".repeat(16 * 1024);
        let entry =
            |log: &str| format!("{{\"log\":\"{log}\",\"stream\":\"stderr\",\"time\":\"{time}\"}}");
        assert_eq!(piece(&entry(&long)), Some((1, false)));
        assert_eq!(piece(&entry(&format!("{long}\\n"))), Some((1, true)));
        // A backslash and an n are no line end.
        assert_eq!(piece(&entry(&format!("{long}\\\\n"))), Some((1, false)));
        assert_eq!(piece(&entry("a short one without its line end")), Some((1, true)));
        assert_eq!(piece("{\"log\":\"\\\",\\\"stream\\\":\\\"stderr"), None);
        assert_eq!(Layers::NONE.piece(format!("{time} stdout P boom").as_bytes()), None);
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
