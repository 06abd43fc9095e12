//! The name server does not answer questions from this host, or not for this zone.
//!
//! ## What you see
//! 502 at once, for every name or for all names outside one zone. nginx logs `HOST could not be
//! resolved (5: Operation refused)`.
//!
//! ## Why it happens
//! Name servers answer only the networks in their access list (`allow-query`, `allow-recursion` in
//! BIND, views, cloud rules), and those that only host zones refuse names of others. A gateway that
//! moved, or that leaves through another address, is suddenly a stranger.
//!
//! ## How to tell
//! The same question succeeds from a host in another network, or through another name server.
//!
//! ## Fix
//! Let the name server answer the gateway's network, or name another one in `dns.servers`.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::DnsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "dns_refused",
    family: Family::F6,
    title: "The name server refuses to answer us",
    side: Side::Network,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::NameRefused, 0.94)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let DnsFault::Refused = case.dns_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("the name server refuses to answer the gateway's question for {}", case.host()),
        "the answer was REFUSED: a rule of the name server, not a missing name",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Ask it from the gateway's host", format!("dig {}", case.question())),
        Fix::new(
            "Allow the gateway's network in the name server's access list (`allow-query` and \
             `allow-recursion` in BIND)",
        ),
        Fix::new("Or name a server in `dns.servers` that may answer this host"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = advice::name(dossier)?;
    Some(format!("the resolver refused to answer {} for {name}", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).map_or_else(|| "NAME".to_owned(), |it| advice::word(&it));
    let host = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look("See which resolver refuses", format!("cat /etc/resolv.conf; dig {name}"))
                .at(host.clone()),
        ],
        now: advice::change(
            dossier,
            "Let that resolver answer this host (`allow-recursion` of BIND, `access-control` of \
             Unbound), or name one that serves it",
            &[(Hop::Nginx, "resolver RESOLVER valid=30s;")],
        ),
        verify: vec![
            Step::look("See `status: NOERROR`", format!("dig {name} | grep status")).at(host),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_refusal_is_a_rule() {
        check(
            "resolve: refused | target=http://app.internal unresolved",
            "dns_refused: the name server refuses to answer the gateway's question for \
             app.internal",
        );
    }

    #[test]
    fn a_missing_name_is_no_refusal() {
        check_not("resolve: no_such_name | target=http://app.internal unresolved", "dns_refused");
    }

    #[test]
    fn the_name_is_said() {
        let line = nginx("app.internal could not be resolved (5: Operation refused)", "");
        check_report(
            &[("error.log", &line)],
            "dns_refused: the resolver refused to answer nginx for app.internal",
        );
    }
}
