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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::{Limit, Sign};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::AppFdExhausted, When::During)?;
    let limit = match dossier.limit(Limit::Descriptors, |it| it.stack().runs_apps()) {
        Some((limit, _)) if limit > 0 => format!(" of the {limit} that it may have"),
        _ => String::new(),
    };
    Some(format!(
        "{} has no file descriptor left{limit}{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let raise = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => "Raise the limit of the node's container runtime (`LimitNOFILE`)".to_owned(),
        (_, true) => "Raise `ulimits: nofile` of the service in the compose file".to_owned(),
        _ => format!("Raise `LimitNOFILE=` in {}", platform::declaration(dossier)),
    };
    let count = "sudo ls /proc/PID/fd | wc -l";
    Cure {
        before: vec![Step::look(
            "See what is open before a restart closes it: sockets of one peer are a leak",
            "sudo ls -l /proc/PID/fd | awk '{print $NF}' | sed 's/[0-9]*//g' | sort | uniq -c | sort -rn | head; sudo ss -tnp | grep pid=PID, | head",
        )],
        now: vec![
            Step::say(format!(
                "{raise}, where the load needs more: a leak it hides for a while only"
            ))
            .hides(),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(
            "Close what the list shows: one client for all requests instead of one each, files in a `with`",
        )],
        verify: vec![Step::look("The number of open files stays level under load", count)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn no_descriptor_is_left() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nOSError: [Errno 24] Too many open files\n",
            )],
            "app_fd_exhausted: the app has no file descriptor left: OSError: [Errno 24] Too many open files\n\
             before: See what is open before a restart closes it: sockets of one peer are a leak [sudo ls -l /proc/PID/fd | awk '{print $NF}' | sed 's/[0-9]*//g' | sort | uniq -c | sort -rn | head; sudo ss -tnp | grep pid=PID, | head] checks\n\
             now: Raise `LimitNOFILE=` in the app's unit, where the load needs more: a leak it hides for a while only hides\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Close what the list shows: one client for all requests instead of one each, files in a `with`\n\
             verify: The number of open files stays level under load [sudo ls /proc/PID/fd | wc -l] checks",
        );
    }
}
