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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::PodEvicted, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().unwrap_or("the pod");
    let why =
        seen.detail().filter(|it| it.len() < 160).map(|it| format!(" ({it})")).unwrap_or_default();
    Some(format!("{who} was evicted from its node{why}"))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what the node lacks: memory, disk or inodes",
            "kubectl describe pod POD | grep -A3 Message; kubectl describe nodes | grep -A8 Conditions",
        )],
        now: vec![
            Step::run(
                "Remove what is left of evicted pods; their deployment has started others",
                "kubectl delete pods --field-selector status.phase=Failed",
                Risk::None,
            ),
            Step::diff(
                "Ask for what the app takes, so that its node has it",
                None,
                " resources:\n+  requests: { memory: 512Mi, ephemeral-storage: 1Gi }\n+  limits: { memory: 512Mi, ephemeral-storage: 2Gi }",
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say(
            "A PriorityClass above that of batch work, two replicas on two nodes, and logs that go out of the container",
        )],
        verify: vec![Step::look(
            "See pods run, and no pressure on the nodes",
            "kubectl get pods -o wide; kubectl describe nodes | grep Pressure",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explained;

    #[test]
    fn the_pod_is_said() {
        let events = "LAST SEEN   TYPE      REASON    OBJECT            MESSAGE\n2m10s       Warning   Evicted   pod/shop-7d-x     The node was low on resource: memory.\n";
        let report = explained(&[("events.txt", events)]);
        assert_eq!(report.cause, "k8s_evicted");
        assert!(
            report.statement.starts_with("shop-7d-x was evicted from its node"),
            "{}",
            report.statement
        );
    }
}
