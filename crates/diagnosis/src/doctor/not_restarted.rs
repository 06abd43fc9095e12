//! An app that nobody starts again when it ends.

use super::files::{Fact, Files, Unit};
use super::{Check, Found, Severity, add, change};
use crate::report::{Risk, Step};
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "process_down", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for unit in files.units.iter().take(super::MAX_ADVICE) {
        let (Some(name), Some(runs)) = (unit.service, runs(unit)) else { continue };
        if unit.app().is_none() && !serves(runs) {
            continue;
        }
        let systemd = runs.product() == Product::Systemd;
        match policy(unit) {
            Some((fact, "no" | "none" | "never")) => {
                let new = if systemd { "Restart=on-failure" } else { "restart: unless-stopped" };
                let step = change("Start it again when it ends", fact, new, Risk::Restart);
                say(found, name, &[fact, runs], step);
            }
            None if systemd && !is_short(unit) => {
                let lines = "Restart=on-failure\nRestartSec=1";
                let step = add("Start it again when it ends", runs, lines, Risk::Restart);
                say(found, name, &[runs], step);
            }
            // A file in which others are started again, and this one is forgotten.
            None if !systemd => {
                let Some(other) = others(files, unit) else { continue };
                let lines = "restart: unless-stopped";
                let step = add("Start it again when it ends", runs, lines, Risk::Restart);
                say(found, name, &[runs, other], step);
            }
            _ => {}
        }
    }
}

fn say(found: &mut Found<'_>, name: &str, facts: &[Fact<'_>], step: Step) {
    let statement = format!("nobody starts `{name}` again when its process ends");
    found.say(Severity::Hint, statement, facts, vec![step]);
}

/// What a service manager runs; a pod is always started again.
fn runs<'t>(unit: &Unit<'t>) -> Option<Fact<'t>> {
    let managed = |it: &Fact<'t>| {
        matches!(it.product(), Product::Systemd | Product::Docker)
            && matches!(it.what(), What::Runs { .. })
    };
    unit.facts.iter().copied().find(managed)
}

/// Servers of apps, by their programs.
const SERVERS: [&str; 9] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "waitress-serve",
    "uwsgi",
    "puma",
    "unicorn",
    "php-fpm",
];

fn serves(runs: Fact<'_>) -> bool {
    let What::Runs { command } = runs.what() else { return false };
    let mut programs = command.split_whitespace().filter_map(|it| it.rsplit('/').next());
    programs.any(|it| SERVERS.contains(&it))
}

fn policy<'t>(unit: &Unit<'t>) -> Option<(Fact<'t>, &'t str)> {
    unit.find(|it| match it.what() {
        What::Restarts { policy } => Some(policy.trim_matches(['"', '\''])),
        _ => None,
    })
}

/// It runs to its end, and that is meant.
fn is_short(unit: &Unit<'_>) -> bool {
    unit.facts
        .iter()
        .any(|it| matches!(it.what(), What::On { option } if option.contains("oneshot")))
}

/// A service beside it that is started again, unless another file says the same of this one.
fn others<'t>(files: &Files<'t>, unit: &Unit<'t>) -> Option<Fact<'t>> {
    let elsewhere = files
        .units
        .iter()
        .any(|it| it.source != unit.source && it.service == unit.service && policy(it).is_some());
    let beside = files.units.iter().filter(|it| it.source == unit.source);
    let mut kept = beside.filter_map(policy).filter(|(_, it)| !matches!(*it, "no" | "none"));
    kept.next().map(|(fact, _)| fact).filter(|_| !elsewhere)
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "process_down";

    #[test]
    fn a_unit_without_a_policy_or_with_none() {
        check(
            ID,
            "app.service systemd app: runs gunicorn; app.service gunicorn app: workers 2",
            "hint: nobody starts `app` again when its process ends",
        );
        check(
            ID,
            "app.service systemd app: runs gunicorn, restarts no; app.service gunicorn app: workers 2",
            "hint: nobody starts `app` again when its process ends",
        );
    }

    #[test]
    fn a_container_that_was_forgotten() {
        check(
            ID,
            "c.yml docker web: runs nginx, restarts always; c.yml docker app: runs gunicorn; \
             c.yml gunicorn app: workers 2",
            "hint: nobody starts `app` again when its process ends",
        );
    }

    #[test]
    fn what_is_started_again_and_what_is_meant_so() {
        for settings in [
            "app.service systemd app: runs gunicorn, restarts on-failure; app.service gunicorn app: workers 2",
            "app.service systemd app: runs gunicorn, on Type=oneshot; app.service gunicorn app: workers 2",
            "pasted systemd: runs gunicorn; pasted gunicorn: workers 2",
            "c.yml docker app: runs gunicorn; c.yml gunicorn app: workers 2",
            "c.yml docker web: runs nginx, restarts always; c.yml docker app: runs gunicorn; \
             c.yml gunicorn app: workers 2; o.yml docker app: restarts always",
            "k.yml kubernetes app Deployment: runs gunicorn; k.yml gunicorn app Deployment: workers 2",
            "app.service systemd job: runs backup",
        ] {
            check_nothing(ID, settings);
        }
    }
}
