//! The target's name has several addresses, and some of them do not answer.
//!
//! ## What you see
//! Requests are slow by a constant amount, or fail now and then, while others to the same name are
//! fine. Gateways that try the next address hide it: what is left is the time that the dead one
//! costs.
//!
//! ## Why it happens
//! A machine was switched off while its record stayed, an IPv6 record points where nothing listens,
//! or a health check of the DNS provider is missing.
//!
//! ## How to tell
//! Dial every address of the answer by itself; the dead ones show.
//!
//! ## Fix
//! Take the dead address out of the record, or bring back what was there.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Fault;

pub(super) static CAUSE: Cause = Cause {
    id: "dns_partial_answer",
    family: Family::F6,
    title: "Some of the name's addresses are dead",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let (name, attempt) = (case.name()?, case.attempt()?);
    let (first, errno) = attempt.tried.first()?;
    let confidence = match case.fault()? {
        // All of them failed in the same way: that is the service, not one address.
        Fault::Connect(_) if attempt.errno.unwrap_or(0) == *errno => return None,
        Fault::Connect(_) => 0.1,
        Fault::Deadline(_) => 0.3,
        _ => return None,
    };
    let failed = attempt.tried.len();
    Some(Finding::new(
        confidence,
        format!("{name} has addresses that do not answer: {failed} failed first, such as {first}"),
        "these addresses of the same name were tried before, and took their time",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let host = case.host();
    let port = case.place().map_or(80, |it| it.port);
    vec![
        Fix::run(
            "Try every address of the name",
            format!("for it in $(dig +short {host} A {host} AAAA); do nc -zvw2 $it {port}; done"),
        ),
        Fix::new("Take the addresses that do not answer out of the record"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let name = advice::name(dossier).map_or_else(|| "NAME".to_owned(), |it| advice::word(&it));
    Cure {
        now: vec![
            Step::look(
                "Compare what the resolver answers over UDP and over TCP: a cut answer has the flag `tc`",
                format!("dig +ignore {name}; dig +tcp {name}"),
            )
            .at(advice::hop_host(dossier)),
            Step::say("Let TCP to port 53 through, and let the resolver take larger answers (`edns-udp-size 1232`)"),
        ],
        verify: vec![Step::look("See all addresses over UDP too", format!("dig +short {name}")).at(advice::hop_host(dossier))],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_listed, check_not};

    #[test]
    fn a_dead_address_used_up_the_time() {
        check_listed(
            "deadline | to=10.0.0.8:8000 target=http://app.internal:8000 tried=10.0.0.7:8000/110",
            "dns_partial_answer",
        );
    }

    #[test]
    fn the_last_address_failed_like_the_first() {
        check_listed(
            "connect: timed_out | to=10.0.0.8:8000 target=http://app.internal:8000 \
             tried=10.0.0.7:8000/111",
            "dns_partial_answer",
        );
    }

    #[test]
    fn a_single_address_is_not_part_of_anything() {
        check_not(
            "connect: refused | to=10.0.0.8:8000 target=http://app.internal:8000",
            "dns_partial_answer",
        );
    }
}
