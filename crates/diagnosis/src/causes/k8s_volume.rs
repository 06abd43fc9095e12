//! A volume of the pod cannot be attached or mounted, so that its containers do not start.
//!
//! ## What you see
//! Pods stay in `ContainerCreating` or `Init`, 503 for their service. Events have `FailedMount`
//! with `MountVolume.SetUp failed for volume "x" : secret "x" not found` or `Unable to attach or
//! mount volumes: unmounted volumes=[data], ...: timed out waiting for the condition`, or
//! `FailedAttachVolume` with `Multi-Attach error for volume "pvc-1" Volume is already exclusively
//! attached to one node and can't be attached to another`.
//!
//! ## Why it happens
//! The secret or config map does not exist, the disk is still attached to the node before (a lost
//! node, a rolling update of something that writes to one disk), the storage driver does not run,
//! or the storage server is away.
//!
//! ## How to tell
//! The event names the volume. `secret not found` belongs to `secret_or_config_missing`; a pod
//! without a node is `k8s_unschedulable`.
//!
//! ## Fix
//! Create what is missing, or let the old pod end before the new one starts (`strategy: Recreate`,
//! a StatefulSet). After a lost node remove its VolumeAttachment only when you know that the
//! machine is off: two writers destroy a file system.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_volume",
    family: Family::F14,
    title: "A volume of the pod cannot be mounted",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::VolumeFailed, DECIDES)],
        brings: &["endpoints_empty", "process_down"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the events of volumes",
            "kubectl get events --sort-by=.lastTimestamp | grep -E 'FailedMount|FailedAttach'",
        ),
        Fix::run("See what is attached where", "kubectl get volumeattachments"),
        Fix::new(
            "Create the missing secret or config map, or let the old pod end before the new one \
             starts",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::VolumeFailed, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().map(|it| format!(" of {it}")).unwrap_or_default();
    let why = seen
        .detail()
        .filter(|it| it.len() < 200)
        .map(|it| format!(": {}", it.trim_end_matches('.')))
        .unwrap_or_default();
    Some(format!("a volume{who} cannot be mounted{why}"))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See which volume it is, and where it is attached",
            "kubectl describe pod POD | grep -A10 Events; kubectl get pvc,volumeattachments",
        )],
        now: vec![
            Step::say(
                "A Secret or ConfigMap that is missing: create it under the name that the pod asks for",
            ),
            Step::say(
                "`Multi-Attach error`: the pod that has the volume must end first; `strategy: Recreate` for a deployment with a volume of one node does so",
            ),
            Step::say(
                "A claim that is `Pending`: name a StorageClass that exists, in the zone of the pod",
            ),
        ],
        verify: vec![Step::look("See claims `Bound`, and pods run", "kubectl get pvc,pods")],
        ..Cure::default()
    }
}
