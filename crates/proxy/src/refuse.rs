//! The one place where a status code is chosen: every refusal and every fault is one row here.
//!
//! The rows follow RFC 9110 (502 for an invalid answer, 504 for none in time, 503 where we cannot
//! try) and RFC 9209 2.3 for the error types; 404 instead of its 500 where no route matches.

use crate::recorder::Recorder;
use crate::reply::{Reply, fixed};
use diagnosis::Look;
use diagnosis::answer::{Audience, Form, body, form};
use exchange::{
    BodyFault, ConnectFault, DnsFault, Fault, HeadFault, Maker, Malformed, Refusal, SendFault,
    Stop, TlsFault,
};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// How a stop is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: u16,
    /// An error type of RFC 9209 2.3.
    pub(crate) error: &'static str,
}

const fn row(status: u16, error: &'static str) -> Row {
    Row { status, error }
}

/// Total: a stop without a row does not compile.
pub(crate) fn answer_row(stop: &Stop) -> Row {
    match stop {
        Stop::Refused(refusal) => refused(*refusal),
        Stop::Failed(fault) => failed(fault),
    }
}

fn refused(refusal: Refusal) -> Row {
    match refusal {
        Refusal::NoRoute => row(404, "destination_not_found"),
        Refusal::MethodNotAllowed => row(405, "http_request_error"),
        Refusal::NoTarget => row(500, "destination_not_found"),
        Refusal::Malformed(Malformed::Version | Malformed::Http2Preface) => {
            row(505, "http_request_error")
        }
        // As RFC 9220 3 has it, where RFC 8441 says nothing.
        Refusal::Malformed(Malformed::Protocol) => row(501, "http_request_error"),
        Refusal::Malformed(_) => row(400, "http_request_error"),
        Refusal::UriTooLong => row(414, "http_request_error"),
        Refusal::HeadTooLarge => row(431, "http_request_error"),
        Refusal::HeadTimeout | Refusal::BodyTimeout => row(408, "http_request_error"),
        Refusal::ConnectionLimit => row(503, "connection_limit_reached"),
        Refusal::Loop => row(502, "proxy_loop_detected"),
        Refusal::Draining => row(503, "proxy_internal_response"),
        Refusal::Bug => row(500, "proxy_internal_error"),
    }
}

fn failed(fault: &Fault) -> Row {
    match fault {
        Fault::Resolve(DnsFault::TimedOut(_)) => row(504, "dns_timeout"),
        Fault::Resolve(_) => row(502, "dns_error"),
        Fault::Connect(it) => connect(*it),
        Fault::Tls(it) => tls(it),
        Fault::Send(SendFault::TimedOut(_)) => row(504, "connection_write_timeout"),
        Fault::Send(_) => row(502, "connection_terminated"),
        Fault::Head(it) => head(it),
        Fault::Body(it) => in_body(*it),
        Fault::Deadline(_) => row(504, "http_response_timeout"),
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
        HeadFault::TimedOut(_) | HeadFault::Slow(_) => row(504, "http_response_timeout"),
        HeadFault::TooBig { .. } | HeadFault::TooManyFields(_) => {
            row(502, "http_response_header_section_size")
        }
        HeadFault::CodingUnknown => row(502, "http_response_transfer_coding"),
        HeadFault::UnaskedUpgrade | HeadFault::NotSwitched(_) => row(502, "http_upgrade_failed"),
        HeadFault::NotHttp
        | HeadFault::StatusLine
        | HeadFault::FieldLine
        | HeadFault::ControlCharacter
        | HeadFault::LengthInvalid
        | HeadFault::LengthRepeated
        | HeadFault::LengthAndCoding
        | HeadFault::TooManyInterim(_)
        | HeadFault::AnsweredHttp1
        | HeadFault::Http2(_) => row(502, "http_protocol_error"),
        // Too many at a time is over soon (RFC 9113 7: REFUSED_STREAM, ENHANCE_YOUR_CALM).
        HeadFault::StreamReset(7 | 11) | HeadFault::GoAway(11) => row(503, "connection_terminated"),
        HeadFault::StreamReset(_) | HeadFault::GoAway(_) => row(502, "connection_terminated"),
        HeadFault::NoExtendedConnect => row(502, "http_upgrade_failed"),
    }
}

/// The status is out by then; these rows are for the record.
fn in_body(fault: BodyFault) -> Row {
    match fault {
        BodyFault::Stalled(_) => row(504, "connection_read_timeout"),
        BodyFault::ChunkInvalid => row(502, "http_response_transfer_coding"),
        BodyFault::Trailer | BodyFault::Surplus | BodyFault::Http2(_) => {
            row(502, "http_protocol_error")
        }
        BodyFault::LengthShort { .. }
        | BodyFault::ChunkCut
        | BodyFault::StreamCut
        | BodyFault::StreamReset(_)
        | BodyFault::Reset
        | BodyFault::Tls
        | BodyFault::Errno => row(502, "http_response_incomplete"),
    }
}

/// Seconds after which it may be over.
fn retry_after(stop: &Stop) -> Option<&'static str> {
    match stop {
        Stop::Refused(Refusal::ConnectionLimit | Refusal::Draining) => Some("1"),
        Stop::Failed(Fault::Head(HeadFault::StreamReset(7 | 11) | HeadFault::GoAway(11))) => {
            Some("1")
        }
        Stop::Refused(_) | Stop::Failed(_) => None,
    }
}

/// What of the request decides how the answer looks.
pub(crate) struct Asked {
    pub(crate) accept: Option<String>,
    /// For 405.
    pub(crate) allowed: Vec<std::sync::Arc<str>>,
}

/// Answers a request that was stopped, and closes its record with the answer.
pub(crate) fn answer(stop: Stop, mut record: Recorder, asked: &Asked) -> Reply {
    let row = answer_row(&stop);
    let wait = retry_after(&stop);
    let refused_head = matches!(stop, Stop::Refused(it) if ends_connection(it));
    let look = record.stopped(stop);
    record.answered(row.status, Maker::Gateway);
    let audience = record.audience();
    let form = form(asked.accept.as_deref());
    let text = body(form, &look, record.exchange(), row.status, audience);

    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Some(status) = proxy_status(&row, &look, &mut record, audience) {
        headers.insert(PROXY_STATUS, status);
    }
    let should = if look.retryable { "true" } else { "false" };
    headers.insert("x-should-retry", HeaderValue::from_static(should));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
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
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if refused_head {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    fixed(row.status, headers, text.into(), record)
}

pub(crate) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// After these nobody knows where the next request would begin.
fn ends_connection(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Malformed(_)
            | Refusal::UriTooLong
            | Refusal::HeadTooLarge
            | Refusal::HeadTimeout
            | Refusal::BodyTimeout
            | Refusal::Draining
    )
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
                let timed = fault
                    .limit()
                    .is_some_and(|it| it.name.starts_with("timeout") || it.name.starts_with("dns"));
                assert_eq!(timed, row.status == 504, "{stop:?}: {row:?}");
            }
            if row.error == "proxy_internal_error" {
                assert!(matches!(row.status, 500 | 503), "{stop:?}: {row:?}");
            }
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
            Refusal::Malformed(Malformed::Chunk),
            Refusal::Malformed(Malformed::Version),
            Refusal::Malformed(Malformed::Protocol),
            Refusal::UriTooLong,
            Refusal::HeadTooLarge,
            Refusal::HeadTimeout,
            Refusal::BodyTimeout,
            Refusal::ConnectionLimit,
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
            Fault::Body(BodyFault::Tls),
            Fault::Body(BodyFault::Errno),
            Fault::Deadline(time("timeout.total")),
        ];
        let refused = refusals.into_iter().map(Stop::Refused);
        refused.chain(faults.into_iter().map(Stop::Failed)).collect()
    }
}
