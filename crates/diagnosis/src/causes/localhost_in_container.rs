//! The gateway runs in a container and dials `localhost`, which is that container itself.
//!
//! ## What you see
//! Every request is refused at once, though the app answers on the host or in its own container.
//! nginx in Docker logs `connect() failed (111: Connection refused) while connecting to upstream
//! ... upstream: "http://127.0.0.1:8000/"`.
//!
//! ## Why it happens
//! Each container has a loopback of its own. `localhost`, `127.0.0.1` and `::1` never leave it.
//!
//! ## How to tell
//! The upstream is configured as `localhost` or a loopback address, and `/.dockerenv` exists, or
//! the gateway's network namespace is not the app's.
//!
//! ## Fix
//! Name the app's service (`http://app:8000` in Compose), or for an app on the host
//! `host.docker.internal` with `extra_hosts: ["host.docker.internal:host-gateway"]`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::text::{Claim, RULES_OUT, Text};
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "localhost_in_container",
    family: Family::F3,
    title: "The gateway's container dials its own loopback",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.01)],
        brings: &["process_down"],
        reason,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    case.loopback().then(|| {
        Finding::new(
            0.05,
            format!("{} is the gateway's own container, if it runs in one", case.dialled()),
            "a container's loopback holds nothing but what runs in that container",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(8000);
    vec![
        Fix::run(
            "See whether the gateway runs in a container",
            "ls /.dockerenv /run/.containerenv",
        ),
        Fix::new(format!(
            "If it does, dial the app by its service name, such as `http://app:{port}`, or the \
             host by `host.docker.internal`"
        )),
    ]
}

/// The proxy dials itself, and runs in a container.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let dialled = dossier.dialled();
    let Some(local) = dialled.iter().find(|it| {
        address::is_loopback(&it.to)
            || address::is_unspecified(&it.to) && address::port(&it.to).is_some()
    }) else {
        return vec![Claim::new(
            RULES_OUT,
            "the proxy does not dial its own container",
            Vec::new(),
        )];
    };
    let Some(container) = dossier.hop_in_container() else {
        return match dossier.incident.of_requests() {
            true => vec![Claim::new(
                -1.5,
                "nothing shows that the proxy runs in a container",
                Vec::new(),
            )],
            false => vec![Claim::new(
                1.5,
                "in a container this is the container itself",
                vec![local.cite.clone()],
            )],
        };
    };
    if dossier.listener_there().is_some_and(|it| it.service == dossier.incident.service) {
        return Vec::new();
    }
    let says = format!(
        "{} runs in a container, where {} is that container itself",
        dossier.hop(),
        address::host(&local.to)
    );
    vec![Claim::new(5.5, says, vec![local.cite.clone(), container])]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refusal_by_loopback_may_be_the_wrong_loopback() {
        check_among("connect: refused | to=127.0.0.1:8000", "localhost_in_container");
        check_among("connect: refused | to=[::1]:8000", "localhost_in_container");
    }

    #[test]
    fn another_machine_is_no_loopback() {
        check_not("connect: refused | to=172.18.0.3:8000", "localhost_in_container");
    }
}
