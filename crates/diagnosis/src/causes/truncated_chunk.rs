//! The target streamed its answer in chunks and closed the connection before the last one.
//!
//! ## What you see
//! The status is 200 everywhere, and the body is cut: HAProxy marks `SD--`, nginx `upstream
//! prematurely closed connection while reading upstream`; clients say `IncompleteRead`, `Response
//! ended prematurely` or `ERR_INCOMPLETE_CHUNKED_ENCODING`. Such failures do not show in counts of
//! 5xx.
//!
//! ## Why it happens
//! An exception in the middle of a streamed answer, a worker that was killed or timed out while it
//! streamed, or a restart.
//!
//! ## How to tell
//! The app's log has a traceback or its supervisor a killed worker at that moment. If the cut comes
//! after the same time each time, it is a limit; if after the same bytes, it is the data.
//!
//! ## Fix
//! Catch errors inside the generator, and let streaming workers finish before they are stopped.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::{BodyFault, Phase};

pub(super) static CAUSE: Cause = Cause {
    id: "truncated_chunk",
    family: Family::F9,
    title: "The answer ended before its last chunk",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::ChunkCut, 0.7)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let BodyFault::ChunkCut = case.body_fault()? else {
        return None;
    };
    let spent = case.attempt()?.phases.get(Phase::ReadBody).unwrap_or(0);
    Some(Finding::new(
        0.6,
        format!(
            "{} closed the connection {} into its streamed answer, after {} bytes and before the \
             last chunk",
            case.server(),
            words(spent),
            case.received()
        ),
        "the end of the stream never came, so the answer is not whole",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Look in the log of {} at this moment for an exception, or for a worker that was \
             killed or timed out",
            case.server()
        )),
        Fix::run(
            "See whether the answer is cut without the gateway too",
            format!("curl -sv {}/PATH | tail -c 200", case.url()),
        ),
        Fix::new("Catch errors inside the generator, and let streams end before a worker stops"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} ended its chunked answer before the last chunk", dossier.server_at()))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("See what the app said at that second: an exception while it streamed, or the end of its worker", platform::app_log(dossier)).at(platform::host_of(dossier))],
        now: vec![Step::say("Correct what ended the stream: catch errors inside of the generator, and end it in order; a stream that takes longer than the worker's limit needs a larger one")],
        verify: vec![Step::look("See the whole body: curl ends with code 0, not 18", "curl -sS -o /dev/null http://SITE/PATH; echo $?")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_stream_without_its_end() {
        check(
            "body: chunk_cut | server=app received=300 after=20s",
            "truncated_chunk: app closed the connection 20 s into its streamed answer, after \
             300 bytes and before the last chunk",
        );
    }

    #[test]
    fn a_bad_chunk_is_no_end() {
        check_not("body: chunk_invalid | server=app", "truncated_chunk");
    }
}
