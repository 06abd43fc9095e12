//! The health check gets an answer with the wrong status, so that a server that works is taken out
//! of use.
//!
//! ## What you see
//! 503 from the proxy while the app answers everybody else. HAProxy logs `Health check for server
//! b/s1 failed, reason: Layer7 wrong status, code: 404, info: "Not Found", check duration: 1ms,
//! status: 0/2 DOWN.`; kubelet `Readiness probe failed: HTTP probe failed with statuscode: 404`;
//! Traefik `Health check failed.` with `received error status code: 404`; Caddy `unexpected status
//! code`; an AWS balancer `Target.ResponseCodeMismatch`. Goodgate says `a health check asks for the
//! wrong thing`, and keeps the target in use.
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
//! Goodgate decides by itself: a check that gets 3xx or 4xx (but for 408 and 429) or, of gRPC, UNIMPLEMENTED, NOT_FOUND,
//! PERMISSION_DENIED or UNAUTHENTICATED asks for the wrong thing where, since it began to fail, the same
//! target has answered ten requests below 400, and no other target of the upstream passes the check. After
//! `unhealthy_after` such checks it is said on standard error, in `goodgate status --format json`
//! (`wrong_path`) and in the metrics (`goodgate_troubles_total`), and the target stays in use, or comes
//! back into it. Where another target passes, the check is right: a target is often taken out on purpose by
//! removing what its check asks for. 5xx, silence and refused connections always count.
//!
//! ## Fix
//! Give the app a small path that needs no login and answers 200, and let the check ask for that
//! with a Host that the app takes. Do not accept every status instead: a check that takes 500 for
//! health sees nothing.

use super::k8s_readiness_failing::{Probe, probe};
use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, HINTS, SPEAKS, Text, When, before};
use evidence::{Sign, Stack, What};

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
        reason: |it| {
            probe(
                it,
                Probe::NotForIt,
                SPEAKS,
                "the probe got an answer, of a path that is not for it",
            )
        },
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::HealthWrongAnswer, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().map(|it| format!(" of {it}")).unwrap_or_default();
    let path = path(dossier).map(|it| format!(" {it}")).unwrap_or_default();
    let by = seen.key.product.name();
    Some(match seen.run.opening.number {
        Some(status @ 100..=599) => {
            format!("the health check{path}{who} got {status}, so that {by} takes it out of use")
        }
        _ => format!("the health check{path}{who} got a status that {by} does not take"),
    })
}

/// Where the check goes, by a configuration.
fn path(dossier: &Dossier) -> Option<String> {
    let found = dossier.settings(|it| match &it.what {
        What::HealthCheck { path: Some(path), .. } => Some(path.clone()),
        _ => None,
    });
    found.into_iter().next().map(|(it, _)| it)
}

fn cure(dossier: &Dossier) -> Cure {
    let text = "Check a path that answers 200 without a login, a redirect or a certain Host";
    let mut now = match dossier.incident.hop.stack() {
        _ if platform::kubernetes(dossier) => vec![Step::diff(
            text,
            None,
            " readinessProbe:\n   httpGet:\n-    path: /\n+    path: /healthz",
            Risk::Restart,
        )],
        Stack::Aws => vec![Step::run(
            text,
            "aws elbv2 modify-target-group --target-group-arn ARN --health-check-path /healthz --matcher HttpCode=200",
            Risk::None,
        )],
        _ => advice::change(
            dossier,
            text,
            &[
                (
                    Hop::HaProxy,
                    "option httpchk\nhttp-check send meth GET uri /healthz ver HTTP/1.1 hdr Host example.com\nhttp-check expect status 200",
                ),
                (Hop::Envoy, "http_health_check: { path: /healthz }"),
                (Hop::Traefik, "healthCheck: { path: /healthz, interval: 5s }"),
                (Hop::Caddy, "health_uri /healthz\nhealth_status 200"),
                (Hop::Goodgate, "health = { path = \"/healthz\" }"),
            ],
        ),
    };
    now.push(Step::say("Or let the app answer that path: 200 while it can serve, without asking what it only sometimes needs"));
    Cure {
        before: vec![
            Step::look(
                "See what the path answers from there",
                "curl -sS -i http://TARGET:PORT/HEALTHPATH | head -5",
            )
            .at(advice::hop_host(dossier)),
        ],
        now,
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told};

    #[test]
    fn the_status_of_the_check_is_said() {
        let log = "Nov 20 15:16:30 lb haproxy[8]: Server app/s1 is DOWN, reason: Layer7 wrong status, code: 404, info: \"Not Found\", check duration: 2ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.\nNov 20 15:16:31 lb haproxy[8]: backend app has no server available!\n";
        let report = check_report(
            &[("haproxy.log", log)],
            "health_check_wrong_path: the health check of app/s1 got 404, so that HAProxy takes it out of use",
        );
        check_told(&report, &["http-check expect status 200"]);
    }
}
