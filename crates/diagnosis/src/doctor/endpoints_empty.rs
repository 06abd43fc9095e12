//! A service of Kubernetes selects labels that no pod of these files has.

use super::files::Files;
use super::{Check, Found, Severity, change};
use crate::report::Risk;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "endpoints_empty", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let label = |it: super::Fact<'_>| match it.what() {
        What::Labelled { label } => Some(label.clone()),
        _ => None,
    };
    let all: Vec<_> = files.units.iter().filter_map(|it| Some((it, it.find(label)?))).collect();
    for service in files.units.iter().take(super::MAX_ADVICE) {
        let wanted = service.selects();
        let pods: Vec<_> = all.iter().filter(|(it, _)| service.is_beside(it)).collect();
        if wanted.is_empty() || pods.is_empty() || !service.may_be_service() {
            continue;
        }
        if pods.iter().any(|(pod, _)| wanted.iter().all(|it| pod.has_label(it))) {
            continue;
        }
        // Only a near miss is surely meant: the same key with another value.
        let missing = |it: &&str| !pods.iter().any(|(pod, _)| pod.has_label(it));
        let Some(missing) = wanted.iter().copied().find(missing) else { continue };
        let key = |it: &str| it.split('=').next().unwrap_or_default().to_owned();
        let near = pods
            .iter()
            .find_map(|(pod, _)| pod.find(|it| label(it).filter(|it| key(it) == key(missing))));
        let select = service.find(|it| match it.what() {
            What::Selects { label } if label == missing => Some(()),
            _ => None,
        });
        let (Some((fact, ())), Some((proof, labelled))) = (select, near) else { continue };
        let statement = format!(
            "the service selects pods with `{missing}`, and no pod of these files has that; the \
             nearest has `{labelled}`"
        );
        let new = fact.setting.quote.replace(
            missing.split('=').nth(1).unwrap_or(missing),
            labelled.split('=').nth(1).unwrap_or(&labelled),
        );
        let step = change("Select what the pods are labelled with", fact, &new, Risk::None);
        found.say(Severity::Risk, statement, &[fact, proof], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "endpoints_empty";

    #[test]
    fn the_pods_of_another_namespace_and_the_subsets_of_a_rule_are_no_near_miss() {
        for settings in [
            "a.yml kubernetes web Service prod: selects app=web; \
             a.yml kubernetes web Deployment staging: labelled app=api",
            "a.yml kubernetes web DestinationRule: selects version=v9; \
             a.yml kubernetes web Deployment: labelled version=v1",
        ] {
            check_nothing(ID, settings);
        }
    }

    #[test]
    fn the_selector_has_another_value_than_the_labels() {
        check(
            ID,
            "s.yml kubernetes svc/a: selects app=web; d.yml kubernetes a: labelled app=website",
            "risk: the service selects pods with `app=web`, and no pod of these files has that; \
             the nearest has `app=website`",
        );
    }

    #[test]
    fn other_pods_and_no_pods_say_nothing() {
        for settings in [
            "s.yml kubernetes svc/a: selects app=web; d.yml kubernetes a: labelled app=web, labelled x=y",
            "s.yml kubernetes svc/a: selects app=web; d.yml kubernetes a: labelled role=job",
            "s.yml kubernetes svc/a: selects app=web",
        ] {
            check_nothing(ID, settings);
        }
    }
}
