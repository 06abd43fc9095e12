//! The common clock: how far the clocks of sources lie apart.
//!
//! Logs without a zone are taken for UTC; where another source has one, the difference shows as a
//! whole number of quarters of an hour between failures and what goes with them.

use evidence::clock::{DAY, HOUR, MINUTE, SECOND, Zone};
use evidence::{GAP, Kind, Testimony};
use std::collections::{BTreeMap, BTreeSet};

/// What is added to a source's times to get those of the common clock.
pub struct Clocks {
    shifts: BTreeMap<u32, i64>,
    zoned: BTreeMap<u32, bool>,
    /// Times were compared with some that have a zone.
    known: bool,
}

/// Clocks that are set to a zone differ by quarters of an hour.
const STEP: i64 = 15 * MINUTE;
/// UTC-12 to UTC+14.
const FARTHEST: i64 = 14 * HOUR;
/// What belongs together lies this close, on one machine.
const CLOSE: i64 = 5 * SECOND;
/// What is left of a process that died shows when the next request comes.
const AFTER: i64 = 30 * SECOND;

impl Clocks {
    /// Compares the times of what failed, and of what processes did, in each source with those of
    /// the sources that have a zone; where none has, with those of the one that saw most.
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
        let mut shifts = years(testimony, &times, &zoned);
        for (source, own) in &mut times {
            let shift = shifts.get(source).copied().unwrap_or(0);
            own.iter_mut().for_each(|it| *it += shift);
        }
        for own in times.values_mut() {
            own.sort_unstable();
        }
        let known = zoned.values().any(|it| *it);
        // Not by number: the answer does not depend on the order of the sources.
        let most = times.values().max_by_key(|it| (it.len(), std::cmp::Reverse(*it)));
        let most = most.cloned().unwrap_or_default();
        let mut reference: Vec<i64> = match known {
            true => {
                times.iter().filter(|(it, _)| zoned[it]).flat_map(|(_, it)| it).copied().collect()
            }
            false => most,
        };
        reference.sort_unstable();
        for (source, own) in &times {
            let compared = !known || !zoned[source];
            if let Some(shift) = shift(own, &reference).filter(|_| compared) {
                *shifts.entry(*source).or_default() += shift;
            }
        }
        Clocks { shifts, zoned, known }
    }

    /// Microseconds to add to times of a source.
    #[must_use]
    pub fn shift(&self, source: u32) -> i64 {
        self.shifts.get(&source).copied().unwrap_or(0)
    }

    /// Whether the zone of a source's times is known: written, or found by comparison.
    #[must_use]
    pub fn zone(&self, source: u32) -> Zone {
        let compared = self.known && self.shifts.contains_key(&source);
        let known = compared || self.zoned.get(&source).copied().unwrap_or(false);
        if known { Zone::Read } else { Zone::Assumed }
    }

    /// The newest time in the inputs.
    pub(crate) fn newest(&self, testimony: &Testimony) -> Option<i64> {
        let sources = testimony.sources.iter().enumerate();
        sources.filter_map(|(at, it)| Some(it.last? + self.shift(at as u32))).max()
    }
}

/// Logs without a year are taken for one of the present; where all others are of one other year,
/// they are of that.
fn years(
    testimony: &Testimony,
    times: &BTreeMap<u32, Vec<i64>>,
    zoned: &BTreeMap<u32, bool>,
) -> BTreeMap<u32, i64> {
    let assumed = |source: &u32, own: &[i64]| {
        let year = testimony.sources.get(*source as usize).and_then(|it| it.assumed_year);
        year.is_some()
            && !zoned[source]
            && own.iter().all(|it| Some(civil(*it).year().into()) == year)
    };
    let sure = times.iter().filter(|(source, own)| !assumed(source, own));
    let written: BTreeSet<i16> =
        sure.flat_map(|(_, own)| own.iter().map(|it| civil(*it).year())).collect();
    let (Some(year), 1) = (written.first(), written.len()) else { return BTreeMap::new() };
    let mut shifts = BTreeMap::new();
    for (source, own) in times.iter().filter(|(source, own)| assumed(source, own)) {
        let Some(first) = own.iter().min().map(|it| civil(*it)) else { continue };
        let Ok(moved) = first.with().year(*year).build() else { continue };
        let days = first.until(moved).map_or(0, |it| i64::from(it.get_days()));
        if days != 0 {
            shifts.insert(*source, days * DAY);
        }
    }
    shifts
}

fn civil(micros: i64) -> jiff::civil::Date {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The shift that brings most of one source's times next to the other's. None where they are
/// close as they are, or where nothing fits. Both are sorted.
fn shift(own: &[i64], reference: &[i64]) -> Option<i64> {
    let close = |shift: i64, within: i64| {
        own.iter()
            .filter(|it| {
                let at = **it + shift;
                let next = reference.partition_point(|it| *it < at - within);
                reference.get(next).is_some_and(|it| *it <= at + within)
            })
            .count()
    };
    let best = |step: i64, within: i64| {
        let shifts = (-FARTHEST / step..=FARTHEST / step).map(|it| it * step);
        let best = shifts.max_by_key(|it| (close(*it, within), std::cmp::Reverse(it.abs())))?;
        (close(best, within) > close(0, within) && best != 0).then_some(best)
    };
    if let Some(best) = best(STEP, CLOSE) {
        return Some(best);
    }
    // Two logs of one failure that do not even overlap are in different zones, where whole hours
    // bring them together.
    let (first, last) = own.first().zip(own.last())?;
    let (from, to) = reference.first().zip(reference.last())?;
    let apart = (first - to).max(from - last);
    best(HOUR, AFTER).filter(|_| apart > GAP)
}
