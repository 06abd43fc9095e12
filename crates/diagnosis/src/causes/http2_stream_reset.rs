//! The upstream ended the HTTP/2 stream of one request with RST_STREAM, while the connection
//! stayed.
//!
//! ## What you see
//! 502 for one request, the others on the same connection go on. nginx logs `upstream rejected
//! request with error N`; Envoy sets the flag `UR` with
//! `upstream_reset_before_response_started{remote_reset}`; Go `stream error: stream ID N;
//! INTERNAL_ERROR; received from peer`; gRPC shows UNAVAILABLE, INTERNAL or CANCELLED.
//!
//! ## Why it happens
//! The code says why. REFUSED_STREAM (7): too many at once, not touched. CANCEL (8): the server no
//! longer wants it, often its own deadline. INTERNAL_ERROR (2): the app failed. ENHANCE_YOUR_CALM
//! (11): a flood guard. PROTOCOL_ERROR (1): one side broke the rules.
//!
//! ## How to tell
//! Look at the code, and whether the answer had begun. In `http2_goaway` all streams of the
//! connection go together.
//!
//! ## Fix
//! For REFUSED_STREAM: send fewer at once, or wait; it may be repeated with any method. For
//! INTERNAL_ERROR look in the app's log at that second. For CANCEL compare the deadlines along the
//! way.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::http2;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{window, worked};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{BodyFault, Fault, HeadFault, REFUSED_STREAM};

pub(super) static CAUSE: Cause = Cause {
    id: "http2_stream_reset",
    family: Family::F4,
    title: "The upstream reset the HTTP/2 stream of the request",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::StreamReset, 0.85)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let (code, when) = match case.fault()? {
        Fault::Head(HeadFault::StreamReset(code)) => (*code, "before an answer began"),
        Fault::Body(BodyFault::StreamReset(code)) => (*code, "in the middle of its answer"),
        _ => return None,
    };
    let says = match code {
        REFUSED_STREAM => "this code says that the request was not processed",
        2 => "this code says that the target failed in what it was doing",
        8 => {
            "this code says that the target no longer wants the request, often by its own deadline"
        }
        11 => {
            "this code says that the target sees too much of something, often of requests or pings"
        }
        _ => "RST_STREAM ends one request and leaves the connection",
    };
    Some(Finding::new(
        0.85,
        format!(
            "{} reset the stream of the request with {} {when}, after {}",
            case.server(),
            http2::code(code),
            words(worked(case))
        ),
        says,
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Go by the code of the reset: REFUSED_STREAM may be repeated, INTERNAL_ERROR is the \
             app's, CANCEL is a deadline",
        ),
        Fix::run("Look in the app's log at that time", format!("journalctl {}", window(case))),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let code = dossier.incident.detail.as_deref().map(wording::brief).filter(|it| !it.is_empty());
    (dossier.sign() == Sign::StreamReset).then(|| {
        let code = code.map(|it| format!(": {it}")).unwrap_or_default();
        format!("{} reset the HTTP/2 stream of the request{code}", wording::app_at(dossier))
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Read what the app did at that second: for INTERNAL_ERROR that is what to cure",
        )],
        now: vec![
            Step::say(
                "For REFUSED_STREAM send fewer streams at once, or repeat: nothing was processed",
            ),
            Step::say("For CANCEL compare the deadlines along the way: an outer one ended first"),
        ],
        lasting: Vec::new(),
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn the_code_is_named() {
        check(
            "head: stream_reset=2 | http2 fresh after=40ms server=envoy",
            "http2_stream_reset: envoy reset the stream of the request with INTERNAL_ERROR before \
             an answer began, after 40 ms",
        );
        check(
            "body: stream_reset=99 | http2 fresh after=1s",
            "http2_stream_reset: the upstream reset the stream of the request with code 99 in the \
             middle of its answer, after 1 s",
        );
    }

    #[test]
    fn the_end_of_the_connection_is_another() {
        check_not("head: goaway=0 | http2", "http2_stream_reset");
        check_not("head: reset | http2", "http2_stream_reset");
    }
}
