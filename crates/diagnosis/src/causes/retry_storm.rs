//! The retries of callers and gateways have become a large part of the load, and keep the upstream
//! overloaded.
//!
//! ## What you see
//! The upstream sees far more requests than clients sent. nginx shows several addresses in
//! `$upstream_addr` for one request, Envoy sets the flag `URX` (`upstream_retry_limit_exceeded`),
//! HAProxy has more than 0 as the fifth of its connection counters, Traefik logs `RetryAttempts`.
//! It goes on after its first trigger is gone.
//!
//! ## Why it happens
//! Something slows down or fails for a moment. Each layer repeats what failed: a client three
//! times, a gateway three times, a mesh twice make eighteen attempts of one request. The surplus
//! keeps the upstream from recovering.
//!
//! ## How to tell
//! Divide attempts by requests: 1.2 and rising is a storm. The addresses change and the failure
//! stays. `worker_pool_exhausted` and `accept_backlog_full` look the same at the app, but their
//! load comes from callers.
//!
//! ## Fix
//! Let only one layer repeat, the one nearest to the caller that knows whether it may. Give it a
//! budget (a fifth of the requests), spread the waits at random, and do not repeat what timed out.
//! To end a storm now, lower the retries, not the limits.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{STRONG, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "retry_storm",
    family: Family::F2,
    title: "Retries multiply the load on the upstream",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: true,
    look: silent,
    fix,
    text: Text { clues: &[during(Sign::RetryStorm, STRONG)], ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Compare requests and attempts of this upstream: how many attempts does one request \
             make",
        ),
        Fix::new(
            "Let one layer only repeat, with a budget: `retry = { attempts = 2, budget = \"20%\" \
             }` on the route",
        ),
        Fix::new(
            "Wait a random and growing time between tries, and never repeat what ran into a time \
             limit",
        ),
    ]
}
