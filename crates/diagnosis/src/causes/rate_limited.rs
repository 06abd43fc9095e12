//! The caller sent more requests than a limit for one caller allows.
//!
//! ## What you see
//! 429, with some products 503, often with `Retry-After` or `RateLimit` fields. nginx logs
//! `limiting requests, excess: N.NNN by zone "z"` or `limiting connections by zone "z"` and answers
//! 503 unless `limit_req_status 429` is set; Envoy sets `RL` with `request_rate_limited`; Kong says
//! `API rate limit exceeded`; Django REST `Request was throttled. Expected available in N seconds.`
//!
//! ## Why it happens
//! A loop or a job without pauses, retries without waits, many users behind one address (an office,
//! a proxy, a balancer whose address is taken for the caller's), or a limit that is small.
//!
//! ## How to tell
//! Only some callers are hit, and their rate is above the limit. If all are hit whoever they are,
//! the upstream protects itself: `load_shed`, `app_concurrency_limit`. If all callers share one
//! address in the log, the limit counts a proxy: use the caller's own address from a trusted
//! `X-Forwarded-For`.
//!
//! ## Fix
//! Callers: wait as long as `Retry-After` says, then go on more slowly. Owners: count by key or
//! user instead of address, allow short bursts, answer 429 and not 503.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "rate_limited",
    family: Family::F15,
    title: "The request was refused for how many there were",
    side: Side::Client,
    retry: RetryClass::R1,
    passing: true,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::CrowdedAddress = case.refusal()? else {
        return None;
    };
    Some(Finding::new(
        0.95,
        "as many connections are open from this address as the gateway allows",
        "`limits.connections_per_address` of the gateway is reached",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Wait as long as `Retry-After` says, and spread the requests"),
        Fix::new(
            "See by what the limit counts: behind a proxy all callers have one address, unless its \
             header is trusted",
        ),
        Fix::new(
            "Let it answer 429 with `Retry-After`, so that nobody takes it for a failure: \
             `limit_req_status 429` in nginx",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look("See who sends how much", platform::log_of(dossier))
                .at(advice::hop_host(dossier)),
        ],
        now: vec![
            Step::say(
                "Let the caller wait for as long as `Retry-After` says, and spread its requests",
            ),
            advice::set(
                dossier,
                "Where the load is meant, allow bursts, and answer 429 in place of 503",
                &[
                    (Hop::Nginx, "limit_req zone=ZONE burst=50 nodelay;\nlimit_req_status 429;"),
                    (
                        Hop::IngressNginx,
                        "nginx.ingress.kubernetes.io/limit-burst-multiplier: \"10\"",
                    ),
                    (Hop::Traefik, "rateLimit: { average: 100, burst: 200 }"),
                ],
            ),
        ],
        verify: vec![advice::through(dossier, "200 at the pace that is meant")],
        ..Cure::default()
    }
}
