//! The target announced a length and closed the connection before it had sent so much.
//!
//! ## What you see
//! The status is 200 everywhere, and the body is cut: HAProxy marks `SD--`; clients say
//! `IncompleteRead(N bytes read, M more expected)` or `ERR_CONTENT_LENGTH_MISMATCH`. An AWS load
//! balancer waits out its idle limit and answers 504. Waitress logs `application returned too few
//! bytes (N) for specified Content-Length (M) via app_iter`.
//!
//! ## Why it happens
//! A worker died or was stopped in the middle of the answer, or the length was computed wrongly:
//! characters counted instead of bytes, the size before compression, a file that shrank while it
//! was sent.
//!
//! ## How to tell
//! If the same number of bytes is missing each time, the length is computed wrongly. If it varies,
//! look for workers that end.
//!
//! ## Fix
//! Leave the length to the server; or find out what ends the worker.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{STRONG, Text, during};
use evidence::Sign;
use exchange::BodyFault;

pub(super) static CAUSE: Cause = Cause {
    id: "content_length_short",
    family: Family::F9,
    title: "The answer is shorter than it said",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::BodyCut, 0.08), (Sign::BodyShort, 0.8)],
        clues: &[during(Sign::ContentLengthMismatch, STRONG)],
        brings: &["response_truncated"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let BodyFault::LengthShort { left } = case.body_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.6,
        format!(
            "{} closed the connection {left} bytes before the end that its Content-Length stated",
            case.server()
        ),
        format!("{} bytes of the answer had come, head included", case.received()),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See without the gateway whether the same bytes are missing each time",
            format!("curl -sv -o /dev/null {}/PATH", case.url()),
        ),
        Fix::new(
            "If they are, the length is computed wrongly: count bytes, not characters, and after \
             compression; or leave `Content-Length` to the server",
        ),
        Fix::new(format!(
            "If not, look in the log of {} for a worker that ended at this moment",
            case.server()
        )),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} sent fewer bytes than its Content-Length said", dossier.server_at()))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![
            Step::look("See what the app said at that second", platform::app_log(dossier))
                .at(platform::host_of(dossier)),
        ],
        vec![
            Step::say(
                "Let the framework count the bytes: a length taken from characters, from a file that changed, or from before compression is wrong",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See as many bytes as `Content-Length` says",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_body_that_falls_short() {
        check(
            "body: length_short=512 | server=app received=300",
            "content_length_short: app closed the connection 512 bytes before the end that its \
             Content-Length stated",
        );
    }

    #[test]
    fn a_stream_has_no_length() {
        check_not("body: chunk_cut | server=app", "content_length_short");
    }
}
