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

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::Text;
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "http2_stream_reset",
    family: Family::F4,
    title: "The upstream reset the HTTP/2 stream of the request",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::StreamReset, 0.85)], says, cure, ..Text::NONE },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Read the code of the reset in the gateway's log: 7 may be repeated, 2 is the app's, 8 \
             is a deadline",
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
