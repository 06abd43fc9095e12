//! The health check gets an answer with the wrong status, so that a server that works is taken out
//! of use.
//!
//! ## What you see
//! 503 from the proxy while the app answers everybody else. HAProxy logs `Health check for server
//! b/s1 failed, reason: Layer7 wrong status, code: 404, info: "Not Found", check duration: 1ms,
//! status: 0/2 DOWN.`; kubelet `Readiness probe failed: HTTP probe failed with statuscode: 404`;
//! Traefik `Health check failed.` with `received error status code: 404`; Caddy `unexpected status
//! code`; an AWS balancer `Target.ResponseCodeMismatch`.
//!
//! ## Why it happens
//! The path of the check does not exist (any more), needs a login (401, 403), is redirected (301,
//! 302 to https or to a login), or the app refuses the check's `Host` header (400 in Django's
//! ALLOWED_HOSTS, 421 elsewhere), which is often a bare address.
//!
//! ## How to tell
//! Send the check and a real request side by side: the second succeeds. If neither does, the check
//! is right. No answer at all is `health_check_timeout` or `health_check_wrong_port_or_scheme`.
//!
//! ## Fix
//! Give the app a small path that needs no login and answers 200, and let the check ask for that
//! with a Host that the app takes. Do not accept every status instead: a check that takes 500 for
//! health sees nothing.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, HINTS, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "health_check_wrong_path",
    family: Family::F12,
    title: "The health check asks for something that is not 200",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::NoLiveUpstream, 0.01)],
        clues: &[
            before(Sign::HealthWrongAnswer, DECIDES),
            before(Sign::HealthFailed, 3.5),
            before(Sign::LbTargetUnhealthy, HINTS),
        ],
        brings: &["no_live_upstreams", "endpoints_empty", "upstream_own_5xx"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Send what the check sends, and look at the status",
            format!("curl -si {}/HEALTH_PATH | head -n 20", case.url()),
        ),
        Fix::new(
            "Let the check ask for a path that needs no login and is not redirected, with a `Host` \
             that the app accepts",
        ),
    ]
}
