//! The common clock: how far the clocks of sources lie apart.
//!
//! Logs without a zone are taken for UTC; where another source has one, the difference shows as a
//! whole number of quarters of an hour between failures and what goes with them.

use evidence::clock::{MINUTE, SECOND, Zone};
use evidence::{Kind, Testimony};
use std::collections::BTreeMap;

/// What is added to a source's times to get those of the common clock.
pub struct Clocks {
    shifts: BTreeMap<u32, i64>,
    zoned: BTreeMap<u32, bool>,
}

/// Clocks that are set to a zone differ by quarters of an hour.
const STEP: i64 = 15 * MINUTE;
/// UTC-12 to UTC+14.
const FARTHEST: i64 = 14 * 60 * MINUTE;
/// What belongs together lies this close, on one machine.
const CLOSE: i64 = 5 * SECOND;

impl Clocks {
    /// Compares the times of what failed, and of what processes did, in each source with those of
    /// the sources that have a zone.
    pub(crate) fn of(testimony: &Testimony) -> Clocks {
        let mut times: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        let mut zoned: BTreeMap<u32, bool> = BTreeMap::new();
        for (key, group) in &testimony.ledger.groups {
            if key.sign.kind() == Kind::State || group.runs.is_empty() {
                continue;
            }
            *zoned.entry(key.source).or_insert(true) &= group.zoned;
            let runs = group.runs.iter().take(100).flat_map(|it| [it.first, it.last]);
            times.entry(key.source).or_default().extend(runs);
        }
        let mut shifts = BTreeMap::new();
        let reference: Vec<i64> = times
            .iter()
            .filter(|(source, _)| zoned[source])
            .flat_map(|(_, it)| it.iter().copied())
            .collect();
        for (source, own) in &times {
            if !zoned[source]
                && let Some(shift) = shift(own, &reference)
            {
                shifts.insert(*source, shift);
            }
        }
        Clocks { shifts, zoned }
    }

    /// Microseconds to add to times of a source.
    #[must_use]
    pub fn shift(&self, source: u32) -> i64 {
        self.shifts.get(&source).copied().unwrap_or(0)
    }

    /// Whether the zone of a source's times is known: written, or found by comparison.
    #[must_use]
    pub fn zone(&self, source: u32) -> Zone {
        let known =
            self.zoned.get(&source).copied().unwrap_or(false) || self.shifts.contains_key(&source);
        if known { Zone::Read } else { Zone::Assumed }
    }

    /// The newest time in the inputs.
    pub(crate) fn newest(&self, testimony: &Testimony) -> Option<i64> {
        let sources = testimony.sources.iter().enumerate();
        sources.filter_map(|(at, it)| Some(it.last? + self.shift(at as u32))).max()
    }
}

/// The shift that brings most of one source's times next to the other's. None where they are
/// close as they are, or where nothing fits.
fn shift(own: &[i64], reference: &[i64]) -> Option<i64> {
    let mut sorted = reference.to_vec();
    sorted.sort_unstable();
    let close = |shift: i64| {
        own.iter()
            .filter(|it| {
                let at = **it + shift;
                let next = sorted.partition_point(|it| *it < at - CLOSE);
                sorted.get(next).is_some_and(|it| *it <= at + CLOSE)
            })
            .count()
    };
    let best = (-FARTHEST / STEP..=FARTHEST / STEP)
        .map(|it| it * STEP)
        .max_by_key(|it| (close(*it), std::cmp::Reverse(it.abs())))?;
    (close(best) > close(0) && best != 0).then_some(best)
}
