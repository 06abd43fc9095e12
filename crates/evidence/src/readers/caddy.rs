//! Caddy: v2 in JSON and for the console, and v1.
//!
//! The error of a failed request is the message of a line by `http.log.error`, in Go's words; the
//! request is an object beside it, which is never looked at but for its path.

use super::flat::{self, Flat};
use super::go;
use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Caddy log",
    product: Product::Caddy,
    // Every line that says something stands here: access lines are counted.
    hooks: &[],
    fits: |line| entry(&line.text).is_some(),
    read: |line, sink| {
        if let Some(entry) = entry(&line.text) {
            entry.tell(line, sink);
        }
    },
    source: "https://caddyserver.com/docs/logging; modules/caddyhttp, Caddy 2.6.2 and 2.11",
    example: "{\"level\":\"error\",\"ts\":1795187790.123,\"logger\":\"http.log.error\",\"msg\":\"dial tcp \
              127.0.0.1:8000: connect: connection refused\",\"request\":{\"method\":\"GET\",\"uri\":\
              \"/data\"},\"duration\":0.001,\"status\":502}",
};

/// What the command itself says, and ends: `Error: adapting config using caddyfile:
/// /etc/caddy/Caddyfile:5: unrecognized directive: reverse_prox`.
pub(super) const COMMAND: Reader = Reader {
    name: "Caddy command",
    product: Product::Caddy,
    hooks: REFUSALS,
    fits: |line| refusal(&line.text).is_some(),
    read: |line, sink| {
        let Some(words) = refusal(&line.text) else { return };
        let span = span_of(&line.text, words);
        let event = Event::new(Product::Caddy, Sign::ConfigRefused, Trust::C, span);
        sink.event(event.detail(Some(words)));
    },
    source: "Caddy 2: cmd/commandfuncs.go, cmd/main.go",
    example: "Error: adapting config using caddyfile: /etc/caddy/Caddyfile:5: unrecognized directive: \
              reverse_prox",
};

const REFUSALS: &[&str] = &[
    "adapting config using ",
    "loading initial config: ",
    "reading config from file: ",
    "sending configuration to instance: ",
];

/// `Error: ` or, before 2.7, the name of the subcommand stands before it.
fn refusal(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let (command, rest) = text.split_once(": ")?;
    let ours = matches!(command, "Error" | "run" | "reload" | "start" | "adapt" | "validate");
    let known = ours && REFUSALS.iter().any(|it| rest.starts_with(it));
    known.then(|| crate::scan::clip(rest, 200))
}

/// v1: `20/Nov/2026:15:16:30 +0000 [ERROR 502 /data] dial tcp …`.
pub(super) const V1: Reader = Reader {
    name: "Caddy 1 log",
    product: Product::Caddy,
    hooks: &["[ERROR "],
    fits: |line| v1_parts(&line.text).is_some(),
    read: |line, sink| {
        let Some((at, status, path, error)) = v1_parts(&line.text) else { return };
        let inset = span_of(&line.text, error).start;
        let event = match go::fault(error) {
            Some(fault) => fault.event(Product::Caddy, Trust::C, inset),
            None => match own(error) {
                Some((sign, words)) => {
                    let span = span_of(&line.text, words);
                    Event::new(Product::Caddy, sign, Trust::C, span)
                }
                None => return,
            },
        };
        sink.event(event.at(at).status(status).route(path));
    },
    source: "https://caddy.community/t/errors/; caddyhttp/errors of Caddy 1.0",
    example: "20/Nov/2026:15:16:30 +0000 [ERROR 502 /data] dial tcp 127.0.0.1:5004: connect: \
              connection refused",
};

struct Entry<'a> {
    at: Option<Stamp>,
    logger: &'a str,
    message: &'a str,
    flat: Option<Flat<'a>>,
}

fn entry(text: &str) -> Option<Entry<'_>> {
    if text.starts_with('{') {
        text.contains("\"logger\"").then_some(())?;
        let flat = Flat::of(text)?;
        let logger = flat.text("logger")?;
        let at = flat.time(&["ts"]);
        let message = flat.text("msg")?;
        return is_logger(logger).then_some(Entry { at, logger, message, flat: Some(flat) });
    }
    console(text)
}

/// `2026/11/20 15:16:30.123\tERROR\thttp.log.error\tdial tcp …\t{"request": …}`, with any blanks.
fn console(text: &str) -> Option<Entry<'_>> {
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].trim_start();
    let (level, rest) = rest.split_once([' ', '\t'])?;
    if !matches!(level, "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL" | "PANIC") {
        return None;
    }
    let rest = rest.trim_start();
    let (logger, rest) = rest.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    if !is_logger(logger) {
        return None;
    }
    let fields = rest.find("\t{").or_else(|| rest.find(" {\""));
    let (message, fields) = fields.map_or((rest, ""), |at| rest.split_at(at));
    let flat = Flat::of(fields);
    Some(Entry { at: Some(at), logger, message: message.trim_end(), flat })
}

fn is_logger(logger: &str) -> bool {
    let families = [
        "http.log.",
        "http.handlers.",
        "http.reverse_proxy",
        "tls.",
        "layer4",
        "admin",
        "http.stdlib",
    ];
    families.iter().any(|it| logger.starts_with(it))
        || matches!(logger, "http" | "http.auto_https" | "tls")
}

const MESSAGES: &[Phrase] = &[
    phrase("no upstreams available", Sign::NoLiveUpstream, Trust::C),
    phrase("no live upstreams available", Sign::NoLiveUpstream, Trust::C),
    phrase("no hosts available upstream", Sign::NoLiveUpstream, Trust::C),
    phrase("unreachable backend", Sign::NoLiveUpstream, Trust::C),
    phrase("server is listening only on the HTTPS port", Sign::ProxyStarted, Trust::C),
];

fn own(message: &str) -> Option<(Sign, &str)> {
    let (found, span) = find(MESSAGES, message)?;
    Some((found.sign, &message[span]))
}

impl Entry<'_> {
    fn tell(&self, line: &Line, sink: &mut dyn Sink) {
        let field = |path: &str| self.flat.as_ref().and_then(|it| it.text(path));
        let status = field("status").and_then(flat::status);
        let route = field("request/uri");
        let client = field("request/remote_ip").or_else(|| field("request/remote_addr"));
        if self.logger.starts_with("http.log.access") {
            return self.access(line, status, route, client, sink);
        }
        let upstream = field("upstream").or_else(|| field("host")).or_else(|| field("address"));
        let put = |sink: &mut dyn Sink, event: Event<'_>| {
            let upstream = event.upstream.clone().or_else(|| upstream.map(Into::into));
            let event = event.at(self.at).status(status).upstream(upstream);
            sink.event(event.route(route).client(client));
        };
        let from = |words: &str, sign| {
            Event::new(Product::Caddy, sign, Trust::C, span_of(&line.text, words))
        };
        if self.logger.starts_with("http.handlers.reverse_proxy.health_checker") {
            if let Some(sign) = health(self.message, field("error")) {
                put(sink, from(self.message, sign));
            }
            return;
        }
        if matches!(self.message, "aborting with incomplete response" | "reading from backend") {
            let sign = field("error").map_or(Sign::BodyCut, cut);
            return put(sink, from(self.message, sign));
        }
        if self.logger.starts_with("http.stdlib") {
            let words = between(self.message, "http: ", " from ");
            if let Some(words) = words.filter(|it| *it == "TLS handshake error") {
                put(sink, from(words, Sign::ClientTls));
            }
            return;
        }
        if let Some((sign, words)) = own(self.message) {
            return put(sink, from(words, sign));
        }
        let proxied = self.logger.starts_with("http.log.error")
            || self.logger.starts_with("http.handlers.reverse_proxy");
        if !proxied {
            return;
        }
        // `upstream roundtrip` at level DEBUG carries the error beside it.
        let error = match self.message {
            "upstream roundtrip" => field("error"),
            it => Some(it),
        };
        let Some(error) = error else { return };
        match go::fault(error) {
            Some(fault) => {
                let inset = span_of(&line.text, error).start;
                put(sink, fault.event(Product::Caddy, Trust::C, inset));
            }
            None => {
                let Some(sign) = status.and_then(flat::answered) else { return };
                put(sink, from(self.message, sign));
            }
        }
    }

    fn access(
        &self,
        line: &Line,
        status: Option<u16>,
        route: Option<&str>,
        client: Option<&str>,
        sink: &mut dyn Sink,
    ) {
        let Some(status) = status else { return };
        sink.served(Served { at: self.at, status });
        let text = self.flat.as_ref().and_then(|it| it.text("status")).unwrap_or("");
        let sign = match status {
            499 => Sign::ClientClosed,
            _ => match flat::answered(status) {
                Some(sign) => sign,
                None => return,
            },
        };
        let event = Event::new(Product::Caddy, sign, Trust::C, span_of(&line.text, text));
        sink.event(event.at(self.at).status(Some(status)).route(route).client(client));
    }
}

/// What ended a body.
fn cut(error: &str) -> Sign {
    match () {
        () if error.contains("connection reset by peer") => Sign::BodyReset,
        () if error.contains("timeout") => Sign::BodyStalled,
        () if error.contains("invalid byte in chunk length") => Sign::ChunkBad,
        () if error.contains("context canceled") => Sign::ClientClosed,
        () => Sign::BodyCut,
    }
}

fn health(message: &str, error: Option<&str>) -> Option<Sign> {
    match message {
        "host is up" => Some(Sign::ServerUp),
        "unexpected status code" | "status code out of tolerances" => Some(Sign::HealthWrongAnswer),
        "HTTP request failed" => match go::fault(error?).map(|it| it.sign) {
            Some(Sign::ConnectTimedOut | Sign::HeadTimedOut | Sign::Deadline) => {
                Some(Sign::HealthTimedOut)
            }
            Some(Sign::TlsToPlain | Sign::TlsBytes | Sign::NotHttp) => {
                Some(Sign::HealthWrongProtocol)
            }
            _ => Some(Sign::HealthConnectFailed),
        },
        _ => None,
    }
}

type V1Parts<'a> = (Option<Stamp>, Option<u16>, Option<&'a str>, &'a str);

/// Time, status, path and error. The path has no space in it.
fn v1_parts(text: &str) -> Option<V1Parts<'_>> {
    let (at, end) = clock::day_first(text).or_else(|| clock::iso(text))?;
    let rest = text[end..].trim_start().strip_prefix("[ERROR ")?;
    let (status, rest) = rest.split_once(' ')?;
    let (path, error) = rest.split_once("] ")?;
    let status = flat::status(status)?;
    (!path.contains(' ')).then_some((Some(at), Some(status), Some(path), error))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn errors_are_gos_in_json_and_on_the_console() {
        check(
            r#"{"level":"error","ts":1795187790.1,"logger":"http.log.error.log0","msg":"dial tcp: lookup app on 127.0.0.11:53: no such host","request":{"uri":"/data","headers":{"User-Agent":["x"]}},"status":502}"#,
            "Caddy: NameNotFound detail=app status=502 | lookup app on 127.0.0.11:53: no such host",
        );
        check(
            "2026/11/20 15:16:30.123\tERROR\thttp.log.error\ttls: first record does not look like a TLS \
             handshake\t{\"request\": {\"uri\": \"/\"}, \"status\": 502}",
            "Caddy: TlsToPlain status=502 | tls: first record does not look like a TLS handshake",
        );
        check(
            r#"{"level":"error","ts":1795187790.1,"logger":"http.handlers.reverse_proxy","msg":"aborting with incomplete response","upstream":"127.0.0.1:8000","error":"unexpected EOF"}"#,
            "Caddy: BodyCut upstream=127.0.0.1:8000 | aborting with incomplete response",
        );
        check(
            r#"{"level":"error","ts":1795187790.1,"logger":"http.log.error","msg":"no upstreams available","status":503}"#,
            "Caddy: NoLiveUpstream status=503 | no upstreams available",
        );
    }

    #[test]
    fn healthy_requests_and_callers_words_say_nothing() {
        check_nothing(
            r#"{"level":"info","ts":1795187790.1,"logger":"http.log.access.log0","msg":"handled request","request":{"uri":"/?dial tcp 127.0.0.1:1: connect: connection refused","status":502},"status":200}"#,
        );
        check_nothing(
            "2026/11/20 15:16:30.123\tINFO\thttp.log.access\thandled request\t{\"request\": {\"uri\": \
             \"/no upstreams available\"}, \"status\": 200}",
        );
    }

    #[test]
    fn version_1_is_read() {
        check(
            "20/Nov/2026:15:16:30 +0000 [ERROR 502 /data] no hosts available upstream",
            "Caddy: NoLiveUpstream status=502 | no hosts available upstream",
        );
    }
}
