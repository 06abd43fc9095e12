//! A container starts as soon as another one has started, which may not be ready yet.

use super::files::Files;
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "startup_not_ready", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for unit in &files.units {
        let depends = unit.all(|it| match it.what() {
            What::DependsOn { service } => Some(&**service),
            _ => None,
        });
        for (fact, name) in depends {
            let Some(at) = files.named(name).first().copied() else { continue };
            let other = &files.units[at];
            let check =
                |it: super::Fact<'_>| matches!(it.what(), What::HealthCheck { .. }).then_some(());
            // With a check, whether it is waited for stands in the same words.
            let waits = fact.setting.quote.contains("service_healthy");
            if other.find(check).is_some() || waits {
                continue;
            }
            let statement = format!(
                "`{}` starts when `{name}` has started, which says nothing of whether it is ready: \
                 `{name}` has no health check",
                unit.service.unwrap_or("a service")
            );
            let beside = other.facts.first().copied().unwrap_or(fact);
            let lines = "    healthcheck:\n      test: [\"CMD\", \"<a command that asks it>\"]\n      \
                         interval: 5s";
            let text = format!(
                "Give `{name}` a health check, and wait for it with `condition: service_healthy`"
            );
            let step = add(text, beside, lines, Risk::Restart);
            found.say(Severity::Hint, statement, &[fact, beside], vec![step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "startup_not_ready";

    #[test]
    fn no_check_says_when_it_is_ready() {
        check(
            ID,
            "c.yml docker nginx: service nginx, depends app; c.yml docker app: service app",
            "hint: `nginx` starts when `app` has started, which says nothing of whether it is \
             ready: `app` has no health check",
        );
    }

    #[test]
    fn a_check_and_a_service_of_another_file_are_left_alone() {
        check_nothing(
            ID,
            "c.yml docker nginx: service nginx, depends app; c.yml docker app: service app, health /up",
        );
        check_nothing(ID, "c.yml docker nginx: service nginx, depends app");
    }
}
