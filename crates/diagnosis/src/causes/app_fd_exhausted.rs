//! The app has reached its limit of open files and sockets.
//!
//! ## What you see
//! 500, refusals or connections that hang, after hours or days. Python logs `OSError: [Errno 24]
//! Too many open files`; Java `java.net.SocketException: Too many open files`; Node `Error: EMFILE:
//! too many open files`; Go `accept4: too many open files; retrying in 5ms`.
//!
//! ## Why it happens
//! A leak (responses, files or sockets that are not closed, a client object made for each request),
//! or a limit (often 1024) that is small for the number of connections.
//!
//! ## How to tell
//! The number of descriptors of that process grows without end in a leak, and follows the load
//! otherwise. In the gateway's log it is `gateway_fd_exhausted`.
//!
//! ## Fix
//! Find what is open and close it. Raise `LimitNOFILE` of the unit where the load needs more; for a
//! leak that only moves the moment.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "app_fd_exhausted",
    family: Family::F13,
    title: "The app has no file descriptor left",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::AppFdExhausted, DECIDES)],
        brings: &[
            "connection_reset",
            "premature_close",
            "unhandled_exception",
            "accept_backlog_full",
            "response_header_timeout",
            "upstream_own_5xx",
        ],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Count the descriptors of the app, and see its limit",
            "ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits",
        ),
        Fix::run(
            "See what they are",
            "lsof -nP -p PID | awk '{print $5}' | sort | uniq -c | sort -n",
        ),
        Fix::new("Close what leaks, then set `LimitNOFILE` of the unit to what the load needs"),
    ]
}
