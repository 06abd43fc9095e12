//! The target's machine is off, or gone from its network.
//!
//! ## What you see
//! 502 after one to three seconds (`No route to host`), if the machine is on the gateway's own
//! network; connect timeouts, if a router lies between. All ports of that address fail alike.
//!
//! ## Why it happens
//! Before the first packet the system asks the network who has that address (ARP, or neighbour
//! discovery with IPv6). Nobody answers, so after about a second to three it gives up with
//! EHOSTUNREACH. The machine is off, restarting, moved, or its address has changed.
//!
//! ## How to tell
//! `ip neigh` shows the address as `FAILED` or `INCOMPLETE`; `ping` gets no answer either. An error
//! within milliseconds comes from a route or a firewall instead: `no_route`, `firewall_reject`.
//!
//! ## Fix
//! Start the machine, or correct the address: a name in place of a number survives a move.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{address, neighbour_silent, remote};
use crate::text::{DECIDES, HINTS, Text, When, before, during};
use crate::{platform, wording};
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault, Phase};

pub(super) static CAUSE: Cause = Cause {
    id: "host_down",
    family: Family::F3,
    title: "The upstream's machine is off or gone",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.14),
            (Sign::HostUnreachable, 0.36),
            (Sign::NetworkUnreachable, 0.05),
            (Sign::ConnectFailed, 0.07),
        ],
        clues: &[
            during(Sign::NeighbourLost, DECIDES),
            during(Sign::NodeLost, 4.0),
            before(Sign::LinkDown, HINTS),
        ],
        brings: &["no_route"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        Fault::Connect(ConnectFault::HostUnreachable) if neighbour_silent(case) => 0.6,
        Fault::Connect(ConnectFault::HostUnreachable) => 0.1,
        Fault::Connect(ConnectFault::TimedOut(_)) if remote(case) => 0.13,
        _ => return None,
    };
    let after = words(case.attempt()?.phases.get(Phase::Connect).unwrap_or(0));
    Some(Finding::new(
        confidence,
        format!("the machine of {} does not answer: it is off or gone", case.dialled()),
        format!("for {after} nobody on the network said that the address is theirs"),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let address = address(case);
    vec![
        Fix::run(
            "See whether the network knows the address: `FAILED` means that nobody has it",
            format!("ip neigh show {address}"),
        ),
        Fix::run("See whether the machine answers at all", format!("ping -c 3 {address}")),
        Fix::new("Start the machine, or name its new address in `targets`"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(seen) = wording::first(dossier, Sign::NodeLost, When::During) {
        return Some(format!("the node {} is gone", wording::who(dossier, &seen)));
    }
    let upstream = dossier.upstream()?;
    wording::first(dossier, Sign::NeighbourLost, When::During)?;
    Some(format!("no machine answers at {} on the local network", address::host(upstream)))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier
        .upstream()
        .map(address::host)
        .filter(|it| platform::is_plain(it))
        .unwrap_or("ADDRESS");
    let (now, lasting) = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => (
            Step::run(
                "Move its pods off the node",
                "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data",
                Risk::Data,
            ),
            "Spread replicas over nodes (`topologySpreadConstraints`), so that one node is no outage",
        ),
        (_, true) => (
            Step::run(
                "Start the container; it may have another address now",
                platform::start(dossier),
                Risk::Restart,
            ),
            "Dial the service by its name, which follows its address",
        ),
        _ => (
            Step::say(format!("Start the machine at {to}, or correct the address that is dialled")),
            "Have a second machine behind the proxy, and health checks that take a dead one out",
        ),
    };
    Cure {
        before: vec![Step::look(
            "See that the neighbour is `FAILED`",
            format!("ip neigh show {to}; ping -c 3 {to}"),
        )],
        now: vec![now],
        lasting: vec![Step::say(lasting)],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_neighbour_that_nobody_knows() {
        check(
            "connect: host_unreachable | to=10.9.0.7:80 after=3s",
            "host_down: the machine of 10.9.0.7:80 does not answer: it is off or gone",
        );
    }

    #[test]
    fn behind_a_router_it_only_times_out() {
        check_among("connect: timed_out | to=10.9.0.7:80", "host_down");
    }

    #[test]
    fn this_machine_is_not_down() {
        check_not("connect: timed_out | to=127.0.0.1:80", "host_down");
    }
}
