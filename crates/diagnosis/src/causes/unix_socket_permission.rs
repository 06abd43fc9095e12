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

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
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
    text: Text { behind: &[(Sign::SocketDenied, 0.88)], ..Text::NONE },
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

#[cfg(test)]
mod tests {
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
}
