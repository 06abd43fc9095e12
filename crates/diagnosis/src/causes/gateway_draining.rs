//! The gateway was told to stop; it finishes what it has and refuses what comes now.
//!
//! ## What you see
//! 503 for some seconds, during a restart or when a machine is taken out of service.
//!
//! ## Why it happens
//! The caller used a connection that it had kept, or the balancer in front has not yet noticed that
//! this gateway is leaving.
//!
//! ## How to tell
//! The gateway's log says that it is stopping; `/readyz` answers that it is not ready.
//!
//! ## Fix
//! Nothing in the request: it was not passed on and may be sent again. To restart without this,
//! hand the sockets over (`goodgate run --takeover`), and let the balancer in front watch `/readyz`
//! with an interval shorter than `shutdown.grace`.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_draining",
    family: Family::F11,
    title: "The gateway is stopping and takes no more requests",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Draining = case.refusal()? else {
        return None;
    };
    Some(Finding::new(
        0.95,
        "the gateway is stopping and took no more requests",
        "the request was not passed on, and another gateway or a moment later will do",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Send the request again: it was not passed on"),
        Fix::new("Restart the gateway with `goodgate run --takeover`, which refuses nothing"),
        Fix::new(
            "Let the balancer in front watch `/readyz` more often than `shutdown.grace` is long",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![Step::say(
            "Let whoever stands before this gateway stop sending requests to it before it ends: its readiness (`/readyz`) says so first",
        )],
        lasting: vec![Step::say(
            "Start the new one before the old one drains (`goodgate run --takeover`), and give it time for the longest request",
        )],
        verify: vec![advice::through(dossier, "an answer during the next deploy")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_gateway_that_stops() {
        check(
            "refused: draining",
            "gateway_draining: the gateway is stopping and took no more requests",
        );
    }

    #[test]
    fn a_bug_is_no_stop() {
        check_not("refused: bug", "gateway_draining");
    }
}
