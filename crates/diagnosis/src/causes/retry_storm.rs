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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{STRONG, Text, When, during};
use crate::wording;
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "retry_storm",
    family: Family::F2,
    title: "Retries multiply the load on the upstream",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: true,
    look: silent,
    fix,
    text: Text { clues: &[during(Sign::RetryStorm, STRONG)], says, cure, ..Text::NONE },
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::RetryStorm, When::During)?;
    Some(format!(
        "retries make up a large part of what reaches {}{}",
        dossier.address(),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let now = match dossier.incident.hop.stack() {
        Stack::Nginx => {
            "Lower retries at once: `proxy_next_upstream_tries 2;` and `proxy_next_upstream error;` without `timeout`"
        }
        Stack::HaProxy => "Lower retries at once: `retries 1`, and `retry-on conn-failure` alone",
        Stack::Envoy => {
            "Lower retries at once: `num_retries: 1` and a `retry_budget` in the cluster's circuit breaker (Istio: `retries.attempts: 1`)"
        }
        Stack::Traefik => "Lower retries at once: `attempts: 2` of the retry middleware",
        Stack::Caddy => "Lower retries at once: `lb_retries 1`",
        Stack::Ours => {
            "Lower retries at once: `retry = { attempts = 2, budget = \"20%\" }` on the route"
        }
        _ => "Lower the retries of the layer with the most at once",
    };
    Cure {
        before: Vec::new(),
        now: vec![Step::say(now), wording::reload(dossier)],
        lasting: vec![
            Step::say("Let one layer only repeat, with a budget and growing, random waits"),
            Step::say("Cure what failed first: the storm only keeps it down"),
        ],
        verify: vec![wording::answers(dossier)],
    }
}
