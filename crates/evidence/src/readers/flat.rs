//! JSON lines, read flat: each value with its key and its parent's key, still as it is written, so
//! that a span of it is a span of the line. Nothing is decoded and nothing recurses.

use crate::clock::{self, Stamp};
use crate::sign::Sign;

/// Values beyond this are not looked at.
const MAX_FIELDS: usize = 512;

/// One value of an object. Strings are without their quotes and with their escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) parent: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// How many objects and lists are open around it.
    depth: usize,
}

/// The values of one line.
pub(super) struct Flat<'a>(Vec<Field<'a>>);

impl<'a> Flat<'a> {
    /// Reads an object from its brace on; a line that was cut gives what it still has.
    pub(super) fn of(text: &'a str) -> Option<Flat<'a>> {
        let text = text.trim_start();
        if !text.starts_with('{') || !text[1..].trim_start().starts_with('"') {
            return None;
        }
        let fields = read(text);
        (!fields.is_empty()).then_some(Flat(fields))
    }

    /// The value of a key of the outermost object, or of `object.key`. What callers sent lies
    /// deeper or under other names, so it is never taken for it.
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        let (parent, key, depth) = match path.split_once('/') {
            Some((parent, key)) => (parent, key, 2),
            None => ("", path, 1),
        };
        let found = self
            .0
            .iter()
            .find(|it| it.depth == depth && it.key == key && (depth == 1 || it.parent == parent))?;
        (!matches!(found.value, "" | "-" | "null")).then_some(found.value)
    }

    /// The first of several keys that has a value.
    pub(super) fn any(&self, paths: &[&str]) -> Option<&'a str> {
        paths.iter().find_map(|it| self.text(it))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|it| it.depth == 1 && it.key == key)
    }

    /// A status of HTTP, as a number or as text.
    pub(super) fn status(&self, paths: &[&str]) -> Option<u16> {
        paths.iter().find_map(|it| status(self.text(it)?))
    }

    pub(super) fn time(&self, paths: &[&str]) -> Option<Stamp> {
        paths.iter().find_map(|it| clock::any(self.text(it)?))
    }

    pub(super) fn top(&self) -> impl Iterator<Item = &Field<'a>> {
        self.0.iter().filter(|it| it.depth == 1)
    }
}

/// `502`; what is no status of HTTP is none.
pub(super) fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|it| (100..600).contains(it) && text.len() == 3)
}

/// What a 5xx says where the line gives no reason.
pub(super) fn answered(status: u16) -> Option<Sign> {
    match status {
        500 => Some(Sign::Answered500),
        502 => Some(Sign::Answered502),
        503 => Some(Sign::Answered503),
        504 => Some(Sign::Answered504),
        _ => None,
    }
}

fn read(text: &str) -> Vec<Field<'_>> {
    let bytes = text.as_bytes();
    let mut fields = Vec::new();
    // The key under which each open object or list stands.
    let mut open: Vec<&str> = Vec::new();
    let mut key = "";
    let mut at = 0;
    while at < bytes.len() && fields.len() < MAX_FIELDS {
        match bytes[at] {
            b'{' | b'[' => {
                open.push(key);
                key = "";
                at += 1;
            }
            b'}' | b']' => {
                open.pop();
                key = "";
                at += 1;
                if open.is_empty() {
                    break;
                }
            }
            b',' => {
                key = "";
                at += 1;
            }
            b'"' => {
                let (word, end) = string(text, at);
                at = end;
                let after = text[at..].trim_start();
                if after.starts_with(':') && key.is_empty() {
                    key = word;
                    at = text.len() - after.len() + 1;
                } else {
                    fields.push(field(&open, key, word));
                }
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let rest = &text[at..];
                let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
                fields.push(field(&open, key, rest[..end].trim_end()));
                at += end;
            }
        }
    }
    fields
}

fn field<'a>(open: &[&'a str], key: &'a str, value: &'a str) -> Field<'a> {
    Field { parent: open.last().copied().unwrap_or(""), key, value, depth: open.len() }
}

/// A string from its opening quote: what stands in it, and where it is over.
fn string(text: &str, start: usize) -> (&str, usize) {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return (&text[start + 1..at], at + 1),
            _ => at += 1,
        }
    }
    (&text[start + 1..], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_where_they_stand() {
        let text = r#"{"a": "x \"y\"", "status":502,"request":{"status":"1","headers":{"error":["e"]}},"error":"boom"}"#;
        let flat = Flat::of(text).expect("an object");
        assert_eq!(flat.text("a"), Some(r#"x \"y\""#));
        assert_eq!(flat.status(&["status"]), Some(502));
        assert_eq!(flat.text("request/status"), Some("1"));
        assert_eq!(flat.text("error"), Some("boom"));
    }

    #[test]
    fn what_was_cut_or_is_no_object_does_no_harm() {
        for text in ["{\"a", "{\"a\":", "{\"a\":\"b\\", "{\"a\":[[[[", "{\"a\":}}}}]", "{\"é\\"] {
            let _ = Flat::of(text);
        }
        assert!(Flat::of("[1]").is_none() && Flat::of("{}").is_none());
    }
}
