//! When which request is due: made before a run from its seed alone, so that every proxy of a round
//! gets the same requests at the same times, answered or not.

use super::ledger::Number;
use super::target::SLOW;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The ordinary load, in requests a second.
pub(crate) const RATE: f64 = 150.0;
/// Of bursts around a limit for idle connections: the least and the most between the begins of two.
const BETWEEN_BURSTS: (Duration, Duration) =
    (Duration::from_millis(970), Duration::from_millis(1050));
/// Between two requests of a burst.
const IN_BURST: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// Which methods a load has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// GET or POST, by lot.
    Half,
    Get,
    Post,
}

/// What a request belongs to; figures are made for each part apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Steady,
    /// While things go wrong, where that is looked at apart.
    During,
    Crowd,
    After,
    Quick,
    Slow,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ask {
    pub(crate) number: Number,
    pub(crate) due: Duration,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) part: Part,
    /// The client gives up so long after it was due, and wants no answer any more.
    pub(crate) leaves_after: Option<Duration>,
}

/// So many requests a second for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) part: Part,
}

#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// One after the other, evenly.
    Even { stretches: Vec<Stretch>, mix: Mix },
    /// `count` times as many at once as `size` says, with about a second between.
    Bursts { count: u32, size: u32, mix: Mix },
    /// Evenly, each by lot for the path that is slow or for the one that is not.
    TwoPaths { rate: f64, seconds: f64 },
    /// So many requests, all of which their clients give up.
    Leaving { count: u32, rate: f64, after: Duration },
}

impl Load {
    pub(crate) fn steady(seconds: f64) -> Load {
        Load::even(vec![Stretch { rate: RATE, seconds, part: Part::Steady }])
    }

    pub(crate) fn even(stretches: Vec<Stretch>) -> Load {
        Load::Even { stretches, mix: Mix::Half }
    }

    /// The ordinary load with a time, `from` to `to` in seconds, that is looked at apart.
    pub(crate) fn with_trouble(seconds: f64, from: f64, to: f64) -> Load {
        let stretch = |seconds, part| Stretch { rate: RATE, seconds, part };
        Load::even(vec![
            stretch(from, Part::Steady),
            stretch(to - from, Part::During),
            stretch(seconds - to, Part::After),
        ])
    }

    /// All requests in the order in which they are due. `scale` multiplies how many come at a time.
    pub(crate) fn schedule(&self, seed: u64, scale: f64) -> Vec<Ask> {
        let mut lot = SmallRng::seed_from_u64(seed);
        let mut asks = Asks::default();
        match self {
            Load::Even { stretches, mix } => {
                let mut begin = 0.0;
                for Stretch { rate, seconds, part } in stretches {
                    for due in even(begin, *seconds, rate * scale) {
                        asks.add(due, method(&mut lot, *mix), "/", *part);
                    }
                    begin += seconds;
                }
            }
            Load::Bursts { count, size, mix } => {
                let size = (f64::from(*size) * scale).round().max(1.0) as u32;
                let mut begin = Duration::ZERO;
                for gap in gaps(&mut lot, *count) {
                    for number in 0..size {
                        let due = begin + number * IN_BURST;
                        asks.add(due, method(&mut lot, *mix), "/", Part::Steady);
                    }
                    begin += gap;
                }
            }
            Load::TwoPaths { rate, seconds } => {
                for due in even(0.0, *seconds, rate * scale) {
                    let method = method(&mut lot, Mix::Half);
                    match lot.random_bool(0.5) {
                        true => asks.add(due, method, SLOW, Part::Slow),
                        false => asks.add(due, method, "/quick", Part::Quick),
                    }
                }
            }
            Load::Leaving { count, rate, after } => {
                for due in even(0.0, f64::from(*count) / rate, *rate) {
                    asks.add(due, Method::Get, "/", Part::Steady);
                }
                asks.0.iter_mut().for_each(|it| it.leaves_after = Some(*after));
            }
        }
        asks.0
    }
}

#[derive(Default)]
struct Asks(Vec<Ask>);

impl Asks {
    fn add(&mut self, due: Duration, method: Method, path: &'static str, part: Part) {
        let number = Number::try_from(self.0.len()).unwrap_or(Number::MAX);
        self.0.push(Ask { number, due, method, path, part, leaves_after: None });
    }
}

/// The moments of requests that come evenly.
fn even(begin: f64, seconds: f64, rate: f64) -> impl Iterator<Item = Duration> {
    let count = (seconds * rate).round() as u32;
    (0..count).map(move |it| Duration::from_secs_f64(begin + f64::from(it) / rate))
}

/// So many, spread evenly, in an order by lot: each run has as many on either side of the limit.
fn gaps(lot: &mut SmallRng, count: u32) -> Vec<Duration> {
    let (least, most) = BETWEEN_BURSTS;
    let mut gaps: Vec<Duration> =
        (0..count).map(|it| least + (most - least) * it / count.max(1)).collect();
    gaps.shuffle(lot);
    gaps
}

fn method(lot: &mut SmallRng, mix: Mix) -> Method {
    match mix {
        Mix::Get => Method::Get,
        Mix::Post => Method::Post,
        Mix::Half if lot.random_bool(0.5) => Method::Post,
        Mix::Half => Method::Get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_requests_and_another_one_others() {
        let load = Load::steady(2.0);
        assert_eq!(load.schedule(1, 1.0), load.schedule(1, 1.0));
        assert_ne!(load.schedule(1, 1.0), load.schedule(2, 1.0));
    }

    #[test]
    fn requests_come_evenly_and_half_of_them_are_posts() {
        let asks = Load::steady(8.0).schedule(7, 1.0);
        assert_eq!(asks.len(), 1200);
        assert_eq!(asks[150].due, Duration::from_secs(1));
        let posts = asks.iter().filter(|it| it.method == Method::Post).count();
        assert!((500..700).contains(&posts), "{posts}");
    }

    #[test]
    fn the_trouble_is_a_part_of_its_own() {
        let asks = Load::with_trouble(8.0, 2.0, 4.0).schedule(7, 1.0);
        let during = asks.iter().filter(|it| it.part == Part::During);
        assert_eq!(during.clone().count(), 300);
        assert!(during.clone().all(|it| (2.0..4.0).contains(&it.due.as_secs_f64())));
    }

    #[test]
    fn bursts_are_about_a_second_apart_on_either_side() {
        let asks = Load::Bursts { count: 60, size: 2, mix: Mix::Post }.schedule(3, 1.0);
        let gaps: Vec<f64> = asks
            .windows(2)
            .map(|it| (it[1].due - it[0].due).as_secs_f64())
            .filter(|it| *it > 0.5)
            .collect();
        assert_eq!(gaps.len(), 59);
        assert!(gaps.iter().any(|it| *it < 1.0) && gaps.iter().any(|it| *it > 1.02));
    }

    #[test]
    fn the_scale_multiplies_requests_not_time() {
        let asks = Load::steady(2.0).schedule(1, 2.0);
        assert_eq!(asks.len(), 600);
        assert!(asks.iter().all(|it| it.due < Duration::from_secs(2)));
        assert_eq!(asks.last().map(|it| it.number), Some(599));
    }
}
