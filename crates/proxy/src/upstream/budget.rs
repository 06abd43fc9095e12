//! How often requests of one upstream may be tried again: a share of its requests. While most tries fail
//! it is that share of those that would be, however few there had been before: retries that many make at
//! once are how a hiccup becomes an outage.
//!
//! Shared by all cores. Counting costs a request two additions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Retries a second that are allowed however few requests there are.
const FLOOR: u64 = 10;

/// Of the last 32 tries so many failed: the upstream is taken for broken.
const BROKEN: u32 = 24;

#[derive(Default)]
pub(crate) struct Budget {
    requests: AtomicU64,
    /// The last 32 tries, one bit each; those that failed are set.
    last: AtomicU32,
    counts: Mutex<Counts>,
    /// Retries that were wanted while it was broken.
    wanted: AtomicU64,
    /// Retries that were not made because of it.
    denied: AtomicU64,
}

#[derive(Default)]
struct Counts {
    /// The requests that there had been, second by second.
    marks: VecDeque<(Instant, u64)>,
    retries: VecDeque<Instant>,
}

impl Budget {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn tried(&self, failed: bool) {
        let bit = u32::from(failed);
        // A try of another core may be lost: it is a guess in any case.
        let before = self.last.load(Relaxed);
        if before != 0 || failed {
            self.last.store(before << 1 | bit, Relaxed);
        }
    }

    /// Most of the last tries failed: the upstream is broken. Retries are few then, and take their time.
    pub(crate) fn is_broken(&self) -> bool {
        BROKEN <= self.last.load(Relaxed).count_ones()
    }

    /// Called about once a second.
    pub(crate) fn tick(&self, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |it: &(Instant, u64)| now.saturating_duration_since(it.0).as_millis() < 900;
        if !counts.marks.back().is_some_and(recent) {
            counts.marks.push_back((now, self.requests.load(Relaxed)));
        }
        while counts.marks.get(1).is_some_and(|it| it.0 + WINDOW <= now) {
            counts.marks.pop_front();
        }
        counts.forget(now);
    }

    /// Takes one retry, if there is one. Where it would go to a target that is well (`hopeful`), what fails
    /// is another target, such as one that resets all that it had as it ends, and not the upstream.
    pub(crate) fn take(&self, percent: u32, hopeful: bool, now: Instant) -> bool {
        let allowed = if self.is_broken() && !hopeful {
            let wanted = self.wanted.fetch_add(1, Relaxed);
            wanted * u64::from(percent) / 100 < (wanted + 1) * u64::from(percent) / 100
        } else {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.forget(now);
            let requests = self.requests.load(Relaxed);
            let before = counts.marks.front().map_or(requests, |it| it.1);
            let share = requests.saturating_sub(before) * u64::from(percent) / 100;
            let second = |it: &&Instant| now.saturating_duration_since(**it).as_secs() == 0;
            let lately = counts.retries.iter().rev().take_while(second).count() as u64;
            let allowed = (counts.retries.len() as u64) < share || lately < FLOOR;
            if allowed {
                counts.retries.push_back(now);
            }
            allowed
        };
        if !allowed {
            self.denied.fetch_add(1, Relaxed);
        }
        allowed
    }

    /// What failed before counts no longer.
    pub(crate) fn forgive(&self) {
        self.last.store(0, Relaxed);
    }

    pub(crate) fn denied(&self) -> u64 {
        self.denied.load(Relaxed)
    }
}

impl Counts {
    fn forget(&mut self, now: Instant) {
        while self.retries.front().is_some_and(|it| *it + WINDOW <= now) {
            self.retries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(budget: &Budget, count: u64) {
        (0..count).for_each(|_| budget.request());
    }

    fn taken(budget: &Budget, at: Instant) -> usize {
        (0..1_000).filter(|_| budget.take(20, false, at)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_of_ten_seconds() {
        let (budget, start) = (Budget::default(), Instant::now());
        budget.tick(start);
        requests(&budget, 1_000);
        assert_eq!(taken(&budget, start), 200);
        assert_eq!(budget.denied(), 800);
        // They are given back when they are ten seconds old.
        let later = start + Duration::from_secs(9);
        assert_eq!(taken(&budget, later), 10, "only what is always allowed");
        assert_eq!(taken(&budget, start + Duration::from_secs(10)), 190);
    }

    #[test]
    fn requests_of_long_ago_give_nothing() {
        let (budget, start) = (Budget::default(), Instant::now());
        budget.tick(start);
        requests(&budget, 1_000);
        for second in 1..=12 {
            budget.tick(start + Duration::from_secs(second));
        }
        assert_eq!(taken(&budget, start + Duration::from_secs(12)), 10);
    }

    #[test]
    fn ten_a_second_are_always_allowed() {
        let (budget, start) = (Budget::default(), Instant::now());
        assert_eq!(taken(&budget, start), 10);
        assert_eq!(taken(&budget, start + Duration::from_millis(999)), 0);
        assert_eq!(taken(&budget, start + Duration::from_secs(1)), 10);
    }

    #[test]
    fn little_is_tried_again_where_most_tries_fail() {
        let (budget, now) = (Budget::default(), Instant::now());
        budget.tick(now);
        requests(&budget, 1_000);
        (0..23).for_each(|_| budget.tried(true));
        assert!(!budget.is_broken());
        budget.tried(true);
        assert!(budget.is_broken());
        assert_eq!(taken(&budget, now), 200, "a fifth of the thousand that were wanted");
        assert!(budget.take(20, true, now), "another target is well");
        (0..8).for_each(|_| budget.tried(false));
        assert!(budget.is_broken(), "they are among the last");
        (0..32).for_each(|_| budget.tried(false));
        assert!(!budget.is_broken());
    }

    #[test]
    fn one_of_three_that_fails_breaks_nothing() {
        let budget = Budget::default();
        for round in 0..99 {
            budget.tried(round % 3 == 0);
            assert!(!budget.is_broken());
        }
    }
}
