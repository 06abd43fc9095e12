//! The health check is not answered within its limit, so that servers are taken out although they
//! work.
//!
//! ## What you see
//! Servers leave and return under load. HAProxy logs `Health check for server b/s1 failed, reason:
//! Layer7 timeout, check duration: 2001ms`; kubelet `Readiness probe failed: Get
//! "http://10.0.0.7:8080/health": context deadline exceeded (Client.Timeout exceeded while awaiting
//! headers)`; an AWS balancer `Target.Timeout`.
//!
//! ## Why it happens
//! The check asks the database or another service and waits for it; or it waits for a worker like
//! any request, and all are busy; or its limit is short (1 s in a Kubernetes probe) for an app that
//! sometimes pauses.
//!
//! ## How to tell
//! Requests that need nothing are answered while the check fails. All servers failing together
//! points at what the check depends on (`db_slow_or_locked`); one after the other under load at
//! `worker_pool_exhausted`. Taking servers out for being busy makes the rest busier.
//!
//! ## Fix
//! Let the check say only that this process can answer; watch dependencies apart from it. Give it a
//! thread or a worker of its own. A longer limit for the check is right only up to what a caller
//! would wait, since it hides a process that hangs.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "health_check_timeout",
    family: Family::F12,
    title: "The health check takes longer than its limit",
    side: Side::App,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::NoLiveUpstream, 0.005)],
        clues: &[before(Sign::HealthTimedOut, DECIDES)],
        brings: &["no_live_upstreams", "endpoints_empty"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Measure what the check takes",
            format!(
                "curl -so /dev/null -w '%{{time_starttransfer}} s\\n' {}/HEALTH_PATH",
                case.url(),
            ),
        ),
        Fix::new(
            "Take the database and other services out of the check that decides about traffic",
        ),
        Fix::new(
            "Answer it apart from the busy workers, and count several failures before a server \
             goes",
        ),
    ]
}
