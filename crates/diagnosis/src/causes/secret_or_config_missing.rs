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
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, before};
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
