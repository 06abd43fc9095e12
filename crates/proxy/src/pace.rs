//! How fast a client moves what we wait for: one that sends or takes a byte now and then keeps to
//! every limit of a gap, and would hold its connection for as long as it likes.

use crate::timer::Alarm;
use std::time::{Duration, Instant};

/// The least that is asked of a client (`limits.client_rate`), measured over each such time of
/// waiting (`listen.timeout.body`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least {
    /// Bytes a second.
    pub(crate) rate: usize,
    pub(crate) over: Duration,
}

/// Bytes that moved, against the time in which we waited for them. Time in which the client waits
/// for us does not count.
#[derive(Default)]
pub(crate) struct Pace {
    /// Milliseconds.
    waited: u64,
    moved: u64,
    /// We wait since then.
    since: Option<Instant>,
}

impl Pace {
    /// Nothing moves, and it is not our doing.
    pub(crate) fn wait(&mut self, alarm: &Alarm) {
        if self.since.is_none() {
            self.since = Some(alarm.coarse_now());
        }
    }

    /// So many bytes moved. Whether that is fast enough for one of `among` who share a connection.
    pub(crate) fn is_kept(
        &mut self,
        bytes: usize,
        among: usize,
        least: Least,
        alarm: &Alarm,
    ) -> bool {
        self.moved += bytes as u64;
        match self.since.take() {
            None => true,
            Some(since) => self.judge(alarm.coarse_now() - since, among, least),
        }
    }

    fn judge(&mut self, waited: Duration, among: usize, least: Least) -> bool {
        self.waited += waited.as_millis() as u64;
        if u128::from(self.waited) < least.over.as_millis() {
            return true;
        }
        let asked = self.waited.saturating_mul(least.rate as u64) / 1_000;
        let kept = asked <= self.moved.saturating_mul(among.max(1) as u64);
        *self = Pace::default();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Least = Least { rate: 100, over: Duration::from_secs(10) };

    /// Pieces of so many bytes after so many seconds of waiting; which one is too slow.
    #[track_caller]
    fn check(among: usize, pieces: &[(u64, u64)], expected: Option<usize>) {
        let mut pace = Pace::default();
        let slow = pieces.iter().position(|(waited, bytes)| {
            pace.moved += bytes;
            !pace.judge(Duration::from_secs(*waited), among, LEAST)
        });
        assert_eq!(slow, expected);
    }

    #[test]
    fn one_byte_now_and_then_is_too_slow() {
        check(1, &[(9, 1), (9, 1)], Some(1));
        check(1, &[(3, 1), (3, 1), (3, 1), (3, 1)], Some(3));
    }

    #[test]
    fn who_keeps_the_rate_may_go_on_for_ever() {
        check(1, &[(5, 500); 50], None);
        check(1, &[(9, 0), (1, 1_000), (9, 1_000), (1, 0)], None);
    }

    #[test]
    fn a_fast_beginning_buys_no_more_than_one_measure() {
        check(1, &[(0, 1_000_000), (9, 1), (9, 1), (9, 1), (9, 1)], Some(4));
    }

    #[test]
    fn those_who_share_a_line_share_the_rate() {
        check(1, &[(5, 50), (5, 50)], Some(1));
        check(10, &[(5, 50), (5, 50)], None);
    }
}
