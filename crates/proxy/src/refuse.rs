//! The one place where a status code is chosen: every refusal and every fault is one row here.
//!
//! The rows follow RFC 9110 (502 for an invalid answer, 504 for none in time, 503 where we cannot
//! try) and RFC 9209 2.3 for the error types; 404 instead of its 500 where no route matches.
//!
//! To a gRPC caller each is a code of statuscodes.md of gRPC. Most are what a caller would make of the
//! HTTP status (http-grpc-status-mapping.md). Where that would make it try again for nothing, the row
//! says otherwise: a time limit that passed once the request was out is DEADLINE_EXCEEDED (as Envoy
//! answers since its change 44479), and an answer that breaks its protocol is INTERNAL.

use crate::contain::trip;
use crate::grpc::Call;
use crate::grpc::status::{self, put};
use crate::recorder::Recorder;
use crate::reply::{AnswerBody, Reply, fixed};
use bytes::Bytes;
use diagnosis::answer::{Audience, Form, body, call_status, form};
use diagnosis::{Case, Look, first_look};
use exchange::{
    BodyFault, Client, ConnectFault, DnsFault, Exchange, ExchangeId, Fault, HeadFault, Maker,
    Malformed, Refusal, SendFault, Stop, TlsFault,
};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::net::Ipv4Addr;

/// How a stop is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: u16,
    /// An error type of RFC 9209 2.3.
    pub(crate) error: &'static str,
    /// `grpc-status`, for a gRPC call.
    pub(crate) grpc: u32,
}

const fn row(status: u16, error: &'static str) -> Row {
    Row { status, error, grpc: status::of_http(status) }
}

impl Row {
    /// The same with another code for gRPC.
    const fn grpc(self, grpc: u32) -> Row {
        Row { grpc, ..self }
    }
}

/// Total: a stop without a row does not compile.
pub(crate) fn answer_row(stop: &Stop) -> Row {
    match stop {
        Stop::Refused(refusal) => refused(*refusal),
        Stop::Failed(fault) => failed(fault),
    }
}

/// The status of a stop, where nobody was there to be answered.
pub(crate) fn status_of(stop: &Stop) -> u16 {
    answer_row(stop).status
}

fn refused(refusal: Refusal) -> Row {
    match refusal {
        Refusal::NoRoute | Refusal::LaterGone => row(404, "destination_not_found"),
        Refusal::MethodNotAllowed => row(405, "http_request_error").grpc(status::UNIMPLEMENTED),
        Refusal::NoTarget => row(500, "destination_not_found").grpc(status::INTERNAL),
        Refusal::Malformed(Malformed::Version | Malformed::Http2Preface) => {
            row(505, "http_request_error")
        }
        // As RFC 9220 3 has it, where RFC 8441 says nothing.
        Refusal::Malformed(Malformed::Protocol) => row(501, "http_request_error"),
        Refusal::Malformed(_) => row(400, "http_request_error"),
        Refusal::UriTooLong => row(414, "http_request_error").grpc(status::RESOURCE_EXHAUSTED),
        Refusal::HeadTooLarge => row(431, "http_request_error").grpc(status::RESOURCE_EXHAUSTED),
        Refusal::HeadTimeout | Refusal::BodyTimeout | Refusal::BodySlow => {
            row(408, "http_request_error").grpc(status::CANCELLED)
        }
        Refusal::ConnectionLimit | Refusal::Overloaded | Refusal::Crowded => {
            row(503, "connection_limit_reached")
        }
        Refusal::CrowdedAddress => {
            row(429, "connection_limit_reached").grpc(status::RESOURCE_EXHAUSTED)
        }
        Refusal::NoDescriptors | Refusal::MemoryFull => row(503, "proxy_internal_error"),
        Refusal::Loop => row(502, "proxy_loop_detected").grpc(status::INTERNAL),
        Refusal::Draining => row(503, "proxy_internal_response"),
        Refusal::Bug => row(500, "proxy_internal_error").grpc(status::INTERNAL),
    }
}

fn failed(fault: &Fault) -> Row {
    match fault {
        Fault::Resolve(DnsFault::TimedOut(_)) => row(504, "dns_timeout"),
        Fault::Resolve(_) => row(502, "dns_error"),
        Fault::Connect(it) => connect(*it),
        Fault::Tls(it) => tls(it),
        Fault::Send(SendFault::TimedOut(_)) => {
            row(504, "connection_write_timeout").grpc(status::DEADLINE_EXCEEDED)
        }
        Fault::Send(_) => row(502, "connection_terminated"),
        Fault::Head(it) => head(it),
        Fault::Body(it) => in_body(*it),
        Fault::Deadline(_) => row(504, "http_response_timeout").grpc(status::DEADLINE_EXCEEDED),
    }
}

fn connect(fault: ConnectFault) -> Row {
    match fault {
        ConnectFault::TimedOut(_) => row(504, "connection_timeout"),
        ConnectFault::HostUnreachable | ConnectFault::NetworkUnreachable => {
            row(502, "destination_ip_unroutable")
        }
        ConnectFault::NotPermitted => row(502, "destination_ip_prohibited"),
        ConnectFault::NoLocalPort | ConnectFault::NoDescriptors | ConnectFault::NoMemory => {
            row(503, "proxy_internal_error")
        }
        ConnectFault::BacklogFull => row(503, "connection_limit_reached"),
        ConnectFault::Reset => row(502, "connection_terminated"),
        ConnectFault::Refused
        | ConnectFault::PermissionDenied
        | ConnectFault::SocketMissing
        | ConnectFault::SocketStale
        | ConnectFault::Errno => row(502, "connection_refused"),
    }
}

fn tls(fault: &TlsFault) -> Row {
    match fault {
        TlsFault::Certificate(_) => row(502, "tls_certificate_error"),
        TlsFault::Alert(_) | TlsFault::LateAlert(_) => row(502, "tls_alert_received"),
        TlsFault::TimedOut(_) => row(504, "connection_timeout"),
        TlsFault::PlainHttp
        | TlsFault::NoHttp2
        | TlsFault::NotTls
        | TlsFault::Closed
        | TlsFault::Reset
        | TlsFault::Incompatible
        | TlsFault::Protocol => row(502, "tls_protocol_error"),
    }
}

fn head(fault: &HeadFault) -> Row {
    match fault {
        HeadFault::Closed | HeadFault::Reset | HeadFault::Errno => {
            row(502, "connection_terminated")
        }
        HeadFault::TimedOut(_) | HeadFault::Slow(_) => {
            row(504, "http_response_timeout").grpc(status::DEADLINE_EXCEEDED)
        }
        HeadFault::TooBig { .. } | HeadFault::TooManyFields(_) => {
            row(502, "http_response_header_section_size").grpc(status::RESOURCE_EXHAUSTED)
        }
        HeadFault::CodingUnknown => {
            row(502, "http_response_transfer_coding").grpc(status::INTERNAL)
        }
        HeadFault::UnaskedUpgrade => row(502, "http_upgrade_failed").grpc(status::INTERNAL),
        HeadFault::NotGrpc { status, .. } => {
            row(502, "http_protocol_error").grpc(status::of_http(*status))
        }
        HeadFault::NotSwitched(_) => row(502, "http_upgrade_failed").grpc(status::INTERNAL),
        HeadFault::NotHttp
        | HeadFault::StatusLine
        | HeadFault::FieldLine
        | HeadFault::ControlCharacter
        | HeadFault::LengthInvalid
        | HeadFault::LengthRepeated
        | HeadFault::LengthAndCoding
        | HeadFault::TooManyInterim(_)
        | HeadFault::AnsweredHttp1
        | HeadFault::Http2(_) => row(502, "http_protocol_error").grpc(status::INTERNAL),
        // Too many at a time is over soon (RFC 9113 7: REFUSED_STREAM, ENHANCE_YOUR_CALM).
        HeadFault::StreamReset(code @ (7 | 11)) => {
            row(503, "connection_terminated").grpc(status::of_reset(*code))
        }
        HeadFault::GoAway(11) => row(503, "connection_terminated"),
        HeadFault::StreamReset(code) => {
            row(502, "connection_terminated").grpc(status::of_reset(*code))
        }
        HeadFault::GoAway(_) => row(502, "connection_terminated"),
        HeadFault::NoExtendedConnect => row(502, "http_upgrade_failed").grpc(status::INTERNAL),
    }
}

/// The HTTP status is out by then: it is for the record, and the rest for the trailers of a call.
fn in_body(fault: BodyFault) -> Row {
    match fault {
        BodyFault::Stalled(_) => {
            row(504, "connection_read_timeout").grpc(status::DEADLINE_EXCEEDED)
        }
        BodyFault::ChunkInvalid => row(502, "http_response_transfer_coding").grpc(status::INTERNAL),
        BodyFault::Trailer | BodyFault::Surplus | BodyFault::Http2(_) => {
            row(502, "http_protocol_error").grpc(status::INTERNAL)
        }
        BodyFault::TooBig(_) => {
            row(502, "http_response_body_size").grpc(status::RESOURCE_EXHAUSTED)
        }
        // As a caller would conclude by itself.
        BodyFault::NoGrpcStatus => row(502, "http_protocol_error").grpc(status::of_http(200)),
        BodyFault::StreamReset(code) => {
            row(502, "http_response_incomplete").grpc(status::of_reset(code))
        }
        BodyFault::LengthShort { .. }
        | BodyFault::ChunkCut
        | BodyFault::StreamCut
        | BodyFault::Reset
        | BodyFault::Tls
        | BodyFault::Errno => row(502, "http_response_incomplete"),
    }
}

/// Seconds after which it may be over.
fn retry_after(stop: &Stop) -> Option<u64> {
    match stop {
        Stop::Refused(
            Refusal::ConnectionLimit
            | Refusal::Overloaded
            | Refusal::Crowded
            | Refusal::CrowdedAddress
            | Refusal::NoDescriptors
            | Refusal::MemoryFull
            | Refusal::Draining,
        )
        | Stop::Failed(Fault::Connect(
            ConnectFault::NoDescriptors | ConnectFault::NoLocalPort | ConnectFault::NoMemory,
        ))
        | Stop::Failed(Fault::Head(HeadFault::StreamReset(7 | 11) | HeadFault::GoAway(11))) => {
            Some(1)
        }
        Stop::Refused(_) | Stop::Failed(_) => None,
    }
}

/// What of the request decides how the answer looks.
pub(crate) struct Asked {
    pub(crate) accept: Option<String>,
    /// For 405.
    pub(crate) allowed: Vec<std::sync::Arc<str>>,
    /// It is a gRPC call, and wants a status.
    pub(crate) call: Option<Call>,
}

/// Answers a request that was stopped, and closes its record with the answer.
pub(crate) fn answer(stop: Stop, mut record: Recorder, asked: &Asked) -> Reply {
    trip::at("answer", record.path());
    let row = answer_row(&stop);
    let wait = retry_after(&stop);
    let refused_head = matches!(stop, Stop::Refused(it) if ends_connection(it));
    let look = record.stopped(stop);
    let audience = record.audience();
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(status) = proxy_status(&row, &look, &mut record, audience) {
        headers.insert(PROXY_STATUS, status);
    }
    let should = if look.retryable { "true" } else { "false" };
    headers.insert("x-should-retry", HeaderValue::from_static(should));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if refused_head {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(call) = &asked.call {
        return call_answer(call, &row, wait, &look, headers, record);
    }
    record.answered(row.status, Maker::Gateway);
    let form = form(asked.accept.as_deref());
    let text = body(form, &look, record.exchange(), row.status, audience);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if row.status == 405
        && let Ok(allowed) = HeaderValue::from_str(&asked.allowed.join(", "))
    {
        headers.insert(header::ALLOW, allowed);
    }
    if form == Form::Html {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    fixed(row.status, headers, text.into(), record)
}

/// Answers a request that a mistake of ours ended.
pub(crate) fn bug(record: Recorder) -> Reply {
    // What it asked for was lost with what broke down.
    let asked = Asked { accept: None, allowed: Vec::new(), call: None };
    answer(Stop::Refused(Refusal::Bug), record, &asked)
}

/// The same where nothing can be said, and everything is recorded.
pub(crate) fn speechless() -> Reply {
    let mut reply = Reply::new(AnswerBody::Empty);
    *reply.status_mut() = StatusCode::from_u16(refused(Refusal::Bug).status).unwrap_or_default();
    reply
}

/// An answer of HTTP/1.1 as bytes, for a connection that is turned away before its request is read.
/// There is no exchange, so it has no id.
pub(crate) fn unasked(refusal: Refusal, name: &str) -> Bytes {
    let stop = Stop::Refused(refusal);
    let (row, wait) = (answer_row(&stop), retry_after(&stop));
    let nobody = Client {
        ip: Ipv4Addr::UNSPECIFIED.into(),
        peer: Ipv4Addr::UNSPECIFIED.into(),
        port: 0,
        tls: false,
        ordinal: 0,
    };
    let request = exchange::Request::default();
    let mut exchange = Exchange::new(ExchangeId::new(0, 0), 0, nobody, request);
    exchange.stop = Some(stop);
    let Some(look) = Case::of(&exchange).map(|it| first_look(&it)) else {
        return Bytes::new();
    };
    let text = body(Form::Problem, &look, &exchange, row.status, Audience::Public);
    let mut problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(problem) = problem.as_object_mut() {
        problem.retain(|key, _| !matches!(&**key, "request_id" | "instance"));
    }
    let text = problem.to_string();
    let status = StatusCode::from_u16(row.status).unwrap_or_default();
    let wait = wait.map(|it| format!("retry-after: {it}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         proxy-status: {name}; error={}; cause={}\r\nx-should-retry: {}\r\n{wait}\
         connection: close\r\n\r\n",
        Form::Problem.content_type(),
        text.len(),
        row.error,
        look.cause().id,
        look.retryable,
    );
    Bytes::from(head + &text)
}

/// The same to a gRPC caller: 200, and the status where a status of gRPC stands.
fn call_answer(
    call: &Call,
    row: &Row,
    wait: Option<u64>,
    look: &Look,
    mut headers: HeaderMap,
    mut record: Recorder,
) -> Reply {
    record.answered(200, Maker::Gateway);
    record.call_status(Some(row.grpc));
    let audience = record.audience();
    let mut told = HeaderMap::new();
    let status = call_status(look, record.exchange(), row.grpc, wait, audience);
    put(&mut told, row.grpc, &status);
    headers.insert(header::CONTENT_TYPE, call.answer_type());
    let body = call.own_answer(told, &mut headers);
    fixed(200, headers, body, record)
}

/// The end of an answer to a call that broke off, as trailers. The record is told their status.
pub(crate) fn last_words(stop: Stop, record: &mut Recorder) -> HeaderMap {
    let row = answer_row(&stop);
    let look = record.stopped(stop);
    record.call_status(Some(row.grpc));
    let audience = record.audience();
    let mut words = HeaderMap::new();
    let status = call_status(&look, record.exchange(), row.grpc, None, audience);
    put(&mut words, row.grpc, &status);
    if let Some(status) = proxy_status(&row, &look, record, audience) {
        words.insert(PROXY_STATUS, status);
    }
    words
}

pub(crate) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// After these nobody knows where the next request would begin.
fn ends_connection(refusal: Refusal) -> bool {
    match refusal {
        // Only its meaning could not be read.
        Refusal::Malformed(Malformed::GrpcTimeout) => false,
        Refusal::Malformed(_)
        | Refusal::UriTooLong
        | Refusal::HeadTooLarge
        | Refusal::HeadTimeout
        | Refusal::BodyTimeout
        | Refusal::BodySlow
        // Each connection that goes gives something back.
        | Refusal::MemoryFull
        | Refusal::Draining => true,
        _ => false,
    }
}

/// `goodgate; error=connection_refused; cause=process_down`, with details for those we trust.
fn proxy_status(
    row: &Row,
    look: &Look,
    record: &mut Recorder,
    audience: Audience,
) -> Option<HeaderValue> {
    let name = record.worker().plane.name.clone();
    let mut text = format!("{name}; error={}; cause={}", row.error, look.cause().id);
    if let Some(Stop::Failed(Fault::Tls(TlsFault::Alert(it) | TlsFault::LateAlert(it)))) =
        &record.exchange().stop
    {
        text += &format!("; alert-id={it}");
    }
    if audience != Audience::Public {
        if let Some(attempt) = record.exchange().last_attempt() {
            let hop = attempt.address.as_ref().map(ToString::to_string);
            let hop = hop.unwrap_or_else(|| attempt.target.to_string());
            text += &format!("; next-hop={}", quoted(&hop));
        }
        text += &format!("; details={}", quoted(&look.statement));
    }
    HeaderValue::from_str(&text).ok()
}

/// A string of structured fields (RFC 9651 3.3.3): ASCII, quotes and backslashes escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for it in text.chars().take(300) {
        match it {
            '"' | '\\' => quoted.extend(['\\', it]),
            ' '..='~' => quoted.push(it),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_end_a_string_early() {
        assert_eq!(quoted("a\"b\\c\u{e9}\r\n"), r#""a\"b\\c???""#);
    }

    #[test]
    fn error_types_are_those_of_the_standard() {
        let known = [
            "dns_timeout",
            "dns_error",
            "destination_not_found",
            "destination_unavailable",
            "destination_ip_prohibited",
            "destination_ip_unroutable",
            "connection_refused",
            "connection_terminated",
            "connection_timeout",
            "connection_read_timeout",
            "connection_write_timeout",
            "connection_limit_reached",
            "tls_protocol_error",
            "tls_certificate_error",
            "tls_alert_received",
            "http_request_error",
            "http_response_incomplete",
            "http_response_body_size",
            "http_response_header_section_size",
            "http_response_transfer_coding",
            "http_response_timeout",
            "http_upgrade_failed",
            "http_protocol_error",
            "proxy_internal_response",
            "proxy_internal_error",
            "proxy_loop_detected",
        ];
        for stop in every_stop() {
            let row = answer_row(&stop);
            assert!(known.contains(&row.error), "{stop:?}: {row:?}");
            assert!((400..600).contains(&row.status), "{stop:?}: {row:?}");
        }
    }

    #[test]
    fn time_is_504_and_our_own_trouble_503() {
        for stop in every_stop() {
            let row = answer_row(&stop);
            if let Stop::Failed(fault) = &stop {
                let timed = fault.limit().is_some_and(|it| {
                    it.is_callers() || ["timeout", "dns"].iter().any(|own| it.name.starts_with(own))
                });
                assert_eq!(timed, row.status == 504, "{stop:?}: {row:?}");
            }
            if row.error == "proxy_internal_error" {
                assert!(matches!(row.status, 500 | 503), "{stop:?}: {row:?}");
            }
        }
    }

    #[test]
    fn callers_of_grpc_try_again_only_where_it_may_help() {
        for stop in every_stop() {
            let row = answer_row(&stop);
            assert!((1..=16).contains(&row.grpc), "{stop:?}: {row:?}");
            let out =
                matches!(stop, Stop::Failed(Fault::Send(_) | Fault::Head(_) | Fault::Body(_)));
            let timed = row.status == 504;
            let deadline = row.grpc == status::DEADLINE_EXCEEDED;
            let whole = matches!(stop, Stop::Failed(Fault::Deadline(_)));
            assert_eq!(deadline, timed && (out || whole), "{stop:?}: {row:?}");
        }
        let grpc = |stop| answer_row(&stop).grpc;
        assert_eq!(grpc(Stop::Failed(Fault::Connect(ConnectFault::Refused))), 14);
        assert_eq!(grpc(Stop::Refused(Refusal::NoRoute)), 12);
        assert_eq!(grpc(Stop::Refused(Refusal::Malformed(Malformed::GrpcTimeout))), 13);
        for (status, code) in [(200, 2), (302, 2), (401, 16), (403, 7), (404, 12), (503, 14)] {
            let fault = HeadFault::NotGrpc { status, content_type: None };
            assert_eq!(grpc(Stop::Failed(Fault::Head(fault))), code, "{status}");
        }
    }

    fn every_stop() -> Vec<Stop> {
        use exchange::Limit;
        let time = |name| Limit { name, value: 1 };
        let size = Limit { name: "limits.response_head", value: 1 };
        let refusals = [
            Refusal::NoRoute,
            Refusal::MethodNotAllowed,
            Refusal::NoTarget,
            Refusal::LaterGone,
            Refusal::Malformed(Malformed::Chunk),
            Refusal::Malformed(Malformed::Version),
            Refusal::Malformed(Malformed::GrpcTimeout),
            Refusal::Malformed(Malformed::Protocol),
            Refusal::Malformed(Malformed::PseudoField),
            Refusal::UriTooLong,
            Refusal::HeadTooLarge,
            Refusal::HeadTimeout,
            Refusal::BodyTimeout,
            Refusal::BodySlow,
            Refusal::ConnectionLimit,
            Refusal::Overloaded,
            Refusal::Crowded,
            Refusal::CrowdedAddress,
            Refusal::NoDescriptors,
            Refusal::MemoryFull,
            Refusal::Loop,
            Refusal::Draining,
            Refusal::Bug,
        ];
        let faults = [
            Fault::Resolve(DnsFault::NoSuchName),
            Fault::Resolve(DnsFault::NoAddress),
            Fault::Resolve(DnsFault::ServerFailure),
            Fault::Resolve(DnsFault::Refused),
            Fault::Resolve(DnsFault::Code(1)),
            Fault::Resolve(DnsFault::NoServer),
            Fault::Resolve(DnsFault::TimedOut(time("dns.timeout"))),
            Fault::Connect(ConnectFault::Refused),
            Fault::Connect(ConnectFault::TimedOut(time("timeout.connect"))),
            Fault::Connect(ConnectFault::HostUnreachable),
            Fault::Connect(ConnectFault::NetworkUnreachable),
            Fault::Connect(ConnectFault::PermissionDenied),
            Fault::Connect(ConnectFault::NotPermitted),
            Fault::Connect(ConnectFault::NoLocalPort),
            Fault::Connect(ConnectFault::NoDescriptors),
            Fault::Connect(ConnectFault::NoMemory),
            Fault::Connect(ConnectFault::Reset),
            Fault::Connect(ConnectFault::SocketMissing),
            Fault::Connect(ConnectFault::SocketStale),
            Fault::Connect(ConnectFault::BacklogFull),
            Fault::Connect(ConnectFault::Errno),
            Fault::Tls(TlsFault::Alert(40)),
            Fault::Tls(TlsFault::LateAlert(116)),
            Fault::Tls(TlsFault::PlainHttp),
            Fault::Tls(TlsFault::NotTls),
            Fault::Tls(TlsFault::Closed),
            Fault::Tls(TlsFault::Reset),
            Fault::Tls(TlsFault::TimedOut(time("timeout.tls"))),
            Fault::Tls(TlsFault::Incompatible),
            Fault::Tls(TlsFault::NoHttp2),
            Fault::Tls(TlsFault::Protocol),
            Fault::Send(SendFault::Reset),
            Fault::Send(SendFault::Closed),
            Fault::Send(SendFault::Errno),
            Fault::Send(SendFault::TimedOut(time("timeout.send"))),
            Fault::Head(HeadFault::Closed),
            Fault::Head(HeadFault::Reset),
            Fault::Head(HeadFault::TimedOut(time("timeout.first_byte"))),
            Fault::Head(HeadFault::Slow(time("timeout.first_byte"))),
            Fault::Head(HeadFault::TooBig { limit: size, largest_field: None, largest_bytes: 0 }),
            Fault::Head(HeadFault::TooManyFields(size)),
            Fault::Head(HeadFault::NotHttp),
            Fault::Head(HeadFault::StatusLine),
            Fault::Head(HeadFault::FieldLine),
            Fault::Head(HeadFault::ControlCharacter),
            Fault::Head(HeadFault::LengthInvalid),
            Fault::Head(HeadFault::LengthRepeated),
            Fault::Head(HeadFault::LengthAndCoding),
            Fault::Head(HeadFault::CodingUnknown),
            Fault::Head(HeadFault::UnaskedUpgrade),
            Fault::Head(HeadFault::NotSwitched(200)),
            Fault::Head(HeadFault::TooManyInterim(size)),
            Fault::Head(HeadFault::NotGrpc { status: 200, content_type: None }),
            Fault::Head(HeadFault::StreamReset(2)),
            Fault::Head(HeadFault::StreamReset(7)),
            Fault::Head(HeadFault::GoAway(0)),
            Fault::Head(HeadFault::GoAway(11)),
            Fault::Head(HeadFault::AnsweredHttp1),
            Fault::Head(HeadFault::Http2(1)),
            Fault::Head(HeadFault::NoExtendedConnect),
            Fault::Head(HeadFault::Errno),
            Fault::Body(BodyFault::LengthShort { left: 1 }),
            Fault::Body(BodyFault::ChunkCut),
            Fault::Body(BodyFault::StreamCut),
            Fault::Body(BodyFault::StreamReset(8)),
            Fault::Body(BodyFault::Http2(1)),
            Fault::Body(BodyFault::Reset),
            Fault::Body(BodyFault::Stalled(time("timeout.idle"))),
            Fault::Body(BodyFault::ChunkInvalid),
            Fault::Body(BodyFault::Trailer),
            Fault::Body(BodyFault::Surplus),
            Fault::Body(BodyFault::TooBig(size)),
            Fault::Body(BodyFault::NoGrpcStatus),
            Fault::Body(BodyFault::Tls),
            Fault::Body(BodyFault::Errno),
            Fault::Deadline(time("timeout.total")),
            Fault::Deadline(time("grpc-timeout")),
            Fault::Deadline(time("x-request-timeout-ms")),
        ];
        let refused = refusals.into_iter().map(Stop::Refused);
        refused.chain(faults.into_iter().map(Stop::Failed)).collect()
    }
}
