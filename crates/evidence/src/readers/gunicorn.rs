//! Gunicorn: its error log. The access log is that of nginx.
//!
//! `[2026-11-20 15:15:57 +0000] [5456] [CRITICAL] WORKER TIMEOUT (pid:5588)`: the second bracket is
//! the process that wrote the line, the pid in the message the worker that it is about
//! (gunicorn/arbiter.py, gunicorn/sock.py, gunicorn/workers/).

use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::python;
use crate::rule::{self, Rule, guess, rule};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ERROR: Reader = Reader {
    name: "gunicorn error log",
    product: Product::Gunicorn,
    hooks: &[
        "] [ERROR] ",
        "] [CRITICAL] ",
        "Starting gunicorn",
        "Listening at: ",
        "Booting worker",
        "Using worker: ",
        "WORKER TIMEOUT",
        "Worker (pid:",
        "Worker graceful timeout",
        "Worker failed to boot",
        "App failed to load",
        "Exception in ",
        "Unhandled exception in main loop",
        "Connection in use",
        "Can't connect to (",
        "Can't connect to /",
        "Invalid address: ",
        "Invalid request from ip=",
        "Autorestarting worker",
        "Handling signal: ",
        "Shutting down: ",
        "Error handling ",
        "Failed to find attribute",
        "Failed to parse '",
        "lifespan startup failed",
        "No servers could be started",
        "Error: class uri",
        "Socket error processing request",
        "connection to server at \"",
    ],
    fits: |line| is_error_line(&line.text) || said(line).is_some(),
    read,
    source: "gunicorn 19 to 27: gunicorn/arbiter.py, gunicorn/glogging.py, gunicorn/sock.py",
    example: "[2026-11-20 15:15:57 +0000] [5456] [CRITICAL] WORKER TIMEOUT (pid:5588)",
};

const LOGGERS: &[&str] = &["gunicorn"];

const RULES: &[Rule] = &[
    rule("WORKER TIMEOUT (pid:{pid})", Sign::WorkerTimedOut),
    rule("«WORKER TIMEOUT»", Sign::WorkerTimedOut),
    rule("Booting worker with pid: {pid}", Sign::WorkerBooted),
    rule("Booting worker", Sign::WorkerBooted),
    rule("Using worker: {detail}", Sign::Started),
    rule("«Starting gunicorn» {_}.", Sign::Started),
    guess("Worker (pid:{pid}) was sent SIGKILL! Perhaps out of memory?", Sign::WorkerKilled),
    rule("Worker (pid:{pid}) was sent SIGKILL!", Sign::WorkerKilled),
    rule("Worker (pid:{pid}) was sent SIGTERM!", Sign::ShuttingDown),
    rule("Worker (pid:{pid}) was sent SIGINT!", Sign::ShuttingDown),
    rule("Worker (pid:{pid}) was sent SIGHUP!", Sign::ShuttingDown),
    rule("Worker (pid:{pid}) was sent SIGSEGV!", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was sent SIGABRT!", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was sent SIGBUS!", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was sent SIGILL!", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was sent SIGFPE!", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was sent {detail}!", Sign::WorkerDied),
    rule("Worker (pid:{pid}) exited with code {number}", Sign::WorkerDied),
    rule("Worker (pid:{pid}) was terminated due to signal 9", Sign::WorkerKilled),
    rule("Worker (pid:{pid}) was terminated due to signal 11", Sign::WorkerSegfault),
    rule("Worker (pid:{pid}) was terminated due to signal 15", Sign::ShuttingDown),
    rule("Worker (pid:{pid}) was terminated due to signal {number}", Sign::WorkerDied),
    rule("Worker graceful timeout (pid:{pid})", Sign::ReloadCut),
    rule("Reason: «Worker failed to boot»", Sign::BootFailed),
    rule("Worker failed to boot", Sign::BootFailed),
    rule("Reason: «App failed to load»", Sign::BootFailed),
    rule("App failed to load", Sign::BootFailed),
    rule("Failed to find attribute '{detail}'", Sign::BootFailed),
    rule("Failed to parse '{detail}' as an attribute name", Sign::BootFailed),
    rule("Error: class uri {detail} invalid or not found", Sign::BootFailed),
    rule("ASGI lifespan startup failed", Sign::BootFailed),
    rule("No servers could be started", Sign::BindFailed),
    rule("Autorestarting worker after current request", Sign::WorkerRecycled),
    rule("Handling signal: hup", Sign::WorkerRecycled),
    rule("Handling signal: term", Sign::ShuttingDown),
    rule("Handling signal: int", Sign::ShuttingDown),
    rule("Handling signal: quit", Sign::ShuttingDown),
    rule("Shutting down: Master", Sign::ShuttingDown),
    rule("Connection in use: ('{who}', {number})", Sign::PortInUse),
    rule("Connection in use: {upstream}", Sign::PortInUse),
    rule("Can't connect to ('{who}', {number})", Sign::PortInUse),
    rule("Can't connect to /", Sign::BindFailed),
    rule("Invalid address: ('{who}', {number})", Sign::BindFailed),
];

/// Lines that a traceback may follow.
const FAILURES: &[Rule] = &[
    rule("Exception in worker process", Sign::BootFailed),
    rule("Unhandled exception in main loop", Sign::BootFailed),
    rule("Error handling request (no URI read)", Sign::UnhandledException),
    rule("Error handling request {route}", Sign::UnhandledException),
    rule("Error handling HTTP/2 request", Sign::UnhandledException),
    rule("Error handling request", Sign::UnhandledException),
    rule("Exception in {route} Traceback (most recent call last)", Sign::UnhandledException),
];

/// `[TIME ZONE] [PID] [LEVEL] `, which Hypercorn writes too.
pub(super) fn is_error_line(text: &str) -> bool {
    let lead = Lead::of(text);
    text.starts_with('[') && lead.at.is_some() && lead.pid.is_some() && lead.level.is_some()
}

fn said<'a>(line: &'a Line) -> Option<Event<'a>> {
    listening(line)
        .or_else(|| plain(line))
        .or_else(|| rule::told(RULES, Product::Gunicorn, LOGGERS, line))
        .or_else(|| rule::told(FAILURES, Product::Gunicorn, LOGGERS, line))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    if let Some(first) = listening(line) {
        // Several addresses stand in one line, with commas between them.
        let all = first.upstream.clone().unwrap_or_default().into_owned();
        for address in all.split(',') {
            sink.event(first.clone().upstream(Some(address.trim().to_owned())));
        }
    } else if let Some(event) = plain(line) {
        sink.event(event);
    } else if let Some(event) = rule::told(RULES, Product::Gunicorn, LOGGERS, line) {
        sink.event(python::with_address(event));
    } else if !python::read_failure(line, FAILURES, Product::Gunicorn, LOGGERS, sink) {
        let lead = Lead::of(&line.text);
        // The address is the caller's, and what he sent stands after it.
        let request = line.text[lead.inset..].starts_with("Invalid request from ip=");
        if !request {
            python::read_message(line, &lead, Product::Gunicorn, sink);
        }
    }
}

/// `Invalid request from ip=192.0.2.1: [SSL: HTTP_REQUEST] http request (_ssl.c:2546)`. Errors that
/// quote what a caller sent begin with words of Gunicorn's own.
fn plain<'a>(line: &'a Line) -> Option<Event<'a>> {
    const WORDS: &str = "[SSL: HTTP_REQUEST] http request";
    let lead = Lead::of(&line.text);
    let rest = line.text[lead.inset..].strip_prefix("Invalid request from ip=")?;
    let (_, error) = rest.split_once(": ").filter(|_| lead.pid.is_some())?;
    let start = line.text.len() - error.len();
    let told = |sign, words: &str| {
        let span = start..start + words.len();
        Event::new(Product::Gunicorn, sign, Trust::C, span).at(lead.at).pid(lead.pid)
    };
    if error.strip_prefix(WORDS).is_some_and(|it| it.starts_with(" (_ssl.c:")) {
        return Some(told(Sign::PlainToTlsPort, WORDS));
    }
    // What was sent stands behind these words of Gunicorn's own.
    let words = UNREADABLE.iter().find(|it| error.starts_with(**it))?;
    Some(told(Sign::RequestUnreadable, words))
}

/// gunicorn/http/errors.py: what it says of a first line that is none of HTTP.
const UNREADABLE: [&str; 4] = [
    "Invalid HTTP request line",
    "Invalid HTTP method",
    "Invalid HTTP Version",
    "Invalid HTTP version",
];

/// `Listening at: http://127.0.0.1:8000,unix:/run/app.sock (1490)`.
fn listening<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    let rest = line.text[lead.inset..].strip_prefix("Listening at: ")?;
    if !lead.is_of(LOGGERS) {
        return None;
    }
    let list = rest.split(" (").next()?.trim_end();
    let end = line.text.len() - rest.len() + list.len();
    (!list.is_empty()).then(|| {
        Event::new(Product::Gunicorn, Sign::Listening, Trust::C, lead.inset..end)
            .at(lead.at)
            .pid(lead.pid)
            .upstream(Some(list))
    })
}

#[cfg(test)]
mod tests {
    use super::{ERROR, FAILURES, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing, read};

    const P: &str = "[2026-11-20 15:15:57 +0000] [5456] ";

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            ("[CRITICAL] WORKER TIMEOUT (pid:5588)", "WorkerTimedOut | WORKER TIMEOUT (pid:5588)"),
            (
                "[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
                "WorkerKilled | Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
            ),
            (
                "[WARNING] Worker (pid:7) was sent SIGSEGV!",
                "WorkerSegfault | Worker (pid:7) was sent SIGSEGV!",
            ),
            (
                "[ERROR] Worker (pid:7) exited with code 3.",
                "WorkerDied number=3 | Worker (pid:7) exited with code 3",
            ),
            ("[ERROR] Reason: Worker failed to boot.", "BootFailed | Worker failed to boot"),
            (
                "[ERROR] Connection in use: ('127.0.0.1', 8000)",
                "PortInUse upstream=127.0.0.1:8000 | Connection in use: ('127.0.0.1', 8000)",
            ),
            (
                "[INFO] Listening at: http://127.0.0.1:8000 (5456)",
                "Listening upstream=http://127.0.0.1:8000 | Listening at: http://127.0.0.1:8000",
            ),
            ("[INFO] Booting worker with pid: 9", "WorkerBooted | Booting worker with pid: 9"),
            ("[INFO] Using worker: gthread", "Started detail=gthread | Using worker: gthread"),
            ("[INFO] Handling signal: term", "ShuttingDown | Handling signal: term"),
        ] {
            check(&format!("{P}{line}"), &format!("gunicorn: {want}"));
        }
    }

    #[test]
    fn a_line_cut_at_its_start_still_counts() {
        check("WORKER TIMEOUT (pid:5588)", "gunicorn: WorkerTimedOut | WORKER TIMEOUT (pid:5588)");
        check(
            "[INFO] Listening at: unix:/run/a.sock (1)",
            "gunicorn: Listening upstream=unix:/run/a.sock | Listening at: unix:/run/a.sock",
        );
    }

    #[test]
    fn a_traceback_tells_what_was_raised() {
        check(
            &format!(
                "{P}[ERROR] Exception in worker process\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    import x\nModuleNotFoundError: No module named 'x'\n"
            ),
            "gunicorn: BootFailed who=/srv/app.py:1 detail=ModuleNotFoundError: No module named 'x' | ModuleNotFoundError: No module named 'x'",
        );
        check(
            &format!("{P}[ERROR] Exception in worker process"),
            "gunicorn: BootFailed | Exception in worker process",
        );
        check(
            &format!(
                "{P}[ERROR] Exception in /sum Traceback (most recent call last): File \"/srv/app.py\", line 42, in sum n = 1 / 0 # on purpose ZeroDivisionError: division by zero"
            ),
            "gunicorn: UnhandledException who=/srv/app.py:42 in sum detail=ZeroDivisionError: division by zero | ZeroDivisionError: division by zero",
        );
        check(
            &format!("{P}[ERROR] Error handling request /x?WORKER TIMEOUT (pid:1)"),
            "gunicorn: UnhandledException | Error handling request",
        );
    }

    #[test]
    fn two_addresses_are_two_listeners() {
        let lines =
            read(&format!("{P}[INFO] Listening at: http://127.0.0.1:8000,unix:/run/a.sock (5)"));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_plain_request_at_its_tls_port_is_told() {
        check(
            &format!(
                "{P}[WARNING] Invalid request from ip=::1: [SSL: HTTP_REQUEST] http request (_ssl.c:2546)"
            ),
            "gunicorn: PlainToTlsPort | [SSL: HTTP_REQUEST] http request",
        );
        check(
            &format!(
                "{P}[WARNING] Invalid request from ip=192.0.2.1: Invalid HTTP request line: 'GET /: [SSL: HTTP_REQUEST] http request (_ssl.c:1)'"
            ),
            "gunicorn: RequestUnreadable | Invalid HTTP request line",
        );
        for sent in [
            "[SSL: HTTP_REQUEST] http request of mine",
            "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:2546)",
        ] {
            check_nothing(&format!("{P}[WARNING] Invalid request from ip=192.0.2.1: {sent}"));
        }
    }

    #[test]
    fn what_callers_send_and_apps_say_is_no_act_of_it() {
        check_nothing(&format!(
            "{P}[WARNING] Invalid request from ip=192.0.2.1: WORKER TIMEOUT (pid:1)"
        ));
        check_nothing("Starting gunicorn.service...");
        check_nothing("INFO:shop:WORKER TIMEOUT (pid:5588)");
        check_nothing("INFO:shop:Using worker: sync");
        check_nothing(&format!("{P}[INFO] user said WORKER TIMEOUT (pid:1)"));
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(ERROR.hooks, RULES);
        assert_hooked(ERROR.hooks, FAILURES);
    }
}
