//! The common clock: how far the clocks of sources lie apart.
//!
//! Logs without a zone are taken for UTC; where another source has one, the difference shows as a
//! whole number of quarters of an hour between failures and what goes with them.

use evidence::clock::{DAY, MINUTE, SECOND, Zone};
use evidence::{Kind, Testimony};
use std::collections::{BTreeMap, BTreeSet};

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
        let mut shifts = years(testimony, &times, &zoned);
        for (source, own) in &mut times {
            let shift = shifts.get(source).copied().unwrap_or(0);
            own.iter_mut().for_each(|it| *it += shift);
        }
        let reference: Vec<i64> = times
            .iter()
            .filter(|(source, _)| zoned[source])
            .flat_map(|(_, it)| it.iter().copied())
            .collect();
        for (source, own) in &times {
            if !zoned[source]
                && let Some(shift) = shift(own, &reference)
            {
                *shifts.entry(*source).or_default() += shift;
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
