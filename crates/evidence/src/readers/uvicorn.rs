//! Uvicorn: its log and its access log, which have a level and no time.
//!
//! `INFO:     127.0.0.1:33928 - "GET /x HTTP/1.1" 503 Service Unavailable`
//! (uvicorn/server.py, uvicorn/lifespan/on.py, uvicorn/protocols/http/, uvicorn/logging.py).

use crate::clock::Stamp;
use crate::event::{Event, Served};
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::{answered, python};
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const LOG: Reader = Reader {
    name: "uvicorn log",
    product: Product::Uvicorn,
    hooks: &[
        "Started server process",
        "Started parent process",
        "Waiting for application startup",
        "Application startup",
        "Uvicorn running on",
        "Error loading ASGI app",
        "error while attempting to bind",
        "Child process [",
        "Exceeded concurrency limit",
        "Maximum request limit of",
        "Unsupported upgrade request",
        "No supported WebSocket library",
        "ASGI callable returned",
        "Exception in ASGI application",
        "Exception in 'lifespan' protocol",
        "Response content ",
        "Shutting down",
        "Finished server process",
        "StatReload detected",
        "WatchFiles detected",
        "Invalid HTTP request received",
    ],
    fits: |line| said(line).is_some(),
    read: |line, sink| {
        if let Some(event) = rule::told(RULES, Product::Uvicorn, LOGGERS, line) {
            sink.event(python::with_address(event));
        } else {
            python::read_failure(line, FAILURES, Product::Uvicorn, LOGGERS, sink);
        }
    },
    source: "uvicorn 0.20 to 0.54: uvicorn/server.py, uvicorn/config.py, uvicorn/lifespan/on.py",
    example: "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
};

pub(super) const ACCESS: Reader = Reader {
    name: "uvicorn access log",
    product: Product::Uvicorn,
    hooks: &[],
    fits: |line| access(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = access(&line.text) else { return };
        sink.served(Served { at: it.at, status: it.status });
        let Some(sign) = answered(it.status) else { return };
        sink.event(
            Event::new(Product::Uvicorn, sign, Trust::C, it.span)
                .at(it.at)
                .status(Some(it.status))
                .route(Some(it.route))
                .client(Some(it.client)),
        );
    },
    source: "uvicorn 0.20 to 0.54: uvicorn/logging.py, AccessFormatter",
    example: "INFO:     127.0.0.1:33928 - \"GET /x HTTP/1.1\" 503 Service Unavailable",
};

const LOGGERS: &[&str] = &["uvicorn"];

const RULES: &[Rule] = &[
    rule("Started server process [{pid}]", Sign::Started),
    rule("Started parent process [{pid}]", Sign::Started),
    rule("Waiting for application startup", Sign::StartingUp),
    rule("Application startup complete", Sign::Ready),
    rule("Application startup failed. Exiting", Sign::BootFailed),
    rule("Uvicorn running on unix socket {upstream} (Press", Sign::Listening),
    rule("Uvicorn running on socket ('{_}'", Sign::Started),
    rule("Uvicorn running on {upstream} (Press", Sign::Listening),
    rule("Uvicorn running on {upstream}", Sign::Listening),
    rule("Error loading ASGI app. {detail}", Sign::BootFailed),
    rule("Error loading ASGI app factory: {detail}", Sign::BootFailed),
    rule(
        "[Errno 98] error while attempting to bind on address ('{who}', {number}",
        Sign::PortInUse,
    ),
    rule(
        "[Errno 48] error while attempting to bind on address ('{who}', {number}",
        Sign::PortInUse,
    ),
    rule(
        "[Errno {_}] error while attempting to bind on address ('{who}', {number}",
        Sign::BindFailed,
    ),
    rule("Child process [{pid}] died", Sign::WorkerDied),
    rule("Child process [{pid}] failed to start", Sign::BootFailed),
    rule("Exceeded concurrency limit", Sign::AppConcurrencyLimit),
    rule("Maximum request limit of {number} exceeded", Sign::WorkerRecycled),
    rule("Unsupported upgrade request", Sign::UpgradeRefused),
    rule("No supported WebSocket library detected", Sign::UpgradeRefused),
    rule("ASGI callable returned without starting response", Sign::NoResponseFromApp),
    rule("ASGI callable returned without completing response", Sign::NoResponseFromApp),
    rule("ASGI callable returned without sending handshake", Sign::UpgradeRefused),
    rule("ASGI callable returned without completing handshake", Sign::UpgradeRefused),
    rule("Response content longer than Content-Length", Sign::ContentLengthMismatch),
    rule("Response content shorter than Content-Length", Sign::ContentLengthMismatch),
    rule("Invalid HTTP request received", Sign::RequestUnreadable),
    rule("Shutting down", Sign::ShuttingDown),
    rule("Finished server process [{pid}]", Sign::ShuttingDown),
    rule("StatReload detected changes", Sign::WorkerRecycled),
    rule("WatchFiles detected changes", Sign::WorkerRecycled),
];

const FAILURES: &[Rule] = &[
    rule("Exception in ASGI application", Sign::UnhandledException),
    rule("Exception in 'lifespan' protocol", Sign::BootFailed),
];

fn said<'a>(line: &'a Line) -> Option<Event<'a>> {
    rule::told(RULES, Product::Uvicorn, LOGGERS, line)
        .or_else(|| rule::told(FAILURES, Product::Uvicorn, LOGGERS, line))
        // `Shutting down` alone is anybody's.
        .filter(|it| {
            !&line.text[it.span.clone()].eq("Shutting down")
                || line.text.trim_end().ends_with("Shutting down")
                    && Lead::of(&line.text).level.is_some()
        })
}

struct Access<'a> {
    at: Option<Stamp>,
    client: &'a str,
    route: &'a str,
    status: u16,
    /// Status and reason.
    span: Range<usize>,
}

/// `CLIENT:PORT - "METHOD PATH HTTP/1.1" STATUS REASON`.
fn access(text: &str) -> Option<Access<'_>> {
    let lead = Lead::of(text);
    if !lead.is_of(LOGGERS) {
        return None;
    }
    let (client, rest) = text[lead.inset..].split_once(" - \"")?;
    let (_, port) = client.rsplit_once(':')?;
    if !port.bytes().all(|it| it.is_ascii_digit()) || client.contains(' ') {
        return None;
    }
    // The path may hold quotes; what follows the last is uvicorn's.
    let (request, after) = rest.rsplit_once("\" ")?;
    let version = request.rsplit_once(" HTTP/")?;
    let status: u16 = after.get(..3)?.parse().ok()?;
    let follows = after[3..].is_empty() || after[3..].starts_with(' ');
    let start = text.len() - after.len();
    (follows && (100..600).contains(&status) && version.1.len() <= 3).then(|| Access {
        at: lead.at,
        client,
        route: version.0.split_once(' ').map_or("", |it| it.1),
        status,
        span: start..start + after.trim_end().len(),
    })
}

#[cfg(test)]
mod tests {
    use super::{FAILURES, LOG, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            ("INFO:     Started server process [12]", "Started | Started server process [12]"),
            (
                "INFO:     Waiting for application startup.",
                "StartingUp | Waiting for application startup",
            ),
            ("INFO:     Application startup complete.", "Ready | Application startup complete"),
            (
                "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)",
                "Listening upstream=http://0.0.0.0:8000 | Uvicorn running on http://0.0.0.0:8000 (Press",
            ),
            (
                "ERROR:    Error loading ASGI app. Could not import module \"main\".",
                "BootFailed detail=Could not import module \"main\". | Error loading ASGI app. Could not import module \"main\".",
            ),
            (
                "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
                "PortInUse upstream=0.0.0.0:8000 | [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000",
            ),
            (
                "WARNING:  Exceeded concurrency limit.",
                "AppConcurrencyLimit | Exceeded concurrency limit",
            ),
            (
                "ERROR:    ASGI callable returned without starting response.",
                "NoResponseFromApp | ASGI callable returned without starting response",
            ),
            ("INFO:     Child process [77] died", "WorkerDied | Child process [77] died"),
        ] {
            check(line, &format!("uvicorn: {want}"));
        }
    }

    #[test]
    fn an_access_line_counts_and_a_503_is_an_answer() {
        check("INFO:     127.0.0.1:33928 - \"GET /x HTTP/1.1\" 200 OK", "served 200");
        check(
            "INFO:     127.0.0.1:33928 - \"GET /x HTTP/1.1\" 503 Service Unavailable",
            "served 503; uvicorn: Answered503 status=503 | 503 Service Unavailable",
        );
    }

    #[test]
    fn an_exception_is_told_by_its_traceback() {
        check(
            "ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n  File \"/v/site-packages/uvicorn/protocols/http/h11_impl.py\", line 1, in run_asgi\n    x\n  File \"/srv/main.py\", line 8, in get\n    y\nasyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already\n",
            "uvicorn: DbTooManyClients who=/srv/main.py:8 in get detail=asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already | asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already",
        );
    }

    #[test]
    fn what_a_caller_asks_for_is_no_act() {
        check_nothing(
            "INFO:     192.0.2.1:5 - \"GET /Exceeded concurrency limit. HTTP/1.1\" 200 OK",
        );
        check_nothing("INFO:     192.0.2.1:5 - \"GET /\" 502 \" HTTP/1.1\" 404 Not Found");
        check_nothing("INFO:shop:Exceeded concurrency limit.");
        check(
            "WARNING:  Invalid HTTP request received.",
            "uvicorn: RequestUnreadable | Invalid HTTP request received",
        );
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
        assert_hooked(LOG.hooks, FAILURES);
    }
}
