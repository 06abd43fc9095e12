//! The leaf of the catalogue that a fault shows on the wire, before anything is concluded from it.

use crate::case::{Case, Subject};
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
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoRoute | Refusal::MethodNotAllowed => "no_route_matched",
        Refusal::NoTarget => "gateway_config_error",
        Refusal::Malformed(_) => "malformed_request",
        Refusal::UriTooLong | Refusal::HeadTooLarge => "client_header_too_large",
        Refusal::HeadTimeout | Refusal::BodyTimeout => "client_slow",
        Refusal::ConnectionLimit => "upstream_connection_limit",
        Refusal::Loop => "proxy_loop",
        Refusal::Draining => "gateway_draining",
        Refusal::Bug => "gateway_bug",
    }
}

fn failed(fault: &Fault, case: &Case) -> &'static str {
    match fault {
        Fault::Resolve(it) => match it {
            DnsFault::NoSuchName | DnsFault::NoAddress => "dns_nxdomain",
            DnsFault::ServerFailure | DnsFault::Code(_) => "dns_servfail",
            DnsFault::Refused => "dns_refused",
            DnsFault::TimedOut(_) | DnsFault::NoServer => "dns_timeout",
        },
        Fault::Connect(it) => connect(*it),
        Fault::Tls(it) => tls(it),
        Fault::Send(it) => match it {
            SendFault::Reset | SendFault::Closed | SendFault::Errno => "connection_reset",
            SendFault::TimedOut(_) => "request_send_timeout",
        },
        Fault::Head(it) => head(it, case),
        Fault::Body(it) => match it {
            BodyFault::LengthShort { .. } => "content_length_short",
            BodyFault::ChunkCut => "truncated_chunk",
            BodyFault::Reset | BodyFault::Tls | BodyFault::Errno => "response_truncated",
            BodyFault::Stalled(_) => "body_stall",
            BodyFault::ChunkInvalid => "bad_chunk",
            BodyFault::Trailer => "invalid_header_line",
            BodyFault::Surplus => "content_length_long",
        },
        Fault::Deadline(_) => "total_deadline_exceeded",
    }
}

fn connect(fault: ConnectFault) -> &'static str {
    match fault {
        ConnectFault::Refused => "process_down",
        ConnectFault::TimedOut(_) => "firewall_drop",
        ConnectFault::HostUnreachable | ConnectFault::NetworkUnreachable => "no_route",
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

fn tls(fault: &TlsFault) -> &'static str {
    match fault {
        TlsFault::Certificate(it) => match it.fault {
            CertificateFault::Expired | CertificateFault::NotYetValid => "tls_cert_expired",
            CertificateFault::WrongName => "tls_wrong_hostname",
            CertificateFault::AddressWithoutSan => "tls_ip_without_san",
            CertificateFault::SelfSigned => "tls_self_signed",
            CertificateFault::UnknownIssuer | CertificateFault::Invalid => "tls_unknown_ca",
            CertificateFault::IncompleteChain => "tls_incomplete_chain",
        },
        // RFC 8446 6.2
        TlsFault::Alert(70) => "tls_version_mismatch",
        TlsFault::Alert(112) => "tls_sni_rejected",
        TlsFault::Alert(116) | TlsFault::LateAlert(116) => "tls_client_cert_required",
        TlsFault::Alert(42..=46 | 48) | TlsFault::LateAlert(_) => "tls_client_cert_rejected",
        TlsFault::Alert(_) => "tls_cipher_mismatch",
        TlsFault::PlainHttp => "tls_to_plain_port",
        TlsFault::NotTls => "wrong_protocol_service",
        TlsFault::Closed | TlsFault::Reset => "tls_peer_closed",
        TlsFault::TimedOut(_) => "tls_handshake_timeout",
        TlsFault::Incompatible => "tls_version_mismatch",
        TlsFault::Protocol => "tls_cipher_mismatch",
    }
}

fn head(fault: &HeadFault, case: &Case) -> &'static str {
    match fault {
        HeadFault::Closed if case.received() > 0 => "partial_head",
        HeadFault::Closed => "premature_close",
        HeadFault::Reset | HeadFault::Errno => "connection_reset",
        HeadFault::TimedOut(_) => "response_header_timeout",
        HeadFault::Slow(_) => "slow_headers",
        HeadFault::TooBig { .. } | HeadFault::TooManyFields(_) => "header_too_big",
        HeadFault::NotHttp => "wrong_protocol_service",
        HeadFault::StatusLine => "malformed_status_line",
        HeadFault::FieldLine => "invalid_header_line",
        HeadFault::ControlCharacter => "control_char_in_header",
        HeadFault::LengthInvalid => "invalid_content_length",
        HeadFault::LengthRepeated => "duplicate_content_length",
        HeadFault::LengthAndCoding => "cl_and_te",
        HeadFault::CodingUnknown => "unknown_transfer_encoding",
        HeadFault::UnaskedUpgrade => "unexpected_upgrade",
        HeadFault::TooManyInterim(_) => "too_many_interim_responses",
    }
}
