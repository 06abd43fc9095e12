//! The gateway's user may not open the app's Unix socket.
//!
//! ## What you see
//! 502 at once, on every request. nginx logs, as `[crit]`, `connect() to unix:/run/app.sock failed
//! (13: Permission denied) while connecting to upstream`. It works when the gateway runs as root,
//! for whom modes do not count.
//!
//! ## Why it happens
//! Connecting needs write permission on the socket, and search permission (`x`) on every folder
//! above it. A home folder (mode 700 or 750) or a socket made with the app's own group stops
//! others.
//!
//! ## How to tell
//! `namei -l PATH` shows mode and owner of every part: the first one that the gateway's user cannot
//! pass is it. If all of them let it pass, it is `selinux_denied` or `apparmor_denied`.
//!
//! ## Fix
//! Give the socket a group that both users are in, and mode 0660 (`gunicorn --umask 007`, `uwsgi
//! --chmod-socket=660`, `SocketMode=0660` and `SocketGroup=` of a `.socket` unit). Put it below
//! `/run`, not into a home folder.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{Text, When};
use evidence::{Product, Sign, What, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "unix_socket_permission",
    family: Family::F10,
    title: "The gateway may not open the app's Unix socket",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::SocketDenied, 0.88)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::PermissionDenied) = case.fault()? else {
        return None;
    };
    let path = case.unix_path()?;
    Some(Finding::new(
        0.7,
        format!("the gateway's user may not open the socket {path}"),
        "the file is there; its mode, or that of a folder above it, keeps this user out",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let path = case.unix_path().unwrap_or("PATH");
    vec![
        Fix::run(
            "See the mode and owner of the socket and of every folder above it",
            format!("namei -l '{path}'"),
        ),
        Fix::new(
            "Give the socket a group that the gateway's user is in, and mode 0660: `gunicorn \
             --umask 007`, `uwsgi --chmod-socket=660`, `SocketMode=0660`",
        ),
        Fix::new("If a folder stops it, move the socket below `/run` (`RuntimeDirectory=`)"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let upstream = dossier.upstream()?;
    let path = address::socket(upstream)?;
    let modes = dossier.seen(Sign::SocketMode, When::Any);
    let mode =
        modes.iter().find(|it| it.key.who.as_deref() == Some(path)).and_then(|it| it.detail());
    let hop = dossier.hop();
    Some(match (mode, user(dossier)) {
        (Some(mode), Some(user)) => {
            format!("{hop}, which runs as {user}, may not open {path}: {mode}")
        }
        (Some(mode), None) => format!("{hop} may not open {path}: {mode}"),
        (None, Some(user)) => format!("{hop}, which runs as {user}, may not open {path}"),
        (None, None) => format!("{hop} may not open {path}"),
    })
}

/// Whom the proxy runs as, by its configuration.
fn user(dossier: &Dossier) -> Option<String> {
    let users = dossier.settings(|it| match &it.what {
        What::User { name } if it.product.stack() == dossier.incident.hop.stack() => {
            Some(name.clone())
        }
        _ => None,
    });
    users.into_iter().next().map(|(it, _)| it)
}

fn cure(dossier: &Dossier) -> Cure {
    let path = dossier.upstream().and_then(address::socket).unwrap_or("/run/app.sock");
    let user = user(dossier).map_or_else(|| "www-data".to_owned(), |it| advice::word(&it));
    let at = advice::hop_host(dossier);
    let shown = advice::word(path);
    let share =
        "Let owner and group of the socket be the app and the proxy, and nobody else open it";
    let now = match dossier.server_product() {
        Some(Product::PhpFpm | Product::Php) => Step::diff(
            share,
            Some("the pool of php-fpm".to_owned()),
            format!(
                "+    listen.owner = {user}\n+    listen.group = {user}\n+    listen.mode = 0660"
            ),
            Risk::Restart,
        ),
        Some(Product::Uwsgi) => Step::diff(
            share,
            Some("uwsgi.ini".to_owned()),
            format!("+    chmod-socket = 660\n+    chown-socket = APP:{user}"),
            Risk::Restart,
        ),
        _ => Step::diff(
            share,
            Some("the unit of the app".to_owned()),
            format!(" [Service]\n+Group={user}\n+UMask=0007\n+RuntimeDirectory=APP"),
            Risk::Restart,
        ),
    };
    let home = path.starts_with("/home/") || path.starts_with("/root/");
    let place = match home {
        true => {
            "Move the socket to `/run/APP/`: a home directory lets nobody else through, whatever the mode of the socket"
        }
        false => {
            "Where a directory on the way lacks the `x` bit for the proxy's group, move the socket to `/run/APP/`"
        }
    };
    Cure {
        before: vec![
            Step::look("See owner and mode of the socket and of each directory on the way", format!("namei -l {shown}; id {user}")).at(at.clone()),
            Step::look("Rule out SELinux", "sudo ausearch -m avc -ts recent").at(at.clone()),
        ],
        now: vec![
            now.at(at.clone()),
            Step::run("Start the app anew", format!("sudo systemctl daemon-reload && {}", platform::restart(dossier)), Risk::Restart).at(at.clone()),
        ],
        lasting: vec![Step::say(place)],
        verify: vec![
            Step::look("See the proxy's user get an answer", format!("sudo -u {user} curl -sS --unix-socket {shown} http://localhost/ -o /dev/null -w '%{{http_code}}\\n'")).at(at),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_socket_that_is_not_for_this_user() {
        check(
            "connect: permission_denied | to=unix:/run/app.sock errno=13",
            "unix_socket_permission: the gateway's user may not open the socket /run/app.sock",
        );
    }

    #[test]
    fn a_port_has_no_mode() {
        check_not("connect: permission_denied | to=10.0.0.7:8000", "unix_socket_permission");
    }

    #[test]
    fn the_mode_is_said() {
        let line = nginx(
            "connect() to unix:/run/app.sock failed (13: Permission denied) while connecting to upstream",
            "http://unix:/run/app.sock:/",
        );
        check_report(
            &[("error.log", &line)],
            "unix_socket_permission: nginx may not open /run/app.sock",
        );
        let listing = "srw------- 1 root root 0 Nov 20 15:00 /run/app.sock\n";
        let report = check_report(
            &[("error.log", &line), ("ls.txt", listing)],
            "unix_socket_permission: nginx may not open /run/app.sock: srw------- root root",
        );
        check_told(&report, &["namei -l /run/app.sock"]);
    }
}
