//! The node on which the pods ran is gone or does not answer, and traffic still goes to it.
//!
//! ## What you see
//! Time limits (504) for a share of the requests, for some minutes. Events have `NodeNotReady` with
//! `Node x status is now: NodeNotReady`, then `TaintManagerEviction` with `Marking for deletion Pod
//! ns/app-1`; the node says `Kubelet stopped posting node status.`; its pods show `Terminating` or
//! `Unknown`.
//!
//! ## Why it happens
//! The machine failed, was taken back (spot instances), lost its network, or its kubelet hangs.
//! Kubernetes waits 40 s before it believes that and then 300 s before it replaces the pods
//! (`tolerationSeconds`); clients with open connections wait for as long as their own limits.
//!
//! ## How to tell
//! All failures go to addresses of pods on one node. If the node is ready and one pod fails, it is
//! the pod's own cause; a machine outside Kubernetes is `host_down`.
//!
//! ## Fix
//! Bring the node back or delete it, so that its pods are replaced. Spread the pods over nodes,
//! shorten `tolerationSeconds`, and let gateways have short connect limits and try another pod.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_node_lost",
    family: Family::F14,
    title: "The node of the pods is gone",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::NodeLost, DECIDES)],
        brings: &["endpoints_empty", "host_down", "process_down", "firewall_drop"],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See nodes and pods", "kubectl get nodes; kubectl get pods -o wide"),
        Fix::new(
            "Delete the node if it will not come back, so that its pods are started elsewhere",
        ),
        Fix::new(
            "Spread the pods over nodes (`topologySpreadConstraints`), and keep connect limits \
             short",
        ),
    ]
}
