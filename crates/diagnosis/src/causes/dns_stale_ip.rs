//! The target has moved, and the gateway still dials the address from before.
//!
//! ## What you see
//! Failures that begin when a container or a machine was replaced, and end when the gateway is
//! restarted or the old answer expires. In the worst form the old address belongs to another
//! service by now, and answers come from the wrong one.
//!
//! ## Why it happens
//! An answer of DNS may be used as long as its time to live says. Many gateways look a name up
//! once, at their start: nginx does so for every name in `proxy_pass` without a variable.
//! Containers change their address at each new creation.
//!
//! ## How to tell
//! Compare the address that was dialled with what the name means now. If it is not in the answer,
//! it was stale.
//!
//! ## Fix
//! Lower the record's time to live before a move, keep the old address serving until it has
//! expired, or give the service a fixed address.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{Claim, RULES_OUT, Text, When};
use evidence::{Product, Sign, address};
use exchange::{CertificateFault, ConnectFault};
use std::net::Ipv4Addr;

pub(super) static CAUSE: Cause = Cause {
    id: "dns_stale_ip",
    family: Family::F6,
    title: "The name's address is out of date",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.01),
            (Sign::ConnectTimedOut, 0.06),
            (Sign::HostUnreachable, 0.06),
        ],
        brings: &["process_down", "firewall_drop", "host_down"],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let name = case.name().filter(|_| !case.loopback())?;
    let confidence = match (case.connect_fault(), case.certificate().map(|it| it.fault)) {
        (Some(ConnectFault::Refused), _) => 0.08,
        (Some(ConnectFault::TimedOut(_) | ConnectFault::HostUnreachable), _) => 0.12,
        (_, Some(CertificateFault::WrongName)) => 0.05,
        _ => return None,
    };
    let address = case.attempt()?.address.as_ref()?;
    Some(Finding::new(
        confidence,
        format!("{name} may have moved away from {address}, the address that was dialled"),
        "the address came from DNS, and what is there now is not what was expected",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let host = case.host();
    vec![
        Fix::run(
            format!("See whether {host} still means {}", case.dialled()),
            format!("dig +short {host}"),
        ),
        Fix::new("Keep the old address serving until the record's time to live has passed"),
    ]
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    match dossier.dials_loopback() {
        true => vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())],
        false => moved(dossier).into_iter().collect(),
    }
}

/// A name was asked for, or containers or pods were listed with their addresses, on the network that was dialled, and none
/// has the address that was.
fn moved(dossier: &Dossier) -> Option<Claim> {
    let dialled: Ipv4Addr = address::host(dossier.upstream()?).parse().ok()?;
    let now = dossier.seen(Sign::Resolved, When::Any);
    let listed = now.iter().filter(|it| {
        matches!(it.key.product, Product::Docker | Product::Kubernetes | Product::Shell)
    });
    let listed: Vec<_> = listed
        .filter_map(|it| Some((it, it.detail()?.parse::<Ipv4Addr>().ok()?)))
        .filter(|(_, it)| it.octets()[..2] == dialled.octets()[..2])
        .collect();
    if listed.iter().any(|(_, it)| *it == dialled) {
        return None;
    }
    let (seen, _) = listed.first()?;
    // Of one container its own address was asked for; a table may leave out the pod that is meant.
    let weight = if seen.key.product == Product::Docker { 5.5 } else { 4.6 };
    let says = match seen.key.product {
        Product::Shell => format!("the name that was asked for has not the address {dialled}"),
        _ => format!("no container or pod that was listed has the address {dialled}"),
    };
    Some(Claim::new(weight, says, vec![seen.cite()]))
}

fn says(dossier: &Dossier) -> Option<String> {
    let resolved = dossier.seen(Sign::Resolved, When::Any);
    let now = resolved.iter().find_map(|it| it.detail());
    let dialled = dossier.upstream()?;
    let hop = dossier.hop();
    Some(match now {
        Some(now) if address::host(now) != address::host(dialled) => {
            format!("{hop} still sends to {dialled}, while the name is at {now} by now")
        }
        _ => format!("{hop} still sends to {dialled}, an address that the name no longer has"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).unwrap_or_else(|| "NAME".to_owned());
    let nginx = format!("resolver 127.0.0.11 valid=10s;\nserver {name}:PORT resolve;");
    let haproxy = format!("server app {name}:PORT resolvers dns init-addr last,libc,none");
    let caddy = format!("reverse_proxy {{ dynamic a {name} PORT {{ refresh 10s }} }}");
    Cure {
        now: vec![advice::reloaded(
            dossier,
            "Let the proxy resolve its names afresh: a reload does so",
        )],
        lasting: vec![advice::set(
            dossier,
            "Let it resolve them again by itself, within seconds",
            &[
                (Hop::Nginx, &nginx),
                (Hop::HaProxy, &haproxy),
                (Hop::Caddy, &caddy),
                (Hop::Apache, "ProxyPass / http://NAME:PORT/ disablereuse=On"),
                (Hop::Envoy, "type: STRICT_DNS\nrespect_dns_ttl: true"),
            ],
        )],
        verify: vec![
            Step::look("See the address that the name has now", advice::resolve(dossier, &name))
                .at(advice::hop_host(dossier)),
            advice::through(dossier, "an answer, and that address in the proxy's log"),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_listed, check_not, explained, nginx_to};

    #[test]
    fn a_name_whose_address_refuses() {
        check_listed(
            "connect: refused | to=10.0.0.7:8000 target=http://app.internal:8000",
            "dns_stale_ip",
        );
    }

    #[test]
    fn a_name_whose_address_is_silent() {
        check_listed(
            "connect: timed_out | to=10.0.0.7:8000 target=http://app.internal:8000",
            "dns_stale_ip",
        );
    }

    #[test]
    fn an_address_that_was_configured_cannot_be_stale() {
        check_not("connect: refused | to=10.0.0.7:8000", "dns_stale_ip");
    }

    #[test]
    fn the_own_machine_does_not_move() {
        check_not(
            "connect: refused | to=127.0.0.1:8000 target=http://localhost:8000",
            "dns_stale_ip",
        );
    }

    #[test]
    fn a_name_that_was_asked_for_is_elsewhere_by_now() {
        let log = nginx_to("10.0.1.98:9000", REFUSED);
        let asked = "# getent hosts app\n10.0.4.5        app\n";
        let report = explained(&[("error.log", &log), ("inside", asked)]);
        assert_eq!(report.candidates[0].cause, "dns_stale_ip", "{:?}", report.candidates);
    }
}
