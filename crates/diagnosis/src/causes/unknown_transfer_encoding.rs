//! The target's answer is framed in a way that HTTP/1.1 does not know, or `chunked` is not the last
//! coding.
//!
//! ## What you see
//! Status 502 here, in Caddy (`unsupported transfer encoding: "foo"`), HAProxy (`PH--`) and newer
//! nginx (`upstream sent unknown "Transfer-Encoding": "foo"`). Apache answers 200 and logs
//! `AH02555: Unknown Transfer-Encoding: foo; using read-until-close`.
//!
//! ## Why it happens
//! `Transfer-Encoding` was taken for `Content-Encoding`: `gzip`, `br`, `identity` or `utf-8` belong
//! there, or nowhere.
//!
//! ## How to tell
//! The raw answer shows the field.
//!
//! ## Fix
//! Leave `Transfer-Encoding` to the server, and say `Content-Encoding: gzip` for a compressed body.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::head;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "unknown_transfer_encoding",
    family: Family::F9,
    title: "The answer has a transfer coding that nobody knows",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::CodingUnknown, 0.93),
            (Sign::CodingTwice, 0.92),
            (Sign::ProtocolError, 0.02),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::CodingUnknown = case.head_fault()? else {
        return None;
    };
    let value = head::values(case.first_bytes(), "transfer-encoding");
    let value = value.map_or(String::new(), |it| format!(": {it}"));
    Some(Finding::new(
        0.9,
        format!("{} sent a Transfer-Encoding other than chunked{value}", case.server()),
        "only `chunked`, and as the last one, tells where an answer ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Do not set `Transfer-Encoding` in the app; a compressed body is `Content-Encoding: \
             gzip`",
        ),
        Fix::run(
            "See the field, without the gateway",
            format!("curl -sD - -o /dev/null {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(match dossier.sign() {
        Sign::CodingTwice => format!("{} said Transfer-Encoding twice", dossier.server_at()),
        _ => format!(
            "{} sent a Transfer-Encoding that {} does not know",
            dossier.server_at(),
            dossier.hop()
        ),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "See the header: `chunked`, once, is the only value that proxies take",
        )],
        vec![
            Step::say(
                "Remove Transfer-Encoding from what the app sets: the server adds it; compression belongs into `Content-Encoding`; an answer that is passed on from elsewhere loses the header first",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See `Transfer-Encoding: chunked` once, or none",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_coding_that_nobody_knows() {
        check(
            "head: coding_unknown | server=app \
             bytes=485454502f312e3120323030204f4b0d0a5472616e736665722d456e636f64696e673a20\
             677a69700d0a",
            "unknown_transfer_encoding: app sent a Transfer-Encoding other than chunked: \"gzip\"",
        );
    }

    #[test]
    fn a_length_beside_it_is_another_matter() {
        check_not("head: length_and_coding | server=app", "unknown_transfer_encoding");
    }

    #[test]
    fn a_coding_that_nobody_knows_and_one_twice() {
        let line = nginx(
            "upstream sent unknown \"Transfer-Encoding\": \"foo\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "unknown_transfer_encoding: 127.0.0.1:8000 sent a Transfer-Encoding that nginx does not know",
        );
        let line = nginx(
            "upstream sent duplicate header line: \"Transfer-Encoding: chunked\", previous value: \"Transfer-Encoding: chunked\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "unknown_transfer_encoding: 127.0.0.1:8000 said Transfer-Encoding twice",
        );
    }
}
