//! The app itself answered 503, because it already had as many requests as it allows.
//!
//! ## What you see
//! 503 within milliseconds under load, and none when it is quiet. Uvicorn logs `WARNING:  Exceeded
//! concurrency limit.` and the 503 in its access lines; Go's `http.TimeoutHandler` and many
//! limiters in apps answer the same way. Proxies log nothing, because for them it is an answer like
//! any other (`via_upstream` in Envoy, `----` in HAProxy).
//!
//! ## Why it happens
//! A limit that somebody set (`uvicorn --limit-concurrency`, a semaphore, a bulkhead) was reached.
//! That is better than waiting, but the limit may be too low, or the work too slow.
//!
//! ## How to tell
//! The answer has the app's own fields and body, comes fast, and only above a certain number of
//! requests at once. A 503 after a long wait is not a limit.
//!
//! ## Fix
//! Find out whether requests have become slower: then cure that. Otherwise raise the limit as far
//! as memory and database connections allow, or run more instances.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;
use exchange::Phase;

/// A limit answers at once.
const FAST: u64 = 100_000;

pub(super) static CAUSE: Cause = Cause {
    id: "app_concurrency_limit",
    family: Family::F2,
    title: "The app turned the request away at its own limit",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::RelayedError, 0.02)],
        clues: &[during(Sign::AppConcurrencyLimit, DECIDES)],
        brings: &["upstream_own_5xx"],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(503) = case.subject else {
        return None;
    };
    let waited = case.attempt()?.phases.get(Phase::WaitFirstByte).unwrap_or(0);
    Some(Finding::new(
        if waited < FAST { 0.15 } else { 0.04 },
        format!("{} may have reached the number of requests that it allows at once", case.server()),
        "an app at its own limit answers 503 by itself, and fast",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Look in the app's log for its limit: `Exceeded concurrency limit.` in Uvicorn"),
        Fix::new("If requests became slower, cure that first: it fills any limit"),
        Fix::new(
            "Else raise `uvicorn --limit-concurrency` as far as memory and database connections \
             allow, or run more instances",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_not, ranked};

    #[test]
    fn a_fast_503_may_be_a_limit() {
        let candidates = ranked("status: 503 | fresh server=uvicorn");
        assert!(candidates.contains(&"app_concurrency_limit"), "{candidates:?}");
    }

    #[test]
    fn a_500_is_no_limit() {
        check_not("status: 500 | fresh server=uvicorn", "app_concurrency_limit");
    }
}
