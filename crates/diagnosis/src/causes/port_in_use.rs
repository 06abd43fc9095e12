//! The app cannot open its port, because another process holds it.
//!
//! ## What you see
//! A new instance ends at once. Gunicorn logs `Connection in use: ('127.0.0.1', 8000)` and
//! `connection to ('127.0.0.1', 8000) failed: [Errno 98] Address already in use`; Node `Error:
//! listen EADDRINUSE: address already in use 127.0.0.1:3000`; Go `listen tcp :8080: bind: address
//! already in use`; uWSGI `probably another instance of uWSGI is running on the same address`;
//! nginx `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
//!
//! ## Why it happens
//! The instance before has not ended yet, was left behind by a deploy, or a stranger took the
//! port. Requests then reach the old instance or the stranger, or, once that one goes, nobody.
//!
//! ## How to tell
//! The owner of the port is not the process that you expect, or is older than the deploy. A
//! refusal alone does not show it: while somebody holds the port nothing is refused.
//!
//! ## Fix
//! Stop the owner, then start the app. For deploys without a gap let the old process hand its
//! socket over (systemd socket activation, `gunicorn` with `SIGUSR2`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::listener;
use crate::text::{DECIDES, STRONG, Text, before};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "port_in_use",
    family: Family::F1,
    title: "Another process held the app's port when it started",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.01), (Sign::SocketMissing, 0.002)],
        clues: &[before(Sign::PortInUse, DECIDES), before(Sign::BindFailed, STRONG)],
        brings: &[
            "crash_at_start",
            "process_down",
            "crash_loop",
            "fastcgi_mismatch",
            "wrong_protocol_service",
            "unix_socket_missing",
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.01,
        format!("the app may have found {} taken, and given up", case.dialled()),
        "an app that lost its port to another does not listen once that other one ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See who owns the port, and since when", listener(case)),
        Fix::new("Stop that process if it is not the app, then start the app"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refused_port_may_have_been_taken_before() {
        check_among("connect: refused | to=127.0.0.1:8000", "port_in_use");
    }

    #[test]
    fn a_timeout_is_not_about_who_owns_the_port() {
        check_not("connect: timed_out | to=127.0.0.1:8000", "port_in_use");
    }
}
