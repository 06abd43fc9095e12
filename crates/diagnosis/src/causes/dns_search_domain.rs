//! The target is a short name, and the search list of the system made another name of it.
//!
//! ## What you see
//! The name works on one machine and not on the next: it is unknown there, or leads to a stranger's
//! address, which refuses, stays silent or shows a certificate for another name.
//!
//! ## Why it happens
//! A name without a dot is completed with the domains in the `search` line of `/etc/resolv.conf`,
//! one after the other. DHCP, a VPN or a container writes that line; a wildcard record in one of
//! those domains then answers for every short name.
//!
//! ## How to tell
//! `dig +search NAME` and `dig NAME.` differ: the dot at the end keeps the search list out.
//!
//! ## Fix
//! Write the full name in the target.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::{CertificateFault, ConnectFault, DnsFault};

pub(super) static CAUSE: Cause = Cause {
    id: "dns_search_domain",
    family: Family::F6,
    title: "A short name was completed to another one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NameNotFound, 0.02), (Sign::NameUnresolved, 0.02)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let name = case.short_name()?;
    let says = "a name without a dot means what the system's search list makes of it";
    if let Some(DnsFault::NoSuchName) = case.dns_fault() {
        let statement = format!("the short name {name} is in none of the system's search domains");
        return Some(Finding::new(0.22, statement, says));
    }
    let confidence = match (case.connect_fault(), case.certificate().map(|it| it.fault)) {
        (Some(ConnectFault::Refused | ConnectFault::TimedOut(_)), _) if !case.loopback() => 0.04,
        (_, Some(CertificateFault::WrongName)) => 0.06,
        _ => return None,
    };
    let statement = format!(
        "the search list may have made another name of {name}: it led to {}",
        case.dialled()
    );
    Some(Finding::new(confidence, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let host = case.host();
    vec![
        Fix::run(
            "Compare what the name means with and without the search list",
            format!("dig +search +short {host}; dig +short {host}."),
        ),
        Fix::new(format!("Write the full name instead of {host} in {}", case.setting("targets"))),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = advice::name(dossier)?;
    Some(format!("{} asked for {name}, which is complete only with a search domain", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).unwrap_or_else(|| "NAME".to_owned());
    let full = match platform::kubernetes(dossier) {
        true => format!("{}.NAMESPACE.svc.cluster.local", name.split('.').next().unwrap_or("NAME")),
        false => format!("{name}.DOMAIN"),
    };
    let (nginx, haproxy) = (
        format!("-proxy_pass http://{name}:PORT;\nproxy_pass http://{full}:PORT;"),
        format!("-server app {name}:PORT\nserver app {full}:PORT"),
    );
    Cure {
        before: vec![
            Step::look(
                "See which search domains apply where the proxy runs",
                advice::inside(dossier, "cat /etc/resolv.conf"),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            format!(
                "Write the whole name, `{full}`: nginx's `resolver` and HAProxy's `resolvers` know no search domains"
            ),
            &[(Hop::Nginx, &nginx), (Hop::HaProxy, &haproxy)],
        ),
        verify: vec![
            Step::look("See an address for it", advice::resolve(dossier, &full))
                .at(advice::hop_host(dossier)),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_listed, check_not};

    #[test]
    fn a_short_name_may_lack_its_domain() {
        check_listed(
            "resolve: no_such_name | target=http://app:8000 unresolved",
            "dns_search_domain",
        );
    }

    #[test]
    fn a_short_name_may_lead_elsewhere() {
        check_listed(
            "connect: refused | to=10.0.0.7:8000 target=http://app:8000",
            "dns_search_domain",
        );
    }

    #[test]
    fn a_full_name_needs_no_search() {
        check_not(
            "resolve: no_such_name | target=http://app.internal:8000 unresolved",
            "dns_search_domain",
        );
    }

    #[test]
    fn localhost_is_never_searched() {
        check_not(
            "connect: refused | to=127.0.0.1:8000 target=http://localhost:8000",
            "dns_search_domain",
        );
    }
}
