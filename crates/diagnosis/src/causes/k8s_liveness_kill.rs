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
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
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
