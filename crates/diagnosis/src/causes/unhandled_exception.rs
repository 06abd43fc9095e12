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
use crate::dossier::{Dossier, Seen};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{Claim, SPEAKS, Text, When, during};
use crate::wording;
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
            (Sign::LambdaFailed, 0.2),
            (Sign::BodyCut, 0.03),
            (Sign::ChunkCut, 0.05),
            (Sign::RelayedError, 0.14),
            (Sign::Answered500, 0.3),
        ],
        clues: &[during(Sign::UnhandledException, 5.5)],
        brings: &["upstream_own_5xx", "premature_close", "response_truncated", "worker_crashed"],
        reason,
        says,
        cure,
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

/// A runtime that ends with the exception says both: no request after that one finds anybody.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let raised = dossier.seen(Sign::UnhandledException, When::During);
    let ended = dossier.seen(Sign::ProcessExited, When::During).into_iter().find(|it| {
        let same = |raised: &Seen| {
            raised.key.source == it.key.source
                && raised.key.service == it.key.service
                && raised.key.product == it.key.product
        };
        it.key.product.stack().runs_apps() && raised.iter().any(same)
    });
    let claim =
        |it: Seen| Claim::new(SPEAKS, "the process ended with the exception", vec![it.cite()]);
    ended.map(claim).into_iter().collect()
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

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::UnhandledException, When::During);
    let place = seen.and_then(|it| it.key.who.clone()).map(|it| wording::brief(&it));
    let what = seen.and_then(|it| it.detail().map(wording::brief));
    let first = match (place, what) {
        (Some(place), Some(what)) => {
            format!("Correct the code at {place}, or what it met there: {what}")
        }
        (Some(place), None) => format!("Correct the code at {place}, or what it met there"),
        (None, Some(what)) => format!(
            "Find the top frame of the app's own code in the traceback, and cure it there: {what}"
        ),
        (None, None) => {
            "Begin with the last line of the traceback and the top frame of the app's own code"
                .to_owned()
        }
    };
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Read the whole traceback, and what the request had in common with others that failed",
        )],
        now: vec![Step::say(first), wording::restarted(dossier)],
        lasting: vec![Step::say(
            "Answer what callers do wrong with 4xx, what is missing for the moment with 503, and test the route with that input",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, explained, nginx};

    #[test]
    fn a_500_may_be_an_exception() {
        check_among("status: 500 | fresh server=uvicorn", "unhandled_exception");
    }

    #[test]
    fn a_503_was_meant() {
        check_not("status: 503 | fresh server=uvicorn", "unhandled_exception");
    }

    #[test]
    fn a_process_that_ended_with_it_refuses_the_next() {
        let log = "ready\n/srv/shop/server.js:6\n    response.end(order.id);\n                       ^\n\nTypeError: Cannot read properties of undefined (reading 'id')\n    at Timeout._onTimeout (/srv/shop/server.js:6:31)\n    at listOnTimeout (node:internal/timers:581:17)\n\nNode.js v20.20.2\n";
        let report = explained(&[("error.log", &nginx(REFUSED)), ("node.log", log)]);
        assert_eq!(report.cause, "unhandled_exception");
    }

    #[test]
    fn one_that_was_thrown_while_it_loaded_kept_it_from_starting() {
        let log = "/srv/shop/server.js:3\n  throw new Error('no');\n  ^\n\nError: no\n    at Object.<anonymous> (/srv/shop/server.js:3:9)\n    at Module._compile (node:internal/modules/cjs/loader:1554:14)\n\nNode.js v20.20.2\n";
        let report = explained(&[("error.log", &nginx(REFUSED)), ("node.log", log)]);
        assert_eq!(report.cause, "crash_at_start");
    }

    #[test]
    fn the_place_is_named() {
        check_text(
            &[
                (
                    "/var/log/nginx/access.log",
                    "192.0.2.7 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" 500 197 \"-\" \"curl/8.5.0\"\n",
                ),
                (
                    "app.log",
                    "Traceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1 / n\nZeroDivisionError: division by zero\n",
                ),
            ],
            "unhandled_exception: the app failed with ZeroDivisionError: division by zero at /srv/shop/views.py:42 in total\n\
             before: Read the whole traceback, and what the request had in common with others that failed [journalctl -u APP --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC'] checks\n\
             now: Correct the code at /srv/shop/views.py:42 in total, or what it met there: ZeroDivisionError: division by zero\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Answer what callers do wrong with 4xx, what is missing for the moment with 503, and test the route with that input\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
