//! Inputs that are one document, not lines: exports of browsers and of log services, and what commands
//! print of containers and clusters.

mod docker;
mod events;
mod har;
mod kubernetes;
mod manifests;

use crate::clock::Stamp;
use crate::event::Event;
use crate::product::Product;

/// What a document gives.
pub enum Found<'a> {
    /// Something that the document itself says. The event's span is one of the whole document.
    Event(Event<'a>),
    /// A line of a log that the document carries, for the readers of lines.
    Line {
        text: String,
        at: Option<Stamp>,
        /// The stream, container or service that wrote it.
        service: Option<String>,
        /// Where its value begins in the document.
        offset: usize,
    },
}

/// Takes what a document gives.
pub type Tell<'t> = dyn FnMut(Found<'_>) + 't;

/// A kind of document that is read whole.
pub struct Document {
    /// As `goodgate formats` names it: `HAR file`.
    pub name: &'static str,
    pub product: Product,
    /// Whether a text is of this kind, by its content; the file's name may help.
    pub fits: fn(name: &str, text: &str) -> bool,
    pub read: fn(text: &str, found: &mut Tell<'_>),
    pub source: &'static str,
    /// A small one. A test reads it.
    pub example: &'static str,
}

/// Every kind of document that is read whole. The first that fits takes it.
pub static DOCUMENTS: &[Document] = &[
    har::HAR,
    events::CLOUDWATCH,
    events::GOOGLE,
    docker::INSPECT,
    kubernetes::OBJECTS,
    manifests::STATUSES,
];

/// The largest text that is read whole, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// Looks for the words of a document's events in its text, ever further on: values come in the order
/// in which they are written.
struct Places<'t> {
    text: &'t str,
    from: usize,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Places<'t> {
        Places { text, from: 0 }
    }

    /// Goes on to where this piece stands.
    fn skip_to(&mut self, piece: &str) {
        if let Some(at) = self.find(piece) {
            self.from = at;
        }
    }

    /// Where `"key": value` stands next, however it is spaced.
    fn member(&self, key: &str, value: &str) -> Option<std::ops::Range<usize>> {
        const TRIES: usize = 64;
        let quoted = format!("\"{key}\"");
        let mut from = self.from;
        for _ in 0..TRIES {
            let start =
                from + memchr::memmem::find(self.text.as_bytes().get(from..)?, quoted.as_bytes())?;
            from = start + quoted.len();
            let rest = &self.text[from..];
            let after = rest.trim_start().strip_prefix(':')?.trim_start();
            if after.starts_with(value) {
                let end = self.text.len() - after.len() + value.len();
                return Some(start..end);
            }
        }
        None
    }

    fn find(&self, piece: &str) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.from..)?;
        memchr::memmem::find(rest, piece.as_bytes()).map(|at| self.from + at)
    }
}

/// Where a value of a JSON document stands: the keys around it, and the object that it belongs to.
struct Value<'a> {
    /// From the outermost in; elements of lists have no key.
    path: &'a [&'a str],
    key: &'a str,
    /// Counts the objects that were closed before it, so that values of one object have one number.
    closed: usize,
}

/// Objects and lists deeper than this are not looked into.
const MAX_DEPTH: usize = 64;

/// Gives every value of a JSON text in order, without decoding and without recursion. `closed` of
/// two values differs if an object of `depth` or less was closed between them.
fn walk<'t>(text: &'t str, depth: usize, each: &mut dyn FnMut(Value<'_>, &'t str)) {
    let bytes = text.as_bytes();
    let mut open: Vec<&str> = Vec::new();
    let (mut key, mut closed, mut at) = ("", 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => {
                if open.len() >= MAX_DEPTH {
                    return;
                }
                open.push(key);
                key = "";
                at += 1;
            }
            b'}' | b']' => {
                closed += usize::from(bytes[at] == b'}' && open.len() <= depth);
                open.pop();
                key = "";
                at += 1;
            }
            b'"' => {
                let end = string_end(bytes, at + 1);
                let word = &text[at + 1..end];
                at = (end + 1).min(bytes.len());
                let after = text[at..].trim_start();
                if key.is_empty() && after.starts_with(':') {
                    key = word;
                    at = text.len() - after.len() + 1;
                } else {
                    each(Value { path: &open, key, closed }, word);
                    key = "";
                }
            }
            b',' => {
                key = "";
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let rest = &text[at..];
                let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
                let word = rest[..end].trim_end();
                each(Value { path: &open, key, closed }, word);
                key = "";
                at += end.max(1);
            }
        }
    }
}

/// Where the string that began before `from` ends: its quote, or the end of the text.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// What a string of JSON says, from how it is written.
fn decoded(raw: &str) -> String {
    serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_recognised_and_read() {
        for it in DOCUMENTS {
            let first = DOCUMENTS.iter().find(|it| (it.fits)("", it.example)).map(|it| it.name);
            assert!(first.is_some(), "{}", it.name);
            assert!((it.fits)("", it.example), "{}", it.name);
            let mut count = 0;
            (it.read)(it.example, &mut |_| count += 1);
            assert!(count > 0, "{}: nothing is read", it.name);
        }
    }

    #[test]
    fn what_was_cut_or_spoilt_does_no_harm() {
        for it in DOCUMENTS {
            for (at, _) in it.example.char_indices() {
                let (before, after) = it.example.split_at(at);
                for text in [before, after, &format!("{before}é\\{after}")] {
                    (it.read)(text, &mut |found| {
                        if let Found::Event(event) = found {
                            assert!(text.get(event.span).is_some(), "{text}");
                        }
                    });
                }
            }
        }
        walk(&"[".repeat(100_000), 1, &mut |_, _| {});
    }
}
