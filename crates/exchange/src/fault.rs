//! How an attempt failed: a closed set, nested by where it happened.
//!
//! There is no `Other(String)`. What the system said stands beside the fault as numbers (errno,
//! alert, bytes), so that reasoning never parses prose.

use crate::Micros;
use serde::Serialize;

/// The code of RST_STREAM for a request that was not processed (RFC 9113 7).
pub const REFUSED_STREAM: u32 = 7;

/// How an attempt at a target failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "at", content = "how")]
pub enum Fault {
    Resolve(DnsFault),
    Connect(ConnectFault),
    Tls(TlsFault),
    Send(SendFault),
    Head(HeadFault),
    Body(BodyFault),
    /// `timeout.total` of the route, or the time that the caller gave itself (`X-Request-Timeout-Ms`),
    /// passed before there was an answer; or the deadline of a gRPC call (`grpc-timeout`) before its
    /// status; whatever was being done.
    Deadline(Limit),
}

/// A limit of ours that fired: its name in the configuration and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// As written in the configuration, such as `timeout.first_byte`; else one of [`CALLERS`].
    pub name: &'static str,
    /// In microseconds for a time, in bytes or pieces for a size.
    pub value: Micros,
}

/// The fields in which callers say how long they wait.
const CALLERS: [&str; 5] = [
    "grpc-timeout",
    "x-request-timeout-ms",
    "x-envoy-expected-rq-timeout-ms",
    "x-request-timeout",
    "x-stainless-read-timeout",
];

impl Limit {
    /// The caller's own, said with its request.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        CALLERS.contains(&self.name)
    }
}

/// The name of a target did not become an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsFault {
    /// NXDOMAIN.
    NoSuchName,
    /// The name exists without an address (NOERROR, empty answer).
    NoAddress,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// Another answer code (RFC 6895).
    Code(u16),
    /// No answer in time.
    TimedOut(Limit),
    /// No name server could be reached, or none is configured.
    NoServer,
}

/// The connection was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectFault {
    /// ECONNREFUSED on a network address.
    Refused,
    /// `timeout.connect` passed, or ETIMEDOUT.
    TimedOut(Limit),
    /// EHOSTUNREACH.
    HostUnreachable,
    /// ENETUNREACH.
    NetworkUnreachable,
    /// EACCES.
    PermissionDenied,
    /// EPERM.
    NotPermitted,
    /// EADDRNOTAVAIL: no free local port.
    NoLocalPort,
    /// EMFILE or ENFILE.
    NoDescriptors,
    /// ENOBUFS or ENOMEM.
    NoMemory,
    /// ECONNRESET while connecting.
    Reset,
    /// ENOENT on a Unix socket path.
    SocketMissing,
    /// ECONNREFUSED on a Unix socket path: the file is there, nobody listens.
    SocketStale,
    /// EAGAIN on a Unix socket path: its listen queue is full.
    BacklogFull,
    /// Another error number, which the attempt holds.
    Errno,
}

/// The TLS handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsFault {
    /// The target's certificate does not pass.
    Certificate(Box<Certificate>),
    /// The target sent a fatal alert (RFC 8446 6).
    Alert(u8),
    /// The same, after the handshake was done on our side: TLS 1.3 refuses client certificates late.
    LateAlert(u8),
    /// The answer to our hello was HTTP.
    PlainHttp,
    /// The answer to our hello was neither TLS nor HTTP.
    NotTls,
    /// The target closed (FIN) during the handshake.
    Closed,
    /// The target reset the connection during the handshake.
    Reset,
    /// `timeout.tls` passed.
    TimedOut(Limit),
    /// The target chose a version or cipher that we do not have.
    Incompatible,
    /// HTTP/2 was offered alone, and the target did not choose it (ALPN, RFC 7301).
    NoHttp2,
    /// The target broke the protocol in another way.
    Protocol,
}

/// A certificate that was presented and refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub fault: CertificateFault,
    pub subject: String,
    pub issuer: String,
    /// DNS names and addresses it is valid for.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Our own clock when it was judged, seconds since 1970.
    pub now: i64,
    /// How many certificates were presented, this one included.
    pub chain: usize,
    /// The name or address that we asked for.
    pub asked: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateFault {
    Expired,
    NotYetValid,
    WrongName,
    /// An address was asked for and the certificate has no address in its SANs at all.
    AddressWithoutSan,
    SelfSigned,
    UnknownIssuer,
    /// The issuer is unknown and the intermediate that would link it was not sent.
    IncompleteChain,
    /// It cannot be read, is not meant for servers, or its signature is wrong.
    Invalid,
}

/// The request could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendFault {
    /// ECONNRESET.
    Reset,
    /// EPIPE: the target has closed.
    Closed,
    /// `timeout.send` passed without the target taking a byte.
    TimedOut(Limit),
    /// Another error number, which the attempt holds.
    Errno,
}

/// No valid answer head came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadFault {
    /// FIN. How much of a head had come tells a closed connection from a cut head.
    Closed,
    /// ECONNRESET.
    Reset,
    /// `timeout.first_byte` passed with not one byte of an answer.
    TimedOut(Limit),
    /// The head had begun, and was not complete when `timeout.first_byte` passed.
    Slow(Limit),
    /// The head is larger than `limits.response_head`.
    TooBig { limit: Limit, largest_field: Option<String>, largest_bytes: u64 },
    /// The head has more fields than `limits.response_fields`.
    TooManyFields(Limit),
    /// The first bytes are not HTTP/1.
    NotHttp,
    /// The status line is broken.
    StatusLine,
    /// A field line without a colon, with a name that is no token, or folded.
    FieldLine,
    /// A control character in a field.
    ControlCharacter,
    /// `Content-Length` is not a number that fits.
    LengthInvalid,
    /// `Content-Length` twice, with different values.
    LengthRepeated,
    /// `Content-Length` and `Transfer-Encoding` together.
    LengthAndCoding,
    /// `Transfer-Encoding` unknown, or `chunked` not last.
    CodingUnknown,
    /// 101 that nobody asked for.
    UnaskedUpgrade,
    /// A stream was to become a tunnel, and this status does not make it one: it would promise the
    /// caller a tunnel all the same (2xx), or it is a 101 that does not answer our handshake.
    NotSwitched(u16),
    /// More than `limits.interim_responses` 1xx heads.
    TooManyInterim(Limit),
    /// The answer to a gRPC call is something else: its status, and its content type if it has one.
    NotGrpc { status: u16, content_type: Option<String> },
    /// RST_STREAM with this code (RFC 9113 7).
    StreamReset(u32),
    /// GOAWAY with this code, and the request was above the last one that the target works on.
    GoAway(u32),
    /// HTTP/2 was spoken and the answer is HTTP/1.
    AnsweredHttp1,
    /// The target broke HTTP/2, which we told it with this code.
    Http2(u32),
    /// An upgrade was asked for over HTTP/2, and the target takes none there (RFC 8441 3).
    NoExtendedConnect,
    /// Another error number, which the attempt holds.
    Errno,
}

/// The head was good, the body was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFault {
    /// FIN before the declared length. `left` bytes are missing.
    LengthShort { left: u64 },
    /// FIN before the last chunk.
    ChunkCut,
    /// FIN before the end of the HTTP/2 stream, where no length was declared.
    StreamCut,
    /// RST_STREAM with this code (RFC 9113 7).
    StreamReset(u32),
    /// The target broke HTTP/2, which we told it with this code.
    Http2(u32),
    /// ECONNRESET inside the body.
    Reset,
    /// `timeout.idle` passed between two bytes.
    Stalled(Limit),
    /// A chunk is not framed as RFC 9112 says.
    ChunkInvalid,
    /// The trailer section is larger than `limits.response_head` or cannot be read.
    Trailer,
    /// More bytes came than the answer declared. The answer itself is whole.
    Surplus,
    /// The body is larger than what is kept of an answer (`later.answer`).
    TooBig(Limit),
    /// The answer to a gRPC call ended without a status.
    NoGrpcStatus,
    /// The TLS session broke inside the body: an alert, or no close_notify where only that
    /// would mark the end.
    Tls,
    /// Another error number, which the attempt holds.
    Errno,
}

impl Fault {
    /// A word for lists of attempts: the wire-level name, unique over the whole set.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Resolve(it) => match it {
                DnsFault::NoSuchName => "no_such_name",
                DnsFault::NoAddress => "no_address",
                DnsFault::ServerFailure => "dns_server_failure",
                DnsFault::Refused => "dns_refused",
                DnsFault::Code(_) => "dns_code",
                DnsFault::TimedOut(_) => "dns_timed_out",
                DnsFault::NoServer => "no_dns_server",
            },
            Fault::Connect(it) => match it {
                ConnectFault::Refused => "connection_refused",
                ConnectFault::TimedOut(_) => "connect_timed_out",
                ConnectFault::HostUnreachable => "host_unreachable",
                ConnectFault::NetworkUnreachable => "network_unreachable",
                ConnectFault::PermissionDenied => "connect_denied",
                ConnectFault::NotPermitted => "connect_not_permitted",
                ConnectFault::NoLocalPort => "no_local_port",
                ConnectFault::NoDescriptors => "no_descriptors",
                ConnectFault::NoMemory => "no_memory",
                ConnectFault::Reset => "reset_while_connecting",
                ConnectFault::SocketMissing => "socket_missing",
                ConnectFault::SocketStale => "socket_stale",
                ConnectFault::BacklogFull => "socket_backlog_full",
                ConnectFault::Errno => "connect_error",
            },
            Fault::Tls(it) => match it {
                TlsFault::Certificate(it) => match it.fault {
                    CertificateFault::Expired => "certificate_expired",
                    CertificateFault::NotYetValid => "certificate_not_yet_valid",
                    CertificateFault::WrongName => "certificate_wrong_name",
                    CertificateFault::AddressWithoutSan => "certificate_without_address",
                    CertificateFault::SelfSigned => "certificate_self_signed",
                    CertificateFault::UnknownIssuer => "certificate_unknown_issuer",
                    CertificateFault::IncompleteChain => "certificate_chain_incomplete",
                    CertificateFault::Invalid => "certificate_invalid",
                },
                TlsFault::Alert(_) => "tls_alert",
                TlsFault::LateAlert(_) => "tls_late_alert",
                TlsFault::PlainHttp => "plain_http_to_tls",
                TlsFault::NotTls => "not_tls",
                TlsFault::Closed => "closed_in_handshake",
                TlsFault::Reset => "reset_in_handshake",
                TlsFault::TimedOut(_) => "handshake_timed_out",
                TlsFault::Incompatible => "tls_incompatible",
                TlsFault::NoHttp2 => "no_http2_by_alpn",
                TlsFault::Protocol => "tls_protocol",
            },
            Fault::Send(it) => match it {
                SendFault::Reset => "reset_while_sending",
                SendFault::Closed => "closed_while_sending",
                SendFault::TimedOut(_) => "send_timed_out",
                SendFault::Errno => "send_error",
            },
            Fault::Head(it) => match it {
                HeadFault::Closed => "closed_before_head",
                HeadFault::Reset => "reset_before_head",
                HeadFault::TimedOut(_) => "first_byte_timed_out",
                HeadFault::Slow(_) => "head_timed_out",
                HeadFault::TooBig { .. } => "head_too_big",
                HeadFault::TooManyFields(_) => "too_many_fields",
                HeadFault::NotHttp => "not_http",
                HeadFault::StatusLine => "bad_status_line",
                HeadFault::FieldLine => "bad_field_line",
                HeadFault::ControlCharacter => "control_character",
                HeadFault::LengthInvalid => "bad_content_length",
                HeadFault::LengthRepeated => "repeated_content_length",
                HeadFault::LengthAndCoding => "length_and_coding",
                HeadFault::CodingUnknown => "unknown_coding",
                HeadFault::UnaskedUpgrade => "unasked_upgrade",
                HeadFault::NotSwitched(_) => "not_switched",
                HeadFault::TooManyInterim(_) => "too_many_interim",
                HeadFault::NotGrpc { .. } => "not_grpc",
                HeadFault::StreamReset(_) => "stream_reset",
                HeadFault::GoAway(_) => "goaway",
                HeadFault::AnsweredHttp1 => "answered_http1",
                HeadFault::Http2(_) => "http2_error",
                HeadFault::NoExtendedConnect => "no_extended_connect",
                HeadFault::Errno => "read_error",
            },
            Fault::Body(it) => match it {
                BodyFault::LengthShort { .. } => "body_short",
                BodyFault::ChunkCut => "chunks_cut",
                BodyFault::StreamCut => "stream_cut",
                BodyFault::StreamReset(_) => "stream_reset_in_body",
                BodyFault::Http2(_) => "http2_error_in_body",
                BodyFault::Reset => "reset_in_body",
                BodyFault::Stalled(_) => "body_stalled",
                BodyFault::ChunkInvalid => "bad_chunk",
                BodyFault::Trailer => "bad_trailer",
                BodyFault::Surplus => "surplus_bytes",
                BodyFault::TooBig(_) => "body_too_big",
                BodyFault::NoGrpcStatus => "no_grpc_status",
                BodyFault::Tls => "tls_broke_in_body",
                BodyFault::Errno => "body_read_error",
            },
            Fault::Deadline(_) => "deadline",
        }
    }

    /// The target said that it did not process the request: it may be sent again, whatever its
    /// method (RFC 9113 8.7).
    #[must_use]
    pub fn unprocessed(&self) -> bool {
        let refused = Fault::Head(HeadFault::StreamReset(REFUSED_STREAM));
        *self == refused || matches!(self, Fault::Head(HeadFault::GoAway(_)))
    }

    /// The limit of ours that fired, where one did.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Fault::Deadline(it)
            | Fault::Resolve(DnsFault::TimedOut(it))
            | Fault::Connect(ConnectFault::TimedOut(it))
            | Fault::Tls(TlsFault::TimedOut(it))
            | Fault::Send(SendFault::TimedOut(it))
            | Fault::Head(
                HeadFault::TimedOut(it)
                | HeadFault::Slow(it)
                | HeadFault::TooBig { limit: it, .. }
                | HeadFault::TooManyFields(it)
                | HeadFault::TooManyInterim(it),
            )
            | Fault::Body(BodyFault::Stalled(it) | BodyFault::TooBig(it)) => Some(*it),
            _ => None,
        }
    }
}
