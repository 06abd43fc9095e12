//! A service of Kubernetes sends requests to a port that its pods do not have.

use super::files::{Files, Unit};
use super::{Check, Found, Severity, change, with_number};
use crate::report::Risk;
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "k8s_target_port_mismatch", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let pods: Vec<&Unit<'_>> = files
        .units
        .iter()
        .filter(|it| it.facts.iter().any(|it| matches!(it.what(), What::Labelled { .. })))
        .collect();
    for service in files.units.iter().take(super::MAX_ADVICE) {
        let target = service.find(|it| match it.what() {
            What::TargetPort { port } if it.product() == Product::Kubernetes => Some(*port),
            _ => None,
        });
        let Some((fact, wanted)) = target else { continue };
        let labels = service.selects();
        if labels.is_empty() || !service.may_be_service() {
            continue;
        }
        let mine = pods
            .iter()
            .filter(|pod| service.is_beside(pod) && labels.iter().all(|it| pod.has_label(it)));
        for pod in mine.take(super::MAX_ADVICE) {
            let listens = pod.listens();
            let named = pod.all(|it| match it.what() {
                What::Exposes { port } => Some(*port),
                _ => None,
            });
            let ports = if listens.is_empty() { &named } else { &listens };
            let Some((proof, right)) = ports.first().copied() else { continue };
            if ports.iter().any(|(_, it)| *it == wanted) {
                continue;
            }
            let severity = if listens.is_empty() { Severity::Risk } else { Severity::Breaks };
            let statement = format!(
                "the service sends requests to port {wanted} of its pods, which name {right}"
            );
            let new = with_number(&fact.setting.quote, &right.to_string());
            let step = change(
                format!("Send them to {right}"),
                fact,
                &new.unwrap_or_else(|| format!("targetPort: {right}")),
                Risk::None,
            );
            found.say(severity, statement, &[fact, proof], vec![step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "k8s_target_port_mismatch";

    #[test]
    fn pods_of_another_namespace_are_not_behind_it() {
        let files = |namespace: &str| {
            format!(
                "a.yml kubernetes web Service prod: selects app=web, target 8000; \
                 a.yml kubernetes web Deployment {namespace}: labelled app=web, exposes 9000"
            )
        };
        check_nothing(ID, &files("staging"));
        check(
            ID,
            &files("prod"),
            "risk: the service sends requests to port 8000 of its pods, which name 9000",
        );
    }

    #[test]
    fn the_pods_have_another_port() {
        check(
            ID,
            "s.yml kubernetes svc/app: selects app=web, target 8080; \
             d.yml kubernetes pod/app: labelled app=web, exposes 8000",
            "risk: the service sends requests to port 8080 of its pods, which name 8000",
        );
        check(
            ID,
            "s.yml kubernetes svc/app: selects app=web, target 8080; \
             d.yml kubernetes pod/app: labelled app=web; \
             d.yml gunicorn pod/app: listens 0.0.0.0:8000",
            "breaks: the service sends requests to port 8080 of its pods, which name 8000",
        );
    }

    #[test]
    fn pods_of_others_and_pods_without_ports_say_nothing() {
        for settings in [
            "s.yml kubernetes svc/a: selects app=a, target 80; d.yml kubernetes b: labelled app=b, exposes 8000",
            "s.yml kubernetes svc/a: selects app=a, target 80; d.yml kubernetes a: labelled app=a",
            "s.yml kubernetes svc/a: selects app=a, target 80; d.yml kubernetes a: labelled app=a, exposes 1, exposes 80",
            "s.yml kubernetes svc/a: target 80; d.yml kubernetes a: labelled app=a, exposes 8000",
        ] {
            check_nothing(ID, settings);
        }
    }
}
