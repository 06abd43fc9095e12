//! nginx: the error log, the access log, and pieces of error lines.
//!
//! The error line is `TIME [LEVEL] PID#TID: *CONN MESSAGE while ACTION, client: …, server: …,
//! request: "…", upstream: "…", host: "…"`. Everything from `, client: ` on is the request's, and
//! what stands in the message before it is nginx's own (src/core/ngx_log.c,
//! src/http/ngx_http_request.c). The level decides nothing.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, number, phrase};
use crate::sign::Sign;
use crate::trust::Trust;
use std::borrow::Cow;

pub(super) const ERROR: Reader = Reader {
    name: "nginx error log",
    product: Product::Nginx,
    hooks: &[
        "upstream",
        "[alert]",
        "[crit]",
        "[emerg]",
        "[error]",
        "[notice]",
        "limiting ",
        "worker_connections",
        "client prematurely",
    ],
    fits: |line| prefix(&line.text).is_some(),
    read: |line, sink| {
        if let Some(prefix) = prefix(&line.text) {
            message(line, prefix.inset, Some(&prefix), sink);
        }
    },
    source: "https://nginx.org/en/docs/ngx_core_module.html#error_log; nginx 1.22.1 and 1.26",
    example: "2023/10/27 10:30:15 [error] 1234#1234: *5 connect() failed (111: Connection refused) \
              while connecting to upstream, client: 192.0.2.1, server: example.com, request: \"GET \
              /data HTTP/1.1\", upstream: \"http://127.0.0.1:8000/data\", host: \"example.com\"",
};

/// An error line that was cut at its start: people paste the words they find telling.
pub(super) const FRAGMENT: Reader = Reader {
    name: "piece of an nginx error line",
    product: Product::Nginx,
    hooks: &[
        "while connecting to upstream",
        "from upstream",
        "while SSL handshaking to upstream",
        "while sending request to upstream",
        "while reading upstream",
    ],
    fits: |line| FRAGMENT.hooks.iter().any(|it| request_starts(&line.text).0.contains(it)),
    read: |line, sink| message(line, 0, None, sink),
    source: "https://nginx.org/en/docs/ngx_core_module.html#error_log",
    example: "upstream prematurely closed connection while reading response header from upstream",
};

pub(super) const ACCESS: Reader = Reader {
    name: "nginx access log",
    product: Product::Nginx,
    hooks: &[],
    fits: |line| access_parts(&line.text).is_some(),
    read: access,
    source: "https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format; the combined format",
    example: "192.0.2.1 - - [27/Oct/2023:10:30:15 +0000] \"GET /data HTTP/1.1\" 502 157 \"-\" \"curl/8.0\"",
};

struct Prefix {
    at: Stamp,
    pid: Option<u32>,
    /// Where the message begins.
    inset: usize,
}

/// `2023/10/27 10:30:15 [crit] 1234#1234: *5 `. Without a time in front, the level and the ids are
/// enough: a line that was cut.
fn prefix(text: &str) -> Option<Prefix> {
    if text.as_bytes().get(4) != Some(&b'/') {
        return None;
    }
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].strip_prefix(" [")?;
    let (level, rest) = rest.split_once("] ")?;
    if !matches!(level, "debug" | "info" | "notice" | "warn" | "error" | "crit" | "alert" | "emerg")
    {
        return None;
    }
    let (ids, rest) = rest.split_once(": ")?;
    let (pid, tid) = ids.split_once('#')?;
    if !tid.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let rest = match rest.strip_prefix('*').and_then(|it| it.split_once(' ')) {
        Some((connection, rest)) if connection.bytes().all(|it| it.is_ascii_digit()) => rest,
        _ => rest,
    };
    Some(Prefix { at, pid: pid.parse().ok(), inset: text.len() - rest.len() })
}

/// nginx's own words, and the request's after them.
fn request_starts(text: &str) -> (&str, &str) {
    match text.find(", client: ") {
        Some(at) => text.split_at(at),
        None => (text, ""),
    }
}

const ACTIONS: [(&str, Sign); 5] = [
    ("while connecting to upstream", Sign::ConnectTimedOut),
    ("while SSL handshaking to upstream", Sign::TlsTimedOut),
    ("while sending request to upstream", Sign::SendTimedOut),
    ("while reading response header from upstream", Sign::HeadTimedOut),
    ("while reading upstream", Sign::BodyStalled),
];

const FAULTS: &[Phrase] = &[
    phrase("no live upstreams", Sign::NoLiveUpstream, Trust::C),
    phrase("upstream sent too big header", Sign::HeadTooBig, Trust::C),
];

fn message(line: &Line, inset: usize, prefix: Option<&Prefix>, sink: &mut dyn Sink) {
    let (own, request) = request_starts(&line.text[inset..]);
    let upstream = between(request, "upstream: \"", "\"");
    let Some((sign, span)) = sign(own, upstream) else { return };
    let span = inset + span.start..inset + span.end;
    let asked = between(request, "request: \"", "\"").and_then(|it| it.split(' ').nth(1));
    sink.event(
        Event::new(Product::Nginx, sign, Trust::C, span)
            .at(prefix.map(|it| it.at))
            .pid(prefix.and_then(|it| it.pid))
            .upstream(upstream.map(Cow::Borrowed))
            .route(asked)
            .client(between(request, "client: ", ",")),
    );
}

fn sign(own: &str, upstream: Option<&str>) -> Option<(Sign, std::ops::Range<usize>)> {
    if let Some((phrase, span)) = find(FAULTS, own) {
        return Some((phrase.sign, span));
    }
    let (action, on_timeout) = ACTIONS.iter().find(|(it, _)| own.contains(it))?;
    let end = own.find(action)? + action.len();
    // `(111: Connection refused)`: the number of the system's error.
    let errno =
        own.rfind(": ").map(|at| &own[..at]).and_then(|it| it.rfind('(').map(|at| &it[at + 1..]));
    let errno =
        own.find(" (").and_then(|at| number(&own[at + 2..])).or_else(|| errno.and_then(number));
    let unix = upstream.is_some_and(|it| it.contains("unix:")) || own.contains(" unix:");
    let connecting = *on_timeout == Sign::ConnectTimedOut;
    let sign = match errno {
        Some(110) => *on_timeout,
        Some(111) if unix => Sign::SocketStale,
        Some(111) => Sign::ConnectRefused,
        Some(2) if unix => Sign::SocketMissing,
        Some(13) if unix => Sign::SocketDenied,
        Some(13) => Sign::ConnectDenied,
        Some(11) if unix => Sign::SocketBacklogFull,
        Some(99) => Sign::NoLocalPort,
        Some(113) => Sign::HostUnreachable,
        Some(101) => Sign::NetworkUnreachable,
        Some(24) => Sign::NoDescriptors,
        Some(104) if *on_timeout == Sign::BodyStalled => Sign::BodyReset,
        Some(104) => Sign::Reset,
        Some(32) => Sign::SendBroken,
        _ if own.contains("prematurely closed connection") => match on_timeout {
            Sign::BodyStalled => Sign::BodyCut,
            _ => Sign::Closed,
        },
        _ if connecting => Sign::ConnectFailed,
        _ => return None,
    };
    // The decisive words end with the action.
    Some((sign, 0..end))
}

struct Access<'a> {
    at: Option<Stamp>,
    client: &'a str,
    request: &'a str,
    status: u16,
    status_span: std::ops::Range<usize>,
}

/// `$remote_addr - $remote_user [$time_local] "$request" $status …`.
fn access_parts(text: &str) -> Option<Access<'_>> {
    let (client, rest) = text.split_once(' ')?;
    let (_, rest) = rest.split_once('[')?;
    let (at, end) = clock::day_first(rest)?;
    let rest = rest[end..].strip_prefix("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let status = rest.split(' ').next()?;
    let start = text.len() - rest.len();
    Some(Access {
        at: Some(at),
        client,
        request,
        status: status.parse().ok().filter(|_| status.len() == 3)?,
        status_span: start..start + status.len(),
    })
}

fn access(line: &Line, sink: &mut dyn Sink) {
    let Some(it) = access_parts(&line.text) else { return };
    sink.served(Served { at: it.at, status: it.status });
    let sign = match it.status {
        500 => Sign::Answered500,
        502 => Sign::Answered502,
        503 => Sign::Answered503,
        504 => Sign::Answered504,
        _ => return,
    };
    sink.event(
        Event::new(Product::Nginx, sign, Trust::C, it.status_span)
            .at(it.at)
            .status(Some(it.status))
            .route(it.request.split(' ').nth(1))
            .client(Some(it.client)),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn errno_and_action_make_the_sign() {
        check(
            "2023/10/27 10:30:15 [crit] 1#1: *5 connect() to 127.0.0.1:8000 failed (111: Connection \
             refused) while connecting to upstream, client: 192.0.2.1, server: x, request: \"GET \
             /data HTTP/1.1\", upstream: \"http://127.0.0.1:8000/data\", host: \"x\"",
            "nginx: ConnectRefused upstream=http://127.0.0.1:8000/data | connect() to \
             127.0.0.1:8000 failed (111: Connection refused) while connecting to upstream",
        );
    }

    #[test]
    fn what_a_caller_sent_is_no_evidence() {
        check_nothing(
            "2023/10/27 10:30:15 [error] 1#1: *5 open() \"/x\" failed (2: No such file or \
             directory), client: 192.0.2.1, server: x, request: \"GET /no%20live%20upstreams?upstream \
             timed out (110: Connection timed out) while connecting to upstream HTTP/1.1\", host: \"x\"",
        );
    }
}
