//! What follows the end of an app: whether it is started again, and when.

use config::{Backoff, Restart};
use exchange::Ending;
use std::time::Duration;

/// Each pause is so many times the one before.
const GROWTH: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Again,
    /// It has ended for good, and the gateway with it.
    Over,
}

/// systemd's `Restart=` means the same by these words: an exit code of 0 is no failure.
pub(super) fn next(restart: Restart, ending: Ending) -> Next {
    let failed = ending != Ending::Code(0);
    match restart {
        Restart::Always => Next::Again,
        Restart::OnFailure if failed => Next::Again,
        Restart::OnFailure | Restart::Never => Next::Over,
    }
}

/// The pauses before it is started again.
pub(super) struct Pauses {
    backoff: Backoff,
    /// The next one, before chance shortens it.
    coming: Duration,
}

impl Pauses {
    pub(super) fn new(backoff: Backoff) -> Pauses {
        Pauses { backoff, coming: backoff.first.min(backoff.longest) }
    }

    /// The pause after a run that lasted so long. `chance` lies between 0 and 1: apps that ended
    /// together are not started together.
    pub(super) fn after(&mut self, lasted: Duration, chance: f64) -> Duration {
        let Backoff { first, longest, reset_after } = self.backoff;
        if reset_after <= lasted {
            self.coming = first.min(longest);
        }
        let pause = self.coming;
        self.coming = pause.saturating_mul(GROWTH).min(longest);
        pause.mul_f64(1.0 - 0.2 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_started_again_depends_on_how_he_ended() {
        let (fine, failed, killed) = (Ending::Code(0), Ending::Code(3), Ending::Signal(9));
        for (restart, ending, expected) in [
            (Restart::Always, fine, Next::Again),
            (Restart::Always, killed, Next::Again),
            (Restart::OnFailure, fine, Next::Over),
            (Restart::OnFailure, failed, Next::Again),
            (Restart::OnFailure, killed, Next::Again),
            (Restart::Never, fine, Next::Over),
            (Restart::Never, failed, Next::Over),
        ] {
            assert_eq!(next(restart, ending), expected, "{restart:?} {ending:?}");
        }
    }

    fn pauses() -> Pauses {
        let ms = Duration::from_millis;
        Pauses::new(Backoff { first: ms(200), longest: ms(1_000), reset_after: ms(60_000) })
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut pauses = pauses();
        let all: Vec<u128> =
            (0..5).map(|_| pauses.after(Duration::ZERO, 0.0).as_millis()).collect();
        assert_eq!(all, [200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn a_good_run_is_followed_by_the_first_pause() {
        let mut pauses = pauses();
        pauses.after(Duration::ZERO, 0.0);
        pauses.after(Duration::ZERO, 0.0);
        let after = pauses.after(Duration::from_secs(60), 0.0);
        assert_eq!(after, Duration::from_millis(200));
    }

    #[test]
    fn chance_shortens_by_a_fifth_at_most() {
        let after = |chance| pauses().after(Duration::ZERO, chance).as_millis();
        assert_eq!((after(0.0), after(0.5), after(1.0), after(7.0)), (200, 180, 160, 160));
    }
}
