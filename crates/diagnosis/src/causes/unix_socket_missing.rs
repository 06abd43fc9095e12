//! The app's Unix socket does not exist where the gateway looks for it.
//!
//! ## What you see
//! 502 at once, on every request. nginx logs, as `[crit]`, `connect() to unix:/run/app.sock failed
//! (2: No such file or directory) while connecting to upstream`; Apache `(2)No such file or
//! directory: AH02454`; Go `dial unix /run/app.sock: connect: no such file or directory`.
//!
//! ## Why it happens
//! The app has not started (it makes the file when it does), listens at another path, or the two do
//! not see the same file: a unit with `PrivateTmp=yes`, another container, a chroot. `/tmp` and
//! `/run` are emptied at boot.
//!
//! ## How to tell
//! `ss -lx` lists the sockets that somebody listens on, whatever the mount namespace. If the path
//! is there, compare it letter by letter; then ask whether the gateway sees the same `/tmp`.
//!
//! ## Fix
//! Start the app, or make both sides name one path, below `/run` and made by `RuntimeDirectory=` of
//! the app's unit, never in `/tmp`. Between containers share a volume for it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "unix_socket_missing",
    family: Family::F10,
    title: "The app's Unix socket does not exist",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::SocketMissing, 0.88)], ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::SocketMissing) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("there is no socket at {}", path(case)),
        "the system found no file at that path, as the gateway sees it",
    ))
}

fn path<'a>(case: &'a Case) -> &'a str {
    case.unix_path().unwrap_or("the configured path")
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See on which sockets somebody listens, and start the app if none is its",
            "ss -lxp",
        ),
        Fix::run("See which part of the path is missing", format!("namei -l '{}'", path(case))),
        Fix::new(
            "If the app does listen there, the two see different files: move the socket from \
             `/tmp` to a `RuntimeDirectory=` below `/run`, or share a volume between containers",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn no_file_no_socket() {
        check(
            "connect: socket_missing | to=unix:/run/app.sock errno=2",
            "unix_socket_missing: there is no socket at /run/app.sock",
        );
    }

    #[test]
    fn a_file_without_a_listener_is_stale() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "unix_socket_missing");
    }
}
