//! The target's answer has both `Content-Length` and `Transfer-Encoding`.
//!
//! ## What you see
//! Status 502 here and in newer nginx (`upstream sent "Content-Length" and "Transfer-Encoding"
//! headers at the same time`). Most others pass it on and believe the chunks.
//!
//! ## Why it happens
//! The app sets a length by hand on an answer that its server streams in chunks, or copies the
//! fields of another server's answer into its own: fields of one hop that must not be passed on.
//!
//! ## How to tell
//! The raw answer shows both fields.
//!
//! ## Fix
//! Remove `Content-Length` from streamed answers, and `Transfer-Encoding` from copied fields. It is
//! refused because whoever believes the other field sees another answer in the same bytes: so
//! answers are smuggled.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "cl_and_te",
    family: Family::F9,
    title: "The answer states a length and is chunked as well",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::LengthAndChunked, 0.94), (Sign::ProtocolError, 0.04)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::LengthAndCoding = case.head_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("{} sent Content-Length and Transfer-Encoding in one answer", case.server()),
        "the two contradict each other about where the answer ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Set no `Content-Length` on an answer that is streamed"),
        Fix::new(
            "If the app passes on another server's answer, let it drop the fields of one hop: \
             `Transfer-Encoding`, `Connection`, `Keep-Alive`, `Upgrade`, `TE`, `Trailer`",
        ),
        Fix::run(
            "See both fields, without the gateway",
            format!("curl -sD - -o /dev/null {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} sent Content-Length and Transfer-Encoding together, which {} refuses",
        dossier.server_at(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(dossier, "See both headers")],
        vec![
            Step::say(
                "Let the app drop Content-Length where it streams: one that passes on another server's answer must not copy its `Transfer-Encoding` and `Content-Length`",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See one of the two only",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_length_beside_chunks() {
        check(
            "head: length_and_coding | server=app",
            "cl_and_te: app sent Content-Length and Transfer-Encoding in one answer",
        );
    }

    #[test]
    fn two_lengths_are_another_matter() {
        check_not("head: length_repeated | server=app", "cl_and_te");
    }

    #[test]
    fn nginx_saw_both() {
        let line = nginx(
            "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "cl_and_te: 127.0.0.1:8000 sent Content-Length and Transfer-Encoding together, which nginx refuses",
        );
    }
}
