//! Whether the questions after a target's health are the ones that are wrong.

use exchange::CheckFault;

/// So many requests answered well outweigh the checks.
const ENOUGH: u64 = 10;

/// Checks in a row that ask for the wrong thing, beside what requests are answered.
pub(super) struct Doubt {
    /// How many there were.
    wrong: u32,
    /// Good answers to requests at the check before the first of them.
    before: u64,
}

impl Doubt {
    /// `answers` is how many requests the target has answered well so far.
    pub(super) fn new(answers: u64) -> Doubt {
        Doubt { wrong: 0, before: answers }
    }

    /// Whether requests have shown by now that the check is wrong: so many checks in a row were told
    /// that they ask for the wrong thing, and meanwhile [`ENOUGH`] requests were answered well.
    pub(super) fn look(&mut self, fault: Option<&CheckFault>, answers: u64, after: u32) -> bool {
        if !fault.is_some_and(CheckFault::asks_for_the_wrong_thing) {
            *self = Doubt::new(answers);
            return false;
        }
        self.wrong = self.wrong.saturating_add(1);
        after <= self.wrong && ENOUGH <= answers.saturating_sub(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::{ConnectFault, Fault};

    const NOT_FOUND: CheckFault = CheckFault::Status(404);

    /// Looks at each check with the count of good answers by then; gives whether the last one is in
    /// doubt.
    fn check(checks: &[(Option<CheckFault>, u64)], expected: bool) {
        let mut doubt = Doubt::new(0);
        let looks = checks.iter().map(|(fault, answers)| doubt.look(fault.as_ref(), *answers, 3));
        assert_eq!(looks.last(), Some(expected), "{checks:?}");
    }

    #[test]
    fn checks_that_ask_for_the_wrong_thing_are_outweighed_by_enough_good_answers() {
        let wrong = |answers| (Some(NOT_FOUND), answers);
        check(&[wrong(0), wrong(5), wrong(10)], true);
        check(&[wrong(0), wrong(5), wrong(9)], false);
        check(&[wrong(50), wrong(50)], false);
        // Later is not too late.
        check(&[wrong(0), wrong(0), wrong(0), wrong(9), wrong(10)], true);
    }

    #[test]
    fn answers_from_before_do_not_count() {
        let wrong = |answers| (Some(NOT_FOUND), answers);
        check(&[(None, 100), wrong(100), wrong(100), wrong(109)], false);
        check(&[(None, 100), wrong(100), wrong(100), wrong(110)], true);
    }

    #[test]
    fn a_target_that_is_ill_is_not_in_doubt() {
        for fault in [
            CheckFault::Status(503),
            CheckFault::NotServing,
            CheckFault::Way(Fault::Connect(ConnectFault::Refused)),
        ] {
            let one = |answers| (Some(fault.clone()), answers);
            check(&[one(10), one(20), one(30)], false);
            let wrong = |answers| (Some(NOT_FOUND), answers);
            check(&[wrong(10), wrong(20), one(30), wrong(40), wrong(50)], false);
        }
    }
}
