//! What is wrong with a file, one value a mistake, with its place in the text.

use crate::render;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// More complaints than this are counted, not kept.
const MOST: usize = 100;

/// Whether a complaint keeps the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    /// The file can be used, but probably does not do what its writer wants.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Stable name of the kind of mistake, such as `unknown_key`.
    pub code: &'static str,
    /// A sentence without a full stop; what was typed stands in backticks.
    pub message: String,
    /// Bytes of the text; `None` where no single place is to blame.
    pub span: Option<Range<usize>>,
    /// A few words at the place itself.
    pub label: Option<String>,
    /// The next step, mostly the exact edit.
    pub help: Option<String>,
    pub severity: Severity,
}

impl Complaint {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        let severity = Severity::Error;
        Self { code, message: message.into(), span: None, label: None, help: None, severity }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(crate) fn at(self, span: Range<usize>) -> Self {
        Self { span: Some(span), ..self }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// All that is wrong with one file, sorted by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    list: Vec<Complaint>,
    left_out: usize,
}

impl Complaints {
    /// Each complaint, in order of position.
    pub fn iter(&self) -> impl Iterator<Item = &Complaint> {
        self.list.iter()
    }

    /// Whether there is nothing to complain about.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many complaints came after the first hundred and were only counted.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether any of them keeps the file from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|it| it.severity == Severity::Error)
    }

    /// The same complaints, with every warning made an error.
    pub fn strict(mut self) -> Self {
        for it in &mut self.list {
            it.severity = Severity::Error;
        }
        self
    }

    /// For people: each complaint with the line it is about and a mark under the place.
    pub fn render(&self, file_name: &str, text: &str, colour: bool) -> String {
        render::render(self, file_name, text, colour)
    }

    /// For programs: each complaint with line and column, both counted from 1.
    pub fn located(&self, text: &str) -> Vec<Located<'_>> {
        let lines = Lines::of(text);
        self.list.iter().map(|it| Located::of(it, &lines)).collect()
    }

    /// The same mistake at the same place is said once.
    pub(crate) fn push(&mut self, complaint: Complaint) {
        if self.list.len() >= MOST {
            self.left_out += 1;
        } else if !self.list.contains(&complaint) {
            self.list.push(complaint);
        }
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.list.sort_by_key(|it| it.span.as_ref().map(|span| (span.start, span.end)));
        self
    }

    pub(crate) fn into_vec(self) -> Vec<Complaint> {
        self.list
    }
}

impl From<Vec<Complaint>> for Complaints {
    fn from(all: Vec<Complaint>) -> Self {
        let mut complaints = Self::default();
        all.into_iter().for_each(|it| complaints.push(it));
        complaints
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self.list.iter().map(|it| it.message.as_str()).collect();
        f.write_str(&messages.join("; "))
    }
}

impl std::error::Error for Complaints {}

/// A complaint as programs read it. Columns count characters, not bytes; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located<'a> {
    pub severity: Severity,
    pub code: &'static str,
    pub message: &'a str,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub end_line: Option<usize>,
    pub end_column: Option<usize>,
    pub label: Option<&'a str>,
    pub help: Option<&'a str>,
}

impl<'a> Located<'a> {
    fn of(complaint: &'a Complaint, lines: &Lines<'_>) -> Self {
        let start = complaint.span.as_ref().map(|it| lines.place(it.start));
        let end = complaint.span.as_ref().map(|it| lines.place(it.end));
        Self {
            severity: complaint.severity,
            code: complaint.code,
            message: &complaint.message,
            line: start.map(|it| it.0),
            column: start.map(|it| it.1),
            end_line: end.map(|it| it.0),
            end_column: end.map(|it| it.1),
            label: complaint.label.as_deref(),
            help: complaint.help.as_deref(),
        }
    }
}

/// Where the lines of a text begin.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|it| it.1 == b'\n').map(|it| it.0 + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column of a byte, both from 1.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize) {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.starts.partition_point(|it| *it <= byte);
        let start = self.starts[line - 1];
        (line, self.text[start..byte].chars().count() + 1)
    }

    /// Where a line (from 1) begins, and its text without the line break.
    pub(crate) fn line(&self, line: usize) -> (usize, &'a str) {
        let start = self.starts[line - 1];
        let end = self.starts.get(line).map_or(self.text.len(), |it| it - 1);
        (start, self.text[start..end].trim_end_matches('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, byte: usize, place: (usize, usize)) {
        assert_eq!(Lines::of(text).place(byte), place, "{text:?} at {byte}");
    }

    #[test]
    fn places_count_from_one_and_in_characters() {
        check("", 0, (1, 1));
        check("abc", 1, (1, 2));
        check("a\nb", 1, (1, 2));
        check("a\nb", 2, (2, 1));
        check("é=1", 2, (1, 2));
        check("é=1", 1, (1, 1));
        check("a\n", 2, (2, 1));
        check("a", 99, (1, 2));
    }

    #[test]
    fn only_the_first_hundred_are_kept() {
        let all = (0..150).map(|it| Complaint::error("x", it.to_string())).collect::<Vec<_>>();
        let complaints = Complaints::from(all);
        assert_eq!((complaints.iter().count(), complaints.left_out()), (100, 50));
    }

    #[test]
    fn the_same_mistake_is_said_once() {
        let twice = vec![Complaint::error("x", "y").at(0..1), Complaint::error("x", "y").at(0..1)];
        assert_eq!(Complaints::from(twice).iter().count(), 1);
    }
}
