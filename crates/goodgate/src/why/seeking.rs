//! Which part of a large file is read: that of the times that are asked for.

use super::progress::size;
use super::reading::Plain;
use evidence::clock::rfc3339;
use evidence::seek::{Clock, DISORDER, first_line_at};
use std::io;
use std::ops::Range;

/// Times of the clock of the inputs, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
}

pub(super) struct Seeker<'a> {
    pub(super) file: &'a Plain,
    pub(super) clock: &'a Clock,
}

impl Seeker<'_> {
    /// The part of a file that holds the times, rather too much than too little.
    pub(super) fn span(&self, whole: Range<u64>, bounds: Bounds) -> io::Result<Range<u64>> {
        let start = match bounds.since {
            Some(it) => first_line_at(self.file, whole.clone(), it, self.clock)?,
            None => whole.start,
        };
        let end = match bounds.until {
            // What is found begins a disorder early.
            Some(it) => {
                let after = it.saturating_add(2 * DISORDER);
                first_line_at(self.file, start..whole.end, after, self.clock)?
            }
            None => whole.end,
        };
        Ok(start..end.max(start))
    }
}

/// What was left out, for people; `asked` if that was their wish.
pub(super) fn left_out(before: u64, after: u64, bounds: Bounds, asked: bool) -> Option<String> {
    let time = |it: Option<i64>| it.map(rfc3339).unwrap_or_default();
    let mut words = Vec::new();
    if 0 < before {
        let hint = if asked { "" } else { "; --since all reads everything" };
        words.push(format!(
            "only what is from {} on was read: {} before it were left out{hint}",
            time(bounds.since),
            size(before)
        ));
    }
    if 0 < after {
        words.push(format!("{} after {} were left out", size(after), time(bounds.until)));
    }
    (!words.is_empty()).then(|| words.join("; "))
}
