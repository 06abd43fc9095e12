//! Something behind the gateway turned the request away on purpose: a rate limit, an overload
//! guard, or maintenance.
//!
//! ## What you see
//! 429 or 503, fast, often with `Retry-After`. An nginx behind us answers 503 by default and logs
//! `limiting requests, excess: N.NNN by zone "z"` or `limiting connections by zone "z"`; Envoy sets
//! the flags `RL`, `OM` or `DO`.
//!
//! ## Why it happens
//! Somebody decided that fewer answered requests are better than many slow ones. Also maintenance
//! pages answer 503.
//!
//! ## How to tell
//! The answer carries `Retry-After` or fields such as `RateLimit`, and only some callers or some
//! seconds are hit.
//!
//! ## Fix
//! Wait as long as `Retry-After` says, and spread retries at random; without that they keep the
//! limit reached. If the limit is too low for honest traffic, raise it where it is set.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::{STRONG, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "load_shed",
    family: Family::F2,
    title: "The upstream turned the request away on purpose",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Answered503, 0.1)],
        clues: &[during(Sign::RateLimited, STRONG)],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(503) = case.subject else {
        return None;
    };
    Some(Finding::new(
        0.1,
        format!("{} may be turning requests away on purpose", case.server()),
        "503 is what rate limits, overload guards and maintenance pages answer",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Look whether the answer has `Retry-After`, and wait for that long"),
        Fix::new("Spread retries at random, or they will keep the limit reached"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_503_may_be_on_purpose() {
        check_among("status: 503 | fresh", "load_shed");
    }

    #[test]
    fn a_502_of_the_upstream_is_not() {
        check_not("status: 502 | fresh", "load_shed");
    }
}
