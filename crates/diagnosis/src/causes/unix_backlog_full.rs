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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::listener;
use crate::text::{SPEAKS, Text, during};
use crate::wording;
use evidence::{Sign, address};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let path = dossier.upstream().and_then(address::socket)?;
    Some(format!("the listen queue of {path} is full: {} does not keep up", wording::app(dossier)))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("See the queue (`Recv-Q`) and its size (`Send-Q`)", "ss -lx")],
        now: vec![
            Step::say(format!(
                "Raise {}, as far as CPU and database connections go",
                wording::workers(dossier)
            )),
            wording::restarted(dossier),
        ],
        lasting: vec![
            Step::run(
                format!(
                    "Make room for bursts: {} and the kernel's limit above it; for a lasting lack \
                     of workers that only hides it behind waiting",
                    wording::backlog(dossier)
                ),
                "sudo sysctl -w net.core.somaxconn=4096",
                Risk::None,
            )
            .hides(),
        ],
        verify: vec![Step::look("`Recv-Q` stays near 0 under load", "ss -lx")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not, check_text, nginx};

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

    #[test]
    fn the_queue_of_a_socket_is_full() {
        check_text(
            &[("error.log", &nginx("connect() to unix:/run/app.sock failed (11: Resource temporarily unavailable) while connecting to upstream").replace("http://127.0.0.1:8000/data", "http://unix:/run/app.sock:/data"))],
            "unix_backlog_full: the listen queue of /run/app.sock is full: the app does not keep up\n\
             before: See the queue (`Recv-Q`) and its size (`Send-Q`) [ss -lx] checks\n\
             now: Raise the number of workers, as far as CPU and database connections go\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Make room for bursts: the app's backlog and the kernel's limit above it; for a lasting lack of workers that only hides it behind waiting [sudo sysctl -w net.core.somaxconn=4096] hides\n\
             verify: `Recv-Q` stays near 0 under load [ss -lx] checks",
        );
    }
}
