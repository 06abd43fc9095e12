//! The old instances are going, and the new ones are not in rotation yet.
//!
//! ## What you see
//! A burst of 502 or 503 with each release, on all routes of one upstream. Kubernetes records
//! `Killing` (`Stopping container x`) just before; nginx logs refusals by an address that no longer
//! exists; an AWS balancer answers 502 when a deregistration delay ends within a request.
//!
//! ## Why it happens
//! An instance gets SIGTERM and stops to listen at once, while the list of targets learns of it a
//! moment later. Or all old instances end before the first new one is ready.
//!
//! ## How to tell
//! The failures begin at the second of a deploy and end with it; the address that failed is not in
//! the current list of targets.
//!
//! ## Fix
//! Fail readiness first, wait some seconds (`preStop` with `sleep 5`), then stop to listen, then
//! drain what is open. Never take all away at once (`maxUnavailable: 0`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::signs::{Loss, loss, window};
use crate::text::{AGAINST, Claim, SPEAKS, Text, before, during};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "deploy_in_progress",
    family: Family::F1,
    title: "A deploy is replacing the instances",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.008),
            (Sign::ConnectFailed, 0.03),
            (Sign::Reset, 0.05),
            (Sign::Closed, 0.06),
            (Sign::SendBroken, 0.03),
            (Sign::Disconnected, 0.06),
            (Sign::NoLiveUpstream, 0.005),
        ],
        clues: &[
            during(Sign::ShuttingDown, 5.0),
            during(Sign::PodKilling, 5.0),
            during(Sign::ContainerRestarted, SPEAKS),
            during(Sign::ProcessStopped, SPEAKS),
            before(Sign::BootFailed, AGAINST),
        ],
        brings: &[
            "process_down",
            "premature_close",
            "connection_reset",
            "endpoints_empty",
            "no_live_upstreams",
        ],
        reason,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        Fault::Connect(
            ConnectFault::Refused | ConnectFault::SocketMissing | ConnectFault::SocketStale,
        ) => 0.02,
        // A stopping server resets what waits in its queue.
        _ if loss(case)? == Loss::AtOnce => 0.06,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may just have been stopped by a deploy", case.dialled()),
        "an instance that is stopped refuses or drops whoever still comes",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See whether something was stopped or started at that time",
            format!("journalctl {} --grep 'Stopp|Start|SIGTERM|Shutting down'", window(case)),
        ),
        Fix::new(
            "Fail readiness first, wait some seconds, then stop to listen and drain; keep an old \
             instance until a new one is ready",
        ),
    ]
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = Vec::new();
    if dossier.dials_loopback() {
        claims.push(Claim::new(-0.5, "the proxy dials its own machine", Vec::new()));
    }
    if let Some(stopped) = dossier.stayed_down() {
        let says = "it was stopped, and nothing was started in its place";
        claims.push(Claim::new(-4.5, says, vec![stopped]));
    }
    claims
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn an_instance_that_stops_refuses_or_drops() {
        check_among("connect: refused | to=10.0.0.7:8000", "deploy_in_progress");
        check_among("head: reset | fresh after=1ms", "deploy_in_progress");
    }

    #[test]
    fn an_instance_that_worked_on_it_was_not_being_stopped() {
        check_not("head: closed | fresh after=3s", "deploy_in_progress");
    }
}
