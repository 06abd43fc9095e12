//! The caller closed its connection before it had the whole answer.
//!
//! ## What you see
//! nginx writes status 499 and `epoll_wait() reported that client prematurely closed connection, so
//! upstream connection is closed too`, HAProxy marks `CH`, `CD` or `CC`, Envoy `DC`, Go says
//! `context canceled`, an AWS load balancer writes 460.
//!
//! ## Why it happens
//! Its own time limit passed, the user left the page or pressed stop, a deployment ended the
//! calling process, or a proxy between the two gave up. Libraries have limits of their own: many
//! end at 5, 10, 30 or 60 seconds.
//!
//! ## How to tell
//! Look at the times. If they cluster at one value, it is a limit of the caller. Then the question
//! is whether the answer should take so long.
//!
//! ## Fix
//! Nothing failed here. If the times cluster, make the answer quicker or the caller more patient:
//! with more patience alone it only waits longer for the same answer.

use crate::case::{Case, Subject, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Phase;

pub(super) static CAUSE: Cause = Cause {
    id: "client_closed",
    family: Family::F15,
    title: "The client left before its answer was whole",
    side: Side::Client,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::ClientClosed(phase) = case.subject else {
        return None;
    };
    let failed = case.exchange.attempts.iter().filter(|it| it.fault.is_some()).count();
    let blame = match failed {
        0 => "no upstream had failed".to_owned(),
        1 => "one attempt had failed before".to_owned(),
        all => format!("{all} attempts had failed before"),
    };
    Some(Finding::new(
        0.95,
        format!(
            "the client left after {}, while the gateway was {}; {blame}",
            words(case.exchange.took),
            doing(phase)
        ),
        "the client ended its connection first",
    ))
}

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Route => "reading the request",
        Phase::Admit => "checking whether the request is allowed",
        Phase::Select => "choosing a target",
        Phase::Queue => "waiting for a free place at the upstream",
        Phase::Resolve => "looking up the target's name",
        Phase::Connect => "connecting to the target",
        Phase::Tls => "in the TLS handshake with the target",
        Phase::SendHead | Phase::SendBody => "passing the request on",
        Phase::WaitFirstByte => "waiting for the first byte of the answer",
        Phase::ReadHead => "reading the head of the answer",
        Phase::ReadBody => "passing on the body of the answer",
        Phase::WaitEvidence => "asking why the attempt had failed",
    }
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "See whether such requests end after the same time: then that is the caller's time \
             limit (its HTTP library's, or that of a proxy before this gateway)",
        ),
        Fix::new("If it is, make the answer quicker, or give the result to be fetched later (202)"),
    ]
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See how long such requests took: one same time is a limit of the caller",
            "awk '$9 == 499' /var/log/nginx/access.log | tail -50",
        )],
        now: vec![
            Step::say(
                "Make what they asked for faster, or answer 202 and let them ask for the result",
            ),
            Step::say("Let the caller wait for longer than this side takes; it hides slowness")
                .hides(),
        ],
        verify: vec![Step::look(
            "See fewer of them",
            "awk '$9 == 499' /var/log/nginx/access.log | wc -l",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_client_that_waits_no_longer() {
        check(
            "client_closed | took=3s",
            "client_closed: the client left after 3 s, while the gateway was waiting for the \
             first byte of the answer; no upstream had failed",
        );
    }

    #[test]
    fn a_failed_attempt_before_is_told() {
        check(
            "client_closed | took=3s earlier_failure",
            "client_closed: the client left after 3 s, while the gateway was waiting for the \
             first byte of the answer; one attempt had failed before",
        );
    }

    #[test]
    fn a_target_that_leaves_is_no_client() {
        check_not("head: closed | fresh", "client_closed");
    }
}
