//! No name server answered the question for the target's name in time.
//!
//! ## What you see
//! 504 after the limit for names (`dns.timeout`). nginx logs `HOST could not be resolved (110:
//! Operation timed out)` and answers 502; Go says `lookup HOST: i/o timeout`, Node `EAI_AGAIN`,
//! Python `Temporary failure in name resolution`.
//!
//! ## Why it happens
//! The name server is down or overloaded, a firewall drops UDP port 53, or packets get lost: a full
//! table of tracked connections does that, and so does a race between the A and the AAAA question
//! on some kernels. In Kubernetes `ndots:5` turns one name into up to ten questions.
//!
//! ## How to tell
//! Ask each name server alone, over UDP and over TCP. If TCP works and UDP does not, packets are
//! dropped on the way.
//!
//! ## Fix
//! Bring the name server back or name one that is near, and use full names with a dot at the end to
//! save questions. A longer `dns.timeout` only hides the loss: each request then waits longer.

use crate::advice::{self, Hop};
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::{Sign, What, address};
use exchange::DnsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "dns_timeout",
    family: Family::F6,
    title: "No name server answered in time",
    side: Side::Network,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::NameTimedOut, 0.93),
            (Sign::NameUnresolved, 0.15),
            (Sign::Answered504, 0.02),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let host = case.host();
    match case.dns_fault()? {
        DnsFault::TimedOut(limit) => Some(Finding::new(
            0.9,
            format!(
                "no name server answered the question for {host} within {}",
                words(limit.value)
            ),
            "the question went out and nothing came back",
        )),
        DnsFault::NoServer => Some(Finding::new(
            0.9,
            format!("no name server could be asked for {host}: none is configured or reachable"),
            "not one name server took the question",
        )),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See which name servers this host asks", "cat /etc/resolv.conf"),
        Fix::run(
            "Ask over TCP: if this works, UDP packets get lost",
            format!("dig +tcp {}", case.question()),
        ),
        Fix::new("Name a second server in `dns.servers`, so that one silent server is no outage"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = advice::name(dossier)?;
    let resolver = resolver(dossier).map(|it| format!(" ({it})")).unwrap_or_default();
    Some(format!("no resolver{resolver} answered {} in time for {name}", dossier.hop()))
}

/// Whom the proxy asks, by its configuration.
fn resolver(dossier: &Dossier) -> Option<String> {
    let found = dossier.settings(|it| match &it.what {
        What::Resolver { address } => Some(address.clone()),
        _ => None,
    });
    found.into_iter().next().map(|(it, _)| it)
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).map_or_else(|| "NAME".to_owned(), |it| advice::word(&it));
    let host = advice::hop_host(dossier);
    let server = resolver(dossier)
        .map_or_else(|| "RESOLVER".to_owned(), |it| advice::word(address::host(&it)));
    let mut now = vec![
        Step::look(
            "See whether the resolver answers at all, over UDP and over TCP",
            format!("dig @{server} {name}; dig +tcp @{server} {name}"),
        )
        .at(host.clone()),
    ];
    if platform::kubernetes(dossier) {
        now.push(Step::look(
            "See whether CoreDNS runs and is not held back by its CPU limit",
            "kubectl -n kube-system get pods -l k8s-app=kube-dns; kubectl -n kube-system logs -l k8s-app=kube-dns --tail 50",
        ));
    }
    now.push(Step::say(
        "Start the resolver again, or open port 53 over UDP and TCP between it and this host",
    ));
    Cure {
        now,
        lasting: advice::change(
            dossier,
            "Name two resolvers, and keep answers for a while",
            &[(Hop::Nginx, "resolver RESOLVER1 RESOLVER2 valid=30s;\nresolver_timeout 5s;")],
        ),
        verify: vec![
            Step::look(
                "See an answer within milliseconds",
                format!("dig @{server} {name} | grep -E 'status|Query time'"),
            )
            .at(host),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn silence_is_a_timeout() {
        check(
            "resolve: timed_out | target=http://app.internal unresolved",
            "dns_timeout: no name server answered the question for app.internal within 60 s",
        );
    }

    #[test]
    fn nobody_to_ask() {
        check(
            "resolve: no_server | target=http://app.internal unresolved",
            "dns_timeout: no name server could be asked for app.internal: none is configured or \
             reachable",
        );
    }

    #[test]
    fn a_refusal_is_an_answer() {
        check_not("resolve: refused | target=http://app.internal unresolved", "dns_timeout");
    }

    #[test]
    fn the_name_is_said() {
        let line = nginx("app.internal could not be resolved (110: Operation timed out)", "");
        check_report(
            &[("error.log", &line)],
            "dns_timeout: no resolver answered nginx in time for app.internal",
        );
    }
}
