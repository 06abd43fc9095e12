//! The node ran short of memory or disk, or was drained, and Kubernetes removed the pod from it.
//!
//! ## What you see
//! 502 or 503 until another pod is ready. Pods are left with the status `Failed` and the reason
//! `Evicted`: `The node was low on resource: memory. Threshold quantity: 100Mi, available: 12Ki.
//! Container app was using 900Mi, request is 100Mi`, or `Pod ephemeral local storage usage exceeds
//! the total limit of containers 1Gi.`
//!
//! ## Why it happens
//! The kubelet makes room before the kernel has to: first pods that use more than they asked for.
//! Too small requests, logs or files in the container, or a neighbour without limits.
//!
//! ## How to tell
//! The reason is in the pod's status, and the node has `MemoryPressure` or `DiskPressure`. A kill
//! by the kernel is `worker_oom_killed_global`; pods ended by a drain have no `Evicted` but an
//! event of the drain.
//!
//! ## Fix
//! Ask for what the pod really uses, and set limits for it and its neighbours. Put files on a
//! volume. Run more than one, on different nodes, with a PodDisruptionBudget.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_evicted",
    family: Family::F14,
    title: "Kubernetes removed the pod from its node",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::PodEvicted, DECIDES)],
        brings: &["process_down", "endpoints_empty", "premature_close", "connection_reset"],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which were removed, and why",
            "kubectl get pods --field-selector status.phase=Failed -o \
             custom-columns=NAME:.metadata.name,REASON:.status.reason,MESSAGE:.status.message",
        ),
        Fix::run(
            "See the pressure of the nodes",
            "kubectl describe nodes | grep -E 'Name:|Pressure'",
        ),
        Fix::new("Set `requests` to what the pods really use, and bound what they write to disk"),
    ]
}
