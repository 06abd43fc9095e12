//! The body of the answer is not what its `Content-Encoding` says, and a gateway or the client
//! could not decode it.
//!
//! ## What you see
//! A browser says `ERR_CONTENT_DECODING_FAILED`, curl `Error while processing content unencoding:
//! incorrect header check`, Python `Received response with content-encoding: gzip, but failed to
//! decode it`, Go `gzip: invalid header`. nginx with `gunzip` logs `inflate() failed: 0, -3`. RFC
//! 9209 calls it `http_response_content_coding`.
//!
//! ## Why it happens
//! Compressed twice, by the app and by a proxy; a header that says gzip over a body that is plain,
//! often on error pages and 304; a body that a filter has changed after it was compressed; or a
//! compressed body that was cut.
//!
//! ## How to tell
//! Look at the first bytes: gzip begins with 1f 8b. With `Accept-Encoding: identity` the same URL
//! works. A body that decodes at first and then ends is `response_truncated`.
//!
//! ## Fix
//! Compress in one place only. Let whatever changes a body decode it first, and remove
//! `Content-Encoding` and `Content-Length` where it takes the coding off.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;

pub(super) static CAUSE: Cause = Cause {
    id: "content_coding_error",
    family: Family::F9,
    title: "The compressed body cannot be decoded",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look at the raw first bytes: 1f8b is gzip",
            format!(
                "curl -s -H 'Accept-Encoding: gzip' {}/PATH | head -c 16 | od -An -tx1",
                case.url(),
            ),
        ),
        Fix::new("Compress in one place only: the app or the proxy"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "Compare `Content-Encoding` with the body: gzip begins with `^_M-^K`",
        )],
        vec![
            Step::say(
                "Compress in one place: in the app or in the proxy; an app that passes on a decoded answer removes `Content-Encoding` and `Content-Length`",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See a body in the coding that the header names",
    )
}
