//! How we said no: the closed set of reasons for which a request is answered without an upstream
//! having failed. No status codes here; `proxy/src/refuse.rs` alone chooses them.

use serde::Serialize;

/// A request that we answered ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "refusal", content = "reason")]
pub enum Refusal {
    /// No route matches host and path.
    NoRoute,
    /// No answer is kept under this address, or none any more.
    LaterGone,
    /// Routes match host and path, but none of them this method.
    MethodNotAllowed,
    /// The route's upstream has no target.
    NoTarget,
    /// The request cannot be read without guessing.
    Malformed(Malformed),
    /// The request target is longer than `limits.uri`.
    UriTooLong,
    /// The request head is larger than `limits.request_head` or has more than
    /// `limits.request_fields` fields.
    HeadTooLarge,
    /// The request head did not arrive within `listen.timeout.head`.
    HeadTimeout,
    /// The request body stopped for longer than `listen.timeout.body`.
    BodyTimeout,
    /// The request body came more slowly than `limits.client_rate`.
    BodySlow,
    /// Every target has as many connections as `pool.connections` allows.
    ConnectionLimit,
    /// Every target has as many requests in hand as it can work on, and no place in the queue came free
    /// within `queue.full`, or there were `queue.requests` before it.
    Overloaded,
    /// As many connections of clients as `limits.connections` allows are open.
    Crowded,
    /// As many connections as `limits.connections_per_address` allows come from this address.
    CrowdedAddress,
    /// We have no file descriptor left for the client's connection.
    NoDescriptors,
    /// We use more memory than `limits.memory` allows.
    MemoryFull,
    /// The request passed through this gateway before.
    Loop,
    /// We are stopping and take no more work.
    Draining,
    /// A bug of ours, caught before it took the process down.
    Bug,
}

/// What is wrong with a request that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// The first line is not `METHOD SP TARGET SP HTTP/1.x`.
    RequestLine,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// The first bytes are a TLS handshake: `https` was spoken to a plain port.
    TlsToPlainPort,
    /// The first bytes are an HTTP/2 preface, which this listener does not speak.
    Http2Preface,
    /// A line ends in LF without CR, or CR stands alone.
    BareLineEnd,
    /// A field line has no colon, a space before it, or a name that is no token.
    FieldLine,
    /// A field line continues the one above (obsolete line folding).
    ObsoleteFold,
    /// A control character in a field value or the request target.
    ControlCharacter,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is not a host with an optional port.
    HostInvalid,
    /// `Host` differs from the authority of an absolute-form target.
    HostMismatch,
    /// `Content-Length` together with `Transfer-Encoding`.
    LengthAndCoding,
    /// `Content-Length` more than once.
    LengthRepeated,
    /// `Content-Length` is not a number that fits.
    LengthInvalid,
    /// `Transfer-Encoding` is something other than `chunked`.
    CodingUnknown,
    /// A chunk of the body is not framed as RFC 9112 says.
    Chunk,
    /// The body is shorter or longer than `Content-Length` says.
    LengthUnkept,
    /// A pseudo-header field is missing, repeated, unknown or out of place (RFC 9114 4.3).
    PseudoField,
    /// A field that belongs to a connection of HTTP/1 (RFC 9114 4.2).
    ConnectionField,
    /// The path is not valid: a broken `%` sequence, or a form that CONNECT or OPTIONS alone has.
    Target,
    /// The path holds `%2F`, `%5C`, `%00`, a backslash, or leaves the root.
    PathAmbiguous,
    /// `grpc-timeout` is not up to eight digits and a unit.
    GrpcTimeout,
    /// The body of a gRPC-Web call in text form is no base64.
    GrpcWebText,
    /// A stream that is to go on with another protocol (RFC 8441), where that may not pass or
    /// nobody is asked.
    Protocol,
}

impl Refusal {
    /// A word for logs and evidence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::NoRoute => "no_route",
            Refusal::LaterGone => "later_gone",
            Refusal::MethodNotAllowed => "method_not_allowed",
            Refusal::NoTarget => "no_target",
            Refusal::Malformed(it) => it.name(),
            Refusal::UriTooLong => "uri_too_long",
            Refusal::HeadTooLarge => "head_too_large",
            Refusal::HeadTimeout => "head_timeout",
            Refusal::BodyTimeout => "body_timeout",
            Refusal::BodySlow => "body_slow",
            Refusal::ConnectionLimit => "connection_limit",
            Refusal::Overloaded => "overloaded",
            Refusal::Crowded => "crowded",
            Refusal::CrowdedAddress => "crowded_address",
            Refusal::NoDescriptors => "no_descriptors",
            Refusal::MemoryFull => "memory_full",
            Refusal::Loop => "loop",
            Refusal::Draining => "draining",
            Refusal::Bug => "bug",
        }
    }
}

impl Malformed {
    /// A word for logs and evidence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Malformed::RequestLine => "request_line",
            Malformed::Version => "version",
            Malformed::TlsToPlainPort => "tls_to_plain_port",
            Malformed::Http2Preface => "http2_preface",
            Malformed::BareLineEnd => "bare_line_end",
            Malformed::FieldLine => "field_line",
            Malformed::ObsoleteFold => "obsolete_fold",
            Malformed::ControlCharacter => "control_character",
            Malformed::HostMissing => "host_missing",
            Malformed::HostRepeated => "host_repeated",
            Malformed::HostInvalid => "host_invalid",
            Malformed::HostMismatch => "host_mismatch",
            Malformed::LengthAndCoding => "length_and_coding",
            Malformed::LengthRepeated => "length_repeated",
            Malformed::LengthInvalid => "length_invalid",
            Malformed::CodingUnknown => "coding_unknown",
            Malformed::Chunk => "chunk",
            Malformed::LengthUnkept => "length_unkept",
            Malformed::PseudoField => "pseudo_field",
            Malformed::ConnectionField => "connection_field",
            Malformed::Target => "target",
            Malformed::PathAmbiguous => "path_ambiguous",
            Malformed::GrpcTimeout => "grpc_timeout",
            Malformed::GrpcWebText => "grpc_web_text",
            Malformed::Protocol => "protocol",
        }
    }
}
