//! The health of servers changes back and forth within minutes, and each change moves their load to
//! the others.
//!
//! ## What you see
//! Errors come in waves. HAProxy logs `Server be/s1 is DOWN` and `Server be/s1 is UP` again and
//! again; Kubernetes `Readiness probe failed` in between; Envoy's outlier detection ejects and
//! returns the same hosts; nginx logs `upstream server temporarily disabled` every ten seconds.
//!
//! ## Why it happens
//! The check is at the edge of its limit, one success or failure is enough to decide, or the check
//! depends on load: a server that leaves overloads the rest, which then fail the check too.
//!
//! ## How to tell
//! Four or more changes of one server in ten minutes, while its process stays the same. If the
//! process starts anew each time, it is `crash_loop` or `k8s_liveness_kill`.
//!
//! ## Fix
//! Let several results in a row decide (`fall 3`, `rise 2`), spread checks in time, let servers
//! come back slowly (`slowstart`), and keep a share in use whatever the checks say. Then cure why
//! the check is slow: `health_check_timeout`.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::{HINTS, Text, When, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "health_check_flapping",
    family: Family::F12,
    title: "Servers go in and out of use all the time",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::ServerUp, HINTS), during(Sign::ServerDown, HINTS)],
        brings: &["no_live_upstreams"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Count the changes of each server, and see whether its process was the same all the \
             time",
        ),
        Fix::new("Let several results in a row decide: `fall 3 rise 2`, `failureThreshold: 3`"),
        Fix::new("Make the check cheaper, so that load does not fail it"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let count = |sign| dossier.seen(sign, When::During).iter().map(|it| it.run.count).sum::<u64>();
    let (down, up) = (count(Sign::ServerDown), count(Sign::ServerUp));
    (down > 1 && up > 0).then(|| {
        format!("{} took servers out of use {down} times and back {up} times", dossier.hop())
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("See why single checks fail", platform::log_of(dossier)).at(advice::hop_host(dossier))],
        now: vec![
            advice::set(
                dossier,
                "Ask for several failures before a server is taken out, and several successes before it is back: single failures are hidden then",
                &[
                    (Hop::HaProxy, "default-server inter 5s fall 3 rise 2"),
                    (Hop::Envoy, "unhealthy_threshold: 3\nhealthy_threshold: 2"),
                    (Hop::Nginx, "server ADDRESS:PORT max_fails=3 fail_timeout=10s;"),
                    (Hop::Caddy, "health_fails 3\nhealth_passes 2"),
                ],
            )
            .hides(),
            Step::say("Correct what makes the checks slow: a health path that asks a database, or an app without a free worker"),
        ],
        verify: vec![Step::look("See no change of state for an hour", platform::log_of(dossier)).at(advice::hop_host(dossier))],
        ..Cure::default()
    }
}
