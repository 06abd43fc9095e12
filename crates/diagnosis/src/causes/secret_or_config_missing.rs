//! The app was started without a setting, a secret or a file that it needs, or with a wrong one.
//!
//! ## What you see
//! The app ends at its start, or 500 on the first request that needs it. Python logs `KeyError:
//! 'DATABASE_URL'`, pydantic `Field required`, Django `ImproperlyConfigured`; Spring `Could not
//! resolve placeholder 'X' in value "${X}"`; Kubernetes `CreateContainerConfigError` with `secret
//! "x" not found` or `couldn't find key X in Secret ns/x`; a database `password authentication
//! failed for user`.
//!
//! ## Why it happens
//! A deploy brought code that needs a new variable, a secret was renewed or renamed and the pod has
//! the old one, an `.env` file is not read by the service manager, or a path in a container is
//! another.
//!
//! ## How to tell
//! It began with a deploy or with the renewal of a secret, and fails the same way each time.
//! Compare the names (not the values) of the variables of the last good instance. If it ends at the
//! start, `crash_at_start` or `crash_loop` is what the gateway sees.
//!
//! ## Fix
//! Set it where the process gets its environment, and start it again. Let the app check all of its
//! settings at the start, so that a deploy fails and not a request.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, before};
use crate::{platform, wording};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "secret_or_config_missing",
    family: Family::F13,
    title: "The app misses a setting or a secret",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::ConfigMissing, DECIDES), before(Sign::DbAuthFailed, DECIDES)],
        brings: &["crash_at_start", "crash_loop", "unhandled_exception", "upstream_own_5xx"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the name in the app's log",
            format!(
                "journalctl {} --grep 'KeyError|ImproperlyConfigured|placeholder|required|not \
                 found'",
                window(case),
            ),
        ),
        Fix::run("With Kubernetes, see what the container waits for", "kubectl describe pod POD"),
        Fix::new(
            "Set the value where the process gets its environment, and let the app check its \
             settings at the start",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(seen) = wording::first(dossier, Sign::ConfigMissing, When::Before) {
        return Some(format!(
            "{} misses a setting or secret{}",
            wording::app(dossier),
            wording::because(&seen)
        ));
    }
    let seen = wording::first(dossier, Sign::DbAuthFailed, When::Before)?;
    Some(format!(
        "the database{} refused the credentials of {}{}",
        wording::named(&seen),
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let missing = wording::first(dossier, Sign::ConfigMissing, When::Before);
    let name =
        missing.and_then(|it| it.detail().and_then(variable)).unwrap_or_else(|| "NAME".to_owned());
    let (place, run) = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => (
            "Put it into the secret that the deployment reads",
            format!("kubectl set env {} --from=secret/SECRET", platform::deployment(dossier)),
        ),
        (_, true) => (
            "Set it under `environment:` or in the `env_file` of the service, then start it anew",
            platform::restart(dossier),
        ),
        _ if platform::heroku(dossier) => {
            ("Set the config var", format!("heroku config:set {name}=VALUE --app APP"))
        }
        _ => (
            "Set it in the file that `EnvironmentFile=` of the unit names, which only its user may read",
            format!("sudo systemctl edit {}", platform::unit(dossier)),
        ),
    };
    let text = match (missing.is_some(), name == "NAME") {
        (true, false) => format!("`{name}` is missing: {}", lower(place)),
        (true, true) => place.to_owned(),
        _ => format!("Correct the user or password: {}", lower(place)),
    };
    let by_unit = !platform::container(dossier)
        && !platform::kubernetes(dossier)
        && !platform::heroku(dossier);
    let shown = match by_unit {
        true => "sudo cat /proc/PID/environ | tr '\\0' '\\n' | cut -d= -f1 | sort".to_owned(),
        false => platform::inside(dossier, "env | cut -d= -f1 | sort"),
    };
    let mut now = vec![Step::run(text, run, if by_unit { Risk::None } else { Risk::Restart })];
    if by_unit {
        now.push(wording::restarted(dossier));
    }
    Cure {
        before: Vec::new(),
        now,
        lasting: vec![Step::say(
            "Let the app check all of its settings at the start, so that a deploy fails and not a request",
        )],
        verify: vec![
            Step::look(
                "It is among the names that the process has, whose values are not shown",
                shown,
            ),
            wording::answers(dossier),
        ],
    }
}

/// The name of the variable that an exception names: `KeyError: 'SECRET'`.
fn variable(detail: &str) -> Option<String> {
    let name = |it: &&str| {
        it.len() > 2
            && it.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
            && it.as_bytes()[0].is_ascii_uppercase()
    };
    detail.split(['\'', '"', '`', ' ', ':', ',']).find(name).map(str::to_owned)
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_variable_is_named_and_set() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in <module>\n    KEY = os.environ[\"SECRET_KEY\"]\n  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'SECRET_KEY'\n",
            )],
            "secret_or_config_missing: the app misses a setting or secret: KeyError: 'SECRET_KEY'\n\
             now: `SECRET_KEY` is missing: set it in the file that `EnvironmentFile=` of the unit names, which only its user may read [sudo systemctl edit APP]\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Let the app check all of its settings at the start, so that a deploy fails and not a request\n\
             verify: It is among the names that the process has, whose values are not shown [sudo cat /proc/PID/environ | tr '\\0' '\\n\
             ' | cut -d= -f1 | sort] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
