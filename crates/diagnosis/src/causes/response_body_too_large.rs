//! The body of the answer is larger than a limit of the gateway, which gave it up.
//!
//! ## What you see
//! 502 for some large answers only, or an answer that is cut. AWS: a Lambda behind a balancer fails
//! with `LambdaResponseTooLarge` (1 MB), API Gateway ends at 10 MB; Apigee says
//! `protocol.http.TooBigBody`; Envoy's buffers and plugins that transform bodies have limits of
//! their own. RFC 9209 calls it `http_response_body_size`.
//!
//! ## Why it happens
//! A gateway that has to hold a whole answer (to transform, sign, compress or cache it, or to hand
//! it over from a function) bounds what it holds. A list without pages has grown above that.
//!
//! ## How to tell
//! Failures go with the size of the answer and with one route; a smaller page of the same list
//! works. If the head is what is too large, it is `header_too_big`; if the connection broke,
//! `response_truncated`.
//!
//! ## Fix
//! Page the list, or hand large content over by a link to storage. Let the gateway stream that
//! route instead of holding it; a higher limit costs memory for each request at once.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::BodyFault;

pub(super) static CAUSE: Cause = Cause {
    id: "response_body_too_large",
    family: Family::F9,
    title: "The answer is larger than a gateway takes",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let BodyFault::TooBig(limit) = case.body_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.95,
        format!("the answer of {} is larger than what is kept of one", case.dialled()),
        format!("`{}` allows {} bytes, and more came", limit.name, limit.value),
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Measure the answer at the app, without the gateway, and compare it with the gateway's \
             limit",
        ),
        Fix::new("Page the answer, or hand over a link to storage instead of the content"),
        Fix::new(
            "Take what needs the whole body (transform, signature, cache) off this route, so that \
             it is streamed",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See how large the answer is",
            "curl -sS -o /dev/null -w '%{size_download}\\n' http://SITE/PATH",
        )],
        now: vec![
            Step::say("Hand large answers out in pages, or as a link to a file in a store"),
            advice::set(
                dossier,
                "Where the size is meant, raise the limit of the hop that refused it",
                &[],
            ),
        ],
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}
