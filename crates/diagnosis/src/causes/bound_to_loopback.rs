//! The app listens on 127.0.0.1 of its own machine or container, where nobody else can reach it.
//!
//! ## What you see
//! The app answers `curl http://localhost:PORT` beside it, and refuses everybody else. It said so
//! at its start: `Listening at: http://127.0.0.1:8000`, `Running on http://127.0.0.1:5000`, `Local:
//! http://localhost:3000`.
//!
//! ## Why it happens
//! Development servers, Gunicorn, Uvicorn and Flask listen on loopback unless told otherwise. In a
//! container that is the loopback of that container alone, which publishing a port does not change.
//!
//! ## How to tell
//! `ss -ltnp` on the app's side shows `127.0.0.1:PORT` or `[::1]:PORT`, and the dialled address is
//! another one.
//!
//! ## Fix
//! Bind the app to the address that is dialled, or to all (`0.0.0.0`, `[::]`) where a firewall or
//! the container's network keeps strangers out.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::signs::{listener, remote};
use crate::text::{Claim, RULES_OUT, Text};
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "bound_to_loopback",
    family: Family::F3,
    title: "The app listens on its own loopback only",
    side: Side::AppServer,
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
    remote(case).then(|| {
        Finding::new(
            0.08,
            format!("the app may listen on 127.0.0.1 only, and not on {}", case.dialled()),
            "an app on loopback is refused to everybody who dials another address",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(8000);
    vec![
        Fix::run("On the target, see whether the listener stands at 127.0.0.1", listener(case)),
        Fix::new(format!(
            "Bind the app to the dialled address, or in a container to all: \
             `gunicorn --bind 0.0.0.0:{port}`, `uvicorn --host 0.0.0.0`; outside a container \
             that opens it to the whole network"
        )),
    ]
}

/// The app listens on its own loopback, and the proxy comes from elsewhere.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if dossier.dials_loopback() {
        return vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())];
    }
    let dialled = dossier.dialled();
    let port = dialled.iter().find_map(|it| address::port(&it.to));
    let bound = dossier.listeners_behind().into_iter().find(|it| {
        address::is_loopback(&it.address) && (port.is_none() || address::port(&it.address) == port)
    });
    let Some(it) = bound else { return Vec::new() };
    if dialled.is_empty() && !dossier.hop_in_container().is_some() {
        return Vec::new();
    }
    let says = format!(
        "{} listens on {}, where only its own machine reaches it",
        it.product.name(),
        it.address
    );
    vec![Claim::new(if it.said { 6.0 } else { 5.5 }, says, vec![it.cite])]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refusal_by_another_machine_may_be_this() {
        check_among("connect: refused | to=172.18.0.3:8000", "bound_to_loopback");
    }

    #[test]
    fn an_app_on_loopback_does_not_refuse_loopback() {
        check_not("connect: refused | to=127.0.0.1:8000", "bound_to_loopback");
    }
}
