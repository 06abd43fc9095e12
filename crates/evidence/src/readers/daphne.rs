//! Daphne: its log and its access log, which has neither zone nor protocol
//! (daphne/server.py, daphne/access.py).

use crate::clock;
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::{answered, python};
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "daphne log",
    product: Product::Daphne,
    hooks: &[
        "Listening on TCP address",
        "Listen failure: ",
        "Exception inside application: ",
        "Application timed out while sending",
        "took too long to shut down and was killed",
        "Starting server at ",
    ],
    fits: |line| {
        rule::told(RULES, Product::Daphne, LOGGERS, line).is_some()
            || rule::told(FAILURES, Product::Daphne, LOGGERS, line).is_some()
    },
    read: |line, sink| match rule::told(RULES, Product::Daphne, LOGGERS, line) {
        Some(event) => sink.event(event),
        None => {
            python::read_failure(line, FAILURES, Product::Daphne, LOGGERS, sink);
        }
    },
    source: "daphne 4.2: daphne/server.py, daphne/http_protocol.py",
    example: "2026-11-20 15:16:30,375 INFO     Listening on TCP address 127.0.0.1:8000",
};

const LOGGERS: &[&str] = &["daphne"];

const RULES: &[Rule] = &[
    rule("Listening on TCP address {upstream}", Sign::Listening),
    rule("Starting server at {_}", Sign::Started),
    rule("Listen failure: {_}Couldn't listen on {upstream}: [Errno 98]", Sign::PortInUse),
    rule("Listen failure: {detail}", Sign::BindFailed),
    rule("Application timed out while sending response", Sign::RequestSlow),
    rule("Application instance {_} «took too long to shut down and was killed»", Sign::RequestSlow),
];

const FAILURES: &[Rule] = &[rule("«Exception inside application»: {_}", Sign::UnhandledException)];

pub(super) const ACCESS: Reader = Reader {
    name: "daphne access log",
    product: Product::Daphne,
    hooks: &[],
    fits: |line| access(&line.text).is_some(),
    read: read_access,
    source: "daphne 4.2: daphne/access.py",
    example: "127.0.0.1:41974 - - [20/Nov/2026:15:16:30] \"GET /exc\" 500 453",
};

fn read_access(line: &Line, sink: &mut dyn Sink) {
    let Some((event, served)) = access(&line.text) else { return };
    sink.served(served);
    if let Some(event) = event {
        sink.event(event);
    }
}

/// `CLIENT:PORT - - [TIME] "METHOD PATH" STATUS LENGTH`.
fn access(text: &str) -> Option<(Option<Event<'_>>, Served)> {
    let (client, rest) = text.split_once(" - - [")?;
    let (at, length) = clock::day_first(rest)?;
    let rest = rest.get(length..)?.strip_prefix("] \"")?;
    let (request, after) = rest.rsplit_once("\" ")?;
    let (status, size) = after.split_once(' ')?;
    let numbers =
        status.len() == 3 && size.trim_end().bytes().all(|it| it.is_ascii_digit() || it == b'-');
    let status: u16 = status.parse().ok().filter(|it| (100..600).contains(it))?;
    // With a protocol, it is the common format of others.
    if !numbers || client.contains(' ') || !client.contains(':') || request.contains(" HTTP/") {
        return None;
    }
    let start = text.len() - after.len();
    let event = answered(status).map(|sign| {
        Event::new(Product::Daphne, sign, Trust::C, start..start + 3)
            .at(Some(at))
            .status(Some(status))
            .route(request.split(' ').nth(1))
            .client(Some(client))
    });
    Some((event, Served { at: Some(at), status }))
}

#[cfg(test)]
mod tests {
    use super::{FAILURES, LOG, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        check(
            "2026-11-20 15:16:30,375 INFO     Listening on TCP address 127.0.0.1:8000",
            "daphne: Listening upstream=127.0.0.1:8000 | Listening on TCP address 127.0.0.1:8000",
        );
        check(
            "2026-11-20 15:16:30,375 CRITICAL Listen failure: Couldn't listen on 0.0.0.0:8000: [Errno 98] Address already in use.",
            "daphne: PortInUse upstream=0.0.0.0:8000 | Listen failure: Couldn't listen on 0.0.0.0:8000: [Errno 98]",
        );
        check(
            "2026-11-20 15:16:30,375 ERROR    Exception inside application: boom",
            "daphne: UnhandledException | Exception inside application",
        );
    }

    #[test]
    fn an_access_line_counts() {
        check("127.0.0.1:41974 - - [20/Nov/2026:15:16:30] \"GET /x\" 200 4", "served 200");
        check(
            "127.0.0.1:41974 - - [20/Nov/2026:15:16:30] \"GET /x\" 503 4",
            "served 503; daphne: Answered503 status=503 | 503",
        );
        check_nothing("127.0.0.1:41974 - - [20/Nov/2026:15:16:30] \"GET /\" 502 1\" 200 4");
    }

    #[test]
    fn an_apps_own_words_are_none_of_its_acts() {
        check_nothing("INFO:shop:Listen failure: x");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
        assert_hooked(LOG.hooks, FAILURES);
    }
}
