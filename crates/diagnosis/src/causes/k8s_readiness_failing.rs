//! The pods run, but their readiness probe fails, so that Kubernetes takes them out of the service.
//!
//! ## What you see
//! 503 from the ingress, or refusals through the service's address. Events have the reason
//! `Unhealthy` and `Readiness probe failed: HTTP probe failed with statuscode: 503`, `Readiness
//! probe failed: Get "http://10.0.0.7:8080/ready": dial tcp 10.0.0.7:8080: connect: connection
//! refused` or `context deadline exceeded`; `kubectl get pods` shows `0/1 Running`.
//!
//! ## Why it happens
//! The app is not ready and says so: it starts, waits for a database, or is overloaded. Or the
//! probe is wrong: another path, another port, a limit of 1 s.
//!
//! ## How to tell
//! The words after the colon. A status: the app answered, see what its check depends on, or
//! `health_check_wrong_path`. Refused: it does not listen there,
//! `health_check_wrong_port_or_scheme` or `startup_not_ready`. Deadline: `health_check_timeout`. If
//! the container is killed as well, it is `k8s_liveness_kill`.
//!
//! ## Fix
//! Ask the probe's path from within the pod and cure what it complains of. Leave other services out
//! of it: all pods would go at once.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::{Dossier, Seen};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, HINTS, Text, When, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_readiness_failing",
    family: Family::F14,
    title: "The pods run and are not ready",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::NoEndpoints, 0.06)],
        clues: &[before(Sign::ReadinessFailed, 6.5), before(Sign::HealthWrongAnswer, HINTS)],
        reason: alone,
        brings: &["endpoints_empty", "no_live_upstreams", "process_down"],
        says,
        cure,
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the events",
            "kubectl get events --field-selector reason=Unhealthy --sort-by=.lastTimestamp",
        ),
        Fix::run("See the probe and the state of the pod", "kubectl describe pod POD"),
        Fix::new(
            "Cure what the readiness path complains of, or correct the path, the port or the limit \
             of the probe",
        ),
    ]
}

/// What is taken off where nothing but the probe failed: it also fails at each start, and its words
/// tell that somebody is not ready, and not why.
const ALONE: f32 = -4.3;

fn alone(dossier: &Dossier) -> Vec<Claim> {
    if dossier.sign() != Sign::ReadinessFailed {
        return Vec::new();
    }
    let seen = dossier.seen(Sign::ReadinessFailed, When::Any).into_iter().next();
    let cites = seen.map(|it| it.cite()).into_iter().collect();
    let says = "no request is seen to fail, and a readiness probe also fails at each start";
    vec![Claim::new(ALONE, says, cites)]
}

/// How a probe ends, by its words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// With a status that says that the path is not for it.
    NotForIt,
    /// Nothing listens on its port.
    Refused,
    /// No answer within its limit.
    Late,
}

/// What the words of a readiness probe say where nothing else failed.
pub(super) fn probe(dossier: &Dossier, wanted: Probe, weight: f32, says: &str) -> Vec<Claim> {
    if dossier.sign() != Sign::ReadinessFailed {
        return Vec::new();
    }
    let ends = |seen: &Seen| {
        let detail = seen.detail().unwrap_or_default();
        match seen.run.opening.number {
            Some(301 | 302 | 307 | 308 | 401 | 403 | 404 | 405) => Some(Probe::NotForIt),
            _ if detail.contains("connection refused") => Some(Probe::Refused),
            _ if detail.contains("deadline exceeded") || detail.contains("Client.Timeout") => {
                Some(Probe::Late)
            }
            _ => None,
        }
    };
    let seen = dossier.seen(Sign::ReadinessFailed, When::Any);
    let fits = seen.into_iter().find(|it| ends(it) == Some(wanted));
    fits.map(|it| Claim::new(weight, says, vec![it.cite()])).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ReadinessFailed, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().unwrap_or("the pods");
    let with = match (seen.run.opening.number, seen.detail()) {
        (Some(status @ 100..=599), _) => format!(" with {status}"),
        (_, Some(detail)) if detail.contains('/') && detail.len() < 8 => {
            format!(" ({detail} containers ready)")
        }
        (_, Some(detail)) if detail.len() < 120 => format!(" ({detail})"),
        _ => String::new(),
    };
    Some(format!("{who} fails its readiness probe{with}, so that it gets no requests"))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what the probe got, and what the app says",
            "kubectl describe pod POD; kubectl logs POD",
        )],
        now: vec![
            Step::say(
                "Connection refused: let the probe's port be the one on which the app listens, on 0.0.0.0; a status: let the path answer 200; a timeout: see why the app is slow to answer it",
            ),
            Step::diff(
                "Give a slow start a probe of its own, in place of a readiness probe that waits",
                None,
                "+ startupProbe:\n+   httpGet: { path: /healthz, port: PORT }\n+   periodSeconds: 5\n+   failureThreshold: 30",
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say(
            "Let readiness not depend on what all pods share: one slow database takes all pods out at once",
        )],
        verify: vec![Step::look(
            "See `READY 1/1`, and addresses of the service",
            "kubectl get pods,endpointslices -o wide",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explained;
    use crate::testing::report::check_report;

    #[test]
    fn the_pod_and_the_status_are_said() {
        let events = "LAST SEEN   TYPE      REASON      OBJECT            MESSAGE\n2m10s       Warning   Unhealthy   pod/shop-7d-x     Readiness probe failed: HTTP probe failed with statuscode: 503\n";
        check_report(
            &[("events.txt", events)],
            "k8s_readiness_failing: either shop-7d-x fails its readiness probe with 503, so that it gets no requests, or the app is starting and not ready yet",
        );
    }

    #[test]
    fn a_request_that_failed_for_it_names_it() {
        let events = "LAST SEEN   TYPE      REASON      OBJECT            MESSAGE\n2m10s       Warning   Unhealthy   pod/shop-7d-x     Readiness probe failed: HTTP probe failed with statuscode: 503\n";
        let line = "W1120 10:12:07.000000       7 controller.go:1232] Service \"web/shop\" does not have any active Endpoint.\n";
        check_report(
            &[("controller.log", line), ("events.txt", events)],
            "k8s_readiness_failing: shop-7d-x fails its readiness probe with 503, so that it gets no requests",
        );
    }

    #[test]
    fn its_words_lead_deeper() {
        for (words, deeper) in [
            ("HTTP probe failed with statuscode: 404", "health_check_wrong_path"),
            (
                "Get \"http://192.0.2.7:8080/ready\": dial tcp 192.0.2.7:8080: connect: connection refused",
                "health_check_wrong_port_or_scheme",
            ),
            (
                "Get \"http://192.0.2.7:8080/ready\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                "health_check_timeout",
            ),
        ] {
            let events = format!(
                "LAST SEEN   TYPE      REASON      OBJECT            MESSAGE\n2m10s       Warning   Unhealthy   pod/shop-7d-x     Readiness probe failed: {words}\n"
            );
            let report = explained(&[("events.txt", &events)]);
            let found = report.candidates.iter().any(|it| it.cause == deeper);
            assert!(found, "{words}: {:?}", report.candidates);
            assert!(report.confidence < 0.8, "{words}: {:?}", report.candidates);
        }
    }
}
