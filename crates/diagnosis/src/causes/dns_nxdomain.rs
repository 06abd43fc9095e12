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

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::{Claim, Text};
use evidence::{Product, Sign, Stack, What, address};
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
        reason,
        says,
        cure,
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
        DnsFault::NoAddress if case.is_service() => Some(Finding::new(
            0.85,
            format!("the name {} exists in DNS, but lists no server with an address", case.host()),
            "the answer was free of errors and held no SRV record of a server that has an address",
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
        Fix::run(
            "Ask on the gateway's host what its name server says",
            format!("dig {}", case.question()),
        ),
        Fix::new(format!(
            "Correct {host} in {}, or create its record; a container's or a cluster's name is \
             known only inside that network",
            case.setting("targets")
        )),
    ]
}

/// A name that the configuration has no way to look up, or that is one letter off.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    without_resolver(dossier).or_else(|| misspelt(dossier)).into_iter().collect()
}

/// nginx looks up a name in a variable for each request, and asks nobody but its `resolver`.
fn without_resolver(dossier: &Dossier) -> Option<Claim> {
    let resolves = dossier.settings(|it| match &it.what {
        What::Resolver { .. } | What::Member { .. } => Some(()),
        _ => None,
    });
    if !resolves.is_empty() || !dossier.incident.of_requests() {
        return None;
    }
    let dial = dossier
        .dials()
        .into_iter()
        .find(|it| it.product.stack() == Stack::Nginx && address::host(it.to).starts_with('$'))?;
    let says = "the target stands in a variable, and no `resolver` is set to look it up";
    Some(Claim::new(3.5, says, vec![dial.cite]))
}

/// The dialled name is no service, and one letter away from one.
fn misspelt(dossier: &Dossier) -> Option<Claim> {
    let services = dossier.settings(|it| match &it.what {
        What::Service { name } => Some(name.as_str()),
        _ => None,
    });
    let groups = dossier.settings(|it| match &it.what {
        What::Member { group, .. } => Some(group.as_str()),
        _ => None,
    });
    let known = |host: &str| {
        services.iter().any(|(it, _)| *it == host) || groups.iter().any(|(it, _)| *it == host)
    };
    let dials = dossier.dials().into_iter().filter(|it| it.product != Product::Unknown);
    for dial in dials.take(200) {
        let host = address::host(dial.to);
        if host.len() < 4 || host.contains(['.', '$', ':', '/']) || known(host) {
            continue;
        }
        let near = services.iter().take(500).find(|(it, _)| one_letter_apart(it, host));
        if let Some((name, cite)) = near {
            let says = format!("`{host}` is no service, and {name} is one");
            return Some(Claim::new(4.5, says, vec![dial.cite, cite.clone()]));
        }
    }
    None
}

/// One letter too many, too few or wrong.
fn one_letter_apart(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    // Numbers tell servers apart: `app1` is not a misspelt `app2`.
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let digit = |it: &[u8]| it.get(same).is_some_and(u8::is_ascii_digit);
    if short == long || short.len() < 4 || digit(short) || digit(long) {
        return false;
    }
    match long.len() - short.len() {
        0 => short[same + 1..] == long[same + 1..],
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = advice::name(dossier)?;
    let services = advice::services(dossier);
    let mut words = format!("the name {name} does not exist for {}'s resolver", dossier.hop());
    if !services.is_empty() && !services.contains(&name.as_str()) && !name.contains('.') {
        words += &format!("; the services that were read are {}", services.join(", "));
    }
    Some(words)
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).unwrap_or_else(|| "NAME".to_owned());
    let lookup = advice::resolve(dossier, &name);
    let first = if platform::kubernetes(dossier) {
        Step::look(
            "Take the name that the Service has: `NAME.NAMESPACE.svc.cluster.local` from another namespace",
            "kubectl get service -A",
        )
    } else if platform::container(dossier) {
        Step::look(
            "Take the name that the service has in the compose file; both must share a network, and it must run",
            "docker compose ps -a; docker compose config --services",
        )
    } else {
        Step::look(
            "See whether the name is misspelt, or missing in the DNS zone",
            format!("dig {}", advice::word(&name)),
        )
    };
    let mut now = vec![first.at(advice::hop_host(dossier))];
    let text = format!("Correct `{name}` where {} is told to send requests", dossier.hop());
    now.push(advice::set(dossier, text, &[]));
    now.extend(advice::apply(dossier));
    let lasting = advice::set(
        dossier,
        "Let the proxy resolve the name while it runs, so that a name that is missing for a moment does not keep it from starting",
        &[
            (Hop::Nginx, "resolver 127.0.0.11 valid=10s;\nserver NAME:PORT resolve;"),
            (Hop::HaProxy, "server app NAME:PORT resolvers dns init-addr last,libc,none"),
        ],
    );
    Cure {
        now,
        lasting: if platform::kubernetes(dossier) { Vec::new() } else { vec![lasting] },
        verify: vec![
            Step::look("See an address for the name", lookup).at(advice::hop_host(dossier)),
            advice::through(dossier, "an answer of the app"),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
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
    fn a_service_without_a_server() {
        check(
            "resolve: no_address | target=http+srv://_http._tcp.app.internal unresolved",
            "dns_nxdomain: the name _http._tcp.app.internal exists in DNS, but lists no server with \
             an address",
        );
    }

    #[test]
    fn a_name_server_that_fails_says_nothing_about_the_name() {
        check_not(
            "resolve: server_failure | target=http://app.internal unresolved",
            "dns_nxdomain",
        );
    }

    #[test]
    fn one_letter_makes_another_name() {
        for (a, b, apart) in [
            ("backend", "backende", true),
            ("backend", "bakend", true),
            ("backend", "backemd", true),
            ("backend", "backend", false),
            ("app1", "app2", false),
            ("shop", "shop-db", false),
            ("", "x", false),
        ] {
            assert_eq!(super::one_letter_apart(a, b), apart, "{a} {b}");
        }
    }

    #[test]
    fn the_name_is_said() {
        let line = nginx("app.internal could not be resolved (3: Host not found)", "");
        check_report(
            &[("error.log", &line)],
            "dns_nxdomain: the name app.internal does not exist for nginx's resolver",
        );
    }

    #[test]
    fn a_name_of_no_service() {
        let report = check_report(
            &[(
                "error.log",
                "nginx: [emerg] host not found in upstream \"app\" in /etc/nginx/conf.d/x.conf:3\n",
            )],
            "dns_nxdomain: the name app does not exist for nginx's resolver",
        );
        check_told(&report, &["getent hosts app", "nginx -t && nginx -s reload"]);
    }
}
