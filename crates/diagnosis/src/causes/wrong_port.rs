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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::text::{Claim, DECIDES, RULES_OUT, Text};
use evidence::{Sign, address};
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
        reason,
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

/// Where the proxy dials one port, and the app's own lines or files name another.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if let Some(there) = dossier.listener_there() {
        return vec![Claim::new(
            RULES_OUT,
            "that is the port on which the app listens",
            vec![there.cite],
        )];
    }
    let mut claims = Vec::new();
    let dialled = dossier.dialled();
    let ports: Vec<u16> = dialled.iter().filter_map(|it| address::port(&it.to)).collect();
    let targets = dossier.target_ports();
    for ((host, container), cite) in dossier.published() {
        let wanted = |port: &u16| *port == host && host != container;
        let inside = dialled.iter().any(|it| !address::is_loopback(&it.to));
        if let Some((_, target)) = targets.iter().find(|(port, _)| wanted(port)) {
            let says = format!(
                "{host} is the port on the host; inside the network the app has {container}"
            );
            claims.push(Claim::new(6.0, says, vec![target.clone(), cite]));
        } else if ports.iter().any(wanted) && inside {
            let says = format!(
                "{host} is the port on the host; inside the network the app has {container}"
            );
            claims.push(Claim::new(6.0, says, vec![cite]));
        } else if let Some(it) = other(dossier, &[container]).filter(|_| ports.is_empty()) {
            let says = format!(
                "the app listens on {}, and the container's port is {container}",
                it.address
            );
            claims.push(Claim::new(4.0, says, vec![it.cite, cite]));
        }
    }
    if !ports.is_empty()
        && dossier.sign() != Sign::HeadTimedOut
        && let Some(it) = other(dossier, &ports)
    {
        let says =
            format!("{} listens on {}, not on port {}", it.product.name(), it.address, ports[0]);
        let setting = dialled.iter().filter_map(|it| dossier.dial_setting(&it.to));
        let cites = std::iter::once(it.cite).chain(setting).collect();
        claims.push(Claim::new(if it.said { 5.5 } else { 5.0 }, says, cites));
    }
    if dossier.sign() == Sign::BootTimedOut
        && let Some(it) = dossier.listeners().into_iter().find(|it| it.said)
    {
        let says =
            format!("the app listens on {}, not on the port that the platform gave it", it.address);
        claims.push(Claim::new(DECIDES, says, vec![it.cite]));
    }
    claims
}

/// A listener on another port than these.
fn other(dossier: &Dossier, ports: &[u16]) -> Option<crate::dossier::Listener> {
    dossier
        .listeners_behind()
        .into_iter()
        .find(|it| address::port(&it.address).is_some_and(|port| !ports.contains(&port)))
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
