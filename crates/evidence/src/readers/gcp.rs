//! Google Cloud: the load balancer's entries in Cloud Logging, and Cloud Run's own sentences.

use super::flat::{self, Flat};
use crate::clock;
use crate::event::{Event, Served};
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, number, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const BALANCER: Reader = Reader {
    name: "Google Cloud load balancer log",
    product: Product::GcpLb,
    hooks: &[],
    fits: |line| line.text.trim_start().starts_with('{') && line.text.contains("\"statusDetails\""),
    read: |line, sink| {
        let Some(flat) = Flat::of(&line.text) else { return };
        let at = flat.time(&["timestamp", "receiveTimestamp"]);
        let status = flat.status(&["httpRequest/status", "status"]);
        if let Some(status) = status {
            sink.served(Served { at, status });
        }
        let Some(details) = flat.any(&["jsonPayload/statusDetails", "statusDetails"]) else {
            return;
        };
        let Some(sign) = sign(details, status) else { return };
        let backend = ["resource/backend_service_name", "jsonPayload/backendTargetProjectNumber"];
        sink.event(
            Event::new(Product::GcpLb, sign, Trust::C, span_of(&line.text, details))
                .at(at)
                .who(flat.any(&backend[..1]))
                .status(status)
                .route(flat.text("httpRequest/requestUrl").and_then(path))
                .client(flat.text("httpRequest/remoteIp")),
        );
    },
    source: "https://cloud.google.com/load-balancing/docs/https/https-logging-monitoring",
    example: "{\"httpRequest\":{\"requestUrl\":\"https://example.com/data\",\"status\":502},\"jsonPayload\":\
              {\"statusDetails\":\"failed_to_connect_to_backend\"},\"timestamp\":\
              \"2026-11-20T15:16:30.123456Z\"}",
};

/// `statusDetails: backend_timeout`: a line of YAML or of indented JSON.
pub(super) const DETAILS: Reader = Reader {
    name: "Google Cloud statusDetails",
    product: Product::GcpLb,
    hooks: &["statusDetails", "backend_", "client_", "failed_to_", "ssl_", "internal_error"],
    fits: |line| value(&line.text).is_some_and(|it| sign(it, Some(502)).is_some()),
    read: |line, sink| {
        let Some(value) = value(&line.text) else { return };
        let Some(sign) = sign(value, Some(502)) else { return };
        sink.event(Event::new(Product::GcpLb, sign, Trust::C, span_of(&line.text, value)));
    },
    source: "https://cloud.google.com/load-balancing/docs/https/https-logging-monitoring\
             #statusdetails-http-success-messages",
    example: "  statusDetails: backend_connection_closed_before_data_sent_to_client",
};

/// `healthState: UNHEALTHY` of `gcloud compute backend-services get-health`.
pub(super) const HEALTH: Reader = Reader {
    name: "Google Cloud backend health",
    product: Product::GcpLb,
    hooks: &["healthState", "detailedHealthState", "kubernetes.io/backends"],
    fits: |line| state(&line.text).is_some(),
    read: |line, sink| {
        let Some((words, sign)) = state(&line.text) else { return };
        sink.event(Event::new(Product::GcpLb, sign, Trust::C, span_of(&line.text, words)));
    },
    source: "https://cloud.google.com/compute/docs/reference/rest/v1/backendServices/getHealth; \
             https://cloud.google.com/load-balancing/docs/health-check-logging",
    example: "  - healthState: UNHEALTHY",
};

fn state(text: &str) -> Option<(&str, Sign)> {
    unhealthy(text).or_else(|| annotated(text))
}

/// `ingress.kubernetes.io/backends: '{"k8s-be-30080--1a2b":"UNHEALTHY"}'`, which the controller of
/// GKE writes at an Ingress; where one backend is healthy it says less.
fn annotated(text: &str) -> Option<(&str, Sign)> {
    const WORD: &str = "\":\"UNHEALTHY\"";
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || it == '"');
    let bare = bare.strip_prefix("Annotations:").map_or(bare, str::trim_start);
    let rest = bare.strip_prefix("ingress.kubernetes.io/backends")?;
    let rest = rest.trim_start_matches(|it: char| it.is_whitespace() || "\"':=\\".contains(it));
    let list = rest.strip_prefix('{')?;
    let at = list.find(WORD).filter(|_| !list.contains(":\"HEALTHY\""))?;
    let word = &list[at + 3..at + WORD.len() - 1];
    Some((word, Sign::LbTargetUnhealthy))
}

fn unhealthy(text: &str) -> Option<(&str, Sign)> {
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || "\"'-".contains(it));
    let rest =
        bare.strip_prefix("healthState").or_else(|| bare.strip_prefix("detailedHealthState"))?;
    let value = rest.trim_start_matches(|it: char| it.is_whitespace() || "\"':=".contains(it));
    let end = value.find(|it: char| !it.is_ascii_uppercase()).unwrap_or(value.len());
    let sign = match &value[..end] {
        "UNHEALTHY" => Sign::LbTargetUnhealthy,
        "TIMEOUT" => Sign::HealthTimedOut,
        "DRAINING" => Sign::LbDeregistered,
        _ => return None,
    };
    (rest.len() > value.len()).then_some((&value[..end], sign))
}

pub(super) const RUN: Reader = Reader {
    name: "Cloud Run log",
    product: Product::GcpRun,
    hooks: &[
        "The request was aborted because there was no available instance",
        "Memory limit of ",
        "failed to start and listen on the port defined",
        "The request has been terminated because it has reached the maximum request timeout",
        "Container terminated on signal",
        "Container called exit(",
        "Uncaught signal: ",
        "malformed response or connection to the instance had an error",
        "The request failed because the instance",
        "The request failed because either the HTTP",
    ],
    fits: |line| told(&line.text).is_some(),
    read: |line, sink| {
        let Some((found, span)) = told(&line.text) else { return };
        let at = clock::iso(&line.text).map(|(it, _)| it);
        let after = &line.text[span.end..];
        let counted = match found.sign {
            Sign::OomKilled => number(after).and_then(|it| it.checked_mul(1 << 20)),
            _ => number(after.trim_start_matches([' ', '('])),
        };
        sink.event(
            Event::new(Product::GcpRun, found.sign, found.trust, span).at(at).number(counted),
        );
    },
    source: "https://cloud.google.com/run/docs/troubleshooting",
    example: "The request was aborted because there was no available instance.",
};

/// What the balancer says, by its own words.
fn sign(details: &str, status: Option<u16>) -> Option<Sign> {
    Some(match details {
        "failed_to_connect_to_backend" => Sign::ConnectFailed,
        "failed_to_pick_backend" => Sign::NoLiveUpstream,
        "backend_connection_closed_before_data_sent_to_client" => Sign::Closed,
        "backend_connection_closed_after_partial_response_sent" => Sign::BodyCut,
        "backend_connection_closed" => Sign::Closed,
        "backend_early_response_with_non_error_status" => Sign::ProtocolError,
        "backend_interim_response_not_supported" => Sign::InterimsTooMany,
        "backend_protocol_error" | "invalid_backend_response" => Sign::ProtocolError,
        "backend_response_corrupted" => Sign::ChunkBad,
        "backend_response_headers_too_long" => Sign::HeadTooBig,
        "backend_timeout" => Sign::HeadTimedOut,
        "failed_to_negotiate_alpn" => Sign::AlpnMismatch,
        "invalid_http2_server_header_format"
        | "http2_server_push_canceled_invalid_response_code" => Sign::HeaderBad,
        "http_version_not_supported" => Sign::ProtocolError,
        "internal_error" | "load_balancer_configured_service_unavailable" => {
            flat::answered(status?)?
        }
        "ssl_certificate_san_verification_failed" => Sign::CertWrongName,
        "ssl_certificate_chain_verification_failed" => Sign::CertUntrusted,
        "ssl_san_verification_disabled" => return None,
        "server_ssl_handshake_failed" | "ssl_handshake_failed" => Sign::TlsFailed,
        "backend_internal_error" => Sign::LambdaFailed,
        "client_disconnected_before_any_response" => Sign::ClientClosed,
        "client_disconnected_after_partial_response" => Sign::ClientClosed,
        "client_timed_out" => Sign::ClientSlow,
        "websocket_handshake_failed" => Sign::UpgradeRefused,
        "denied_by_security_policy" => Sign::AuthDenied,
        "body_not_allowed" | "uri_too_long" => return None,
        "response_sent_by_backend" | "response_from_cache" if status? >= 500 => Sign::RelayedError,
        _ => return None,
    })
}

fn path(url: &str) -> Option<&str> {
    let rest = &url[url.find("://")? + 3..];
    rest.find('/').map(|at| &rest[at..])
}

/// The value after its key; or alone, as counts and columns of tables show it.
fn value(text: &str) -> Option<&str> {
    let rest = text.trim_start().trim_start_matches(['"', '\'']);
    let keyed = rest.strip_prefix("jsonPayload.").unwrap_or(rest).strip_prefix("statusDetails");
    let word = |it: &str| {
        it.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).unwrap_or(it.len())
    };
    if let Some(rest) = keyed {
        let value =
            rest.trim_start_matches(|it: char| it.is_whitespace() || "\"':=,|".contains(it));
        return (rest.len() > value.len()).then_some(&value[..word(value)]);
    }
    let bare = text.trim_matches(|it: char| {
        it.is_ascii_digit() || it.is_whitespace() || "\"'|,:()-*".contains(it)
    });
    (word(bare) == bare.len() && bare.contains('_')).then_some(bare)
}

const MESSAGES: &[Phrase] = &[
    phrase(
        "The request was aborted because there was no available instance",
        Sign::ConnectionLimit,
        Trust::C,
    ),
    phrase("Memory limit of ", Sign::OomKilled, Trust::B),
    phrase("failed to start and listen on the port defined", Sign::BootFailed, Trust::B),
    phrase(
        "The request has been terminated because it has reached the maximum request timeout",
        Sign::Deadline,
        Trust::C,
    ),
    phrase(
        "malformed response or connection to the instance had an error",
        Sign::Disconnected,
        Trust::C,
    ),
    phrase(
        "The request failed because the instance could not start successfully",
        Sign::BootFailed,
        Trust::C,
    ),
    phrase(
        "The request failed because the instance failed the readiness check",
        Sign::ReadinessFailed,
        Trust::C,
    ),
    phrase(
        "The request failed because either the HTTP response was malformed",
        Sign::Disconnected,
        Trust::C,
    ),
    phrase("Uncaught signal: ", Sign::ProcessKilled, Trust::B),
    phrase("Container terminated on signal", Sign::ProcessKilled, Trust::B),
    phrase("Container called exit", Sign::ProcessExited, Trust::B),
];

/// The sentences begin a line, or a value of one.
fn told(text: &str) -> Option<(&'static Phrase, std::ops::Range<usize>)> {
    let (found, span) = find(MESSAGES, text)?;
    let before = &text[..span.start];
    let keyed = ["textPayload", "message", "ERROR:", "ERROR"].iter().any(|it| before.contains(it));
    let dated = clock::iso(before).is_some_and(|(_, end)| before.len() < end + 12);
    let words = "The user-provided container ";
    let named = before.ends_with(words)
        || before.contains("Revision '")
        || before.contains("Cloud Run error");
    (before.trim().is_empty() || keyed && before.len() < 120 || dated || named)
        .then_some((found, span))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn details_make_the_sign() {
        check(
            r#"{"httpRequest":{"status":503,"requestUrl":"https://example.com/x"},"jsonPayload":{"statusDetails":"response_sent_by_backend"}}"#,
            "served 503; the Google Cloud load balancer: RelayedError status=503 | response_sent_by_backend",
        );
        check(
            "    \"statusDetails\": \"backend_timeout\",",
            "the Google Cloud load balancer: HeadTimedOut | backend_timeout",
        );
        check(
            "     19 \"backend_connection_closed_before_data_sent_to_client\"",
            "the Google Cloud load balancer: Closed | backend_connection_closed_before_data_sent_to_client",
        );
        check(
            "| failed_to_pick_backend | 12 |",
            "the Google Cloud load balancer: NoLiveUpstream | failed_to_pick_backend",
        );
    }

    #[test]
    fn healthy_entries_and_callers_words_say_nothing() {
        check_nothing(
            r#"{"httpRequest":{"status":200,"userAgent":"failed_to_pick_backend","statusDetails":"backend_timeout"},"jsonPayload":{"statusDetails":"response_sent_by_backend"}}"#,
        );
        check_nothing("a note on statusDetails: backend_timeout");
        check_nothing("a backend_timeout");
        check_nothing("internal_errors");
    }

    #[test]
    fn the_health_of_backends_is_read() {
        check(
            "    \"healthState\": \"UNHEALTHY\",",
            "the Google Cloud load balancer: LbTargetUnhealthy | UNHEALTHY",
        );
        check_nothing("  - healthState: HEALTHY");
        check_nothing("a healthState: UNHEALTHY");
    }

    #[test]
    fn cloud_run_speaks_in_sentences() {
        check(
            "Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit",
            "Cloud Run: OomKilled number=536870912 | Memory limit of ",
        );
        check(
            "ERROR: (gcloud.run.deploy) Revision 'web-1' is not ready: The user-provided container failed \
             to start and listen on the port defined provided by the PORT=8080 environment variable",
            "Cloud Run: BootFailed | failed to start and listen on the port defined",
        );
    }

    #[test]
    fn the_annotation_of_an_ingress_says_how_its_backends_are() {
        check(
            "    ingress.kubernetes.io/backends: '{\"k8s-be-30080--1a2b\":\"UNHEALTHY\"}'",
            "the Google Cloud load balancer: LbTargetUnhealthy | UNHEALTHY",
        );
        check(
            "Annotations:  ingress.kubernetes.io/backends: {\"k8s-be-30080--1a2b\":\"UNHEALTHY\"}",
            "the Google Cloud load balancer: LbTargetUnhealthy | UNHEALTHY",
        );
        check_nothing(
            "    ingress.kubernetes.io/backends: '{\"a\":\"HEALTHY\",\"b\":\"UNHEALTHY\"}'",
        );
        check_nothing("    ingress.kubernetes.io/backends: '{\"a\":\"Unknown\"}'");
    }
}
