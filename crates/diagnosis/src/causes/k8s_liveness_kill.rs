//! The liveness probe fails, and Kubernetes kills and restarts a container that may only have been
//! busy.
//!
//! ## What you see
//! 502 and refusals in waves under load. Events have `Liveness probe failed: ...` and then
//! `Killing` with `Container app failed liveness probe, will be restarted`; the restart count
//! grows, and the last state shows exit code 137 or 143. `Startup probe failed` does the same to an
//! app that is slow to start.
//!
//! ## Why it happens
//! The probe asks something that waits (a worker, a database), its limit is 1 s by default, and
//! three failures are enough. Under load all pods fail it, and each restart puts more load on the
//! rest.
//!
//! ## How to tell
//! `Killing` follows `Liveness probe failed` within seconds. A kill for memory says `OOMKilled`
//! (`worker_oom_killed_cgroup`), an app that ends by itself has an exit code of its own
//! (`crash_loop`).
//!
//! ## Fix
//! Let the probe ask only whether the process can answer at all, without other services; give it a
//! longer limit and more failures, and a startup probe for the time before. What it then no longer
//! hides, a process that hangs, must still fail it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_liveness_kill",
    family: Family::F14,
    title: "Kubernetes kills the container for its liveness probe",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::LivenessFailed, DECIDES)],
        brings: &[
            "crash_loop",
            "process_down",
            "premature_close",
            "connection_reset",
            "endpoints_empty",
            "deploy_in_progress",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the events of the probe and the kill",
            "kubectl get events --sort-by=.lastTimestamp | grep -E 'Unhealthy|Killing'",
        ),
        Fix::new("Let the liveness path ask nothing of other services; leave that to readiness"),
        Fix::new(
            "Give it `timeoutSeconds: 5` and `failureThreshold: 6`, and the start a `startupProbe`",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::LivenessFailed, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().unwrap_or("a pod");
    let with =
        seen.detail().filter(|it| it.len() < 120).map(|it| format!(" ({it})")).unwrap_or_default();
    Some(format!("the kubelet kills the container of {who}, since its liveness probe fails{with}"))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("Keep the log of the container that was killed, and the probe's failures", "kubectl logs --previous POD > previous.log; kubectl describe pod POD")],
        now: vec![
            Step::diff(
                "Give the probe time: under load an app answers late, and killing it makes the load of the others larger; it hides an app that hangs for a moment",
                None,
                " livenessProbe:\n+  timeoutSeconds: 5\n+  periodSeconds: 10\n+  failureThreshold: 6",
                Risk::Restart,
            )
            .hides(),
            Step::diff(
                "Give a slow start a probe of its own, so that liveness begins after it",
                None,
                "+ startupProbe:\n+   httpGet: { path: /healthz, port: PORT }\n+   periodSeconds: 5\n+   failureThreshold: 30",
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say("Let the liveness path ask nothing but the process itself: no database, no other service, no queue for a worker")],
        verify: vec![Step::look("See `RESTARTS` stay as it is", "kubectl get pods -w")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    #[test]
    fn the_pod_is_said() {
        let events = "LAST SEEN   TYPE      REASON      OBJECT            MESSAGE\n2m10s       Warning   Unhealthy   pod/shop-7d-x     Liveness probe failed: Get \"http://192.0.2.9:8000/x\": dial tcp 192.0.2.9:8000: connect: connection refused\n";
        check_report(
            &[("events.txt", events)],
            "k8s_liveness_kill: the kubelet kills the container of shop-7d-x, since its liveness probe fails (connect: connection refused)",
        );
    }
}
