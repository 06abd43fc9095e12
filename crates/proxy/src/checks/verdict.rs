//! From answers to a verdict: so many in a row.

use super::Check;
use crate::registry::TargetState;
use config::Health;
use std::time::Instant;

/// The verdict on a target has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    Ill,
    Well,
}

/// What the answers so far mean.
#[derive(Default)]
pub(crate) struct Verdict {
    ill: bool,
    /// Answers in a row that speak against it.
    against: u32,
}

impl Verdict {
    fn take(&mut self, good: bool, settings: &Health) -> Option<Turned> {
        if good != self.ill {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let (after, turned) = match self.ill {
            true => (settings.healthy_after, Turned::Well),
            false => (settings.unhealthy_after, Turned::Ill),
        };
        if self.against < after {
            return None;
        }
        *self = Verdict { ill: !self.ill, against: 0 };
        Some(turned)
    }

    fn forget(&mut self) -> Option<Turned> {
        std::mem::take(self).ill.then_some(Turned::Well)
    }
}

impl TargetState {
    /// The target was asked.
    pub(crate) fn checked(
        &self,
        check: &Check,
        settings: &Health,
        _now: Instant,
    ) -> Option<Turned> {
        self.verdict().take(check.fault.is_none(), settings)
    }

    /// What it was asked says nothing of it: it is taken for well.
    pub(crate) fn unchecked(&self) -> Option<Turned> {
        self.verdict().forget()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::HealthBy;
    use std::time::Duration;

    /// `+` and `-` are good and bad answers; the letters are the turns after each of them.
    fn check(answers: &str, expected: &str) {
        let settings = Health {
            by: HealthBy::Tcp,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy_after: 3,
            healthy_after: 2,
        };
        let mut verdict = Verdict::default();
        let turns = answers.chars().map(|it| match verdict.take(it == '+', &settings) {
            Some(Turned::Ill) => 'I',
            Some(Turned::Well) => 'W',
            None => '.',
        });
        assert_eq!(turns.collect::<String>(), expected, "{answers}");
    }

    #[test]
    fn a_verdict_takes_so_many_answers_in_a_row() {
        check("+++", "...");
        check("---", "..I");
        check("--+--+---", "........I");
        check("---++", "..I.W");
        check("-----+-++---", "..I.....W..I");
    }
}
