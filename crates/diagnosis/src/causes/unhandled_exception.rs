//! The code of the app raised an exception that nobody caught, and the app server answered 500.
//!
//! ## What you see
//! 500 at once, for certain requests. Uvicorn logs `Exception in ASGI application`, Gunicorn `Error
//! handling request GET /x`, Hypercorn `Error in ASGI Framework`, Daphne `Exception inside
//! application: ...`, each with a traceback; Django `Internal Server Error: /x`; Go `http: panic
//! serving 192.0.2.1:5000: ...`; Tomcat `Servlet.service() for servlet [x] in context with path []
//! threw exception`; PHP `PHP Fatal error:  Uncaught ...`.
//!
//! ## Why it happens
//! A bug, data that nobody expected, or the failure of something that the app needs, which it does
//! not handle.
//!
//! ## How to tell
//! The last line of the traceback names it, and the top frame of the app's own code is the place.
//! If it is an error of a connection, a disk or a setting, that is the cause: `db_down`,
//! `app_disk_full`, `secret_or_config_missing`. All proxies pass this 500 on.
//!
//! ## Fix
//! Correct the code, or what it met. Answer what callers do wrong with 4xx, and what is missing for
//! the moment with 503.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::signs::window;
use crate::text::{Text, When, during};
use evidence::{Kind, Product, Sign};

pub(super) static CAUSE: Cause = Cause {
    id: "unhandled_exception",
    family: Family::F13,
    title: "An exception in the app ended the request",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Closed, 0.01),
            (Sign::LambdaFailed, 0.05),
            (Sign::BodyCut, 0.03),
            (Sign::ChunkCut, 0.05),
            (Sign::RelayedError, 0.14),
            (Sign::Answered500, 0.3),
        ],
        clues: &[during(Sign::UnhandledException, 5.5)],
        brings: &["upstream_own_5xx", "premature_close", "response_truncated", "worker_crashed"],
        says,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(500) = case.subject else {
        return None;
    };
    Some(Finding::new(
        0.25,
        format!("{} answered 500, probably for an exception in the app", case.server()),
        "500 is what app servers answer when the app raises what nobody catches",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Read the traceback of that request",
            format!("journalctl {} --grep 'Exception|Traceback|Error|panic'", window(case)),
        ),
        Fix::new(
            "Begin with the last line of the traceback and the top frame of the app's own code",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::UnhandledException, When::During).into_iter().next()?;
    let what = seen.detail().unwrap_or("an exception");
    let mut words = match &seen.key.who {
        Some(place) => format!("the app failed with {what} at {place}"),
        None => format!("the app failed with {what}"),
    };
    // The server answers for the app; that it did not says that the worker died of it.
    if dossier.sign().kind() == Kind::Wire && dossier.read(Product::Gunicorn) {
        words += "; Gunicorn by itself would have answered 500 for it";
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_500_may_be_an_exception() {
        check_among("status: 500 | fresh server=uvicorn", "unhandled_exception");
    }

    #[test]
    fn a_503_was_meant() {
        check_not("status: 503 | fresh server=uvicorn", "unhandled_exception");
    }
}
