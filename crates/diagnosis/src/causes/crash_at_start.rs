//! The app exits while it starts, so nothing ever listens.
//!
//! ## What you see
//! Every request is refused at once, since a deploy, a reboot or a changed setting. On the app's
//! side Gunicorn ends with `Worker (pid:N) exited with code 3.`, `Shutting down: Master` and
//! `Reason: Worker failed to boot.` (or `Reason: App failed to load.`); Uvicorn with `ERROR:
//! Error loading ASGI app. Could not import module "x".` or `Application startup failed.
//! Exiting.`; uWSGI with `*** no app loaded. GAME OVER ***`; Node with an uncaught error above
//! `Node.js v20.20.2`; Spring Boot with `APPLICATION FAILED TO START`.
//!
//! ## Why it happens
//! An import fails, a variable or secret is missing, a migration did not run, or a database that
//! is asked at start is away. The process ends before it opens its port or socket.
//!
//! ## How to tell
//! The unit or container has just ended with a code other than 0, and its last output is an
//! error. Exit code 127 means that the command does not exist, 126 that it may not be executed.
//! If it starts over and over, that is `crash_loop`.
//!
//! ## Fix
//! Read the first exception of the trace, not the last line, and cure that. Start the app by hand
//! with the same user and environment to see it again.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::{AGAINST, DECIDES, SPEAKS, Text, before};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "crash_at_start",
    family: Family::F1,
    title: "The app exits while it starts",
    side: Side::App,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.1),
            (Sign::SocketMissing, 0.02),
            (Sign::SocketStale, 0.03),
            (Sign::ConnectFailed, 0.05),
            (Sign::NoLiveUpstream, 0.005),
            (Sign::Answered502, 0.04),
        ],
        clues: &[
            before(Sign::BootFailed, DECIDES),
            before(Sign::BootTimedOut, SPEAKS),
            before(Sign::ProcessExited, SPEAKS),
            before(Sign::CrashLooping, SPEAKS),
            before(Sign::OomKilled, AGAINST),
        ],
        brings: &[
            "process_down",
            "crash_loop",
            "endpoints_empty",
            "no_live_upstreams",
            "unix_socket_missing",
            "unix_socket_stale",
            "k8s_readiness_failing",
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused | ConnectFault::SocketMissing) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.03,
        format!("the app behind {} may have ended while it was starting", case.dialled()),
        "an app that fails to start never opens its address",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See what has failed to start", "systemctl --failed"),
        Fix::run("Or which containers have exited, and how", "docker ps -a --filter status=exited"),
        Fix::new("Read the first exception in its log, not the last line, and cure that"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn an_address_that_was_never_opened() {
        check_among("connect: refused | to=10.0.0.7:8000", "crash_at_start");
        check_among("connect: socket_missing | to=unix:/run/app.sock", "crash_at_start");
    }

    #[test]
    fn a_socket_file_shows_that_it_did_start_once() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "crash_at_start");
    }
}
