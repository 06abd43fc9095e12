//! The upstream announced with GOAWAY that it takes no more requests on this HTTP/2 connection, and
//! some were on their way.
//!
//! ## What you see
//! Single failures now and then, at a deploy or after so many requests. Envoy answers 503 with `UC`
//! or `UR`; nginx logs `upstream sent goaway with error N`; Go `http2: server sent GOAWAY and
//! closed the connection; LastStreamID=N, ErrCode=NO_ERROR, debug=""`; gRPC clients show
//! UNAVAILABLE.
//!
//! ## Why it happens
//! Servers limit how long or for how many requests one connection lives (an AWS balancer: 10000),
//! and close all of them when they stop. GOAWAY names the last stream that will be worked on.
//! Requests above it were not touched; a client that does not repeat them turns them into failures.
//!
//! ## How to tell
//! The error code is NO_ERROR, and the time goes with a deploy or with a count of requests.
//! `http2_stream_reset` ends one stream and leaves the connection; an error code such as
//! ENHANCE_YOUR_CALM means that we did something the server dislikes, often pings.
//!
//! ## Fix
//! Repeat streams above the last one: they were not processed, whatever the method. Let the client
//! renew connections earlier than the server does, and let a stopping server wait between GOAWAY
//! and its end.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::http2;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::{Sign, Stack};
use exchange::{Fault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "http2_goaway",
    family: Family::F4,
    title: "The upstream closed its HTTP/2 connection in an orderly way",
    side: Side::AppServer,
    retry: RetryClass::R1,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::GoAway, 0.2)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Head(HeadFault::GoAway(code)) = case.fault()? else {
        return None;
    };
    let says = match code {
        0 => "NO_ERROR is a planned end, and the request was above the last one that is worked on",
        _ => "the target objects to something on this connection, and did not process the request",
    };
    Some(Finding::new(
        0.9,
        format!(
            "{} said goodbye to the connection (GOAWAY, {}) before it took the request",
            case.server(),
            http2::code(*code)
        ),
        says,
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Read the error code and the last stream in the log: NO_ERROR is a planned end"),
        Fix::new(
            "Let the client repeat the streams above the last one, which is safe for any method",
        ),
        Fix::new(
            "Renew connections before the server's own limit, and let a stopping server finish its \
             open streams",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let hop = dossier.hop();
    let now = match dossier.incident.hop.stack() {
        Stack::Envoy => "Repeat what was not processed: `retry_on: refused-stream,reset-before-request`, safe for any method".to_owned(),
        _ => format!("Let {hop} repeat the streams above the last one that the GOAWAY names: they were not processed, whatever the method"),
    };
    Cure {
        before: Vec::new(),
        now: vec![Step::say(now), wording::reload(dossier)],
        lasting: vec![Step::say(format!(
            "Let {hop} renew its connections earlier than the server does, and let a stopping \
             server wait between its GOAWAY and its end"
        ))],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_planned_end_and_a_reproach() {
        check(
            "head: goaway=0 | http2 reused idle=0ms server=envoy",
            "http2_goaway: envoy said goodbye to the connection (GOAWAY, NO_ERROR) before it took \
             the request",
        );
        check(
            "head: goaway=11 | http2 reused idle=0ms",
            "http2_goaway: the upstream said goodbye to the connection (GOAWAY, ENHANCE_YOUR_CALM) \
             before it took the request",
        );
    }

    #[test]
    fn a_close_without_a_goodbye_is_another() {
        check_not("head: closed | http2 reused idle=0ms", "http2_goaway");
        check_not("head: stream_reset=7 | http2", "http2_goaway");
    }
}
