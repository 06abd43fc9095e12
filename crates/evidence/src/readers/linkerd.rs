//! Linkerd: the lines of its proxy, and the header by which it says why it refused a request.
//!
//! `[   126.292891s]  WARN ThreadId(01) outbound:proxy{addr=…}:endpoint{addr=…}: linkerd_reconnect:
//! Failed to connect error=endpoint 192.0.2.7:80: Connection refused (os error 111)`. Spans in braces
//! hold addresses; `controller{` is the mesh's own control plane, which serves nobody's request.

use crate::event::Event;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, phrase, span_of};
use crate::readers::flat::Flat;
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Linkerd proxy log",
    product: Product::Linkerd,
    hooks: &[
        "linkerd",
        "l5d-proxy-error",
        "(os error ",
        "fail-fast",
        "failfast",
        "Connection denied",
    ],
    fits: |line| told(line).is_some(),
    read: |line, sink| {
        if let Some(event) = told(line) {
            sink.event(event);
        }
    },
    source: "linkerd2-proxy 2.2: linkerd/app/core/src/errors/respond.rs, linkerd/stack/src/failfast.rs, \
             linkerd/reconnect/src/lib.rs; https://linkerd.io/2/tasks/debugging-502s/",
    example: "[   126.292891s]  WARN ThreadId(01) outbound:proxy{addr=192.0.2.5:80}: linkerd_reconnect: \
              Failed to connect error=endpoint 192.0.2.7:80: Connection refused (os error 111)",
};

/// What it says of a connection or a request, the more telling first.
const ERRORS: &[Phrase] = &[
    phrase("Connection refused (os error 111)", Sign::ConnectRefused, Trust::C),
    phrase("Connection reset by peer (os error 104)", Sign::Reset, Trust::C),
    phrase("No route to host (os error 113)", Sign::HostUnreachable, Trust::C),
    phrase("Network is unreachable (os error 101)", Sign::NetworkUnreachable, Trust::C),
    phrase("Connection timed out (os error 110)", Sign::ConnectTimedOut, Trust::C),
    phrase("Cannot assign requested address (os error 99)", Sign::NoLocalPort, Trust::C),
    phrase("Too many open files (os error 24)", Sign::NoDescriptors, Trust::C),
    phrase("Broken pipe (os error 32)", Sign::SendBroken, Trust::C),
    phrase("connect timed out after", Sign::ConnectTimedOut, Trust::C),
    phrase("connection closed before message completed", Sign::Closed, Trust::C),
    phrase("response timed out", Sign::HeadTimedOut, Trust::C),
    phrase("HTTP response timeout after", Sign::HeadTimedOut, Trust::C),
    phrase("HTTP stream timed out", Sign::Deadline, Trust::C),
    phrase("service in fail-fast", Sign::NoLiveUpstream, Trust::C),
    phrase("Service in fail-fast", Sign::NoLiveUpstream, Trust::C),
    phrase("service unavailable", Sign::NoLiveUpstream, Trust::C),
    phrase("entering failfast", Sign::NoLiveUpstream, Trust::C),
    phrase("max-concurrency exhausted", Sign::ConnectionLimit, Trust::C),
    phrase("request queue exhausted", Sign::ConnectionLimit, Trust::C),
    phrase("invalid HTTP version parsed", Sign::NotHttp, Trust::C),
    phrase("connection error detected: frame with invalid size", Sign::Http2ToHttp1, Trust::C),
];

fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = line.text.trim_end();
    header(text).or_else(|| plain(text)).or_else(|| json(text)).or_else(|| early(text))
}

/// `l5d-proxy-error: HTTP Balancer service in fail-fast`.
fn header(text: &str) -> Option<Event<'_>> {
    let bare = text.trim_start_matches(['<', '>', '*', ' ']);
    let value = bare.strip_prefix("l5d-proxy-error:")?;
    let (found, span) = find(ERRORS, value)?;
    Some(event(text, value, found.sign, span, ""))
}

/// `[   0.001866s]  INFO ThreadId(01) SPANS: target: message`.
fn plain(text: &str) -> Option<Event<'_>> {
    let rest = text.strip_prefix('[')?;
    let (seconds, rest) = rest.split_once("s] ")?;
    let number = seconds.trim();
    if number.is_empty() || !number.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
        return None;
    }
    let (level, rest) = rest.trim_start().split_once(' ')?;
    let known = matches!(level, "INFO" | "WARN" | "ERROR" | "DEBUG" | "TRACE");
    let target = rest.find(": linkerd").or_else(|| rest.starts_with("linkerd").then_some(0))?;
    let spans = &rest[..target];
    if !known || spans.contains("controller{") || spans.contains("identity") {
        return None;
    }
    let message = rest[target..].trim_start_matches([':', ' ']).split_once(": ")?.1;
    if let Some(denied) = denied(message) {
        return Some(event(text, message, denied, 0.."Connection denied".len(), spans));
    }
    if message.contains(":controller{") || message.contains("controller:") {
        return None;
    }
    let (found, span) = find(ERRORS, message)?;
    Some(event(text, message, found.sign, span, spans))
}

/// Before 2.8: `ERR! proxy={server=out listen=127.0.0.1:4140 remote=…} linkerd2_proxy::proxy::http::
/// router service error: … Connection refused (os error 111) (address: 192.0.2.7:80)`.
fn early(text: &str) -> Option<Event<'_>> {
    let start = text.find("proxy={")?;
    let level = text[..start].split_ascii_whitespace().next_back()?;
    let (spans, rest) = text[start..].split_once("} ")?;
    let (_, message) = rest.strip_prefix("linkerd2_proxy::")?.split_once(' ')?;
    if !matches!(level, "ERR!" | "WARN" | "ERROR") || spans.contains("controller") {
        return None;
    }
    let (found, span) = find(ERRORS, message)?;
    let address = between(message, "(address: ", ")");
    let address = address.filter(|it| crate::address::port(it).is_some());
    let event = Event::new(Product::Linkerd, found.sign, Trust::C, span_of(text, &message[span]));
    let at = crate::lead::Lead::of(text).at;
    Some(event.upstream(address).at(at))
}

/// `Connection denied server.name=… tls=None(NoClientHello) client=192.0.2.7:5000`: a policy lets in
/// whom it knows, by the certificate that the mesh gave him.
fn denied(message: &str) -> Option<Sign> {
    let rest = message.strip_prefix("Connection denied")?;
    let unmeshed = rest.contains("tls=None(") || rest.contains("tls=Some(Passthru");
    Some(if unmeshed { Sign::MtlsMismatch } else { Sign::PolicyDenied })
}

/// The same with `--set proxy.logFormat=json`.
fn json(text: &str) -> Option<Event<'_>> {
    if !text.starts_with('{') || !text.contains("\"target\"") || !text.contains("linkerd") {
        return None;
    }
    let flat = Flat::of(text)?;
    let ours = flat.text("target")?.starts_with("linkerd");
    if !ours || text.contains("\"name\":\"controller\"") {
        return None;
    }
    let message = flat
        .any(&["fields/error", "error"])
        .filter(|it| find(ERRORS, it).is_some())
        .or_else(|| flat.any(&["fields/message", "message"]))?;
    let (found, span) = find(ERRORS, message)?;
    Some(event(text, message, found.sign, span, ""))
}

fn event<'a>(
    text: &'a str,
    message: &'a str,
    sign: Sign,
    span: std::ops::Range<usize>,
    spans: &'a str,
) -> Event<'a> {
    let words = &message[span];
    let name = |it: &'a str| it.split([' ', ':']).next();
    let address = between(message, "endpoint ", ": ")
        .or_else(|| between(message, "server: ", ": "))
        .or_else(|| {
            let at = spans.rfind("endpoint{addr=")? + "endpoint{addr=".len();
            spans[at..].split(['}', ' ']).next()
        })
        .filter(|it| crate::address::port(it).is_some());
    let service = between(message, "logical service ", ": ").or_else(|| {
        message.split_once("service ").and_then(|it| name(it.1)).filter(|it| it.contains('.'))
    });
    let event = Event::new(Product::Linkerd, sign, Trust::C, span_of(text, words));
    event.upstream(address.or(service))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn what_it_says_of_a_request_is_read() {
        for (line, want) in [
            (
                "[   126.292891s]  WARN ThreadId(01) outbound:accept{client.addr=192.0.2.1:5}:endpoint{addr=192.0.2.7:80}: linkerd_reconnect: Failed to connect error=connect timed out after 1s",
                "Linkerd: ConnectTimedOut upstream=192.0.2.7:80 | connect timed out after",
            ),
            (
                "[   126.292891s]  INFO ThreadId(01) outbound: linkerd_app_core::errors::respond: HTTP/1.1 request failed error=logical service shop.default.svc.cluster.local:80: service in fail-fast",
                "Linkerd: NoLiveUpstream upstream=shop.default.svc.cluster.local:80 | service in fail-fast",
            ),
            (
                "[   126.292891s]  INFO ThreadId(01) inbound:accept{client.addr=192.0.2.7:5000}: linkerd_app_inbound::policy::tcp: Connection denied server.name=shop tls=None(NoClientHello) client=192.0.2.7:5000",
                "Linkerd: MtlsMismatch | Connection denied",
            ),
            (
                "[   126.292891s]  INFO ThreadId(01) inbound:accept{client.addr=192.0.2.7:5000}: linkerd_app_inbound::policy::tcp: Connection denied server.name=shop tls=Some(Established { client_id: Some(a) }) client=192.0.2.7:5000",
                "Linkerd: PolicyDenied | Connection denied",
            ),
            (
                "< l5d-proxy-error: HTTP Balancer service in fail-fast",
                "Linkerd: NoLiveUpstream | service in fail-fast",
            ),
            (
                r#"{"timestamp":"[   126.2s]","level":"WARN","fields":{"message":"Failed to connect","error":"endpoint 192.0.2.7:80: Connection refused (os error 111)"},"target":"linkerd_reconnect","threadId":"ThreadId(1)"}"#,
                "Linkerd: ConnectRefused upstream=192.0.2.7:80 | Connection refused (os error 111)",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn its_first_releases_wrote_other_lines() {
        let line = "2026-11-20T15:16:30.123Z ERR! proxy={server=out listen=127.0.0.1:4140 remote=192.0.2.1:60066} linkerd2_proxy::proxy::http::router service error: an error occurred trying to connect: Connection refused (os error 111) (address: 192.0.2.7:80)";
        check(
            line,
            "Linkerd: ConnectRefused upstream=192.0.2.7:80 | Connection refused (os error 111)",
        );
        check_nothing(&line.replace("ERR!", "INFO"));
        check_nothing(&line.replace("server=out", "controller"));
        check_nothing("a caller wrote proxy={server=out} linkerd2_proxy::a Connection refused");
    }

    #[test]
    fn its_control_plane_and_quoted_words_are_no_request() {
        check_nothing(
            "[   126.292891s]  WARN ThreadId(04) watch{port=4191}:controller{addr=linkerd-policy:8090}: linkerd_reconnect: Failed to connect error=endpoint 192.0.2.7:8090: Connection refused (os error 111)",
        );
        check_nothing(
            "[     0.001866s]  INFO ThreadId(01) linkerd2_proxy: Inbound interface on 0.0.0.0:4143",
        );
        check_nothing("a caller wrote linkerd service in fail-fast");
        check_nothing("[ x linkerd");
    }
}
