//! The app runs, but listens on another port than the one that is dialled.
//!
//! ## What you see
//! Every request is refused at once, from the first one on, though the app is up and says so:
//! `Listening at: http://127.0.0.1:8001`, `Uvicorn running on http://127.0.0.1:8001`. Other
//! gateways log `connect() failed (111: Connection refused)`.
//!
//! ## Why it happens
//! The port was changed on one side only, a default differs (3000, 5000, 8000, 8080), `PORT` in the
//! environment wins over the configuration, or the published port of a container is taken for the
//! one inside.
//!
//! ## How to tell
//! `ss -ltnp` lists the app with another port than the dialled one. In Kubernetes the Service's
//! `targetPort` is not among the container's ports.
//!
//! ## Fix
//! Make both sides name the same port: between containers the one inside, not the published one.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "wrong_port",
    family: Family::F3,
    title: "The app listens on another port",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.2),
            (Sign::ConnectFailed, 0.1),
            (Sign::NoLiveUpstream, 0.005),
            (Sign::Answered502, 0.06),
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    let port = case.port()?;
    Some(Finding::new(
        0.13,
        format!("the app may listen on another port than {port}"),
        "a system refuses on a port that nobody opened, whatever else it runs",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See on which ports the app does listen", "ss -ltnp"),
        Fix::run(
            "For a container, see which port lies inside",
            "docker ps --format '{{.Names}} {{.Ports}}'",
        ),
        Fix::new("Name that port in `targets` of this upstream"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refusal_may_be_the_wrong_door() {
        check_among("connect: refused | to=10.0.0.7:8000", "wrong_port");
    }

    #[test]
    fn a_socket_file_has_no_port() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "wrong_port");
    }
}
