//! The listen queue of the app's Unix socket is full.
//!
//! ## What you see
//! 502 or 503 in bursts, at once. nginx logs `connect() to unix:/run/app.sock failed (11: Resource
//! temporarily unavailable) while connecting to upstream`; Go and Caddy `dial unix /run/app.sock:
//! connect: resource temporarily unavailable`; HAProxy `can't connect to destination unix socket,
//! check backlog size on the server.` Two of them mislead: HAProxy's `bc_err_str` says `Out of
//! local source ports on the system`, and Traefik answers 504.
//!
//! ## Why it happens
//! The app takes connections more slowly than they come. Unlike with TCP the kernel says so: a
//! full queue of a Unix socket is EAGAIN, at once.
//!
//! ## How to tell
//! There is nothing else that it can be. `ss -lx` shows the queue (`Recv-Q`) and its size
//! (`Send-Q`).
//!
//! ## Fix
//! More workers first; then the app's backlog (`gunicorn --backlog`, `uwsgi --listen`) and
//! `net.core.somaxconn` together.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::listener;
use crate::text::{SPEAKS, Text, during};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "unix_backlog_full",
    family: Family::F2,
    title: "The listen queue of the app's Unix socket is full",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::SocketBacklogFull, 0.9)],
        clues: &[during(Sign::BacklogOverflow, SPEAKS)],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::BacklogFull) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("the listen queue of {} is full", case.dialled()),
        "the system said so at once: more connections wait there than the app allows",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See the queue (`Recv-Q`) and its size (`Send-Q`)", listener(case)),
        Fix::new("Run more workers: the app takes connections more slowly than they come"),
        Fix::run(
            "Then raise the app's backlog, and the system's limit above it",
            "sysctl net.core.somaxconn",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn eagain_on_a_socket_file_is_a_full_queue() {
        check(
            "connect: backlog_full | to=unix:/run/app.sock errno=11",
            "unix_backlog_full: the listen queue of unix:/run/app.sock is full",
        );
    }

    #[test]
    fn a_stale_file_has_no_queue() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "unix_backlog_full");
    }
}
