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
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
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
