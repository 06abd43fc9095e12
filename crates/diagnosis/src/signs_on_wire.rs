//! What a sign is called in the catalogue, and which status a product answers for it.

use crate::incidents::Incident;
use evidence::{Kind, Sign, Stack};

/// The leaf of the catalogue that a fault shows on the wire.
#[must_use]
pub(crate) fn wire(sign: Sign) -> Option<&'static str> {
    use Sign::*;
    Some(match sign {
        ConnectRefused => "process_down",
        ConnectTimedOut => "firewall_drop",
        HostUnreachable | NetworkUnreachable => "no_route",
        ConnectDenied => "selinux_denied",
        ConnectNotPermitted => "egress_policy_denied",
        NoLocalPort => "ephemeral_ports_exhausted",
        NoDescriptors => "gateway_fd_exhausted",
        SocketMissing => "unix_socket_missing",
        SocketDenied => "unix_socket_permission",
        SocketStale => "unix_socket_stale",
        SocketBacklogFull => "unix_backlog_full",
        NameNotFound | NameUnresolved => "dns_nxdomain",
        NameServerFailed => "dns_servfail",
        NameRefused => "dns_refused",
        NameTimedOut => "dns_timeout",
        CertExpired => "tls_cert_expired",
        CertSelfSigned => "tls_self_signed",
        CertUntrusted | CertRefused => "tls_unknown_ca",
        CertIncomplete => "tls_incomplete_chain",
        CertWrongName => "tls_wrong_hostname",
        CertNoIpSan => "tls_ip_without_san",
        TlsVersion => "tls_version_mismatch",
        TlsCipher => "tls_cipher_mismatch",
        TlsNameRejected => "tls_sni_rejected",
        TlsClientCertRequired => "tls_client_cert_required",
        TlsClientCertRejected => "tls_client_cert_rejected",
        TlsToPlain => "tls_to_plain_port",
        TlsTimedOut => "tls_handshake_timeout",
        TlsClosed | TlsFailed => "tls_peer_closed",
        MtlsMismatch => "mtls_policy_mismatch",
        Reset | SendBroken | Disconnected => "connection_reset",
        Closed => "premature_close",
        SendTimedOut => "request_send_timeout",
        HeadTimedOut => "response_header_timeout",
        HeadSlow => "slow_headers",
        Deadline => "total_deadline_exceeded",
        GoAway => "http2_goaway",
        StreamReset => "http2_stream_reset",
        NotHttp | StatusLineBad | ProtocolError => "malformed_status_line",
        TlsBytes | PlainToTlsPort => "http_to_tls_port",
        Http2Bytes | Http1ToHttp2 => "http1_to_http2",
        Http2ToHttp1 => "http2_to_http1",
        AlpnMismatch => "alpn_mismatch",
        GrpcMismatch => "grpc_mismatch",
        FastCgiMismatch => "fastcgi_mismatch",
        UwsgiMismatch => "uwsgi_mismatch",
        ProxyHeaderMissing => "proxy_protocol_mismatch",
        UpgradeUnexpected => "unexpected_upgrade",
        UpgradeRefused => "upgrade_not_forwarded",
        HeaderBad => "invalid_header_line",
        HeaderControlChar => "control_char_in_header",
        HeadTooBig => "header_too_big",
        HeadPartial => "partial_head",
        LengthTwice => "duplicate_content_length",
        LengthInvalid => "invalid_content_length",
        LengthAndChunked => "cl_and_te",
        CodingUnknown | CodingTwice => "unknown_transfer_encoding",
        ChunkBad => "bad_chunk",
        LengthLong => "content_length_long",
        InterimsTooMany => "too_many_interim_responses",
        LambdaMalformed => "apigw_malformed_lambda",
        LambdaFailed => "lambda_limits",
        BodyCut | BodyReset => "response_truncated",
        BodyStalled => "body_stall",
        BodyShort => "content_length_short",
        ChunkCut => "truncated_chunk",
        NoLiveUpstream => "no_live_upstreams",
        NoEndpoints => "endpoints_empty",
        QueueTimedOut => "gateway_queue_timeout",
        ConnectionLimit => "upstream_connection_limit",
        CircuitOpen => "circuit_open",
        ConnectionTableFull => "proxy_connection_table_full",
        NoCluster => "gateway_config_error",
        RouteWrong => "wrong_route_or_path",
        ProxyLoop => "proxy_loop",
        DiskFull => "gateway_disk_full",
        MemoryOut => "gateway_memory",
        IntegrationTimedOut => "apigw_integration_timeout",
        RelayedError => "upstream_own_5xx",
        _ => return None,
    })
}

/// The status that the hop answered, or answers for such a fault (measured, see the pages).
#[must_use]
pub(crate) fn status(incident: &Incident) -> Option<u16> {
    use Sign::*;
    if incident.status.is_some() {
        return incident.status;
    }
    let sign = incident.sign;
    match (sign.kind(), sign) {
        (Kind::Cut, _) => return Some(200),
        (_, Answered500) => return Some(500),
        (_, Answered502) => return Some(502),
        (_, Answered503) => return Some(503),
        (_, Answered504) => return Some(504),
        (_, CallerSawError) => return incident.number.and_then(|it| u16::try_from(it).ok()),
        (Kind::Wire, _) => {}
        _ => return None,
    }
    let connecting = matches!(
        sign,
        ConnectRefused
            | ConnectTimedOut
            | ConnectFailed
            | HostUnreachable
            | NetworkUnreachable
            | SocketMissing
            | SocketDenied
            | SocketStale
            | SocketBacklogFull
    );
    let tls = wire(sign).is_some_and(|it| it.starts_with("tls_"));
    let timed_out = matches!(
        sign,
        ConnectTimedOut
            | HeadTimedOut
            | SendTimedOut
            | TlsTimedOut
            | Deadline
            | HeadSlow
            | IntegrationTimedOut
    );
    Some(match incident.hop.stack() {
        Stack::HaProxy | Stack::Envoy if connecting || tls => 503,
        Stack::Envoy
            if matches!(sign, Reset | Closed | Disconnected | NoLiveUpstream | ConnectionLimit) =>
        {
            503
        }
        Stack::HaProxy if matches!(sign, NoLiveUpstream | QueueTimedOut | ConnectionLimit) => 503,
        Stack::Apache if connecting => 503,
        Stack::Apache if tls || matches!(sign, NameNotFound) => 500,
        Stack::Apache if sign == HeadTimedOut => 502,
        Stack::Apache if sign == NoLiveUpstream => 503,
        Stack::Heroku => 503,
        Stack::Aws if sign == NoEndpoints => 503,
        Stack::Kubernetes | Stack::Traefik if matches!(sign, NoEndpoints | NoLiveUpstream) => 503,
        Stack::Nginx if matches!(sign, NoDescriptors | ConnectionTableFull) => 500,
        Stack::Nginx if sign == NoEndpoints => 503,
        Stack::Caddy if sign == ConnectTimedOut => 502,
        _ if timed_out => 504,
        _ if matches!(sign, QueueTimedOut | ConnectionLimit | CircuitOpen) => 503,
        _ => 502,
    })
}
