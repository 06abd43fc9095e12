//! The app's Unix socket file is there, and nobody listens on it.
//!
//! ## What you see
//! 502 at once, on every request. nginx logs `connect() to unix:/run/app.sock failed (111:
//! Connection refused) while connecting to upstream`; Go `dial unix /run/app.sock: connect:
//! connection refused`. `ls` shows the file, which makes it look as if the app were there.
//!
//! ## Why it happens
//! A socket file outlives the process that made it. The app was killed before it could remove it,
//! or it now listens at another path.
//!
//! ## How to tell
//! `ss -lx` does not list the path, although the file exists.
//!
//! ## Fix
//! Start the app; most servers replace the file. If yours complains that the address is in use,
//! remove the file before the start, or let systemd own it (a `.socket` unit, `RuntimeDirectory=`).

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::signs::listener;
use crate::text::Text;
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "unix_socket_stale",
    family: Family::F10,
    title: "Nobody listens on the app's Unix socket",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::SocketStale, 0.84)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::SocketStale) = case.fault()? else {
        return None;
    };
    let path = case.unix_path().unwrap_or("the configured path");
    Some(Finding::new(
        0.9,
        format!("the socket file {path} is left from a process that has ended"),
        "the file is there and the system refused: no process listens on it",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let path = case.unix_path().unwrap_or("PATH");
    vec![
        Fix::run("Make sure that nobody listens there: this prints nothing", listener(case)),
        Fix::new("Start the app, and look in its log for why it ended"),
        Fix::run(
            "Only if it then finds its address in use, remove the file",
            format!("rm '{path}'"),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let path = dossier.upstream().and_then(address::socket)?;
    Some(format!("the file {path} is left from a process that is gone: nobody listens on it"))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let path = dossier
        .upstream()
        .and_then(address::socket)
        .map_or_else(|| "/run/app.sock".to_owned(), advice::word);
    Cure {
        before: vec![
            Step::look("See that nobody listens there", format!("sudo ss -lxp | grep {path}"))
                .at(at.clone()),
            Step::look("See why the app ended", platform::app_log(dossier)).at(at.clone()),
        ],
        now: vec![
            Step::run(
                "Start the app: its server replaces the file",
                platform::restart(dossier),
                Risk::Restart,
            )
            .at(at.clone()),
        ],
        lasting: vec![Step::diff(
            "Let systemd make the directory, and take it away with the app",
            Some("the unit of the app".to_owned()),
            " [Service]\n+RuntimeDirectory=APP\n+Restart=always",
            Risk::Restart,
        )],
        verify: advice::past(dossier, "an answer of the app")
            .into_iter()
            .chain([advice::through(dossier, "an answer of the app")])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_file_that_outlived_its_process() {
        check(
            "connect: socket_stale | to=unix:/run/app.sock errno=111",
            "unix_socket_stale: the socket file /run/app.sock is left from a process that has \
             ended",
        );
    }

    #[test]
    fn a_full_queue_has_a_listener() {
        check_not("connect: backlog_full | to=unix:/run/app.sock", "unix_socket_stale");
    }

    #[test]
    fn the_path_is_said() {
        let line = nginx(
            "connect() to unix:/run/app.sock failed (111: Connection refused) while connecting to upstream",
            "http://unix:/run/app.sock:/",
        );
        check_report(
            &[("error.log", &line)],
            "unix_socket_stale: the file /run/app.sock is left from a process that is gone: nobody listens on it",
        );
    }
}
