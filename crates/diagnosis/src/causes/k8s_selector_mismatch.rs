//! The labels that the service selects by are not those of the pods.
//!
//! ## What you see
//! 503 or refusals while all pods are ready. `kubectl get endpoints app` shows `<none>`;
//! ingress-nginx logs `Service "ns/app" does not have any active Endpoint.`; Envoy sets `UH`.
//!
//! ## Why it happens
//! A label was renamed in one place, a chart adds another name, the service stands in another
//! namespace than the pods, or a blue-green switch set a version that nothing has.
//!
//! ## How to tell
//! The list is empty although ready pods exist. If they exist and are not ready, it is
//! `k8s_readiness_failing`; if there are none, `endpoints_empty`. A list that is full and refuses
//! is `k8s_target_port_mismatch`.
//!
//! ## Fix
//! Make the selector and the labels equal. Change the selector after the new labels are on ready
//! pods, not before.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::{Cite, Dossier};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, HINTS, STRONG, Text, When, any};
use evidence::{Sign, What};

pub(super) static CAUSE: Cause = Cause {
    id: "k8s_selector_mismatch",
    family: Family::F14,
    title: "The service selects none of the pods",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::NoEndpoints, 0.06)],
        clues: &[any(Sign::SelectorEmpty, HINTS)],
        reason: labels_differ,
        brings: &["endpoints_empty"],
        says,
        cure,
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Compare the selector with the labels",
            "kubectl get service -o wide; kubectl get pods --show-labels",
        ),
        Fix::new(
            "Make the selector of the service and the labels of the pods equal, in the same \
             namespace",
        ),
    ]
}

type Labels<'a> = Vec<(&'a str, Cite)>;

/// A label that a service selects by and no pod of the inputs has, and the labels that pods have.
fn missing<'a>(dossier: &Dossier<'a>) -> Option<((&'a str, Cite), Labels<'a>)> {
    let selects = dossier.settings(|it| match &it.what {
        What::Selects { label } => Some(label.as_str()),
        _ => None,
    });
    let has = dossier.settings(|it| match &it.what {
        What::Labelled { label } => Some(label.as_str()),
        _ => None,
    });
    // Another key may be set by whom we do not see; another value of the same key is a mismatch.
    let key = |it: &str| it.split('=').next().unwrap_or_default().to_owned();
    let absent = selects.into_iter().find(|(label, _)| {
        let mut same = has.iter().filter(|(it, _)| key(it) == key(label)).peekable();
        same.peek().is_some() && same.all(|(it, _)| it != label)
    })?;
    let near = has.into_iter().filter(|(it, _)| key(it) == key(absent.0)).collect();
    Some((absent, near))
}

fn labels_differ(dossier: &Dossier) -> Vec<Claim> {
    let Some(((_, selects), has)) = missing(dossier) else { return Vec::new() };
    let cites = std::iter::once(selects).chain(has.into_iter().take(1).map(|(_, it)| it));
    let says = "the service selects by a label that no pod of these files has";
    vec![Claim::new(STRONG, says, cites.collect())]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(((missing, _), has)) = missing(dossier) {
        let has: Vec<&str> = has.into_iter().map(|(it, _)| it).collect();
        return Some(format!(
            "the service selects pods with {missing}, and the pods have {}",
            has.join(", ")
        ));
    }
    let seen = dossier.seen(Sign::SelectorEmpty, When::Any).into_iter().next()?;
    Some(format!("the service {} selects no pod", seen.key.who.as_deref()?))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "Compare the selector with the labels of the pods",
            "kubectl get service SERVICE -o jsonpath='{.spec.selector}'; kubectl get pods --show-labels",
        )],
        now: vec![Step::run(
            "Let the service select labels that the pods have",
            "kubectl patch service SERVICE -p '{\"spec\":{\"selector\":{\"app\":\"APP\"}}}'",
            Risk::None,
        )],
        lasting: vec![Step::say("Take selector and labels from one place of the chart or overlay")],
        verify: vec![Step::look(
            "See addresses",
            "kubectl get endpointslices -l kubernetes.io/service-name=SERVICE",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    const EMPTY: &str = "W1120 10:12:07.000000       7 controller.go:1232] Service \"web/shop\" does not have any active Endpoint.\n";
    const LIST: &str = "NAME   ENDPOINTS   AGE\nshop   <none>      3d\n";

    fn manifest(label: &str) -> String {
        format!(
            "kind: Service\nmetadata: {{name: shop}}\nspec:\n  selector: {{app: shop}}\n---\nkind: Deployment\nmetadata: {{name: shop}}\nspec:\n  template:\n    metadata:\n      labels: {{app: {label}}}\n"
        )
    }

    #[test]
    fn labels_that_differ_are_said() {
        let manifest = manifest("store");
        check_report(
            &[("controller.log", EMPTY), ("endpoints.txt", LIST), ("shop.yaml", &manifest)],
            "k8s_selector_mismatch: the service selects pods with app=shop, and the pods have app=store",
        );
    }

    #[test]
    fn an_empty_list_alone_does_not_say_why_it_is_empty() {
        let same = manifest("shop");
        for inputs in [
            &[("controller.log", EMPTY), ("endpoints.txt", LIST)][..],
            &[("controller.log", EMPTY), ("endpoints.txt", LIST), ("shop.yaml", &same)],
        ] {
            check_report(inputs, "endpoints_empty: the service shop has no ready pod");
        }
    }
}
