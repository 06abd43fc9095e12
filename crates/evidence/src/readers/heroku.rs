//! Heroku: the router's lines, the platform's errors, and the life of dynos.

use super::logfmt;
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ROUTER: Reader = Reader {
    name: "Heroku router log",
    product: Product::Heroku,
    hooks: &[],
    fits: |line| line.text.starts_with("at=") && line.text.contains(" dyno="),
    read: router,
    source: "https://devcenter.heroku.com/articles/http-routing; https://devcenter.heroku.com/articles/\
             error-codes",
    example: "at=error code=H12 desc=\"Request timeout\" method=GET path=\"/data\" host=app.example.com \
              request_id=5d6c7c6e-1111-4222-8333-444455556666 fwd=\"192.0.2.1\" dyno=web.1 connect=1ms \
              service=30000ms status=503 bytes=0 protocol=https",
};

pub(super) const PLATFORM: Reader = Reader {
    name: "Heroku platform log",
    product: Product::Heroku,
    hooks: &[
        "Error R",
        "code=R",
        "State changed from ",
        "Process exited with status ",
        "Stopping all processes",
        "Process running mem=",
        "Error L1",
        "Restarting",
        "Starting process with command",
    ],
    fits: |line| platform_line(line) && event(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = event(&line.text) else { return };
        // Of the app's own output, nothing is the platform's word.
        sink.event(it.who(line.service.as_deref()));
    },
    source: "https://devcenter.heroku.com/articles/error-codes; https://devcenter.heroku.com/articles/dynos",
    example: "Error R10 (Boot Timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
};

/// What a router's code says: with it, the words and the sign.
fn code(code: &str) -> Option<Sign> {
    Some(match code {
        "H10" => Sign::CrashLooping,
        "H11" => Sign::QueueTimedOut,
        "H12" => Sign::HeadTimedOut,
        "H13" => Sign::Closed,
        "H14" => Sign::NoEndpoints,
        "H15" => Sign::BodyStalled,
        "H16" => Sign::NoEndpoints,
        "H17" => Sign::StatusLineBad,
        "H18" => Sign::Reset,
        "H19" => Sign::ConnectTimedOut,
        "H20" => Sign::BootTimedOut,
        "H21" => Sign::ConnectRefused,
        "H22" => Sign::ConnectionLimit,
        "H23" => Sign::NoEndpoints,
        "H24" => Sign::NoEndpoints,
        "H25" => Sign::HeaderBad,
        "H26" => Sign::ClientSlow,
        "H27" => Sign::ClientClosed,
        "H28" => Sign::ClientSlow,
        "H80" => Sign::Answered503,
        "H81" => Sign::NoEndpoints,
        "H82" => Sign::QuotaDenied,
        "H83" => Sign::NoEndpoints,
        "H99" => Sign::Answered503,
        _ => return None,
    })
}

fn router(line: &Line, sink: &mut dyn Sink) {
    let text = &*line.text;
    let (mut found, mut status, mut dyno, mut path, mut id) = (None, None, None, None, None);
    let mut limit = None;
    for (key, value) in logfmt::pairs(text) {
        match key {
            "code" if found.is_none() => found = Some(value),
            "status" => status = super::flat::status(value).map(|it| (it, value)),
            "dyno" => dyno = Some(value).filter(|it| !it.is_empty()),
            "path" => path = Some(value),
            "request_id" => id = Some(value),
            "service" => limit = number(value),
            _ => {}
        }
    }
    if let Some((status, _)) = status {
        sink.served(Served { at: line.at, status });
    }
    let said = found.and_then(|it| Some((code(it)?, it)));
    // A 5xx without a code was the app's own answer.
    let relayed = status.filter(|(it, _)| 500 <= *it && found.is_none());
    let relayed = relayed.map(|(_, words)| (Sign::RelayedError, words));
    let Some((sign, words)) = said.or(relayed) else { return };
    let mut span = span_of(text, words);
    if said.is_some() {
        // `code=H12`, which is nothing without its key.
        span.start = span.start.saturating_sub("code=".len());
    }
    // Of a connection that was closed, how long the app had worked on the request.
    let limit = limit.filter(|_| matches!(sign, Sign::HeadTimedOut | Sign::Closed));
    sink.event(
        Event::new(Product::Heroku, sign, Trust::C, span)
            .upstream(dyno)
            .number(limit)
            .status(status.map(|(it, _)| it))
            .route(path)
            .request_id(id),
    );
}

/// From the platform, not from the app: the layer tells, where there is one.
fn platform_line(line: &Line) -> bool {
    line.ident.as_deref().is_none_or(|it| it == "heroku")
}

/// The platform's lines have fixed starts.
fn event(text: &str) -> Option<Event<'_>> {
    let make =
        |sign, words: &str| Event::new(Product::Heroku, sign, Trust::B, span_of(text, words));
    if let Some(rest) =
        text.strip_prefix("Error R").or_else(|| text.strip_prefix("at=error code=R"))
    {
        let sign = match number(rest)? {
            10 | 11 => Sign::BootTimedOut,
            12 => Sign::Hung,
            14 | 15 => Sign::OomKilled,
            _ => return None,
        };
        // R14 is memory beyond the quota, with swap; only R15 kills.
        let swaps = rest.starts_with("14");
        let sign = if swaps { Sign::HeapExhausted } else { sign };
        let end = text.find(')').map_or(text.len().min(80), |at| at + 1);
        let detail = text.find("Web process failed").map(|at| &text[at..]);
        return Some(make(sign, text.get(..end)?).detail(detail));
    }
    if let Some(rest) = text.strip_prefix("State changed from ") {
        let (_, to) = rest.split_once(" to ")?;
        let sign = match to.trim() {
            "crashed" => Sign::ProcessExited,
            "up" => Sign::Started,
            "starting" => Sign::StartingUp,
            "down" => Sign::ProcessStopped,
            _ => return None,
        };
        return Some(make(sign, text));
    }
    if let Some(rest) = text.strip_prefix("Process exited with status ") {
        let status = number(rest)?;
        let sign = match status {
            0 => Sign::ProcessStopped,
            137 => Sign::ProcessKilled,
            143 => Sign::ProcessStopped,
            _ => Sign::ProcessExited,
        };
        let end = text.len() - rest.len() + status.to_string().len();
        let counted = if status == 137 { 9 } else { status };
        return Some(make(sign, text.get(..end)?).number(Some(counted)));
    }
    if text.starts_with("Stopping all processes with ") {
        let sign = if text.contains("SIGKILL") { Sign::ProcessKilled } else { Sign::ShuttingDown };
        return Some(make(sign, text));
    }
    if text == "Restarting" {
        return Some(make(Sign::ShuttingDown, text));
    }
    if let Some(port) = text.strip_prefix("Starting process with command ") {
        // The port that the platform gives stands in the command, where it was put there.
        let port = between(port, "--port=", " ").or_else(|| between(port, "--port ", " "));
        return Some(make(Sign::Started, &text[..29]).detail(port));
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_routers_codes_are_read() {
        check(
            "2026-11-20T15:16:30.123456+00:00 heroku[router]: at=error code=H13 desc=\"Connection \
             closed without response\" method=GET path=\"/\" host=a.example.com request_id=x fwd=\"-\" \
             dyno=web.1 connect=1ms service=20ms status=503 bytes=0",
            "served 503; Heroku: Closed upstream=web.1 number=20 status=503 | code=H13",
        );
        check(
            "2026-11-20T15:16:30.123456+00:00 heroku[router]: at=info method=GET path=\"/\" host=a \
             request_id=x fwd=\"-\" dyno=web.1 connect=1ms service=20ms status=500 bytes=9",
            "served 500; Heroku: RelayedError upstream=web.1 status=500 | 500",
        );
    }

    #[test]
    fn what_a_caller_sent_and_healthy_lines_say_nothing() {
        check_nothing(
            "at=info method=GET path=\"/?a=\\\" code=H12 \" host=a request_id=x fwd=\"code=H12\" \
             dyno=web.1 connect=1ms service=20ms status=200 bytes=9",
        );
    }

    #[test]
    fn dynos_live_and_die() {
        check(
            "2026-11-20T15:16:30.123456+00:00 heroku[web.1]: Process exited with status 1",
            "Heroku: ProcessExited who=web.1 number=1 | Process exited with status 1",
        );
        check(
            "2026-11-20T15:16:30.123456+00:00 heroku[web.1]: State changed from starting to crashed",
            "Heroku: ProcessExited who=web.1 | State changed from starting to crashed",
        );
        check(
            "Error R15 (Memory quota vastly exceeded)",
            "Heroku: OomKilled | Error R15 (Memory quota vastly exceeded)",
        );
        check_nothing("2026-11-20T15:16:30.123456+00:00 app[web.1]: Process exited with status 1");
    }
}
