//! The target streams its answer in chunks, and one of them is not framed as HTTP says.
//!
//! ## What you see
//! The answer begins well, then ends in the middle: nginx logs `upstream sent invalid chunked
//! response`, Apache `AH01590: Error reading/parsing chunk`, Go and Caddy `invalid byte in chunk
//! length`; clients say `IncompleteRead`, `ChunkedEncodingError` or
//! `ERR_INCOMPLETE_CHUNKED_ENCODING`.
//!
//! ## Why it happens
//! The app says `Transfer-Encoding: chunked` itself and writes the body raw, or writes chunks
//! itself under a server that frames them again; two threads write to one answer; something prints
//! to the connection.
//!
//! ## How to tell
//! `curl --raw` shows the sizes between the data, or their absence.
//!
//! ## Fix
//! Leave the framing to the server: let the app yield plain bytes and set no `Transfer-Encoding`.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, Text};
use evidence::{Product, Sign};
use exchange::BodyFault;

pub(super) static CAUSE: Cause = Cause {
    id: "bad_chunk",
    family: Family::F9,
    title: "A chunk of the answer's body is broken",
    side: Side::AppServer,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ChunkBad, 0.9), (Sign::BodyCut, 0.02)],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let BodyFault::ChunkInvalid = case.body_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!(
            "{} sent a chunk that is not framed as HTTP says, {} bytes into its answer",
            case.server(),
            case.received()
        ),
        "a chunk is its size in hexadecimal, a line end, so many bytes and a line end",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the chunks as they are sent, without the gateway",
            format!("curl -s --raw {}/PATH | head -c 400 | cat -v", case.url()),
        ),
        Fix::new("Let the app yield plain bytes and set no `Transfer-Encoding`: its server frames"),
    ]
}

/// Apache says of framing that it cannot read only that it is an internal error.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let incident = dossier.incident;
    let unreadable = incident.hop == Product::Apache
        && incident.sign == Sign::BodyCut
        && incident.number == Some(20014);
    let says = "Apache gives this error where it cannot read the body's framing; for an end too early it has another";
    let cites = || incident.cites.first().cloned().into_iter().collect();
    unreadable.then(|| Claim::new(3.5, says, cites())).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} said that its answer is chunked, and then sent what is no chunk",
        dossier.server_at()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "See the body: each chunk is its length in hexadecimal, a line break, the bytes, a line break",
        )],
        vec![
            Step::say(
                "Let the app not set `Transfer-Encoding: chunked` itself: the server does, and frames the body; an answer that is passed on loses that header first",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See a length before each part, and `0` at the end",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_chunk_without_a_size() {
        check(
            "body: chunk_invalid | server=app received=300",
            "bad_chunk: app sent a chunk that is not framed as HTTP says, 300 bytes into its \
             answer",
        );
    }

    #[test]
    fn a_cut_stream_is_framed_well() {
        check_not("body: chunk_cut | server=app", "bad_chunk");
    }

    #[test]
    fn nginx_saw_no_chunk() {
        let line = nginx(
            "upstream sent invalid chunked response while reading upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "bad_chunk: 127.0.0.1:8000 said that its answer is chunked, and then sent what is no chunk",
        );
    }
}
