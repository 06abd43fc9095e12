//! The app is being started and cannot serve yet.
//!
//! ## What you see
//! Refusals or 503 for some seconds after a start or a deploy, and then none. Uvicorn has logged
//! `Waiting for application startup.` and not yet `Application startup complete.`; Spring Boot
//! `Starting ...` and not yet `Started ... in N seconds`; Kubernetes records `Readiness probe
//! failed: ...`.
//!
//! ## Why it happens
//! Migrations, caches, models or a just-in-time compiler take their time, and traffic is sent
//! before they are done.
//!
//! ## How to tell
//! The process is younger than a start usually takes, and the failures end by themselves. If they
//! do not, it is `crash_at_start`.
//!
//! ## Fix
//! Let the gateway ask a readiness path before it sends traffic (`health` of the upstream), keep
//! the old instance until the new one is ready, and give Kubernetes a `startupProbe`.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Effect, Risk, Step};
use crate::text::{Claim, HINTS, STRONG, Text, When, before, during};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "startup_not_ready",
    family: Family::F1,
    title: "The app is starting and not ready yet",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.01),
            (Sign::SocketMissing, 0.01),
            (Sign::ConnectFailed, 0.04),
            (Sign::NoLiveUpstream, 0.005),
            (Sign::Answered502, 0.03),
            (Sign::Answered503, 0.03),
        ],
        clues: &[
            during(Sign::StartingUp, STRONG),
            before(Sign::StartupProbeFailed, STRONG),
            during(Sign::ReadinessFailed, HINTS),
        ],
        brings: &["process_down", "endpoints_empty", "no_live_upstreams"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.subject {
        Subject::UpstreamStatus(503) => 0.06,
        Subject::Failed(Fault::Connect(ConnectFault::Refused)) => 0.07,
        Subject::Failed(Fault::Connect(ConnectFault::SocketMissing)) => 0.04,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("the app behind {} may still be starting", case.dialled()),
        "an app that prepares itself does not serve until it is done",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Wait for its start to end; if it does not within a minute, read its log"),
        Fix::new(
            "Set `health` of this upstream to a path that answers 200 only when the app is \
             ready, so that no traffic comes before",
        ),
    ]
}

/// Who was told to end had come up before.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let stopped = dossier.stayed_down();
    let says = "it was told to end, and nothing was started in its place";
    stopped.map(|it| Claim::new(-4.5, says, vec![it])).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let app = wording::app_at(dossier);
    if let Some(seen) = wording::first(dossier, Sign::StartupProbeFailed, When::Before) {
        let who = wording::who(dossier, &seen);
        return Some(format!(
            "{who} was still starting when requests came{}",
            wording::because(&seen)
        ));
    }
    let seen = wording::first(dossier, Sign::StartingUp, When::During)?;
    let who = match seen.key.who {
        Some(_) => wording::who(dossier, &seen),
        None => app,
    };
    Some(format!("{who} was still starting when requests came"))
}

fn cure(dossier: &Dossier) -> Cure {
    let wait = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => Step::run(
            "Wait until the rollout is ready",
            format!("kubectl rollout status {}", platform::deployment(dossier)),
            Risk::None,
        ),
        _ => Step::look(
            "Wait until it is up; if it never is, it crashes at its start",
            platform::state(dossier),
        ),
    };
    let lasting = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => {
            "Give the container a `startupProbe` for its start and a `readinessProbe` on a path that \
             answers only when it can serve, with `maxUnavailable: 0`"
        }
        (_, true) => {
            "Give the service a `healthcheck`, and let the proxy wait for it (`depends_on: \
             condition: service_healthy`)"
        }
        _ => {
            "Keep the old instance until the new one answers its health path; let the unit be \
             `Type=notify` where the server can say that it is ready"
        }
    };
    Cure {
        before: Vec::new(),
        now: vec![Step { effect: Effect::Checks, ..wait }],
        lasting: vec![Step::say(lasting)],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refusal_or_a_503_may_be_a_start() {
        check_among("connect: refused | to=127.0.0.1:8000", "startup_not_ready");
        check_among("connect: socket_missing | to=unix:/run/app.sock", "startup_not_ready");
    }

    #[test]
    fn a_timeout_is_no_start() {
        check_not("head: timed_out | fresh", "startup_not_ready");
    }
}
