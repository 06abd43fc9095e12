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

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::NodeLost, When::Before).into_iter().next()?;
    Some(match seen.key.who.as_deref() {
        Some(who) => format!("the node {who} is gone, and the pods on it with it"),
        None => "a node is gone, and the pods on it with it".to_owned(),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = dossier.seen(Sign::NodeLost, When::Before);
    let node = seen
        .first()
        .and_then(|it| it.key.who.as_deref())
        .map_or_else(|| "NODE".to_owned(), advice::word);
    Cure {
        before: vec![Step::look(
            "See since when, and what it said last",
            format!("kubectl describe node {node} | grep -A10 Conditions"),
        )],
        now: vec![
            Step::run(
                "If it does not come back, remove it, so that its pods start elsewhere; a volume that only one node may mount is freed by this, so be sure that the machine is off",
                format!("kubectl delete node {node}"),
                Risk::Data,
            ),
            Step::say(
                "If the machine is up, start its kubelet again there (`sudo systemctl restart kubelet`)",
            ),
        ],
        lasting: vec![Step::say(
            "Two replicas on two nodes (`topologySpreadConstraints`), and `tolerationSeconds: 30` for `node.kubernetes.io/unreachable`",
        )],
        verify: vec![Step::look(
            "See nodes `Ready`, and the pods run",
            "kubectl get nodes,pods -o wide",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    #[test]
    fn the_node_is_said() {
        let nodes = "NAME     STATUS     ROLES    AGE   VERSION\nnode1    NotReady   <none>   10d   v1.28.2\n";
        check_report(
            &[("nodes.txt", nodes)],
            "k8s_node_lost: the node node1 is gone, and the pods on it with it",
        );
    }
}
