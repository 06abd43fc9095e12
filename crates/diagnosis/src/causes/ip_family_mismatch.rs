//! The name leads to an IPv6 address, and the app listens on IPv4 only, or the other way round.
//!
//! ## What you see
//! The app answers `curl http://127.0.0.1:3000` and refuses through `localhost`. Other gateways log
//! refusals by `[::1]:3000`, or alternate between good and bad requests as they take turns with
//! the addresses of a name.
//!
//! ## Why it happens
//! `localhost` and many names have an address of each family. Node since 17 and many resolvers put
//! `::1` first; an app bound to `0.0.0.0` or `127.0.0.1` is not there. Or the gateway's machine has
//! no IPv6 at all and the name has an AAAA record.
//!
//! ## How to tell
//! `ss -ltn` shows the listener under one family only, and the dialled address is of the other.
//! `curl -4` works where `curl -6` does not.
//!
//! ## Fix
//! Dial the address that the app listens on instead of a name, or bind the app to both families
//! (`[::]` does, unless `net.ipv6.bindv6only` is set).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Cite, Dossier, Listener};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::listener;
use crate::text::{AGAINST, Claim, RULES_OUT, Text, When};
use crate::{platform, wording};
use evidence::{Sign, Stack, address};
use exchange::{Address, ConnectFault, Fault};
use std::net::IpAddr;

/// ECONNREFUSED, as Linux numbers it.
const REFUSED: i32 = 111;

pub(super) static CAUSE: Cause = Cause {
    id: "ip_family_mismatch",
    family: Family::F3,
    title: "The app listens on the other IP family",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.003),
            (Sign::ConnectTimedOut, 0.02),
            (Sign::NetworkUnreachable, 0.2),
            (Sign::NoLocalPort, 0.04),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let fault = match case.fault()? {
        Fault::Connect(it) => *it,
        _ => return None,
    };
    let Some(Address::Inet(dialled)) = case.attempt()?.address.as_ref() else {
        return None;
    };
    let other_family = other_family(case, dialled.ip());
    let confidence = match (fault, dialled.ip()) {
        // Both families refused: nothing listens on either.
        (ConnectFault::Refused, _) if other_family == Some(REFUSED) => return None,
        (ConnectFault::Refused, _) if other_family.is_some() => 0.15,
        (ConnectFault::Refused, IpAddr::V6(ip)) if ip.is_loopback() => 0.25,
        (ConnectFault::Refused, IpAddr::V6(_)) => 0.1,
        (ConnectFault::Refused, IpAddr::V4(_)) => 0.02,
        // The machine has no IPv6, which matters only because a name led there.
        (ConnectFault::NetworkUnreachable, IpAddr::V6(ip)) if named(case, ip.into()) => 0.3,
        (ConnectFault::TimedOut(_), IpAddr::V6(_)) => 0.06,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("the app may listen on the other IP family than {}", dialled.ip()),
        match dialled.ip() {
            IpAddr::V6(_) => "an app that is bound to an IPv4 address is not there on IPv6",
            IpAddr::V4(_) => "an app that is bound to an IPv6 address may not be there on IPv4",
        },
    ))
}

/// The error of an address of the other family that was tried before this one.
fn other_family(case: &Case, dialled: IpAddr) -> Option<i32> {
    case.attempt()?.tried.iter().find_map(|(address, errno)| match address {
        Address::Inet(it) if it.is_ipv4() != dialled.is_ipv4() => Some(*errno),
        _ => None,
    })
}

/// The target is configured by a name, not by this address.
fn named(case: &Case, ip: IpAddr) -> bool {
    case.attempt().is_some_and(|it| !it.target.contains(&ip.to_string()))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "On the target, see whether the listener is IPv4 (`0.0.0.0`, `127.0.0.1`) or IPv6 \
             (`*`, `[::]`, `[::1]`)",
            listener(case),
        ),
        Fix::new("Name that address in `targets` instead of a name such as `localhost`"),
        Fix::new("Or bind the app to both families, `[::]`"),
    ]
}

/// Node 17 and later dial `::1` for `localhost`, and the app listens on 127.0.0.1 alone.
fn by_name(dossier: &Dossier) -> Option<Claim> {
    if dossier.incident.hop.stack() != Stack::Node || dossier.sign() != Sign::ConnectRefused {
        return None;
    }
    let dials = dossier.dials();
    let dial = dials.into_iter().find(|it| address::host(it.to) == "localhost")?;
    let there = dossier.listeners_behind().into_iter().find(|it| {
        address::host(&it.address) == "127.0.0.1"
            && address::port(&it.address) == address::port(dial.to)
    })?;
    let says = "Node dials `::1` first for `localhost`, where nothing listens";
    Some(Claim::new(5.0, says, vec![there.cite, dial.cite]))
}

/// An IPv6 address was dialled, and it is IPv6 that fails.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let other = |(dial, there): (Cite, Listener)| {
        let says = format!(
            "{} listens on {}, of the other IP family",
            there.product.name(),
            there.address
        );
        let weight = if there.said { 7.0 } else { 6.5 };
        vec![Claim::new(weight, says, vec![there.cite, dial])]
    };
    if let Some(found) = of_other_family(dossier) {
        return other(found);
    }
    if let Some(claim) = by_name(dossier) {
        return vec![claim];
    }
    let Some(it) = dossier.dialled().into_iter().find(|it| address::is_ipv6(&it.to)) else {
        return vec![Claim::new(RULES_OUT, "no IPv6 address was dialled", Vec::new())];
    };
    let refused_too = dossier.seen(Sign::ConnectRefused, When::During).into_iter().any(|seen| {
        let theirs = seen.key.upstream.as_deref().unwrap_or_default();
        !address::is_ipv6(theirs) && address::port(theirs) == address::port(&it.to)
    });
    if refused_too {
        return vec![Claim::new(AGAINST, "IPv4 is refused too", vec![it.cite])];
    }
    // On `::1` an app that took IPv4 alone does not listen; elsewhere IPv6 may not be there at all.
    let weight = if address::is_loopback(&it.to) { 6.0 } else { 4.0 };
    vec![Claim::new(weight, "an IPv6 address was dialled", vec![it.cite])]
}

/// A listener on the dialled port of the other family alone. `[::]` takes IPv4 too, as a rule, and
/// an app on the loopback of one machine is nowhere else.
fn of_other_family(dossier: &Dossier) -> Option<(Cite, Listener)> {
    let listeners = dossier.listeners_behind();
    dossier.dialled().into_iter().find_map(|dial| {
        let port = address::port(&dial.to)?;
        let six = address::is_ipv6(&dial.to);
        if !address::is_ip(&dial.to) {
            return None;
        }
        let there = || listeners.iter().filter(|it| address::port(&it.address) == Some(port));
        let both = |it: &Listener| matches!(address::host(&it.address), "::" | "" | "*");
        let alike = |it: &Listener| {
            both(it) || !address::is_ip(&it.address) || address::is_ipv6(&it.address) == six
        };
        if there().any(alike) {
            return None;
        }
        let local = address::is_loopback(&dial.to);
        let mut there = there().filter(|it| {
            address::is_unspecified(&it.address) || address::is_loopback(&it.address) == local
        });
        Some((dial.cite, there.next()?.clone()))
    })
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some((_, there)) = of_other_family(dossier) {
        let dialled = dossier.dialled();
        let to =
            dialled.iter().find(|it| address::port(&it.to) == address::port(&there.address))?;
        return Some(format!(
            "{} dials {}, and {} listens on {}, of the other IP family",
            dossier.hop(),
            to.to,
            there.product.name(),
            there.address
        ));
    }
    let dialled = dossier.dialled();
    let it = dialled.iter().find(|it| address::is_ipv6(&it.to))?;
    let port = address::port(&it.to);
    let four = dossier
        .listeners_behind()
        .into_iter()
        .find(|there| address::port(&there.address) == port && !address::is_ipv6(&there.address));
    Some(match four {
        Some(there) => format!(
            "{} dials {} over IPv6, and the app listens on {}",
            dossier.hop(),
            it.to,
            there.address
        ),
        None => format!("{} dials {} over IPv6, where nothing answers", dossier.hop(), it.to),
    })
}

/// IPv4 is dialled, and the app has IPv6 alone.
fn to_the_other(dossier: &Dossier, there: &Listener) -> Cure {
    let port = address::port(&there.address).map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    let local = if address::is_loopback(&there.address) { "127.0.0.1" } else { "[::]" };
    let bind = wording::bind(Some(there.product), &format!("{local}:{port}"));
    Cure {
        before: vec![Step::look(
            "See on which family the app listens",
            platform::inside(dossier, &format!("ss -ltn 'sport = :{port}'")),
        )],
        now: vec![Step::say(format!("Bind the app to the family that is dialled: `{bind}`"))],
        lasting: vec![Step::say(format!(
            "Or dial the address that it listens on: {}",
            there.address
        ))],
        verify: vec![wording::through(dossier)],
    }
}

fn cure(dossier: &Dossier) -> Cure {
    let dialled = dossier.dialled();
    let six = |it: &&crate::reach::Dialled| address::is_ipv6(&it.to);
    if let Some((_, there)) =
        of_other_family(dossier).filter(|_| !dialled.iter().any(|it| six(&it)))
    {
        return to_the_other(dossier, &there);
    }
    let to = dialled.iter().find(six).map(|it| it.to.clone());
    let port = to.as_deref().and_then(address::port);
    let port_words = port.map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    let local = to.as_deref().is_some_and(address::is_loopback);
    let step = match local {
        true => {
            let text = format!("Dial `127.0.0.1:{port_words}` instead of `localhost` or `[::1]`");
            let cite = to.as_deref().and_then(|it| {
                let dials = dossier.dials();
                let found = dials.into_iter().find(|dial| address::port(dial.to) == address::port(it));
                found.map(|it| it.cite)
            });
            let diff = cite.and_then(|cite| {
                let old = if cite.quote.contains("localhost") { "localhost" } else { "[::1]" };
                wording::change(dossier, text.clone(), &cite, old, "127.0.0.1", Risk::None)
            });
            diff.unwrap_or_else(|| Step::say(text))
        }
        false => Step::say(match dossier.incident.hop.stack() {
            Stack::Nginx => "Resolve IPv4 addresses only: `resolver ADDRESS ipv6=off;`, or take the AAAA record away".to_owned(),
            _ => "Dial the IPv4 address, or take the name's AAAA record away until IPv6 works on that way".to_owned(),
        }),
    };
    Cure {
        before: vec![Step::look(
            "See on which family the app listens",
            platform::inside(
                dossier,
                &match port {
                    Some(port) => format!("ss -ltn 'sport = :{port}'"),
                    None => "ss -ltn".to_owned(),
                },
            ),
        )],
        now: vec![step, wording::reload(dossier)],
        lasting: vec![Step::say(format!(
            "Or bind the app to both families: `{}`",
            wording::bind(dossier.server_product(), &format!("[::]:{port_words}"))
        ))],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not, ranked};

    #[test]
    fn a_refusal_by_the_sixth_loopback_is_suspicious() {
        let case = "connect: refused | to=[::1]:3000 target=http://localhost:3000";
        assert_eq!(ranked(case)[1], "ip_family_mismatch");
    }

    #[test]
    fn the_other_family_may_be_where_it_listens() {
        check_among(
            "connect: refused | to=10.0.0.7:80 tried=[2001:db8::7]:80/101",
            "ip_family_mismatch",
        );
    }

    #[test]
    fn nothing_listens_where_both_families_refused() {
        check_not("connect: refused | to=127.0.0.1:80 tried=[::1]:80/111", "ip_family_mismatch");
    }

    #[test]
    fn a_machine_without_ipv6_is_sent_there_by_a_name() {
        let unreachable = "connect: network_unreachable | to=[2001:db8::7]:80";
        check_among(&format!("{unreachable} target=http://app:80"), "ip_family_mismatch");
        check_not(unreachable, "ip_family_mismatch");
    }
}
