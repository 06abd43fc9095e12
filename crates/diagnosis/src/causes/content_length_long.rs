//! The target sent more bytes than its `Content-Length` stated.
//!
//! ## What you see
//! Mostly nothing: the client gets an answer of the stated length, which may be cut in the middle
//! of a word. nginx warns `upstream sent more data than specified in "Content-Length" header while
//! reading upstream`, Waitress logs `application-written content exceeded the number of bytes
//! specified by Content-Length header`.
//!
//! ## Why it happens
//! The length counts characters and the body is longer in bytes, the length is that of the
//! compressed body while the plain one was sent, an answer to HEAD or a 304 came with a body, or
//! two handlers wrote one answer.
//!
//! ## How to tell
//! The raw answer is longer than its field says.
//!
//! ## Fix
//! Leave the length to the server. This gateway ends the connection instead of using it again, so
//! that the surplus is not taken for the start of the next answer.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{HINTS, Text, during};
use evidence::Sign;
use exchange::BodyFault;

pub(super) static CAUSE: Cause = Cause {
    id: "content_length_long",
    family: Family::F9,
    title: "More bytes came than the answer said",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::LengthLong, 0.92)],
        clues: &[during(Sign::ContentLengthMismatch, HINTS)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let BodyFault::Surplus = case.body_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("{} sent more bytes than its answer declared", case.server()),
        "the declared part was passed on whole, and the rest was dropped with the connection",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Leave `Content-Length` to the app's server; if the app sets it, count bytes, not \
             characters, and no body at all for HEAD, 204 and 304",
        ),
        Fix::run(
            "Compare the field with what is sent, without the gateway",
            format!("curl -sv --ignore-content-length {}/PATH | wc -c", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} sent more bytes than its Content-Length said", dossier.server_at()))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(dossier, "Compare the body with `Content-Length`")],
        vec![
            Step::say(
                "Let the framework count the bytes, not the characters; an answer to HEAD, 204 and 304 has no body",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See as many bytes as `Content-Length` says",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_body_that_is_too_long() {
        check(
            "body: surplus | server=app",
            "content_length_long: app sent more bytes than its answer declared",
        );
    }

    #[test]
    fn a_body_that_is_too_short() {
        check_not("body: length_short=5 | server=app", "content_length_long");
    }

    #[test]
    fn nginx_got_more() {
        let line = nginx(
            "upstream sent more data than specified in \"Content-Length\" header while reading upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "content_length_long: 127.0.0.1:8000 sent more bytes than its Content-Length said",
        );
    }
}
