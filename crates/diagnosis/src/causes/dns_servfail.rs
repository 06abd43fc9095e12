//! The name server was reached, and could not find out what the target's name means.
//!
//! ## What you see
//! 502 within milliseconds or after a few seconds. nginx logs `HOST could not be resolved (2:
//! Server failure)`; most programs print only that the name could not be resolved, for their system
//! hides the answer code.
//!
//! ## Why it happens
//! The name server asks others on our behalf, and those do not answer, contradict each other, or
//! fail DNSSEC validation. Cluster name servers also say SERVFAIL when the server above them is
//! away or when they lack memory.
//!
//! ## How to tell
//! Ask the same name server again and another one. If `dig +cd NAME`, which skips validation, gets
//! an answer, then the signatures of the zone are broken.
//!
//! ## Fix
//! Repair the zone or the name server above. Two independent name servers in `dns.servers` or in
//! `/etc/resolv.conf` keep one failure from being an outage.

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
    id: "dns_servfail",
    family: Family::F6,
    title: "The name server failed to look the name up",
    side: Side::Network,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NameServerFailed, 0.93), (Sign::NameUnresolved, 0.15)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let host = case.host();
    match case.dns_fault()? {
        DnsFault::ServerFailure => Some(Finding::new(
            0.9,
            format!("the name server could not look up {host}: the answer was SERVFAIL"),
            "the name server was reached and failed itself",
        )),
        DnsFault::Code(code) => Some(Finding::new(
            0.85,
            format!("the name server answered the question for {host} with error code {code}"),
            "the name server was reached and gave an error instead of an address",
        )),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    let question = case.question();
    vec![
        Fix::run("See whether another name server can answer", format!("dig {question} @SERVER")),
        Fix::run(
            "See whether the signatures of the zone are at fault: this asks without validation",
            format!("dig +cd {question}"),
        ),
        Fix::new("Give the gateway a second, independent name server in `dns.servers`"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = advice::name(dossier)?;
    Some(format!(
        "the resolver answered {} with a failure of its own (SERVFAIL) for {name}",
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).map_or_else(|| "NAME".to_owned(), |it| advice::word(&it));
    let host = advice::hop_host(dossier);
    Cure {
        now: vec![
            Step::look(
                "See who fails: an answer with `+cd` only says that DNSSEC of the zone is broken; none at all says that the resolver cannot reach the zone's servers",
                format!("dig {name}; dig +cd {name}; dig +trace {name}"),
            )
            .at(host.clone()),
            Step::look("See which resolver is asked", "cat /etc/resolv.conf; resolvectl status").at(host.clone()),
            Step::say("Repair the zone (expired signatures, lame delegation) or the resolver's way to its servers, whichever it is"),
        ],
        lasting: advice::change(
            dossier,
            "Name two resolvers that do not share a failure",
            &[(Hop::Nginx, "resolver RESOLVER1 RESOLVER2 valid=30s;\nresolver_timeout 5s;")],
        ),
        verify: vec![Step::look("See `status: NOERROR`", format!("dig {name} | grep status")).at(host)],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_name_server_that_fails() {
        check(
            "resolve: server_failure | target=http://app.internal unresolved",
            "dns_servfail: the name server could not look up app.internal: the answer was \
             SERVFAIL",
        );
    }

    #[test]
    fn a_rare_answer_code_is_told_as_a_number() {
        check(
            "resolve: code=4 | target=http://app.internal unresolved",
            "dns_servfail: the name server answered the question for app.internal with error \
             code 4",
        );
    }

    #[test]
    fn silence_is_something_else() {
        check_not("resolve: timed_out | target=http://app.internal unresolved", "dns_servfail");
    }

    #[test]
    fn the_name_is_said() {
        let line = nginx("app.internal could not be resolved (2: Server failure)", "");
        check_report(
            &[("error.log", &line)],
            "dns_servfail: the resolver answered nginx with a failure of its own (SERVFAIL) for app.internal",
        );
    }
}
