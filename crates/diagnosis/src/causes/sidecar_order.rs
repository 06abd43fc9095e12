//! The app started before its sidecar or ended after it, and its connections had no proxy in that
//! time.
//!
//! ## What you see
//! Failures in the first or last seconds of each pod. The app logs `connection refused` to
//! 127.0.0.1:15001 or to any address; Envoy answers 503 with `UF` or `NR`; the kubelet shows
//! `Readiness probe failed: Get "http://10.0.0.7:15021/healthz/ready"`.
//!
//! ## Why it happens
//! A mesh sends all traffic of a pod through a proxy in a container of its own. Containers of a pod
//! start and stop side by side: an app that calls its database at once is faster than the proxy,
//! and on SIGTERM the proxy may be gone before the app has finished.
//!
//! ## How to tell
//! The failures lie within seconds of the start or the end of a pod, and never between. If the
//! whole pod takes traffic too early, it is `startup_not_ready`; for all pods at a deploy
//! `deploy_in_progress`; refused for its certificate `mtls_policy_mismatch`.
//!
//! ## Fix
//! Run the proxy as a native sidecar (an init container with `restartPolicy: Always`), or set
//! `holdApplicationUntilProxyStarts`, and let it drain (`EXIT_ON_ZERO_ACTIVE_CONNECTIONS`). Let the
//! app repeat its first connection.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "sidecar_order",
    family: Family::F14,
    title: "App and sidecar did not start or stop together",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.002)],
        clues: &[before(Sign::SidecarNotReady, DECIDES)],
        brings: &["process_down"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Compare when each container of the pod started",
            "kubectl get pod POD -o jsonpath='{range .status.containerStatuses[*]}{.name} \
             {.state.running.startedAt}{\"\\n\"}{end}'",
        ),
        Fix::new(
            "Run the proxy as a native sidecar, or let the app wait for it \
             (`holdApplicationUntilProxyStarts`)",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::SidecarNotReady, When::Before).into_iter().next()?;
    Some(match seen.key.who.as_deref() {
        Some(who) => format!("in {who} app and sidecar were not ready together"),
        None => "app and sidecar of a pod were not ready together".to_owned(),
    })
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See which of the two was late, or is missing",
            "kubectl logs POD -c istio-proxy --tail 50; istioctl proxy-status",
        )],
        now: vec![Step::diff(
            "Let the app start after the sidecar, and the sidecar end after the app",
            None,
            " annotations:\n+  proxy.istio.io/config: |\n+    holdApplicationUntilProxyStarts: true\n+    EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true'",
            Risk::Restart,
        )],
        lasting: vec![Step::say(
            "From Kubernetes 1.29 on, run sidecars as init containers with `restartPolicy: Always`: they start first and end last",
        )],
        verify: vec![Step::look(
            "See all containers ready after a rollout, and no failure in it",
            "kubectl rollout restart deployment/APP && kubectl rollout status deployment/APP",
        )],
    }
}
