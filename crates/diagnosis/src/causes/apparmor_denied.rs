//! AppArmor does not let the gateway connect there.
//!
//! ## What you see
//! `Permission denied` at once, on every request, mostly on Ubuntu, Debian or SUSE, or in a
//! container with a profile. The kernel logs `audit: type=1400 ... apparmor="DENIED"
//! operation="connect" profile="..."`.
//!
//! ## Why it happens
//! The profile under which the gateway runs does not list the socket's path, or no network of that
//! kind. Snap packages and Docker (`docker-default`) bring profiles of their own.
//!
//! ## How to tell
//! The kernel line names profile, operation and path. `aa-status` lists the profiles in force.
//!
//! ## Fix
//! Add the missing line to the profile (`/run/app.sock rw,` or `network inet stream,`) and load it
//! again with `apparmor_parser -r`. Leave the rest in force.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "apparmor_denied",
    family: Family::F10,
    title: "AppArmor does not let the gateway connect",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectDenied, 0.02),
            (Sign::ConnectNotPermitted, 0.05),
            (Sign::SocketDenied, 0.01),
        ],
        clues: &[before(Sign::ApparmorDenied, DECIDES)],
        brings: &["unix_socket_permission"],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::PermissionDenied) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.1,
        format!("AppArmor may not let the gateway connect to {}", case.dialled()),
        "a profile denies with the same error as the mode of a file",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let line = match case.unix_path() {
        Some(path) => format!("{path} rw,"),
        None => "network inet stream,".to_owned(),
    };
    vec![
        Fix::run(
            "Look for the kernel's line, which names the profile",
            format!("journalctl -k {} --grep 'apparmor=.DENIED'", window(case)),
        ),
        Fix::new(format!(
            "Add `{line}` to that profile, and load it again with `apparmor_parser -r`"
        )),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_denial_may_be_a_profiles() {
        check_among("connect: permission_denied | to=unix:/run/app.sock", "apparmor_denied");
        check_among("connect: permission_denied | to=10.0.0.7:8000", "apparmor_denied");
    }

    #[test]
    fn a_missing_file_is_not_denied() {
        check_not("connect: socket_missing | to=unix:/run/app.sock", "apparmor_denied");
    }
}
