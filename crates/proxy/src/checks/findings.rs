//! What is remembered of the questions after one target's health, for whoever looks.

use super::Check;
use exchange::{CheckFault, LiveCheck, LiveHealth, LiveTurn, Micros};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Changes of the verdict that are remembered of a target.
const TURNS: usize = 16;

#[derive(Default)]
pub(crate) struct Findings {
    /// Requests that the target has answered well.
    answers: AtomicU64,
    /// Its last check was good, leaving out those that are not of the target.
    passes: AtomicBool,
    /// `None` while it is not asked.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    well: bool,
    since: Micros,
    last: LiveCheck,
    in_a_row: u64,
    wrong_path: bool,
    turns: VecDeque<LiveTurn>,
    outcomes: BTreeMap<&'static str, u64>,
}

/// The outcome of a check that was good.
const GOOD: &str = "good";

impl Findings {
    /// A request was answered. Only an answer that is what its caller asked for is set against a
    /// check: a target that knows no path at all answers 404 to both.
    pub(crate) fn answered(&self, status: u16, grpc: Option<u32>) {
        if status < 400 && grpc.is_none_or(|it| it == 0) {
            self.answers.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    pub(super) fn passes(&self) -> bool {
        self.passes.load(Relaxed)
    }

    /// Remembers a check, and what the target is taken for since.
    pub(super) fn note(&self, check: &Check, well: bool, wrong_path: bool) {
        self.note_at(check, well, wrong_path, now());
    }

    fn note_at(&self, check: &Check, well: bool, wrong_path: bool, at: Micros) {
        let fault = check.fault.as_ref();
        if !fault.is_some_and(CheckFault::is_not_of_the_target) {
            self.passes.store(fault.is_none(), Relaxed);
        }
        let last = LiveCheck {
            at,
            took: u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX),
            fault: fault.map(CheckFault::name),
            status: fault.and_then(CheckFault::status),
            errno: check.errno,
        };
        let mut kept = self.kept();
        let kept = kept.get_or_insert_with(|| Kept {
            well: true,
            since: at,
            last: last.clone(),
            in_a_row: 0,
            wrong_path: false,
            turns: VecDeque::new(),
            outcomes: BTreeMap::new(),
        });
        let same = kept.last.fault.is_none() == last.fault.is_none();
        kept.in_a_row = if same { kept.in_a_row + 1 } else { 1 };
        *kept.outcomes.entry(last.fault.unwrap_or(GOOD)).or_default() += 1;
        kept.wrong_path = wrong_path;
        if kept.well != well {
            kept.well = well;
            kept.since = at;
            if kept.turns.len() == TURNS {
                kept.turns.pop_front();
            }
            let fault = last.fault.filter(|_| !well);
            kept.turns.push_back(LiveTurn { at, well, fault });
        }
        kept.last = last;
    }

    /// It is asked no longer.
    pub(super) fn forget(&self) {
        self.passes.store(false, Relaxed);
        self.kept().take();
    }

    /// How it stands, where it has been asked.
    pub(crate) fn live(&self) -> Option<LiveHealth> {
        self.kept().as_ref().map(|kept| LiveHealth {
            well: kept.well,
            since: kept.since,
            last: kept.last.clone(),
            in_a_row: kept.in_a_row,
            wrong_path: kept.wrong_path,
            turns: kept.turns.iter().cloned().collect(),
            outcomes: kept.outcomes.iter().map(|(name, count)| (*name, *count)).collect(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn check(fault: Option<CheckFault>) -> Check {
        let took = Duration::from_millis(2);
        Check { fault, errno: None, took, leaves: false, began: Instant::now() }
    }

    #[test]
    fn the_last_check_and_the_latest_turns_are_kept() {
        let findings = Findings::default();
        assert_eq!(findings.live(), None);
        findings.note_at(&check(None), true, false, 1);
        assert!(findings.passes());
        let wrong = check(Some(CheckFault::Status(503)));
        for at in 2..40 {
            findings.note_at(&wrong, at % 2 == 1, false, at);
        }
        let live = findings.live().unwrap();
        assert!(!findings.passes());
        assert!(live.well);
        assert_eq!((live.since, live.in_a_row), (39, 38));
        let last = live.last;
        assert_eq!((last.at, last.took, last.fault), (39, 2_000, Some("wrong_status")));
        assert_eq!(last.status, Some(503));
        assert_eq!(live.turns.len(), TURNS);
        let first = LiveTurn { at: 24, well: false, fault: Some("wrong_status") };
        assert_eq!(live.turns.first(), Some(&first));
        assert_eq!(live.turns.last(), Some(&LiveTurn { at: 39, well: true, fault: None }));
        assert_eq!(live.outcomes, [("good", 1), ("wrong_status", 38)]);
        findings.forget();
        assert_eq!(findings.live(), None);
    }

    #[test]
    fn only_answers_that_were_asked_for_are_set_against_a_check() {
        let findings = Findings::default();
        for (status, grpc) in [(200, None), (304, None), (200, Some(0)), (101, None)] {
            findings.answered(status, grpc);
        }
        assert_eq!(findings.answers(), 4);
        for (status, grpc) in [(404, None), (500, None), (200, Some(12))] {
            findings.answered(status, grpc);
        }
        assert_eq!(findings.answers(), 4);
    }
}
