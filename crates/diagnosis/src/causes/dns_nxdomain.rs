//! The name of the target is not in DNS, or has no address there.
//!
//! ## What you see
//! Every request fails within milliseconds, before any connection. nginx logs `HOST could not be
//! resolved (3: Host not found)` and, where the name stands in its configuration, refuses to start
//! with `host not found in upstream "HOST"`; Go says `dial tcp: lookup HOST on SERVER:53: no such
//! host`, Node `getaddrinfo ENOTFOUND HOST`, Python `[Errno -2] Name or service not known`, Java
//! `UnknownHostException`. Apache answers 500 with `AH00898: DNS lookup failure for: HOST`.
//!
//! ## Why it happens
//! A typing mistake in the target, a record or service that was deleted or renamed, or a name that
//! exists only inside another network: Docker's names are known only on that Docker network, those
//! of Kubernetes only in the cluster.
//!
//! ## How to tell
//! The name server was reached and said NXDOMAIN, so the network is fine. Ask the same name server,
//! then another one: if only yours does not know the name, the name belongs to another zone.
//!
//! ## Fix
//! Correct the name in the target, restore the record, or place the gateway in the network whose
//! name server knows it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::DnsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "dns_nxdomain",
    family: Family::F6,
    title: "The target's name has no address in DNS",
    side: Side::Network,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::NameNotFound, 0.88),
            (Sign::NameUnresolved, 0.6),
            (Sign::Answered502, 0.03),
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    match case.dns_fault()? {
        DnsFault::NoSuchName => Some(Finding::new(
            if case.short_name().is_some() { 0.7 } else { 0.9 },
            format!("the name {} does not exist in DNS: the answer was NXDOMAIN", case.host()),
            "a name server was reached, and it knows no such name",
        )),
        DnsFault::NoAddress => Some(Finding::new(
            0.85,
            format!("the name {} exists in DNS, but has no address", case.host()),
            "the answer was free of errors and held neither an A nor an AAAA record",
        )),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    let host = case.host();
    vec![
        Fix::run("Ask on the gateway's host what its name server says", format!("dig {host}")),
        Fix::new(format!(
            "Correct {host} in {}, or create its record; a container's or a cluster's name is \
             known only inside that network",
            case.setting("targets")
        )),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_name_that_does_not_exist() {
        check(
            "resolve: no_such_name | target=http://app.internal:8000 unresolved",
            "dns_nxdomain: the name app.internal does not exist in DNS: the answer was NXDOMAIN",
        );
    }

    #[test]
    fn a_name_without_an_address() {
        check(
            "resolve: no_address | target=http://app.internal:8000 unresolved",
            "dns_nxdomain: the name app.internal exists in DNS, but has no address",
        );
    }

    #[test]
    fn a_name_server_that_fails_says_nothing_about_the_name() {
        check_not(
            "resolve: server_failure | target=http://app.internal unresolved",
            "dns_nxdomain",
        );
    }
}
