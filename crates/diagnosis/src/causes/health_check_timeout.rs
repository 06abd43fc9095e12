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

use super::k8s_readiness_failing::{Probe, probe};
use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, SPEAKS, Text, When, before};
use evidence::{Limit, Sign, Stack};

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
        reason: |it| probe(it, Probe::Late, SPEAKS, "the probe got no answer within its limit"),
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::HealthTimedOut, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().map(|it| format!(" of {it}")).unwrap_or_default();
    let limit = dossier
        .limit(Limit::Probe, |_| true)
        .map(|(value, _)| format!(" of {}", span(value)))
        .unwrap_or_default();
    Some(format!(
        "the health check{who} did not answer within the limit{limit}, so that {} takes it out of use",
        seen.key.product.name()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let text = "Give the check more time, and more than one chance: it hides that the app is slow to answer even this";
    let longer = match dossier.incident.hop.stack() {
        _ if platform::kubernetes(dossier) => Step::diff(
            text,
            None,
            " readinessProbe:\n+  timeoutSeconds: 5\n+  failureThreshold: 3",
            Risk::Restart,
        ),
        Stack::Aws => Step::run(
            text,
            "aws elbv2 modify-target-group --target-group-arn ARN --health-check-timeout-seconds 10 --unhealthy-threshold-count 3",
            Risk::None,
        ),
        _ => advice::set(
            dossier,
            text,
            &[
                (Hop::HaProxy, "timeout check 5s\ndefault-server inter 5s fall 3"),
                (Hop::Envoy, "timeout: 5s\nunhealthy_threshold: 3"),
                (Hop::Traefik, "healthCheck: { path: /healthz, timeout: 5s }"),
                (Hop::Caddy, "health_timeout 5s"),
            ],
        ),
    };
    Cure {
        before: vec![Step::look("Time the check from there", "curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n' http://TARGET:PORT/HEALTHPATH").at(advice::hop_host(dossier))],
        now: vec![
            Step::say("Let the health path answer from memory: no database, no other service, and not behind requests that wait for a worker"),
            longer.hides(),
        ],
        lasting: vec![Step::say("If even a cheap path is slow, the app lacks workers or CPU: give it those")],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}
