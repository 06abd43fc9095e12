//! Flask and Django, and the servers that they are developed with: what they say of themselves,
//! and werkzeug's access lines.

use crate::clock;
use crate::event::{Event, Served};
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::{answered, python};
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Flask log",
    product: Product::Flask,
    hooks: &[
        "* Running on ",
        "Exception on ",
        "* Serving Flask app",
        "Error: Could not import '",
        "Error: While importing '",
        "Error: Failed to find Flask application",
        "Port ",
    ],
    fits: |line| {
        told(line).is_some() || rule::told(FAILURES, Product::Flask, LOGGERS, line).is_some()
    },
    read: |line, sink| match told(line) {
        Some(event) => sink.event(event),
        None => {
            python::read_failure(line, FAILURES, Product::Flask, LOGGERS, sink);
        }
    },
    source: "Flask 3.1: flask/app.py, flask/cli.py; werkzeug 3.1: werkzeug/serving.py",
    example: " * Running on http://127.0.0.1:5000",
};

/// An app's logger has the app's name, which may be any.
const LOGGERS: &[&str] = &["werkzeug", "app", "flask", "main", "__main__", "wsgi"];

const RULES: &[Rule] = &[
    rule("* Running on all addresses ({upstream})", Sign::Listening),
    rule("* Running on {upstream}", Sign::Listening),
    rule("* Serving Flask app", Sign::Started),
    rule("Error: Could not import '{detail}'", Sign::BootFailed),
    rule("Error: While importing '{detail}'", Sign::BootFailed),
    rule("Error: Failed to find Flask application", Sign::BootFailed),
    rule("Port {number} is in use by another program", Sign::PortInUse),
];

const FAILURES: &[Rule] = &[rule("«Exception on» {route} [", Sign::UnhandledException)];

/// The marks of its first lines stand after a blank.
fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    let start = line.text.len() - line.text[lead.inset..].trim_start().len();
    let event = rule::event(RULES, Product::Flask, &line.text, start)?;
    lead.is_of(LOGGERS).then(|| event.at(lead.at))
}

pub(super) const ACCESS: Reader = Reader {
    name: "werkzeug access log",
    product: Product::Flask,
    hooks: &[],
    fits: |line| access(&line.text).is_some(),
    read: |line, sink| {
        let Some((event, served)) = access(&line.text) else { return };
        sink.served(served);
        if let Some(event) = event {
            sink.event(event);
        }
    },
    source: "werkzeug 3.1: werkzeug/serving.py, WSGIRequestHandler.log",
    example: "127.0.0.1 - - [20/Nov/2026 15:16:30] \"GET /x HTTP/1.1\" 500 -",
};

/// `CLIENT - - [20/Nov/2026 15:16:30] "REQUEST" STATUS -`, and the same without a client: Django's.
fn access(text: &str) -> Option<(Option<Event<'_>>, Served)> {
    let lead = if text.starts_with('[') { Lead::default() } else { Lead::of(text) };
    let text_from = &text[lead.inset..];
    let (client, rest) = match text_from.strip_prefix('[') {
        Some(rest) => (None, rest),
        None => text_from.split_once(" - - [").map(|(client, rest)| (Some(client), rest))?,
    };
    // A blank between date and time, and no zone: no other writes that.
    if rest.as_bytes().get(11) != Some(&b' ') {
        return None;
    }
    let (at, length) = clock::day_first(rest)?;
    let rest = rest.get(length..)?.strip_prefix("] \"")?;
    let (request, after) = rest.rsplit_once("\" ")?;
    let (status, size) = after.split_once(' ')?;
    let size = size.trim_end();
    let numbers = status.len() == 3 && (size == "-" || size.bytes().all(|it| it.is_ascii_digit()));
    let status: u16 = status.parse().ok().filter(|it| (100..600).contains(it))?;
    if !numbers || client.is_some_and(|it| it.contains(' ')) {
        return None;
    }
    let product = if client.is_some() { Product::Flask } else { Product::Django };
    let start = text.len() - after.len();
    let event = answered(status).map(|sign| {
        Event::new(product, sign, Trust::C, start..start + 3)
            .at(Some(at))
            .status(Some(status))
            .route(request.split(' ').nth(1))
            .client(client)
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
            " * Running on http://127.0.0.1:5000",
            "Flask: Listening upstream=http://127.0.0.1:5000 | * Running on http://127.0.0.1:5000",
        );
        check(
            "Port 5000 is in use by another program. Either identify",
            "Flask: PortInUse number=5000 | Port 5000 is in use by another program",
        );
        check(
            "[2026-11-20 15:16:30,123] ERROR in app: Exception on /x [GET]\nTraceback (most recent call last):\n  File \"/v/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/app.py\", line 9, in x\n    y\nOSError: [Errno 28] No space left on device: '/tmp/x'\n",
            "Flask: AppDiskFull who=/srv/app.py:9 in x detail=OSError: [Errno 28] No space left on device | OSError: [Errno 28] No space left on device",
        );
    }

    #[test]
    fn an_access_line_counts() {
        check("127.0.0.1 - - [20/Nov/2026 15:16:30] \"GET /x HTTP/1.1\" 200 -", "served 200");
        check(
            "127.0.0.1 - - [20/Nov/2026 15:16:30] \"GET /x HTTP/1.1\" 500 -",
            "served 500; Flask: Answered500 status=500 | 500",
        );
        check(
            "[20/Nov/2026 15:16:30] \"GET /x HTTP/1.1\" 503 145",
            "served 503; Django: Answered503 status=503 | 503",
        );
    }

    #[test]
    fn what_a_caller_asks_for_is_no_act() {
        check_nothing(
            "127.0.0.1 - - [20/Nov/2026 15:16:30] \"GET /* Running on x HTTP/1.1\" 404 -",
        );
        check_nothing("see: * Running on http://127.0.0.1:5000");
        check_nothing("Port forwarding is in use");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
        assert_hooked(LOG.hooks, FAILURES);
    }
}
