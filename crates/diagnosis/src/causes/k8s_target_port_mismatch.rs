//! The service's target port is not one on which the containers listen.
//!
//! ## What you see
//! Every request is refused (502), from the first day of a service or since a port changed. nginx
//! logs `connect() failed (111: Connection refused) while connecting to upstream` with addresses of
//! pods and the wrong port; the pods are ready, because their probe uses the right one.
//!
//! ## Why it happens
//! `targetPort` is a number that the app does not open, or a name that belongs to another container
//! port; without `targetPort` it is the service's own `port`. `containerPort` is documentation and
//! opens nothing.
//!
//! ## How to tell
//! All pods refuse alike, and within the pod the app answers on another port. If one pod refuses,
//! it is `process_down` there; if it listens on 127.0.0.1 only, `bound_to_loopback`. Outside
//! Kubernetes it is `wrong_port`.
//!
//! ## Fix
//! Set `targetPort` to the port on which the app listens, best by the name of the container port.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, RULES_OUT, Text, When, any};
use evidence::{Sign, What};

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_target_port_mismatch",
    family: Family::F14,
    title: "The service sends to a port that the pods do not open",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.003)],
        clues: &[any(Sign::TargetPortMissing, DECIDES)],
        brings: &["process_down", "wrong_port"],
        reason,
        says,
        cure,
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Compare the service's port with those of the pods",
            "kubectl get service,endpointslices -o wide",
        ),
        Fix::run(
            "See on which ports the app listens, within the pod",
            "kubectl exec POD -- ss -ltn",
        ),
        Fix::new("Set `targetPort` of the service to the port on which the app listens"),
    ]
}

/// The service sends requests to a port that no container of the files names.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if dossier.dials_loopback() {
        return vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())];
    }
    let exposed = dossier.exposed();
    let leads = |it: &evidence::Setting| matches!(it.what, What::Publishes { .. }).then_some(());
    // Whose pods a port leads to is not said there.
    if !dossier.settings(leads).is_empty() || exposed.is_empty() {
        return Vec::new();
    }
    let wrong = dossier
        .target_ports()
        .into_iter()
        .find(|(port, _)| exposed.iter().all(|(it, _)| it != port));
    let claim = |(port, cite): (u16, _)| {
        let says =
            format!("requests are sent to port {port}; the containers name {}", exposed[0].0);
        Claim::new(5.5, says, vec![cite, exposed[0].1.clone()])
    };
    wrong.map(claim).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let exposed = dossier.exposed();
    let targets = dossier.target_ports();
    let wrong = targets
        .iter()
        .find(|(port, _)| !exposed.is_empty() && exposed.iter().all(|(it, _)| it != port));
    if let Some((port, _)) = wrong {
        return Some(format!(
            "the service sends requests to port {port}, and the containers listen on {}",
            exposed[0].0
        ));
    }
    let seen = dossier.seen(Sign::TargetPortMissing, When::Any).into_iter().next()?;
    let who = seen.key.who.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
    Some(format!("the service's target port is not open in the pods{who}"))
}

fn cure(dossier: &Dossier) -> Cure {
    let exposed = dossier.exposed();
    let targets = dossier.target_ports();
    let wrong = targets
        .into_iter()
        .find(|(port, _)| !exposed.is_empty() && exposed.iter().all(|(it, _)| it != port));
    let step = match wrong {
        Some((port, cite)) => Step::diff(
            "Let the service send to the port on which the app listens",
            dossier.testimony.sources.get(cite.source as usize).map(|it| it.name.clone()),
            format!("-    targetPort: {port}\n+    targetPort: {}", exposed[0].0),
            Risk::None,
        ),
        None => Step::run(
            "Let the service send to the port on which the app listens",
            "kubectl patch service SERVICE --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":PORT}]'",
            Risk::None,
        ),
    };
    Cure {
        before: vec![Step::look(
            "See on which port the app listens, on 0.0.0.0",
            "kubectl exec POD -- sh -c 'ss -ltn || netstat -ltn'",
        )],
        now: vec![step],
        lasting: vec![Step::say(
            "Give the container's port a name, and let `targetPort` be that name",
        )],
        verify: vec![Step::look(
            "Ask through the service",
            "kubectl run ask --rm -it --restart=Never --image=curlimages/curl -- curl -sS -o /dev/null -w '%{http_code}\\n' http://SERVICE.NAMESPACE/",
        )],
    }
}
