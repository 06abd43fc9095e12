//! Our own access log, and our own answers as callers save them.

use super::flat::{self, Flat};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ACCESS: Reader = Reader {
    name: "goodgate access log",
    product: Product::Goodgate,
    hooks: &[],
    fits: |line| {
        let text = &*line.text;
        text.starts_with("{\"time\":\"")
            && text.contains("\",\"id\":\"")
            && text.contains("\"phases_ms\":{")
    },
    read: access,
    source: "the gateway's own log, one JSON object a line",
    example: "{\"time\":\"2026-11-20T15:16:30.123Z\",\"id\":\"0198f0c1a2b3c4d5\",\"client\":\"192.0.2.1\",\
              \"method\":\"GET\",\"host\":\"example.com\",\"path\":\"/data\",\"status\":502,\"route\":\"data\",\
              \"upstream\":\"app\",\"target\":\"127.0.0.1:8000\",\"cause\":\"process_down\",\"side\":\
              \"app_server\",\"fault\":\"connection_refused\",\"end\":\"complete\",\"attempts\":1,\
              \"bytes_in\":80,\"bytes_out\":300,\"took_ms\":1.2,\"phases_ms\":{\"connect\":0.3}}",
};

/// The body of an answer: the type of the problem, and the faults of its attempts.
pub(super) const PROBLEM: Reader = Reader {
    name: "goodgate answer",
    product: Product::Goodgate,
    hooks: &["/.well-known/goodgate/causes/", "\"fault\": \""],
    fits: |line| problem(&line.text).is_some(),
    read: |line, sink| {
        let Some((sign, words, cause)) = problem(&line.text) else { return };
        let status = Flat::of(&line.text).and_then(|it| it.status(&["status"]));
        let event = Event::new(Product::Goodgate, sign, Trust::D, span_of(&line.text, words));
        sink.event(event.detail(cause).number(status.map(i64::from)));
    },
    source: "the gateway's own answers, application/problem+json (RFC 9457)",
    example: "  \"type\": \"/.well-known/goodgate/causes/process_down\",",
};

fn access(line: &Line, sink: &mut dyn Sink) {
    let Some(flat) = Flat::of(&line.text) else { return };
    let at = flat.time(&["time"]);
    let Some(status_text) = flat.text("status") else { return };
    let Some(status) = flat::status(status_text) else { return };
    let status = of_call(&flat).unwrap_or(status);
    sink.served(Served { at, status });
    let fault = flat.text("fault").and_then(|it| Some((of_fault(it)?, it)));
    let cause = flat.text("cause").and_then(|it| Some((of_cause(it)?, it)));
    let upstream_status = flat.status(&["upstream_status"]);
    let relayed = upstream_status.filter(|it| 500 <= *it && status == *it);
    let plain = flat::answered(status).or((status == 499).then_some(Sign::ClientClosed));
    let (sign, words) = match (fault, relayed, cause, plain) {
        (Some(it), ..) => it,
        (None, Some(_), ..) => (Sign::RelayedError, status_text),
        // Below that a status is no failure, unless it came instead of another protocol.
        (None, None, Some(it), _) if 500 <= status || it.0 == Sign::UpgradeRefused => it,
        (None, None, _, Some(sign)) => (sign, status_text),
        _ => return,
    };
    sink.event(
        Event::new(Product::Goodgate, sign, Trust::C, span_of(&line.text, words))
            .at(at)
            .upstream(flat.any(&["target", "upstream"]))
            .who(flat.text("upstream"))
            .status(Some(status))
            .route(flat.text("path"))
            .client(flat.text("client"))
            .request_id(flat.any(&["caller_id", "id"])),
    );
}

/// A gRPC call that failed is 200 to HTTP: what HTTP would have said of it.
fn of_call(flat: &Flat) -> Option<u16> {
    flat.text("cause")?;
    match flat.text("grpc_status")? {
        "0" => None,
        "4" => Some(504),
        _ => Some(502),
    }
}

/// What the words of an answer say, and the cause it names.
fn problem(text: &str) -> Option<(Sign, &str, Option<&str>)> {
    const TYPE: &str = "\"/.well-known/goodgate/causes/";
    let bare = text.trim();
    let key = bare.strip_prefix('{').unwrap_or(bare).trim_start();
    if key.starts_with("\"type\"") {
        let rest = &text[text.find(TYPE)? + TYPE.len()..];
        let cause = rest.split('"').next()?;
        let known = !cause.is_empty()
            && cause.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
        return known
            .then(|| (of_cause(cause).unwrap_or(Sign::CallerSawError), cause, Some(cause)));
    }
    let fault = bare.starts_with("\"fault\"").then(|| between(bare, ": \"", "\"")).flatten()?;
    Some((of_fault(fault)?, fault, None))
}

/// By the word that the log has for how the last attempt failed.
#[must_use]
pub fn of_fault(fault: &str) -> Option<Sign> {
    Some(match fault {
        "no_such_name" | "no_address" => Sign::NameNotFound,
        "dns_server_failure" => Sign::NameServerFailed,
        "dns_refused" => Sign::NameRefused,
        "dns_code" => Sign::NameUnresolved,
        "dns_timed_out" | "no_dns_server" => Sign::NameTimedOut,
        "connection_refused" => Sign::ConnectRefused,
        "connect_timed_out" => Sign::ConnectTimedOut,
        "host_unreachable" => Sign::HostUnreachable,
        "network_unreachable" => Sign::NetworkUnreachable,
        "connect_denied" => Sign::ConnectDenied,
        "connect_not_permitted" => Sign::ConnectNotPermitted,
        "no_local_port" => Sign::NoLocalPort,
        "no_descriptors" => Sign::NoDescriptors,
        "no_memory" => Sign::MemoryOut,
        "reset_while_connecting" | "connect_error" => Sign::ConnectFailed,
        "socket_missing" => Sign::SocketMissing,
        "socket_stale" => Sign::SocketStale,
        "socket_backlog_full" => Sign::SocketBacklogFull,
        "certificate_expired" | "certificate_not_yet_valid" => Sign::CertExpired,
        "certificate_wrong_name" => Sign::CertWrongName,
        "certificate_without_address" => Sign::CertNoIpSan,
        "certificate_self_signed" => Sign::CertSelfSigned,
        "certificate_unknown_issuer" => Sign::CertUntrusted,
        "certificate_chain_incomplete" => Sign::CertIncomplete,
        "certificate_invalid" => Sign::CertRefused,
        "tls_alert" | "tls_late_alert" | "tls_protocol" => Sign::TlsFailed,
        "plain_http_to_tls" | "not_tls" => Sign::TlsToPlain,
        "closed_in_handshake" | "reset_in_handshake" => Sign::TlsClosed,
        "handshake_timed_out" => Sign::TlsTimedOut,
        "tls_incompatible" => Sign::TlsVersion,
        "no_http2_by_alpn" => Sign::AlpnMismatch,
        "reset_while_sending" | "closed_while_sending" | "send_error" => Sign::SendBroken,
        "send_timed_out" => Sign::SendTimedOut,
        "closed_before_head" => Sign::Closed,
        "reset_before_head" => Sign::Reset,
        "first_byte_timed_out" => Sign::HeadTimedOut,
        "head_timed_out" => Sign::HeadSlow,
        "head_too_big" | "too_many_fields" => Sign::HeadTooBig,
        "not_http" => Sign::NotHttp,
        "bad_status_line" => Sign::StatusLineBad,
        "bad_field_line" => Sign::HeaderBad,
        "control_character" => Sign::HeaderControlChar,
        "bad_content_length" => Sign::LengthInvalid,
        "repeated_content_length" => Sign::LengthTwice,
        "length_and_coding" => Sign::LengthAndChunked,
        "unknown_coding" => Sign::CodingUnknown,
        "unasked_upgrade" => Sign::UpgradeUnexpected,
        "not_switched" => Sign::UpgradeRefused,
        "too_many_interim" => Sign::InterimsTooMany,
        "not_grpc" | "no_grpc_status" => Sign::GrpcMismatch,
        "stream_reset" | "stream_reset_in_body" => Sign::StreamReset,
        "goaway" => Sign::GoAway,
        "answered_http1" => Sign::Http2ToHttp1,
        "http2_error" | "http2_error_in_body" => Sign::ProtocolError,
        "no_extended_connect" => Sign::UpgradeRefused,
        "read_error" => Sign::Disconnected,
        "body_short" => Sign::BodyShort,
        "chunks_cut" => Sign::ChunkCut,
        "reset_in_body" => Sign::BodyReset,
        "body_stalled" => Sign::BodyStalled,
        "bad_chunk" | "bad_trailer" => Sign::ChunkBad,
        "surplus_bytes" => Sign::LengthLong,
        "stream_cut" | "tls_broke_in_body" | "body_read_error" => Sign::BodyCut,
        "deadline" => Sign::Deadline,
        _ => return None,
    })
}

/// By the cause that the gateway named, where no attempt was made or none is given.
fn of_cause(cause: &str) -> Option<Sign> {
    Some(match cause {
        "process_down" => Sign::ConnectRefused,
        "connection_reset" => Sign::Reset,
        "premature_close" => Sign::Closed,
        "response_header_timeout" => Sign::HeadTimedOut,
        "total_deadline_exceeded" => Sign::Deadline,
        "no_live_upstreams" => Sign::NoLiveUpstream,
        "endpoints_empty" => Sign::NoEndpoints,
        "circuit_open" => Sign::CircuitOpen,
        "gateway_queue_timeout" => Sign::QueueTimedOut,
        "upstream_connection_limit" => Sign::ConnectionLimit,
        "proxy_loop" => Sign::ProxyLoop,
        "upstream_own_5xx" => Sign::RelayedError,
        "upgrade_not_forwarded" => Sign::UpgradeRefused,
        "dns_nxdomain" => Sign::NameNotFound,
        "tls_cert_expired" => Sign::CertExpired,
        "tls_wrong_hostname" => Sign::CertWrongName,
        "tls_to_plain_port" => Sign::TlsToPlain,
        "client_closed" => Sign::ClientClosed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    fn line(path: &str, status: u16, rest: &str) -> String {
        format!(
            "{{\"time\":\"2026-11-20T15:16:30.123Z\",\"id\":\"0198\",\"client\":\"192.0.2.1\",\"method\":\
             \"GET\",\"host\":\"a\",\"path\":\"{path}\",\"status\":{status},\"upstream\":\"app\"{rest},\
             \"end\":\"complete\",\"phases_ms\":{{\"connect\":0.3}}}}"
        )
    }

    #[test]
    fn the_fault_of_the_last_attempt_decides() {
        check(
            &line("/x", 504, ",\"target\":\"127.0.0.1:1\",\"fault\":\"first_byte_timed_out\""),
            "served 504; goodgate: HeadTimedOut upstream=127.0.0.1:1 who=app status=504 | first_byte_timed_out",
        );
        check(
            &line("/x", 503, ",\"target\":\"127.0.0.1:1\",\"upstream_status\":503"),
            "served 503; goodgate: RelayedError upstream=127.0.0.1:1 who=app status=503 | 503",
        );
        check(
            &line("/x", 503, ",\"cause\":\"no_live_upstreams\""),
            "served 503; goodgate: NoLiveUpstream upstream=app who=app status=503 | no_live_upstreams",
        );
    }

    #[test]
    fn a_failed_call_counts_as_one_although_its_http_status_is_200() {
        check(
            &line(
                "/x",
                200,
                ",\"grpc_status\":14,\"cause\":\"process_down\",\"fault\":\"connection_refused\"",
            ),
            "served 502; goodgate: ConnectRefused upstream=app who=app status=502 | connection_refused",
        );
        check(
            &line(
                "/x",
                200,
                ",\"grpc_status\":4,\"cause\":\"total_deadline_exceeded\",\"fault\":\"deadline\"",
            ),
            "served 504; goodgate: Deadline upstream=app who=app status=504 | deadline",
        );
        // The app's own answer.
        check_nothing(&line("/x", 200, ",\"grpc_status\":5"));
    }

    #[test]
    fn an_answer_instead_of_another_protocol() {
        let cause = ",\"upstream_status\":404,\"cause\":\"upgrade_not_forwarded\"";
        check(
            &line("/x", 404, cause),
            "served 404; goodgate: UpgradeRefused upstream=app who=app status=404 | \
             upgrade_not_forwarded",
        );
    }

    #[test]
    fn healthy_lines_and_callers_words_say_nothing() {
        check_nothing(&line("/\\\"fault\\\":\\\"connection_refused\\\"", 200, ""));
    }

    #[test]
    fn our_answers_name_their_cause() {
        check(
            "{\"type\": \"/.well-known/goodgate/causes/worker_crashed\", \"title\": \"x\", \"status\": 502}",
            "goodgate: CallerSawError detail=worker_crashed number=502 | worker_crashed",
        );
        check("      \"fault\": \"reset_before_head\"", "goodgate: Reset | reset_before_head");
        check_nothing("      \"fault\": \"user\"");
    }
}
