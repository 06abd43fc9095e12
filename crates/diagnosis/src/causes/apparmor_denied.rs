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

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, before};
use evidence::{Sign, address};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ApparmorDenied, When::Before).into_iter().next()?;
    let who = seen.key.who.as_deref().unwrap_or_else(|| dossier.hop());
    Some(match seen.detail() {
        Some(what) => format!("AppArmor denied {who} the access ({what})"),
        None => format!("AppArmor denied {who} the access"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let path = dossier.upstream().and_then(address::socket).unwrap_or("PATH");
    Cure {
        before: vec![
            Step::look(
                "See the denial, with profile and access",
                "sudo journalctl -k --grep 'apparmor=.DENIED.' -n 20; sudo aa-status",
            )
            .at(at.clone()),
        ],
        now: vec![
            Step::diff(
                "Add the access to the local part of that profile",
                Some("/etc/apparmor.d/local/PROFILE".to_owned()),
                format!("+  {path} rw,"),
                Risk::None,
            )
            .at(at.clone()),
            Step::run("Load it", "sudo apparmor_parser -r /etc/apparmor.d/PROFILE", Risk::Reload)
                .at(at.clone()),
        ],
        verify: vec![
            advice::through(dossier, "an answer of the app"),
            Step::look(
                "See no new denial",
                "sudo journalctl -k --grep 'apparmor=.DENIED.' --since -5min",
            )
            .at(at),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
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

    #[test]
    fn the_denial_is_said() {
        let line = nginx(
            "connect() to unix:/run/app.sock failed (13: Permission denied) while connecting to upstream",
            "http://unix:/run/app.sock:/",
        );
        let kernel = "Nov 20 15:16:30 web kernel: audit: type=1400 audit(1795187790.123:31): apparmor=\"DENIED\" operation=\"connect\" profile=\"/usr/sbin/nginx\" name=\"/run/app.sock\" pid=12 comm=\"nginx\" requested_mask=\"wr\" denied_mask=\"wr\"\n";
        check_report(
            &[("error.log", &line), ("kern.log", kernel)],
            "apparmor_denied: AppArmor denied nginx the access (connect /run/app.sock)",
        );
    }
}
