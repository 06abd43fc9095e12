//! The caller began a request and did not finish sending it.
//!
//! ## What you see
//! Status 408. HAProxy marks `cR`, `cD` or `cH`; nginx writes `client timed out (110: Connection
//! timed out)` at level info.
//!
//! ## Why it happens
//! A slow or lost mobile connection, a caller that announces more body than it sends (a wrong
//! `Content-Length`), or someone who holds connections open on purpose (a slow-request attack).
//!
//! ## How to tell
//! How far it came: a head that never ends is rarely an honest client; a body that falls short of
//! its length is mostly a wrong length.
//!
//! ## Fix
//! Correct the caller's length, or let it send again. Longer limits (`listen.timeout.head`,
//! `listen.timeout.body`), or a lower `limits.client_rate`, help slow callers and attackers alike: each open request holds memory and
//! a connection.

use crate::advice::{self, Hop};
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "client_slow",
    family: Family::F15,
    title: "The client did not send its request in time",
    side: Side::Client,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let request = &case.exchange.request;
    let took = words(case.exchange.took);
    let (statement, says) = match case.refusal()? {
        Refusal::HeadTimeout => (
            format!("the client did not finish its request's head within {took}"),
            "`listen.timeout.head` passed before the end of the headers",
        ),
        Refusal::BodyTimeout => (
            format!(
                "the client stopped in the middle of its request's body: {} bytes had come after \
                 {took}",
                request.body_bytes
            ),
            "`listen.timeout.body` passed between two bytes of the body; `timeout.tunnel` in a gRPC call",
        ),
        Refusal::BodySlow => (
            format!(
                "the client sent its request's body too slowly: {} bytes had come after {took}",
                request.body_bytes
            ),
            "for as long as `listen.timeout.body` the body came more slowly than `limits.client_rate`",
        ),
        _ => return None,
    };
    Some(Finding::new(0.9, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let first = match case.refusal() {
        Some(Refusal::BodyTimeout) => {
            "Let the client send as many bytes as its `Content-Length` says, or use chunks"
        }
        _ => "Let the client end its headers with an empty line (CR LF CR LF)",
    };
    vec![
        Fix::new(first),
        Fix::new("If its network is slow, let it send again, or in smaller parts"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![
            Step::say(
                "Let the caller send its body in pieces that it can repeat, or from closer by",
            ),
            advice::set(
                dossier,
                "Give slow lines more time; it also gives it to those who send slowly on purpose",
                &[
                    (Hop::Nginx, "client_body_timeout 120s;"),
                    (Hop::HaProxy, "timeout http-request 30s\ntimeout client 60s"),
                    (
                        Hop::Apache,
                        "RequestReadTimeout header=20-40,MinRate=500 body=60,MinRate=500",
                    ),
                ],
            )
            .hides(),
        ],
        verify: vec![Step::look(
            "See a slow upload end well",
            "curl -sS --limit-rate 20k -T FILE -o /dev/null -w '%{http_code}\\n' http://SITE/PATH",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_head_that_does_not_end() {
        check(
            "refused: head_timeout | took=10s",
            "client_slow: the client did not finish its request's head within 10 s",
        );
    }

    #[test]
    fn a_body_that_stops() {
        check(
            "refused: body_timeout | took=30s body=512",
            "client_slow: the client stopped in the middle of its request's body: 512 bytes had \
             come after 30 s",
        );
    }

    #[test]
    fn a_body_that_trickles() {
        check(
            "refused: body_slow | took=60s body=31",
            "client_slow: the client sent its request's body too slowly: 31 bytes had come after \
             60 s",
        );
    }

    #[test]
    fn a_large_head_is_not_slow() {
        check_not("refused: head_too_large", "client_slow");
    }
}
