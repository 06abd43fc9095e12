//! The app's code ended without having sent an answer, or before the answer was complete.
//!
//! ## What you see
//! 500 where nothing was sent, a cut answer where something was. Uvicorn logs `ASGI callable
//! returned without starting response.` or `ASGI callable returned without completing response.`;
//! Hypercorn and Daphne similar ones; Waitress `application returned too few bytes (N) for
//! specified Content-Length (M) via app_iter`; Flask `The view function for 'x' did not return a
//! valid response. The function either returned None or ended without a return statement.`
//!
//! ## Why it happens
//! A path in the code without a return, a middleware that swallows the answer, a generator that
//! ends early, or an app that takes the client for gone.
//!
//! ## How to tell
//! There is no traceback, only that line. With one it is `unhandled_exception`; a process that died
//! has lines of its master (`worker_crashed`).
//!
//! ## Fix
//! Find the route and let each of its paths answer. Look at middlewares that wrap the sending of
//! the answer.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::Sign;
use exchange::{BodyFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "no_response_from_app",
    family: Family::F13,
    title: "The app returned without an answer",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Closed, 0.02)],
        clues: &[during(Sign::NoResponseFromApp, DECIDES)],
        brings: &["premature_close", "upstream_own_5xx"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    // Its words for both are known; of other servers they are not.
    if case.server() != "uvicorn" {
        return None;
    }
    match case.subject {
        Subject::UpstreamStatus(500) => Some(Finding::new(
            0.05,
            "the app may have returned to uvicorn without an answer",
            "uvicorn answers 500 for an app that sends nothing",
        )),
        Subject::Failed(Fault::Body(BodyFault::LengthShort { .. } | BodyFault::ChunkCut)) => {
            Some(Finding::new(
                0.1,
                "the app may have returned to uvicorn before its answer was complete",
                "uvicorn closes the connection of an app that does not complete its answer",
            ))
        }
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the line in the app's log",
            format!(
                "journalctl {} --grep 'returned without|did not return a valid response|too few \
                 bytes'",
                window(case),
            ),
        ),
        Fix::new("Let every path of that route end with an answer, middlewares included"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::NoResponseFromApp, When::During)?;
    Some(format!(
        "the code of the app returned without an answer, and {} closed the connection{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: Vec::new(),
        now: vec![
            Step::say(
                "Let each path through the route's code answer, also the ones that return early",
            ),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(
            "Look at middlewares that wrap the sending of the answer: one that swallows an exception sends nothing",
        )],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, nginx};

    #[test]
    fn an_app_on_uvicorn_may_have_returned_too_early() {
        check_among("status: 500 | fresh server=uvicorn", "no_response_from_app");
        check_among("body: chunk_cut | fresh received=4000 server=uvicorn", "no_response_from_app");
    }

    #[test]
    fn what_other_servers_do_then_is_not_known() {
        check_not("status: 500 | fresh server=gunicorn", "no_response_from_app");
    }

    #[test]
    fn a_reset_is_no_end_of_an_app() {
        check_not("body: reset | fresh received=4000 server=uvicorn", "no_response_from_app");
    }

    #[test]
    fn the_app_returned_without_an_answer() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                ("app.log", "ERROR:    ASGI callable returned without starting response.\n"),
            ],
            "no_response_from_app: the code of the app returned without an answer, and uvicorn closed the connection\n\
             now: Let each path through the route's code answer, also the ones that return early\n\
             now: Restart uvicorn with that [sudo systemctl restart uvicorn] restart\n\
             lasting: Look at middlewares that wrap the sending of the answer: one that swallows an exception sends nothing\n\
             verify: uvicorn at 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }
}
