//! The work is meant to take longer than any request should.
//!
//! ## What you see
//! Reports, exports, imports and model runs end with 504 at whatever limit comes first, each time,
//! and only they. The app finishes them all the same.
//!
//! ## Why it happens
//! One request is held open for minutes of work. Every hop between has a limit for that, and some
//! of them cannot be changed (29 s, 60 s, 100 s).
//!
//! ## How to tell
//! Only these routes fail; the same work done by hand takes longer than the limit; nothing is stuck
//! or overloaded meanwhile.
//!
//! ## Fix
//! Answer 202 with the address of a job at once and let the caller ask for its state, or stream
//! something all the while. A limit for this route alone is a stopgap: it hides that the caller may
//! leave, and that a broken connection loses the work.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::waited_in_vain;
use crate::text::{HINTS, Text, during};
use crate::wording;
use evidence::Sign;
use exchange::Micros;

/// A limit below this is no proof that work takes long.
const LONG: Micros = 30_000_000;

pub(super) static CAUSE: Cause = Cause {
    id: "long_request_needs_async",
    family: Family::F5,
    title: "The work takes longer than a request should",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::HeadTimedOut, 0.008),
            (Sign::IntegrationTimedOut, 0.02),
            (Sign::Answered504, 0.02),
        ],
        clues: &[during(Sign::RequestSlow, HINTS)],
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let limit = case.fault()?.limit()?;
    (waited_in_vain(case) && LONG <= limit.value).then(|| {
        Finding::new(
            0.06,
            format!(
                "{} {} may be meant to take longer than {}",
                case.exchange.request.method,
                case.exchange.request.path,
                words(limit.value)
            ),
            "work that long does not fit into one request, whatever the limits are",
        )
    })
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Answer 202 with the address of a job, and let the caller ask for its state"),
        Fix::new("Or stream something all the while, so that no idle limit fires"),
        Fix::new(
            "As a stopgap give this route its own `timeout`: that hides that callers leave and \
             that a broken connection loses the work",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: Vec::new(),
        now: vec![Step::say(format!(
            "As a stopgap raise {} of {} for this route alone: that hides that callers may leave, \
             and that a broken connection loses the work",
            wording::read_limit(dossier),
            dossier.hop()
        ))
        .hides()],
        lasting: vec![Step::say(
            "Answer 202 with the address of a job at once, let a queue do the work, and let the \
             caller ask for its state",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_minute_without_an_answer_may_be_meant() {
        check_among("head: timed_out | fresh after=60s", "long_request_needs_async");
    }

    #[test]
    fn an_answer_that_began_is_not_that() {
        check_not("body: stalled | fresh received=40", "long_request_needs_async");
    }
}
