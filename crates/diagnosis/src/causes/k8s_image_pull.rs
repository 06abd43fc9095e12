//! The image of the container cannot be pulled, so that the new pods do not start.
//!
//! ## What you see
//! A deploy that stands still, or 503 once the old pods are gone. The pod shows `ErrImagePull` or
//! `ImagePullBackOff`; events have `Failed to pull image "registry.example.com/app:1.2"` with `not
//! found`, `manifest unknown`, `unauthorized`, `no match for platform in manifest`,
//! `toomanyrequests` or `i/o timeout`, and `Back-off pulling image`.
//!
//! ## Why it happens
//! A tag that was not pushed or was deleted, a registry that wants credentials which the namespace
//! lacks or which have ended, an image for another architecture, a limit of the registry, or no way
//! there.
//!
//! ## How to tell
//! The word behind the colon of the event says which of these. The app was not even started; if it
//! was, it is `crash_at_start`.
//!
//! ## Fix
//! Push the tag or correct it, renew `imagePullSecrets`, or mirror the image. Keep the old pods
//! until a new one is ready (`maxUnavailable: 0`), then this fails a deploy and no request.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_image_pull",
    family: Family::F14,
    title: "The container's image cannot be pulled",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::ImagePullFailed, DECIDES)],
        brings: &["endpoints_empty", "process_down", "no_live_upstreams"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the registry's words",
            "kubectl get events --sort-by=.lastTimestamp | grep -iE 'pull|image'",
        ),
        Fix::new("Correct the tag, or renew the pull secret of that namespace"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ImagePullFailed, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().map(|it| format!(" for {it}")).unwrap_or_default();
    Some(match seen.detail().filter(|it| it.len() < 200) {
        Some(why) => format!("the image cannot be pulled{who}: {}", why.trim_end_matches('.')),
        None => format!("the image cannot be pulled{who}"),
    })
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what the registry said: not found, unauthorized, or too many requests",
            "kubectl describe pod POD | grep -A10 Events",
        )],
        now: vec![
            Step::run(
                "Go back to the image that ran",
                "kubectl rollout undo deployment/APP",
                Risk::Restart,
            ),
            Step::run(
                "Unauthorized: give the pods a secret for the registry",
                "kubectl create secret docker-registry REGISTRY --docker-server=SERVER --docker-username=USER --docker-password=\"$PASSWORD\" && kubectl patch serviceaccount default -p '{\"imagePullSecrets\":[{\"name\":\"REGISTRY\"}]}'",
                Risk::None,
            ),
        ],
        lasting: vec![Step::say(
            "Push before you roll out, name images by digest, and keep a mirror of those from public registries",
        )],
        verify: vec![Step::look("See the rollout end", "kubectl rollout status deployment/APP")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    #[test]
    fn the_pod_is_said() {
        let pods = "NAME        READY   STATUS             RESTARTS   AGE\nshop-7d-x   0/1     ImagePullBackOff   0          1h\n";
        check_report(
            &[("pods.txt", pods)],
            "k8s_image_pull: the image cannot be pulled for shop-7d-x",
        );
    }
}
