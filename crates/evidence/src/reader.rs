//! What a reader is. The readers themselves are one file each, in `readers/`.

use crate::event::Sink;
use crate::line::Line;
use crate::product::Product;
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

/// One format that we read line by line.
pub struct Reader {
    /// As `goodgate formats` names it: `nginx error log`.
    pub name: &'static str,
    pub product: Product,
    /// Text of which one piece stands in every line that the reader could make something of. Lines
    /// without any are never looked at, so that gigabytes are searched at the speed of a search.
    pub hooks: &'static [&'static str],
    /// Whether the line has the shape of this format. Cheap, and strict enough that no other
    /// format's lines and no free text pass.
    pub fits: fn(&Line) -> bool,
    /// Reads a line that fits.
    pub read: fn(&Line, &mut dyn Sink),
    /// Where the format is defined or was recorded: a page of the vendor, a source file, a server
    /// and its version.
    pub source: &'static str,
    /// A line of it. A test reads it.
    pub example: &'static str,
}

/// A fixed message and what it says.
pub(crate) struct Phrase {
    pub text: &'static str,
    pub sign: Sign,
    pub trust: Trust,
}

pub(crate) const fn phrase(text: &'static str, sign: Sign, trust: Trust) -> Phrase {
    Phrase { text, sign, trust }
}

/// The first phrase of a table that stands in a message, and where.
#[must_use]
pub(crate) fn find<'p>(phrases: &'p [Phrase], message: &str) -> Option<(&'p Phrase, Range<usize>)> {
    phrases.iter().find_map(|it| {
        let at = memchr::memmem::find(message.as_bytes(), it.text.as_bytes())?;
        Some((it, at..at + it.text.len()))
    })
}

/// The text between two pieces, the first of which is the first of its kind.
#[must_use]
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)? + start;
    Some(&text[start..end])
}

/// Where a part stands in the text that it was cut from.
#[must_use]
pub(crate) fn span_of(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => start..end,
        _ => 0..whole.len(),
    }
}

/// The digits at the start of a text, as a number.
#[must_use]
pub(crate) fn number(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    text[..digits].parse().ok()
}
