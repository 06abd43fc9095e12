//! The upstream closed right after an answer without a body, and the connection was reused already.
//!
//! ## What you see
//! A 502 on the request that follows a `HEAD`, a 204 or a 304 at once, on the same connection.
//! Health checks by `HEAD` followed by traffic show it best. No keep-alive setting changes it.
//!
//! ## Why it happens
//! Some servers close after an answer without a body and do not announce it with `Connection:
//! close`. The gateway sees a complete answer, keeps the connection and writes the next request
//! into it while the FIN is still on its way.
//!
//! ## How to tell
//! The connection had rested for milliseconds at most, and the answer before had no body. After
//! seconds of rest it is `keepalive_race`.
//!
//! ## Fix
//! Upgrade the server, or let it say `Connection: close` when it closes. Until then check its
//! health with `GET`. Longer keep-alive times on either side change nothing.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, YOUNG, loss};
use crate::text::Text;
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "head_fin_race",
    family: Family::F4,
    title: "The upstream closed unannounced after an answer without a body",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::Closed, 0.02)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let after_bodyless = case.attempt()?.after_bodyless;
    let Loss::OnReuse(idle) = loss(case)? else {
        return None;
    };
    (after_bodyless && idle < YOUNG).then(|| {
        Finding::new(
            0.7,
            format!(
                "{} closed without saying so after an answer without a body, {} before the \
                 connection was reused",
                case.server(),
                words(idle)
            ),
            "the answer before had no body, and the connection then ended without a byte",
        )
    })
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Let the app server send `Connection: close` whenever it closes, or upgrade it"),
        Fix::new("If it follows health checks, let them use `GET` in place of `HEAD`"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: Vec::new(),
        now: vec![Step::say(
            "Check the app's health with GET instead of HEAD: after the answer to a HEAD its server \
             closes and does not say so",
        )],
        lasting: vec![Step::say(
            "Upgrade the app's server to one that says `Connection: close` when it closes; longer \
             keep-alive times change nothing",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_close_right_after_a_head() {
        check(
            "head: closed | reused idle=2ms after_bodyless",
            "head_fin_race: the upstream closed without saying so after an answer without a \
             body, 2 ms before the connection was reused",
        );
    }

    #[test]
    fn a_rest_of_seconds_is_an_idle_limit() {
        check_not("head: closed | reused idle=5s after_bodyless", "head_fin_race");
    }

    #[test]
    fn an_answer_with_a_body_is_no_trap() {
        check_not("head: closed | reused idle=2ms", "head_fin_race");
    }
}
