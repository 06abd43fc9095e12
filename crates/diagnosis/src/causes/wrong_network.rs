//! The address is one of a network in which the gateway is not.
//!
//! ## What you see
//! Connecting times out or is unreachable on an address that is right for others. Traefik logs
//! `'504 Gateway Timeout' caused by: dial tcp 172.19.0.3:80: i/o timeout`.
//!
//! ## Why it happens
//! A container is on several networks and the address of the wrong one was picked, or the gateway
//! was never joined to the app's network. Docker keeps its bridge networks apart by dropping.
//!
//! ## How to tell
//! `docker inspect` shows no network that both containers share, or the dialled address belongs to
//! one that the gateway is not on.
//!
//! ## Fix
//! Put both on one network and dial the app by its service name there. Where a provider picks the
//! address, name the network (`traefik.docker.network=NAME`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::reach::is_container_address;
use crate::report::{Cure, Risk, Step};
use crate::signs::remote;
use crate::text::{Claim, Text};
use crate::{platform, wording};
use evidence::{Product, Sign, What, address};
use exchange::{Address, ConnectFault, Fault};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) static CAUSE: Cause = Cause {
    id: "wrong_network",
    family: Family::F3,
    title: "The gateway is not on the network of that address",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.12),
            (Sign::HostUnreachable, 0.05),
            (Sign::ConnectFailed, 0.04),
            (Sign::NameNotFound, 0.02),
        ],
        brings: &["firewall_drop", "dns_nxdomain"],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(
        ConnectFault::TimedOut(_)
        | ConnectFault::HostUnreachable
        | ConnectFault::NetworkUnreachable,
    ) = case.fault()?
    else {
        return None;
    };
    remote(case).then(|| {
        Finding::new(
            if of_a_bridge(case) { 0.2 } else { 0.04 },
            format!("the gateway may not be on the network of {}", case.dialled()),
            "networks of containers are kept apart by dropping what comes from another one",
        )
    })
}

/// The block from which Docker takes its bridge networks first.
fn of_a_bridge(case: &Case) -> bool {
    match case.attempt().and_then(|it| it.address.as_ref()) {
        Some(Address::Inet(address)) => match address.ip() {
            IpAddr::V4(ip) => ip.octets()[0] == 172 && (17..32).contains(&ip.octets()[1]),
            IpAddr::V6(_) => false,
        },
        _ => false,
    }
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See on which networks the two containers are",
            "docker inspect -f '{{.Name}} {{json .NetworkSettings.Networks}}' GATEWAY APP",
        ),
        Fix::run("Join the gateway to the app's network", "docker network connect NETWORK GATEWAY"),
        Fix::new("Dial the app by its service name on that network, not by an address"),
    ]
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = Vec::new();
    let dialled = dossier.dialled();
    let in_network = |it: &str| is_container_address(it);
    if matches!(dossier.sign(), Sign::ConnectTimedOut | Sign::HostUnreachable)
        && dialled.iter().any(|it| in_network(&it.to))
    {
        // Traefik and its like take one of a container's addresses by themselves.
        let weight = if dossier.incident.hop == Product::Traefik { 1.6 } else { 1.0 };
        claims.push(Claim::new(weight, "the address is one of a container network", Vec::new()));
    }
    // A group whose only server has no address: the generator saw no network in common.
    let empty = dossier.dials().into_iter().find(|it| it.to.starts_with(':'));
    if let Some(it) = empty {
        claims.push(Claim::new(5.0, "no address was found on a network in common", vec![it.cite]));
    }
    claims.extend(two_networks(dossier));
    // nginx-proxy and its like write a group without a server where they see no network in common.
    let lacking = dossier.settings(|it| match &it.what {
        What::Missing { name } if name.starts_with("a server in ") => Some(()),
        _ => None,
    });
    if let Some((_, cite)) = lacking.into_iter().next() {
        let says = "no address was written for the group: none was found on a network in common";
        claims.push(Claim::new(4.5, says, vec![cite]));
    }
    let host = dialled.first().map(|it| address::host(&it.to).to_owned());
    let networks = dossier.settings(|it| match &it.what {
        What::Network { name } => Some((it.service.clone()?, name.clone())),
        _ => None,
    });
    let of = |service: &str| -> BTreeSet<&str> {
        networks
            .iter()
            .filter(|((it, _), _)| it == service)
            .map(|((_, name), _)| name.as_str())
            .collect()
    };
    let hop = networks.iter().map(|((service, _), _)| service.as_str()).find(|it| {
        dossier.incident.service.as_deref() == Some(it)
            || it.contains(&dossier.hop().to_lowercase())
    });
    if let Some((hop, host)) = hop.zip(host) {
        let (ours, theirs) = (of(hop), of(&host));
        if !theirs.is_empty() && ours.is_disjoint(&theirs) {
            let cite =
                networks.iter().find(|((it, _), _)| *it == host).map(|(_, cite)| cite.clone());
            let says = format!("{hop} and {host} have no network in common");
            claims.push(Claim::new(6.0, says, cite.into_iter().collect()));
        }
    }
    claims
}

/// Traefik takes one of the networks of a service that is on several, unless a label names one.
fn two_networks(dossier: &Dossier) -> Option<Claim> {
    let timed_out = match dossier.sign() {
        Sign::ConnectTimedOut | Sign::HostUnreachable | Sign::Answered504 => true,
        Sign::CallerSawError => dossier.incident.number == Some(504),
        _ => false,
    };
    if !timed_out {
        return None;
    }
    let routed = dossier.settings(|it| match &it.what {
        What::TargetPort { .. } | What::ServedAs { .. } if it.product == Product::Traefik => {
            it.service.as_deref()
        }
        _ => None,
    });
    let told = dossier.settings(|it| match &it.what {
        What::On { option } if option.starts_with("traefik.docker.network=") => {
            Some(it.service.as_deref())
        }
        _ => None,
    });
    let networks = dossier.settings(|it| match &it.what {
        What::Network { name } => Some((it.service.as_deref()?, name.as_str())),
        _ => None,
    });
    routed.into_iter().find_map(|(service, cite)| {
        let of: BTreeSet<&str> =
            networks.iter().filter(|((it, _), _)| *it == service).map(|((_, it), _)| *it).collect();
        let named = told.iter().any(|(it, _)| *it == Some(service));
        let says = format!(
            "{service} is on {} networks, and no label tells Traefik which of them to dial",
            of.len()
        );
        (of.len() > 1 && !named).then(|| Claim::new(4.5, says, vec![cite]))
    })
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    let dialled = dossier.dialled();
    if dossier.dials().iter().any(|it| it.to.starts_with(':')) {
        return Some(format!("{hop} found no address of the app on a network that both are on"));
    }
    let to = &dialled.first()?.to;
    Some(match is_container_address(to) {
        true => format!("{hop} dials {to}, an address of a container network that it is not on"),
        false => format!("{hop} and {} are on no container network together", address::host(to)),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let hop = platform::hop_service(dossier).unwrap_or("PROXY");
    let mut now = vec![
        Step::say(
            "Name one network under `networks:` of both services in the compose files (`external: true` where it is another project's)",
        ),
        Step::run(
            "Or join the proxy to the app's network now",
            format!("docker network connect NETWORK {hop}"),
            Risk::None,
        ),
    ];
    if dossier.incident.hop == Product::Traefik {
        now.push(Step::say("Tell Traefik which of the app's networks to dial: the label `traefik.docker.network=NETWORK`"));
    }
    Cure {
        before: vec![Step::look(
            "See which networks each container is on",
            "docker ps --format '{{.Names}}: {{.Networks}}'",
        )],
        now,
        lasting: vec![Step::say(
            "Dial the app by its service name, not by an address: addresses change with each start",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{UNREACHED, check_among, check_not, check_text, nginx_to};

    #[test]
    fn an_address_of_a_bridge_may_be_out_of_reach() {
        check_among("connect: timed_out | to=172.19.0.3:80", "wrong_network");
    }

    #[test]
    fn a_refusal_came_from_that_network() {
        check_not("connect: refused | to=172.19.0.3:80", "wrong_network");
    }

    #[test]
    fn loopback_is_always_the_right_network() {
        check_not("connect: timed_out | to=127.0.0.1:80", "wrong_network");
    }

    #[test]
    fn no_network_in_common() {
        check_text(
            &[
                ("error.log", &nginx_to("app:8000", UNREACHED)),
                (
                    "compose.yml",
                    "services:\n  nginx:\n    image: nginx\n    networks: [front]\n  app:\n    image: shop\n    networks: [back]\nnetworks:\n  front: {}\n  back: {}\n",
                ),
            ],
            "wrong_network: nginx and app are on no container network together\n\
             before: See which networks each container is on [docker ps --format '{{.Names}}: {{.Networks}}'] checks\n\
             now: Name one network under `networks:` of both services in the compose files (`external: true` where it is another project's)\n\
             now: Or join the proxy to the app's network now [docker network connect NETWORK nginx]\n\
             lasting: Dial the app by its service name, not by an address: addresses change with each start\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
