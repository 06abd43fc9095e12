//! Kubernetes finds no node for the pod, so that it never starts.
//!
//! ## What you see
//! Fewer instances than wanted, or none: 503. Pods stay `Pending`, with the event
//! `FailedScheduling` and `0/3 nodes are available: 3 Insufficient cpu.`, `had untolerated taint`,
//! `didn't match Pod's node affinity/selector`, `had volume node affinity conflict` or `Too many
//! pods`.
//!
//! ## Why it happens
//! The sum of requests on each node leaves no room, whatever is really used; nodes were lost or are
//! cordoned; a volume is bound to another zone; a rule demands a node that does not exist.
//!
//! ## How to tell
//! The event counts the nodes and says for each why not. A pod that is placed and does not start is
//! `k8s_image_pull`, `k8s_volume` or `crash_loop`.
//!
//! ## Fix
//! Add nodes or let the autoscaler do it, lower requests that are higher than the use, or loosen
//! the rule. Keep room for one more pod than needed, or a deploy cannot begin.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_unschedulable",
    family: Family::F14,
    title: "No node takes the pod",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::PodUnschedulable, DECIDES)],
        brings: &["endpoints_empty", "process_down", "no_live_upstreams"],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See why",
            "kubectl get events --field-selector reason=FailedScheduling --sort-by=.lastTimestamp",
        ),
        Fix::run(
            "See what is promised on each node",
            "kubectl describe nodes | grep -A 8 'Allocated resources'",
        ),
        Fix::new("Add a node, or lower requests that are above what is used"),
    ]
}
