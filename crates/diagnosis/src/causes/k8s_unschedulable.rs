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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, before};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::PodUnschedulable, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().unwrap_or("the pod");
    Some(match seen.detail().filter(|it| it.len() < 200) {
        Some(why) => format!("no node takes {who}: {}", why.trim_end_matches('.')),
        None => format!("no node takes {who}"),
    })
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what each node has left, and what the pod asks for",
            "kubectl describe nodes | grep -A8 'Allocated resources'; kubectl describe pod POD | grep -A6 -E 'Requests|Events'",
        )],
        now: vec![
            Step::say(
                "`Insufficient cpu` or `memory`: add a node, or lower `resources.requests` to what the app takes",
            ),
            Step::say(
                "`untolerated taint` or `didn't match ... affinity`: let the pod tolerate it, or correct the selector; `volume node affinity`: the pod must run in the zone of its volume",
            ),
        ],
        lasting: vec![Step::say(
            "Let the cluster add nodes by itself (Cluster Autoscaler, Karpenter)",
        )],
        verify: vec![Step::look("See `Running`", "kubectl get pods -o wide")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explained;

    #[test]
    fn the_reason_is_said() {
        let events = "Events:\n  Type     Reason            Age   From               Message\n  Warning  FailedScheduling  5m    default-scheduler  0/3 nodes are available: 3 Insufficient cpu.\n";
        let report = explained(&[("describe.txt", events)]);
        assert_eq!(report.cause, "k8s_unschedulable");
        assert_eq!(
            report.statement,
            "no node takes the pod: 0/3 nodes are available: 3 Insufficient cpu"
        );
    }
}
