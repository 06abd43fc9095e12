//! No way leads to the address: a system on the path said that it is unreachable.
//!
//! ## What you see
//! 502 at once, on every request to that target. nginx logs `connect() to A:80 failed (113: No
//! route to host) while connecting to upstream`; Apache `(113)No route to host: AH00957`; Go
//! `connect: no route to host` or `connect: network is unreachable`; HAProxy 503 with `SC--`.
//!
//! ## Why it happens
//! The gateway's machine has no route to that network (a VPN is down, an interface lost its
//! address, IPv6 is not set up), or a router on the way has none and says so.
//!
//! ## How to tell
//! `ip route get ADDRESS` fails, or names a router that answers `Destination unreachable`. An
//! answer after one to three seconds is `host_down` instead: the neighbour was asked for in vain.
//!
//! ## Fix
//! Correct the address, or bring back the route: the interface, the VPN, the peering. Look at the
//! return path too.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{address, neighbour_silent};
use crate::text::Text;
use crate::{platform, wording};
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault, Phase};

pub(super) static CAUSE: Cause = Cause {
    id: "no_route",
    family: Family::F3,
    title: "No route leads to the upstream's address",
    side: Side::Network,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.02),
            (Sign::HostUnreachable, 0.25),
            (Sign::NetworkUnreachable, 0.6),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let (confidence, what) = match case.fault()? {
        Fault::Connect(ConnectFault::NetworkUnreachable) => {
            (0.6, "this machine has no route to its network")
        }
        Fault::Connect(ConnectFault::HostUnreachable) if neighbour_silent(case) => {
            (0.2, "a router on the way may have no route to it")
        }
        Fault::Connect(ConnectFault::HostUnreachable) => (0.5, "no route leads to it"),
        _ => return None,
    };
    let after = case.attempt()?.phases.get(Phase::Connect).unwrap_or(0);
    Some(Finding::new(
        confidence,
        format!("{} cannot be reached: {what}", case.dialled()),
        format!("the system gave up within {}, without an answer of the target", words(after)),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Ask this machine for its route there", format!("ip route get {}", address(case))),
        Fix::new(
            "If the address is right, bring back what carries the route: an interface, a VPN, a \
             peering",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let upstream = dossier.upstream()?;
    Some(format!("the host of {} has no route to {}", dossier.hop(), address::host(upstream)))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier
        .upstream()
        .map(address::host)
        .filter(|it| platform::is_plain(it))
        .unwrap_or("ADDRESS");
    let look = format!("ip route get {to}");
    Cure {
        before: vec![Step::look("See which way the kernel would take", look.clone())],
        now: vec![
            Step::look("See whether an interface or tunnel is down", "ip -br address; ip route"),
            Step::say(
                "Bring back what is missing (the interface, the VPN, the peering), or correct the address that is dialled",
            ),
        ],
        lasting: vec![Step::say(
            "Let the route be made with the interface at boot, and watch it from the proxy's host",
        )],
        verify: vec![Step::look("There is a route", look), wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not, check_text, nginx_to};

    #[test]
    fn a_network_without_a_route() {
        check(
            "connect: network_unreachable | to=10.9.0.7:80",
            "no_route: 10.9.0.7:80 cannot be reached: this machine has no route to its network",
        );
    }

    #[test]
    fn a_host_that_is_unreachable_at_once() {
        check(
            "connect: host_unreachable | to=10.9.0.7:80 after=1ms",
            "no_route: 10.9.0.7:80 cannot be reached: no route leads to it",
        );
    }

    #[test]
    fn a_neighbour_that_was_asked_in_vain_is_down() {
        check_among("connect: host_unreachable | to=10.9.0.7:80 after=3s", "no_route");
        check_not("connect: timed_out | to=10.9.0.7:80", "no_route");
    }

    #[test]
    fn the_network_is_not_reached() {
        check_text(
            &[(
                "error.log",
                &nginx_to(
                    "192.0.2.9:8000",
                    "connect() failed (101: Network is unreachable) while connecting to upstream",
                ),
            )],
            "no_route: the host of nginx has no route to 192.0.2.9\n\
             before: See which way the kernel would take [ip route get 192.0.2.9] checks\n\
             now: See whether an interface or tunnel is down [ip -br address; ip route] checks\n\
             now: Bring back what is missing (the interface, the VPN, the peering), or correct the address that is dialled\n\
             lasting: Let the route be made with the interface at boot, and watch it from the proxy's host\n\
             verify: There is a route [ip route get 192.0.2.9] checks\n\
             verify: 192.0.2.9:8000 answers by itself [curl -sv http://192.0.2.9:8000/ -o /dev/null] checks",
        );
    }
}
