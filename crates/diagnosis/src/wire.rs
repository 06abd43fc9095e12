//! The leaf of the catalogue that a fault shows on the wire, before anything is concluded from it.

use crate::case::{Case, Subject};
use crate::opening::Opening;
use exchange::{
    BodyFault, CertificateFault, ConnectFault, DnsFault, Fault, HeadFault, Refusal, SendFault,
    TlsFault,
};

/// Total over everything that can be the subject of a case.
#[must_use]
pub fn wire(case: &Case) -> &'static str {
    match case.subject {
        Subject::Refused(refusal) => refused(refusal),
        Subject::Failed(fault) => failed(fault, case),
        Subject::ClientClosed(_) => "client_closed",
        Subject::UpstreamStatus(_) => "upstream_own_5xx",
        Subject::NotSwitched(_) => "upgrade_not_forwarded",
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoRoute | Refusal::LaterGone | Refusal::MethodNotAllowed => "no_route_matched",
        Refusal::NoTarget => "gateway_config_error",
        Refusal::Malformed(_) => "malformed_request",
        Refusal::UriTooLong | Refusal::HeadTooLarge => "client_header_too_large",
        Refusal::HeadTimeout | Refusal::BodyTimeout | Refusal::BodySlow => "client_slow",
        Refusal::ConnectionLimit => "upstream_connection_limit",
        Refusal::Overloaded => "gateway_queue_timeout",
        Refusal::Crowded => "proxy_connection_table_full",
        Refusal::CrowdedAddress => "rate_limited",
        Refusal::NoDescriptors => "gateway_fd_exhausted",
        Refusal::MemoryFull => "gateway_memory",
        Refusal::Loop => "proxy_loop",
        Refusal::Draining => "gateway_draining",
        Refusal::Bug => "gateway_bug",
    }
}

fn failed(fault: &Fault, case: &Case) -> &'static str {
    if case.no_memory() {
        return "gateway_memory";
    }
    match fault {
        Fault::Resolve(it) => match it {
            DnsFault::NoSuchName | DnsFault::NoAddress => "dns_nxdomain",
            DnsFault::ServerFailure | DnsFault::Code(_) => "dns_servfail",
            DnsFault::Refused => "dns_refused",
            DnsFault::TimedOut(_) | DnsFault::NoServer => "dns_timeout",
        },
        Fault::Connect(it) => connect(*it, case),
        Fault::Tls(it) => tls(it, case),
        Fault::Send(it) => match it {
            SendFault::Reset | SendFault::Closed | SendFault::Errno => "connection_reset",
            SendFault::TimedOut(_) => "request_send_timeout",
        },
        Fault::Head(it) => head(it, case),
        Fault::Body(it) => match it {
            BodyFault::LengthShort { .. } => "content_length_short",
            BodyFault::ChunkCut => "truncated_chunk",
            BodyFault::StreamReset(_) => "http2_stream_reset",
            BodyFault::Http2(_) => "http2_protocol_error",
            BodyFault::StreamCut | BodyFault::Reset | BodyFault::Tls | BodyFault::Errno => {
                "response_truncated"
            }
            BodyFault::Stalled(_) => "body_stall",
            BodyFault::ChunkInvalid => "bad_chunk",
            BodyFault::Trailer => "invalid_header_line",
            BodyFault::Surplus => "content_length_long",
            BodyFault::TooBig(_) => "response_body_too_large",
            BodyFault::NoGrpcStatus => "grpc_mismatch",
        },
        Fault::Deadline(_) => "total_deadline_exceeded",
    }
}

fn connect(fault: ConnectFault, case: &Case) -> &'static str {
    match fault {
        ConnectFault::Refused => "process_down",
        ConnectFault::TimedOut(_) => "firewall_drop",
        ConnectFault::HostUnreachable | ConnectFault::NetworkUnreachable => "no_route",
        // A network address has no mode that could deny.
        ConnectFault::PermissionDenied if case.unix_path().is_none() => "selinux_denied",
        ConnectFault::PermissionDenied => "unix_socket_permission",
        ConnectFault::NotPermitted => "egress_policy_denied",
        ConnectFault::NoLocalPort => "ephemeral_ports_exhausted",
        ConnectFault::NoDescriptors => "gateway_fd_exhausted",
        ConnectFault::NoMemory => "gateway_memory",
        ConnectFault::Reset | ConnectFault::Errno => "connection_reset",
        ConnectFault::SocketMissing => "unix_socket_missing",
        ConnectFault::SocketStale => "unix_socket_stale",
        ConnectFault::BacklogFull => "unix_backlog_full",
    }
}

fn tls(fault: &TlsFault, case: &Case) -> &'static str {
    match fault {
        TlsFault::Certificate(it) => match it.fault {
            CertificateFault::Expired | CertificateFault::NotYetValid => "tls_cert_expired",
            CertificateFault::WrongName => "tls_wrong_hostname",
            CertificateFault::AddressWithoutSan => "tls_ip_without_san",
            CertificateFault::SelfSigned => "tls_self_signed",
            CertificateFault::UnknownIssuer | CertificateFault::Invalid => "tls_unknown_ca",
            CertificateFault::IncompleteChain => "tls_incomplete_chain",
        },
        TlsFault::Alert(120) if case.http2() => "alpn_mismatch",
        TlsFault::Alert(it) => alert(*it),
        TlsFault::LateAlert(it) => late_alert(*it, case),
        TlsFault::PlainHttp => "tls_to_plain_port",
        TlsFault::NotTls => match Opening::of(case.first_bytes()) {
            Opening::Http1 | Opening::Http2 => "tls_to_plain_port",
            _ => "wrong_protocol_service",
        },
        TlsFault::Closed | TlsFault::Reset => "tls_peer_closed",
        TlsFault::TimedOut(_) => "tls_handshake_timeout",
        TlsFault::Incompatible => "tls_version_mismatch",
        TlsFault::NoHttp2 => "alpn_mismatch",
        TlsFault::Protocol => "tls_cipher_mismatch",
    }
}

/// RFC 8446 6.
fn alert(alert: u8) -> &'static str {
    match alert {
        0 | 90 => "tls_peer_closed",
        42..=46 | 48 | 49 => "tls_client_cert_rejected",
        70 | 86 => "tls_version_mismatch",
        // 80, internal error, is what servers say that find no certificate for a name.
        80 | 112 => "tls_sni_rejected",
        116 => "tls_client_cert_required",
        120 => "http1_to_http2",
        _ => "tls_cipher_mismatch",
    }
}

fn late_alert(alert: u8, case: &Case) -> &'static str {
    match (alert, case.client_certificate_sent()) {
        (116, _) | (_, Some(false)) => "tls_client_cert_required",
        _ if case.client_certificate_unasked() => "tls_peer_closed",
        _ => "tls_client_cert_rejected",
    }
}

/// An answer that does not begin as HTTP/1 does, by its first bytes.
fn foreign(case: &Case) -> &'static str {
    match Opening::of(case.first_bytes()) {
        Opening::Tls => "http_to_tls_port",
        Opening::Http2 => "http1_to_http2",
        Opening::FastCgi => "fastcgi_mismatch",
        Opening::Http1 => "malformed_status_line",
        _ => "wrong_protocol_service",
    }
}

fn head(fault: &HeadFault, case: &Case) -> &'static str {
    match fault {
        HeadFault::Closed | HeadFault::Reset if case.received() > 0 => "partial_head",
        HeadFault::Closed => "premature_close",
        HeadFault::Reset | HeadFault::Errno => "connection_reset",
        HeadFault::TimedOut(_) => "response_header_timeout",
        HeadFault::Slow(_) => "slow_headers",
        HeadFault::TooBig { .. } | HeadFault::TooManyFields(_) => "header_too_big",
        HeadFault::NotHttp => foreign(case),
        HeadFault::StatusLine if Opening::of(case.first_bytes()) == Opening::Unknown => {
            "malformed_status_line"
        }
        HeadFault::StatusLine => foreign(case),
        HeadFault::FieldLine => "invalid_header_line",
        HeadFault::ControlCharacter => "control_char_in_header",
        HeadFault::LengthInvalid => "invalid_content_length",
        HeadFault::LengthRepeated => "duplicate_content_length",
        HeadFault::LengthAndCoding => "cl_and_te",
        HeadFault::CodingUnknown => "unknown_transfer_encoding",
        HeadFault::UnaskedUpgrade => "unexpected_upgrade",
        HeadFault::NotSwitched(_) => "upgrade_not_forwarded",
        HeadFault::TooManyInterim(_) => "too_many_interim_responses",
        HeadFault::NotGrpc { .. } => "grpc_mismatch",
        HeadFault::StreamReset(_) => "http2_stream_reset",
        HeadFault::GoAway(_) => "http2_goaway",
        HeadFault::AnsweredHttp1 => "http2_to_http1",
        HeadFault::Http2(_) => "http2_protocol_error",
        HeadFault::NoExtendedConnect => "upgrade_not_forwarded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Every fault and refusal, and the leaf that it shows.
    const TABLE: &[(&str, &str)] = &[
        ("resolve: no_such_name", "dns_nxdomain"),
        ("resolve: no_address", "dns_nxdomain"),
        ("resolve: server_failure", "dns_servfail"),
        ("resolve: code=4", "dns_servfail"),
        ("resolve: refused", "dns_refused"),
        ("resolve: timed_out", "dns_timeout"),
        ("resolve: no_server", "dns_timeout"),
        ("connect: refused", "process_down"),
        ("connect: timed_out", "firewall_drop"),
        ("connect: host_unreachable", "no_route"),
        ("connect: network_unreachable", "no_route"),
        ("connect: permission_denied", "selinux_denied"),
        ("connect: permission_denied | to=unix:/run/app.sock", "unix_socket_permission"),
        ("connect: not_permitted", "egress_policy_denied"),
        ("connect: no_local_port", "ephemeral_ports_exhausted"),
        ("connect: no_descriptors", "gateway_fd_exhausted"),
        ("connect: no_memory", "gateway_memory"),
        ("connect: reset", "connection_reset"),
        ("connect: socket_missing", "unix_socket_missing"),
        ("connect: socket_stale", "unix_socket_stale"),
        ("connect: backlog_full", "unix_backlog_full"),
        ("connect: errno | errno=22", "connection_reset"),
        ("connect: errno | errno=105", "gateway_memory"),
        ("tls: expired", "tls_cert_expired"),
        ("tls: not_yet_valid", "tls_cert_expired"),
        ("tls: wrong_name", "tls_wrong_hostname"),
        ("tls: address_without_san", "tls_ip_without_san"),
        ("tls: self_signed", "tls_self_signed"),
        ("tls: unknown_issuer", "tls_unknown_ca"),
        ("tls: incomplete_chain", "tls_incomplete_chain"),
        ("tls: invalid", "tls_unknown_ca"),
        ("tls: alert=0", "tls_peer_closed"),
        ("tls: alert=40", "tls_cipher_mismatch"),
        ("tls: alert=42", "tls_client_cert_rejected"),
        ("tls: alert=48", "tls_client_cert_rejected"),
        ("tls: alert=49", "tls_client_cert_rejected"),
        ("tls: alert=70", "tls_version_mismatch"),
        ("tls: alert=71", "tls_cipher_mismatch"),
        ("tls: alert=80", "tls_sni_rejected"),
        ("tls: alert=112", "tls_sni_rejected"),
        ("tls: alert=116", "tls_client_cert_required"),
        ("tls: alert=120", "http1_to_http2"),
        ("tls: alert=120 | http2", "alpn_mismatch"),
        ("tls: no_http2 | http2", "alpn_mismatch"),
        ("tls: late_alert=116", "tls_client_cert_required"),
        ("tls: late_alert=42 | tls=asked", "tls_client_cert_required"),
        ("tls: late_alert=42 | tls=sent", "tls_client_cert_rejected"),
        ("tls: late_alert=42", "tls_client_cert_rejected"),
        ("tls: late_alert=80 | tls", "tls_peer_closed"),
        ("tls: plain_http", "tls_to_plain_port"),
        ("tls: not_tls | bytes=000012040000000000", "tls_to_plain_port"),
        ("tls: not_tls | bytes=5353482d322e30", "wrong_protocol_service"),
        ("tls: closed", "tls_peer_closed"),
        ("tls: reset", "tls_peer_closed"),
        ("tls: timed_out", "tls_handshake_timeout"),
        ("tls: incompatible", "tls_version_mismatch"),
        ("tls: protocol", "tls_cipher_mismatch"),
        ("send: reset", "connection_reset"),
        ("send: closed", "connection_reset"),
        ("send: timed_out", "request_send_timeout"),
        ("send: errno | errno=5", "connection_reset"),
        ("head: closed", "premature_close"),
        ("head: closed | received=20", "partial_head"),
        ("head: reset", "connection_reset"),
        ("head: reset | received=20", "partial_head"),
        ("head: timed_out", "response_header_timeout"),
        ("head: slow", "slow_headers"),
        ("head: too_big", "header_too_big"),
        ("head: too_many_fields", "header_too_big"),
        ("head: not_http | bytes=15030100020246", "http_to_tls_port"),
        ("head: not_http | bytes=000012040000000000", "http1_to_http2"),
        ("head: not_http | bytes=0106000100400000", "fastcgi_mismatch"),
        ("head: not_http | bytes=5353482d322e30", "wrong_protocol_service"),
        ("head: not_http", "wrong_protocol_service"),
        ("head: status_line", "malformed_status_line"),
        ("head: status_line | bytes=485454502f312e3120616263", "malformed_status_line"),
        ("head: status_line | bytes=5353482d322e30", "wrong_protocol_service"),
        ("head: field_line", "invalid_header_line"),
        ("head: control_character", "control_char_in_header"),
        ("head: length_invalid", "invalid_content_length"),
        ("head: length_repeated", "duplicate_content_length"),
        ("head: length_and_coding", "cl_and_te"),
        ("head: coding_unknown", "unknown_transfer_encoding"),
        ("head: unasked_upgrade", "unexpected_upgrade"),
        ("head: not_grpc", "grpc_mismatch"),
        ("body: no_grpc_status", "grpc_mismatch"),
        ("head: not_switched", "upgrade_not_forwarded"),
        ("head: too_many_interim", "too_many_interim_responses"),
        ("head: stream_reset=2", "http2_stream_reset"),
        ("head: stream_reset=7", "http2_stream_reset"),
        ("head: goaway=0", "http2_goaway"),
        ("head: answered_http1 | http2 bytes=485454502f312e3120343030", "http2_to_http1"),
        ("head: http2=1 | http2", "http2_protocol_error"),
        ("head: no_extended_connect | http2", "upgrade_not_forwarded"),
        ("head: errno | errno=5", "connection_reset"),
        ("body: length_short=5", "content_length_short"),
        ("body: chunk_cut", "truncated_chunk"),
        ("body: stream_cut | http2", "response_truncated"),
        ("body: stream_reset=8", "http2_stream_reset"),
        ("body: http2=1 | http2", "http2_protocol_error"),
        ("body: reset", "response_truncated"),
        ("body: stalled", "body_stall"),
        ("body: chunk_invalid", "bad_chunk"),
        ("body: trailer", "invalid_header_line"),
        ("body: surplus", "content_length_long"),
        ("body: tls", "response_truncated"),
        ("body: errno | errno=5", "response_truncated"),
        ("deadline", "total_deadline_exceeded"),
        ("refused: no_route", "no_route_matched"),
        ("refused: method_not_allowed", "no_route_matched"),
        ("refused: no_target", "gateway_config_error"),
        ("refused: malformed", "malformed_request"),
        ("refused: uri_too_long", "client_header_too_large"),
        ("refused: head_too_large", "client_header_too_large"),
        ("refused: head_timeout", "client_slow"),
        ("refused: body_timeout", "client_slow"),
        ("refused: connection_limit", "upstream_connection_limit"),
        ("refused: loop", "proxy_loop"),
        ("refused: draining", "gateway_draining"),
        ("refused: bug", "gateway_bug"),
        ("client_closed", "client_closed"),
        ("status: 503", "upstream_own_5xx"),
        ("status: 503 | upgrade=websocket", "upstream_own_5xx"),
        ("status: 404 | upgrade=websocket", "upgrade_not_forwarded"),
    ];

    #[test]
    fn each_fault_shows_its_leaf() {
        for (line, expected) in TABLE {
            let exchange = testing::exchange(line);
            let case = Case::of(&exchange).expect("there is something to explain");
            assert_eq!(wire(&case), *expected, "{line}");
        }
    }

    #[test]
    fn the_leaf_on_the_wire_is_among_the_candidates() {
        for (line, leaf) in TABLE.iter().filter(|(_, leaf)| crate::entry(leaf).is_some()) {
            testing::check_listed(line, leaf);
        }
    }

    /// What the causes of names, TLS, protocols, answers, the gateway itself and callers claim
    /// together, before it is scaled.
    #[test]
    fn candidates_share_one_whole() {
        use crate::Family::{F6, F7, F8, F9, F11, F15};
        let contexts = [
            "",
            " fresh after=1ms",
            " fresh to=10.0.0.7:8443 target=http://app:8443 request_head=20000 after=1ms",
            " fresh to=unix:/run/uwsgi/app.sock after=1ms",
            " to=10.0.0.7:443 target=https://app tls=asked tried=10.0.0.6:443/111",
        ];
        for (line, context) in TABLE.iter().flat_map(|(line, _)| contexts.map(|it| (line, it))) {
            let bar = if line.contains('|') { "" } else { " |" };
            let line = format!("{line}{bar}{context}");
            let exchange = testing::exchange(&line);
            let case = Case::of(&exchange).expect("there is something to explain");
            let families = [F6, F7, F8, F9, F11, F15];
            let ours = crate::CATALOGUE.iter().filter(|it| families.contains(&it.cause.family));
            let sum: f32 =
                ours.filter_map(|it| (it.cause.look)(&case)).map(|it| it.confidence).sum();
            assert!(sum < 1.25, "{line}: {sum}");
        }
    }
}
