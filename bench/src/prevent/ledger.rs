//! What targets began and finished, by the number of the request.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which request of a run: its position in the schedule.
pub(crate) type Number = u32;

/// What all targets together made of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// How often a target had the whole request in hand.
    pub(crate) begun: u32,
    /// How often its work was carried out, whatever became of the answer.
    pub(crate) done: u32,
    /// How often the caller of the target left before the work was done.
    pub(crate) cancelled: u32,
}

/// Shared by the targets of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Mutex<HashMap<Number, Entry>>,
}

impl Ledger {
    pub(crate) fn begin(&self, number: Number) {
        self.locked().entry(number).or_default().begun += 1;
    }

    pub(crate) fn finish(&self, number: Number) {
        self.locked().entry(number).or_default().done += 1;
    }

    pub(crate) fn cancel(&self, number: Number) {
        self.locked().entry(number).or_default().cancelled += 1;
    }

    /// Of a request that no target saw, an empty one.
    pub(crate) fn entry(&self, number: Number) -> Entry {
        self.locked().get(&number).copied().unwrap_or_default()
    }

    /// Takes over what servers that are not ours wrote: lines such as `begun 17` and `done 17`.
    /// A line that was cut by the end of its writer is left out.
    pub(crate) fn read(&self, text: &str) {
        for line in text.split_inclusive('\n').filter_map(|it| it.strip_suffix('\n')) {
            match line.split_once(' ').and_then(|(word, it)| Some((word, it.parse().ok()?))) {
                Some(("begun", number)) => self.begin(number),
                Some(("done", number)) => self.finish(number),
                _ => {}
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Number, Entry>> {
        // Counters are whole after each change, even if another thread panicked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_twice_is_told_from_what_was_begun_twice() {
        let ledger = Ledger::default();
        for _ in 0..2 {
            ledger.begin(1);
            ledger.finish(1);
            ledger.begin(2);
        }
        ledger.cancel(2);
        assert_eq!(ledger.entry(1), Entry { begun: 2, done: 2, cancelled: 0 });
        assert_eq!(ledger.entry(2), Entry { begun: 2, done: 0, cancelled: 1 });
        assert_eq!(ledger.entry(3), Entry::default());
    }

    #[test]
    fn written_lines_count_as_what_was_seen_and_cut_ones_do_not() {
        let ledger = Ledger::default();
        ledger.read("begun 7\ndone 7\nbegun x\nother 7\nbegun 8\ndone 8");
        assert_eq!(ledger.entry(7), Entry { begun: 1, done: 1, cancelled: 0 });
        assert_eq!(ledger.entry(8), Entry { begun: 1, done: 0, cancelled: 0 });
    }
}
