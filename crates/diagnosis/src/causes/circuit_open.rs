//! A circuit breaker opened after failures, and turns requests away for a while without trying.
//!
//! ## What you see
//! 503 at once, in blocks of some seconds, and one try between them. Traefik answers 503 and notes
//! `blocked by circuit-breaker` in its trace; APISIX answers the code that `api-breaker` was given;
//! Tyk sets the flag `CBO`; resilience4j in the app throws `CallNotPermittedException:
//! CircuitBreaker 'x' is OPEN and does not permit further calls`.
//!
//! ## Why it happens
//! So many requests failed or were slow in a window that the breaker's condition became true. It
//! gives the upstream time, and tries again after that.
//!
//! ## How to tell
//! No attempt is made while it is open: the upstream's log is silent for these requests. The cause
//! lies in the failures before it opened. `no_live_upstreams` is the same idea for single servers,
//! `upstream_connection_limit` counts requests and not failures.
//!
//! ## Fix
//! Cure the failures before it. If it opens for nothing, let it count only failures of the upstream
//! (no 4xx, no clients that left) over enough requests.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "circuit_open",
    family: Family::F12,
    title: "A circuit breaker keeps requests away",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::CircuitOpen, 0.22), (Sign::Answered503, 0.03)],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Find the failures before it opened: they are the cause"),
        Fix::new(
            "See what the breaker counts: failures of the upstream only, over enough requests to \
             mean something",
        ),
        Fix::new("Let callers wait as long as `Retry-After` says"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "a circuit breaker of {} keeps requests away from {}",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("Read the failures that opened it: they came before, and are what is to be corrected", platform::log_of(dossier)).at(advice::hop_host(dossier))],
        now: vec![
            Step::say("Correct these; the breaker closes by itself once trial requests succeed"),
            advice::set(
                dossier,
                "Open it later only if it opened for too few failures: callers see these then",
                &[
                    (Hop::Envoy, "outlier_detection: { consecutive_5xx: 20, max_ejection_percent: 50 }"),
                    (Hop::Istio, "outlierDetection: { consecutive5xxErrors: 20, maxEjectionPercent: 50 }"),
                    (Hop::Traefik, "circuitBreaker: { expression: NetworkErrorRatio() > 0.50 }"),
                ],
            )
            .hides(),
        ],
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}
