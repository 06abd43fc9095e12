//! `show errors`: the last answer of each proxy that HAProxy could not read, with a dump of it.
//!
//! The dump of an invalid response is the server's own bytes; that of an invalid request is a
//! caller's, and is stepped over.

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const CAPTURED: Reader = Reader {
    name: "HAProxy show errors",
    product: Product::HaProxy,
    hooks: &[": invalid response", ": invalid request"],
    fits: |line| head(&line.text).is_some(),
    read,
    source: "HAProxy management guide, `show errors`; src/proxy.c, HAProxy 2.6.12",
    example: "[20/Nov/2026:15:16:30.123] backend app (#4): invalid response",
};

struct Head<'a> {
    at: Stamp,
    name: &'a str,
    words: &'a str,
    response: bool,
}

/// `[12/Sep/2023:09:41:17.204] backend app (#12): invalid response`.
fn head(text: &str) -> Option<Head<'_>> {
    let rest = text.trim_start().strip_prefix('[')?;
    let (at, end) = clock::day_first(rest)?;
    let rest = rest[end..].strip_prefix("] ")?;
    let rest = rest.strip_prefix("backend ").or_else(|| rest.strip_prefix("frontend "))?;
    let (name, rest) = rest.split_once(" (#")?;
    let (_, words) = rest.split_once("): ")?;
    let words = words.trim_end();
    let response = words == "invalid response";
    (response || words == "invalid request").then_some(Head { at, name, words, response })
}

/// A line of the dump: where its first byte stands, and the text.
fn dumped(text: &str) -> Option<(i64, &str)> {
    let text = text.strip_prefix("  ")?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text[digits..].strip_prefix('+').unwrap_or(&text[digits..]);
    let shown = rest.strip_prefix(' ')?;
    (digits == 5).then(|| (number(text).unwrap_or(0), shown.strip_prefix(' ').unwrap_or(shown)))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(head) = head(&line.text) else { return };
    let mut report = Report::default();
    let mut last = None;
    for below in line.below() {
        let part = below.text.starts_with("  ") || below.text.trim().is_empty();
        if !part || self::head(&below.text).is_some() {
            break;
        }
        report.take(&below);
        last = Some(below);
    }
    if head.response {
        report.tell(line, &head, sink);
    }
    if let Some(last) = last {
        sink.taken(&last);
    }
}

/// What the lines under the first one say.
#[derive(Default)]
struct Report<'a> {
    server: Option<String>,
    position: Option<i64>,
    chunk: bool,
    dump: Vec<(i64, Below<'a>)>,
}

impl<'a> Report<'a> {
    fn take(&mut self, below: &Below<'a>) {
        let text = &below.text;
        if let Some((offset, _)) = dumped(text) {
            self.dump.push((offset, below.clone()));
            return;
        }
        if let Some(name) = between(text, "server ", " (#") {
            self.server = Some(name.to_owned());
        }
        if let Some(at) = text.find("error at position ") {
            self.position = number(&text[at + "error at position ".len()..]);
        }
        self.chunk |= text.contains("MSG_CHUNK") || text.contains("MSG_TRAILERS");
    }

    fn tell(&self, line: &Line, head: &Head<'_>, sink: &mut dyn Sink) {
        let event = |sign, span| {
            Event::new(Product::HaProxy, sign, Trust::C, span)
                .at(Some(head.at))
                .upstream(Some(head.name.to_owned()))
                .who(self.server.clone())
        };
        let (sign, at) = self.sign();
        let shown = at.and_then(|it| dumped(&it.text).map(|(_, text)| (it, text)));
        match shown {
            Some((below, text)) => {
                let words = text.split(':').next().unwrap_or(text).trim_end_matches("\\r\\n");
                let span = span_of(&below.text, crate::scan::clip(words, 48));
                sink.event_below(below, event(sign, span));
            }
            None => sink.event(event(sign, span_of(&line.text, head.words))),
        }
    }

    /// What is wrong, and the line of the dump that shows it.
    fn sign(&self) -> (Sign, Option<&Below<'a>>) {
        let Some((_, first)) = self.dump.first() else { return (Sign::ProtocolError, None) };
        let start = dumped(&first.text).map_or("", |(_, text)| text);
        let begins = |it: &str| start.to_ascii_lowercase().starts_with(it);
        let sign = match () {
            () if begins("\\x15\\x03") || begins("\\x16\\x03") => Sign::TlsBytes,
            () if begins("\\x00\\x00") => Sign::Http2Bytes,
            () if !begins("http/") => Sign::NotHttp,
            () if self.chunk => return (Sign::ChunkBad, None),
            () => return self.header(),
        };
        (sign, Some(first))
    }

    fn header(&self) -> (Sign, Option<&Below<'a>>) {
        let Some(position) = self.position else { return (Sign::HeaderBad, None) };
        // The fault stands in the last line that begins before it, or that the line before ends.
        let found = self.dump.iter().rposition(|(offset, _)| *offset <= position).unwrap_or(0);
        let name = |at: usize| {
            let (_, text) = dumped(&self.dump[at].1.text)?;
            Some(text.split_once(':')?.0.trim().to_ascii_lowercase())
        };
        let earlier = |wanted: &str| (0..found).any(|at| name(at).as_deref() == Some(wanted));
        let below = &self.dump[found].1;
        let sign = match name(found).as_deref() {
            None if found == 0 => Sign::StatusLineBad,
            Some("transfer-encoding") if earlier("transfer-encoding") => Sign::CodingTwice,
            Some("transfer-encoding") if earlier("content-length") => Sign::LengthAndChunked,
            Some("transfer-encoding") => Sign::CodingUnknown,
            Some("content-length") if earlier("content-length") => Sign::LengthTwice,
            Some("content-length") if earlier("transfer-encoding") => Sign::LengthAndChunked,
            Some("content-length") => Sign::LengthInvalid,
            _ if has_control(&below.text) => Sign::HeaderControlChar,
            _ => Sign::HeaderBad,
        };
        (sign, Some(below))
    }
}

/// `\x00` to `\x1F` and `\x7F`, as the dump writes what is no letter.
fn has_control(text: &str) -> bool {
    text.match_indices("\\x").any(|(at, _)| {
        matches!(text.as_bytes().get(at + 2), Some(b'0' | b'1'))
            || text[at + 2..].to_ascii_lowercase().starts_with("7f")
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    fn report(lines: &[&str], position: u32) -> String {
        format!(
            "[20/Nov/2026:15:16:30.123] backend app (#4): invalid response\n  frontend web (#2), \
             server web1 (#1), event #0, src 192.0.2.1:41210\n  buffer starts at 0 (including 0 out), \
             len 100, wraps at 16384, error at position {position}\n \n{}",
            lines.join("\n")
        )
    }

    #[test]
    fn the_line_that_the_fault_stands_in_tells_what_it_is() {
        let from = "HAProxy: ";
        let of = "upstream=app who=web1";
        for (lines, position, want) in [
            (
                &[
                    "  00000  HTTP/1.1 200 \\r\\n",
                    "  00015  transfer-encoding: chunked\\r\\n",
                    "  00043  Transfer-Encoding: chunked\\r\\n",
                ][..],
                60,
                "CodingTwice OF | Transfer-Encoding",
            ),
            (
                &["  00000  HTTP/1.1 200 OK\\r\\n", "  00017  X-A: b\\x00c\\r\\n"][..],
                23,
                "HeaderControlChar OF | X-A",
            ),
            (
                &["  00000  HTTP/1.1 200 OK\\r\\n", "  00017  X A: b\\r\\n"][..],
                18,
                "HeaderBad OF | X A",
            ),
            (
                &["  00000  \\x15\\x03\\x01\\x00\\x02\\x02F"][..],
                0,
                "TlsBytes OF | \\x15\\x03\\x01\\x00\\x02\\x02F",
            ),
            (&["  00000  220 mail ready\\r\\n"][..], 0, "NotHttp OF | 220 mail ready"),
        ] {
            check(&report(lines, position), &format!("{from}{}", want.replace("OF", of)));
        }
    }

    #[test]
    fn without_a_dump_it_only_says_that_the_answer_was_invalid() {
        check(
            "[20/Nov/2026:15:16:30.123] backend app (#4): invalid response",
            "HAProxy: ProtocolError upstream=app | invalid response",
        );
    }

    #[test]
    fn what_a_caller_sent_is_no_fault_of_a_server() {
        check_nothing(
            "[20/Nov/2026:15:16:30.123] frontend web (#2): invalid request\n  backend <NONE> (#-1)\n  \
             00000  HTTP/1.1 200 \\r\\n",
        );
        check_nothing("[20/Nov/2026:15:16:30.123] backend app (#4): all is well");
    }
}
