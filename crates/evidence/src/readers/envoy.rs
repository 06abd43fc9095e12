//! Envoy, and what is built on it (Istio, Contour, Gloo, Emissary, App Mesh): access lines, its own
//! log, and the texts that it answers with.
//!
//! The request stands in quotes before the status; the user agent, the request id and the authority
//! stand in quotes after the numbers. What lies between is Envoy's own: flags, details, and the
//! reason of the transport (envoy/docs: configuration/observability/access_log/usage).

use super::flat::{self, Flat};
use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, number, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const ACCESS: Reader = Reader {
    name: "Envoy access log",
    product: Product::Envoy,
    hooks: &[],
    fits: |line| access_parts(&line.text).is_some(),
    read: |line, sink| {
        if let Some(access) = access_parts(&line.text) {
            access.tell(&line.text, sink);
        }
    },
    source: "https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage; \
             https://istio.io/latest/docs/tasks/observability/logs/access-log/",
    example: "[2026-11-20T15:16:30.123Z] \"GET /data HTTP/1.1\" 503 UF \
              upstream_reset_before_response_started{connection_failure} - \"delayed connect error: \
              111\" 0 91 0 - \"-\" \"curl/8.0\" \"b54e\" \"app.example.com\" \"192.0.2.10:8080\" \
              outbound|8080||app.default.svc.cluster.local - 192.0.2.1:80 192.0.2.2:50000 - default",
};

pub(super) const JSON: Reader = Reader {
    name: "Envoy access log in JSON",
    product: Product::Envoy,
    hooks: &[],
    fits: |line| json_parts(&line.text).is_some(),
    read: |line, sink| {
        if let Some(access) = json_parts(&line.text) {
            access.tell(&line.text, sink);
        }
    },
    source: "https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage",
    example: "{\"start_time\":\"2026-11-20T15:16:30.123Z\",\"response_code\":503,\"response_flags\":\
              \"UH\",\"response_code_details\":\"no_healthy_upstream\",\"upstream_host\":null,\
              \"upstream_cluster\":\"app\"}",
};

pub(super) const LOG: Reader = Reader {
    name: "Envoy log",
    product: Product::Envoy,
    hooks: &["envoy", "][warning]", "][error]", "][critical]", "][info]", "][debug]", "][trace]"],
    fits: |line| own_line(&line.text).is_some(),
    read: own,
    source: "envoy/source/common/common/logger.h; pilot-agent of Istio 1.20",
    example: "[2026-11-20 15:16:30.123][17][critical][main] [source/server/server.cc:131] error \
              initializing configuration: cannot bind '0.0.0.0:80': Address already in use",
};

/// What Envoy answers with, as callers paste it, and pieces of access lines.
pub(super) const BODY: Reader = Reader {
    name: "Envoy error text",
    product: Product::Envoy,
    hooks: &[
        "upstream connect error or disconnect/reset before headers",
        "upstream request timeout",
        "no healthy upstream",
        "upstream_reset_before_response_started",
        "delayed connect error: ",
        "istio_requests_total{",
        "OPENSSL_internal:",
        "stream timeout",
        "no_healthy_upstream",
        "cluster_not_found",
        "response_flags",
    ],
    fits: |line| {
        body(&line.text).is_some() || counted(&line.text).is_some() || head(&line.text).is_some()
    },
    read: |line, sink| {
        if let Some((sign, span)) = body(&line.text) {
            return sink.event(Event::new(Product::Envoy, sign, Trust::C, span));
        }
        table(line, sink);
        let Some(counted) = counted(&line.text) else { return };
        for _ in 0..counted.requests {
            let event = Event::new(Product::Envoy, counted.sign, Trust::C, counted.span.clone());
            sink.event(event.status(Some(counted.status)));
        }
    },
    source: "envoy/source/common/router/router.cc, source/common/http/utility.cc; Envoy 1.36",
    example: "upstream connect error or disconnect/reset before headers. reset reason: overflow",
};

/// One request and what Envoy says of it.
struct Access<'a> {
    at: Option<Stamp>,
    status: u16,
    status_text: &'a str,
    flags: &'a str,
    /// Details and the reason of the transport: Envoy's own words.
    own: &'a str,
    host: Option<&'a str>,
    cluster: Option<&'a str>,
    path: Option<&'a str>,
    request_id: Option<&'a str>,
}

/// `[TIME] "METHOD PATH PROTOCOL" STATUS FLAGS [DETAILS TERMINATION "REASON"] RECEIVED SENT DURATION
/// SERVICE_TIME "FORWARDED" "AGENT" "ID" "AUTHORITY" "UPSTREAM" …`.
fn access_parts(text: &str) -> Option<Access<'_>> {
    let rest = text.strip_prefix('[')?;
    let (at, end) = clock::iso(rest)?;
    let rest = rest[end..].strip_prefix("] \"")?;
    // A path has no space in it, so that no path can pretend to be the end of the request.
    let (_method, rest) = rest.split_once(' ')?;
    let (path, rest) = rest.split_once(' ')?;
    let (protocol, rest) = rest.split_once('"')?;
    if !(protocol.starts_with("HTTP/") || protocol == "-") || protocol.len() > 8 {
        return None;
    }
    let rest = rest.strip_prefix(' ')?;
    let (status_text, rest) = rest.split_once(' ')?;
    let status = match status_text {
        "0" => 0,
        it => flat::status(it)?,
    };
    let (flags, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let flags_known = flags == "-" || flags.split(',').all(|it| flag(it).is_some());
    if !flags_known {
        return None;
    }
    let own = own_part(rest);
    let after = &rest[own.len()..];
    let mut quoted = after.split('"').skip(1).step_by(2);
    let request_id = quoted.nth(2).filter(|it| *it != "-");
    // Only clusters, addresses and the server name follow the upstream's address.
    let (before, tail) = after.rsplit_once('"').unwrap_or((after, ""));
    let host = before.rsplit_once('"').map(|(_, it)| it).filter(|it| is_address(it));
    let number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let cluster = tail.split_whitespace().next().filter(|it| *it != "-" && !number(it));
    let at = Some(at);
    let path = Some(path);
    Some(Access { at, status, status_text, flags, own, host, cluster, path, request_id })
}

/// What stands before the numbers of bytes: three numbers in a row.
fn own_part(rest: &str) -> &str {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let mut starts = [0; 3];
    let mut run = 0;
    let mut at = 0;
    for word in rest.split(' ') {
        if is_number(word) {
            starts[run] = at;
            run += 1;
            if run == 3 {
                return &rest[..starts[0]];
            }
        } else {
            run = 0;
        }
        at += word.len() + 1;
    }
    // Cut off before the numbers: the details alone are told.
    rest.split(' ').next().filter(|it| is_details(it)).unwrap_or("")
}

fn is_address(text: &str) -> bool {
    let text = text.strip_prefix("envoy://").unwrap_or(text);
    text.contains([':', '/']) && !text.contains(' ') && text.len() < 256
}

/// Keys under which callers' own words stand, whatever the format calls them.
const CALLERS: [&str; 14] = [
    "agent",
    "path",
    "refer",
    "forward",
    "authority",
    "query",
    "header",
    "cookie",
    "uri",
    "url",
    "method",
    "user",
    "trace",
    "ua",
];

fn json_parts(text: &str) -> Option<Access<'_>> {
    let likely = ["pstream", "_not_found", "lags"];
    if !text.starts_with('{') || !likely.iter().any(|it| text.contains(it)) {
        return None;
    }
    let flat = Flat::of(text)?;
    // Names are the user's choice; values are not.
    let ours = |key: &str| {
        let key = key.to_ascii_lowercase();
        key == "upstream_host" || !CALLERS.iter().any(|it| key.contains(it))
    };
    let named = flat.any(&["response_code_details", "responseCodeDetails", "rcd", "details"]);
    let mut values = flat.top().filter(|it| ours(it.key)).map(|it| it.value);
    let details = named.or_else(|| values.find(|it| is_details(it)));
    let flags =
        flat.any(&["response_flags", "responseFlags", "flags", "rf", "envoy_response_flags"]);
    let known = |it: &&str| it.split(',').all(|it| flag(it).is_some());
    let flags = flags.filter(known);
    let is_envoy = details.is_some_and(is_details)
        || flags.is_some()
        || flat.has("response_flags")
            && (flat.has("upstream_cluster") || flat.has("upstream_host"));
    if !is_envoy {
        return None;
    }
    let codes = ["response_code", "responseCode", "status", "rc", "code", "status_code"];
    let status_text = flat.any(&codes)?;
    let status = flat.status(&codes).or_else(|| (status_text == "0").then_some(0))?;
    let reasons = [
        "upstream_transport_failure_reason",
        "upstreamTransportFailureReason",
        "transport_failure",
    ];
    // The reason decides where there is one; both are one piece of the line for the search.
    let own = match flat.any(&reasons) {
        Some(reason) if sign_of_reason(reason).is_some() => reason,
        _ => details.unwrap_or(""),
    };
    Some(Access {
        at: flat.time(&["start_time", "startTime", "@timestamp", "timestamp", "time", "ts"]),
        status,
        status_text,
        flags: flags.unwrap_or("-"),
        own,
        host: flat.any(&["upstream_host", "upstreamHost", "upstream"]).filter(|it| is_address(it)),
        cluster: flat.any(&["upstream_cluster", "upstreamCluster", "cluster"]),
        path: flat.any(&["path", "x-envoy-origin-path", "x_envoy_original_path", "uri"]),
        request_id: flat.any(&["request_id", "requestId", "x-request-id", "x_request_id"]),
    })
}

/// Values that only Envoy writes.
fn is_details(value: &str) -> bool {
    value == "via_upstream"
        || value.starts_with("upstream_reset_before_response_started")
        || value.starts_with("upstream_reset_after_response_started")
        || DETAILS.iter().any(|it| it.text.len() > 12 && value.starts_with(it.text))
}

impl<'a> Access<'a> {
    fn tell(self, line: &'a str, sink: &mut dyn Sink) {
        sink.served(Served { at: self.at, status: self.status });
        let Some((sign, words)) = self.sign() else { return };
        let span = span_of(line, words);
        let event = Event::new(Product::Envoy, sign, Trust::C, span)
            .at(self.at)
            .upstream(self.host.or(self.cluster))
            .who(self.cluster.filter(|_| self.host.is_some()))
            .status(Some(self.status).filter(|it| *it != 0))
            .route(self.path)
            .request_id(self.request_id);
        sink.event(event);
    }

    fn sign(&self) -> Option<(Sign, &'a str)> {
        let words = |span: Range<usize>| &self.own[span];
        if let Some((sign, span)) = sign_of_reason(self.own) {
            return Some((sign, words(span)));
        }
        // Of a status of the 400s, the client is the one who did not keep to the protocol.
        if 500 <= self.status
            && let Some((sign, span)) = sign_of_codec(self.own)
        {
            return Some((sign, words(span)));
        }
        if let Some((sign, span)) = sign_of_details(self.own) {
            let sign = match sign {
                // A client that is idle, or an upstream: the status tells.
                Sign::HeadTimedOut if self.status == 408 => Sign::ClientSlow,
                it => it,
            };
            return Some((sign, words(span)));
        }
        if self.own.contains("via_upstream") || self.flags == "-" && self.host.is_some() {
            let span = self.own.find("via_upstream").map(|at| words(at..at + 12));
            let fails = 500 <= self.status;
            return fails.then_some((Sign::RelayedError, span.unwrap_or(self.status_text)));
        }
        let flags = self.flags.split(',');
        let most = flags.filter_map(|it| Some((flag(it)??, it))).min_by_key(|(it, _)| rank(*it));
        most.or_else(|| Some((flat::answered(self.status)?, self.status_text)))
    }
}

/// Of several flags, `URX,UF` say, the one that names the fault.
fn rank(sign: Sign) -> u8 {
    match sign {
        Sign::Disconnected => 2,
        Sign::Deadline => 1,
        _ => 0,
    }
}

/// A response flag, short or long: what it says. `Some(None)` is a flag that says nothing by itself.
fn flag(text: &str) -> Option<Option<Sign>> {
    let sign = match text {
        "UH" | "NoHealthyUpstream" => Sign::NoLiveUpstream,
        "UF" | "UpstreamConnectionFailure" => Sign::ConnectFailed,
        "UO" | "UpstreamOverflow" => Sign::ConnectionLimit,
        "NR" | "NoRouteFound" => Sign::RouteUnknown,
        "NC" | "NoClusterFound" => Sign::NoCluster,
        "URX" | "UpstreamRetryLimitExceeded" => Sign::Disconnected,
        "UT" | "UpstreamRequestTimeout" => Sign::HeadTimedOut,
        "UC" | "UpstreamConnectionTermination" => Sign::Closed,
        "UR" | "UpstreamRemoteReset" => Sign::StreamReset,
        "LR" | "LocalReset" => Sign::Disconnected,
        "UPE" | "UpstreamProtocolError" => Sign::ProtocolError,
        "UMSDR" | "UpstreamMaxStreamDurationReached" => Sign::Deadline,
        "DT" | "DurationTimeout" => Sign::Deadline,
        "SI" | "StreamIdleTimeout" => Sign::HeadTimedOut,
        "DF" | "DnsResolutionFailed" => Sign::NameUnresolved,
        "LH" | "FailedLocalHealthCheck" => Sign::HealthFailed,
        "OM" | "OverloadManagerTerminated" => Sign::MemoryOut,
        "DO" | "DropOverLoad" => Sign::ConnectionLimit,
        "RL" | "RateLimited" => Sign::RateLimited,
        "UAEX" | "UnauthorizedExternalService" => Sign::AuthDenied,
        "DC" | "DownstreamConnectionTermination" => Sign::ClientClosed,
        "DR" | "DownstreamRemoteReset" => Sign::ClientClosed,
        "DPE" | "DownstreamProtocolError" => return Some(None),
        "RLSE" | "RateLimitServiceError" | "IH" | "InvalidEnvoyRequestHeaders" => {
            return Some(None);
        }
        "FI" | "FaultInjected" | "DI" | "DelayInjected" | "RFCF" | "ResponseFromCacheFilter" => {
            return Some(None);
        }
        "NFCF" | "NoFilterConfigFound" | "UDO" | "UnconditionalDropOverload" => return Some(None),
        _ => return None,
    };
    Some(Some(sign))
}

/// What stands in the details with spaces or underscores, the more telling first.
const DETAILS: &[Phrase] = &[
    phrase("upstream_reset_after_response_started", Sign::BodyCut, Trust::C),
    phrase("connection_termination", Sign::Closed, Trust::C),
    phrase("connection termination", Sign::Closed, Trust::C),
    phrase("remote_reset", Sign::StreamReset, Trust::C),
    phrase("remote reset", Sign::StreamReset, Trust::C),
    phrase("remote refused stream reset", Sign::StreamReset, Trust::C),
    phrase("remote_refused_stream_reset", Sign::StreamReset, Trust::C),
    phrase("protocol_error", Sign::ProtocolError, Trust::C),
    phrase("protocol error", Sign::ProtocolError, Trust::C),
    phrase("{overflow", Sign::ConnectionLimit, Trust::C),
    phrase("reason: overflow", Sign::ConnectionLimit, Trust::C),
    phrase("connection_timeout", Sign::ConnectTimedOut, Trust::C),
    phrase("connection timeout", Sign::ConnectTimedOut, Trust::C),
    phrase("connection_failure", Sign::ConnectFailed, Trust::C),
    phrase("connection failure", Sign::ConnectFailed, Trust::C),
    phrase("local_reset", Sign::Disconnected, Trust::C),
    phrase("local reset", Sign::Disconnected, Trust::C),
    phrase("no_healthy_upstream", Sign::NoLiveUpstream, Trust::C),
    phrase("cluster_not_found", Sign::NoCluster, Trust::C),
    phrase("route_not_found", Sign::RouteUnknown, Trust::C),
    phrase("upstream_per_try_timeout", Sign::HeadTimedOut, Trust::C),
    phrase("upstream_per_try_idle_timeout", Sign::HeadTimedOut, Trust::C),
    phrase("upstream_response_timeout", Sign::HeadTimedOut, Trust::C),
    phrase("response_timeout", Sign::HeadTimedOut, Trust::C),
    phrase("stream_idle_timeout", Sign::HeadTimedOut, Trust::C),
    phrase("upstream_max_stream_duration_reached", Sign::Deadline, Trust::C),
    phrase("dns_resolution_failed", Sign::NameUnresolved, Trust::C),
    phrase("dns_resolution_failure", Sign::NameUnresolved, Trust::C),
    phrase("downstream_remote_disconnect", Sign::ClientClosed, Trust::C),
    phrase("downstream_local_disconnect", Sign::ClientClosed, Trust::C),
    phrase("request_rate_limited", Sign::RateLimited, Trust::C),
    phrase("local_rate_limited", Sign::RateLimited, Trust::C),
    phrase("rbac_access_denied", Sign::AuthDenied, Trust::C),
    phrase("ext_authz_denied", Sign::AuthDenied, Trust::C),
    phrase("jwt_authn_access_denied", Sign::AuthDenied, Trust::C),
    phrase("request_payload_too_large", Sign::ClientBodyTooLarge, Trust::C),
    phrase("upgrade_failed", Sign::UpgradeRefused, Trust::C),
    phrase("max_duration_timeout", Sign::Deadline, Trust::C),
    phrase("duration_timeout", Sign::Deadline, Trust::C),
    phrase("request_overall_timeout", Sign::ClientSlow, Trust::C),
    phrase("request_header_timeout", Sign::ClientSlow, Trust::C),
    phrase("route_configuration_not_found", Sign::RouteUnknown, Trust::C),
    phrase("filter_chain_not_found", Sign::RouteUnknown, Trust::C),
    phrase("reached_concurrency_limit", Sign::ConnectionLimit, Trust::C),
    phrase("ext_authz_error", Sign::ExternalFailed, Trust::C),
    phrase("csrf_origin_mismatch", Sign::AuthDenied, Trust::C),
    phrase("request_headers_failed_strict_check", Sign::RequestUnreadable, Trust::C),
    phrase("absolute_path_rejected", Sign::RequestUnreadable, Trust::C),
    phrase("missing_host_header", Sign::RequestUnreadable, Trust::C),
    phrase("missing_path_rejected", Sign::RequestUnreadable, Trust::C),
    phrase("path_normalization_failed", Sign::RequestUnreadable, Trust::C),
    phrase("low_version", Sign::RequestUnreadable, Trust::C),
    phrase("http2.violation.of.messaging.rule", Sign::ProtocolError, Trust::C),
    phrase("http2.unknown.nghttp2.error", Sign::ProtocolError, Trust::C),
    phrase("response_payload_too_large", Sign::MemoryOut, Trust::C),
];

fn sign_of_details(own: &str) -> Option<(Sign, Range<usize>)> {
    let (found, words) = find(DETAILS, own)?;
    let words = words.start + usize::from(found.text.starts_with('{'))..words.end;
    // With the word that the braces belong to.
    let name = "upstream_reset_before_response_started{";
    let Some(start) = own[..words.start].rfind(name) else { return Some((found.sign, words)) };
    let closed = own[words.end..].starts_with('}');
    Some((found.sign, start..words.end + usize::from(closed)))
}

/// Reasons of TLS, in words of BoringSSL and of Envoy's verifier.
const TLS: &[Phrase] = &[
    phrase("certificate has expired", Sign::CertExpired, Trust::C),
    phrase("certificate_has_expired", Sign::CertExpired, Trust::C),
    phrase("certificate is not yet valid", Sign::CertExpired, Trust::C),
    phrase("self-signed certificate", Sign::CertSelfSigned, Trust::C),
    phrase("self signed certificate", Sign::CertSelfSigned, Trust::C),
    phrase("self-signed_certificate", Sign::CertSelfSigned, Trust::C),
    phrase("self_signed_certificate", Sign::CertSelfSigned, Trust::C),
    phrase("unable to get local issuer certificate", Sign::CertUntrusted, Trust::C),
    phrase("unable_to_get_local_issuer_certificate", Sign::CertUntrusted, Trust::C),
    phrase("unable to get issuer certificate", Sign::CertUntrusted, Trust::C),
    phrase("verify SAN list", Sign::CertWrongName, Trust::C),
    phrase("verify_SAN_list", Sign::CertWrongName, Trust::C),
    phrase("SAN matcher", Sign::CertWrongName, Trust::C),
    phrase("SAN_matcher", Sign::CertWrongName, Trust::C),
    phrase("CERTIFICATE_VERIFY_FAILED", Sign::CertRefused, Trust::C),
    phrase("WRONG_VERSION_NUMBER", Sign::TlsToPlain, Trust::C),
    phrase("HTTP_REQUEST", Sign::TlsToPlain, Trust::C),
    phrase("SSLV3_ALERT_HANDSHAKE_FAILURE", Sign::TlsCipher, Trust::C),
    phrase("ALERT_PROTOCOL_VERSION", Sign::TlsVersion, Trust::C),
    phrase("UNSUPPORTED_PROTOCOL", Sign::TlsVersion, Trust::C),
    phrase("ALERT_UNRECOGNIZED_NAME", Sign::TlsNameRejected, Trust::C),
    phrase("UNRECOGNIZED_NAME", Sign::TlsNameRejected, Trust::C),
    phrase("CERTIFICATE_REQUIRED", Sign::TlsClientCertRequired, Trust::C),
    phrase("NO_APPLICATION_PROTOCOL", Sign::AlpnMismatch, Trust::C),
    phrase("ALERT_CERTIFICATE_UNKNOWN", Sign::TlsClientCertRejected, Trust::C),
    phrase("ALERT_BAD_CERTIFICATE", Sign::TlsClientCertRejected, Trust::C),
    phrase("ALERT_CERTIFICATE_EXPIRED", Sign::TlsClientCertRejected, Trust::C),
    phrase("ALERT_UNKNOWN_CA", Sign::TlsClientCertRejected, Trust::C),
    phrase("OPENSSL_internal:", Sign::TlsFailed, Trust::C),
    phrase("TLS_error", Sign::TlsFailed, Trust::C),
    phrase("TLS error", Sign::TlsFailed, Trust::C),
];

/// Of the transport: TLS, or the number of the system's error.
fn sign_of_reason(own: &str) -> Option<(Sign, Range<usize>)> {
    if let Some((found, words)) = find(TLS, own) {
        return Some((found.sign, words));
    }
    const STARTS: [&str; 6] = [
        "delayed connect error: ",
        "delayed_connect_error:_",
        "immediate connect error: ",
        "immediate_connect_error:_",
        // Before 1.19, in its own log.
        "delayed connection error: ",
        "immediate connection error: ",
    ];
    for start in STARTS {
        let Some(at) = own.find(start) else { continue };
        let what = &own[at + start.len()..];
        let end = what.find(['"', '|', '}', ',', '\n']).unwrap_or(what.len());
        let what = &what[..end];
        let sign = match number(what) {
            Some(2) => Sign::SocketMissing,
            Some(99) => Sign::NoLocalPort,
            Some(101) => Sign::NetworkUnreachable,
            Some(104) => Sign::Reset,
            Some(110) => Sign::ConnectTimedOut,
            Some(111 | 61) => Sign::ConnectRefused,
            Some(113) => Sign::HostUnreachable,
            Some(13) => Sign::ConnectDenied,
            Some(24) => Sign::NoDescriptors,
            Some(_) => Sign::ConnectFailed,
            None => errno_words(what),
        };
        let digits = what.len() - what.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let shown = if digits > 0 { digits } else { what.len() };
        return Some((sign, at..at + start.len() + shown));
    }
    None
}

/// Newer releases write the system's words instead of its number.
fn errno_words(what: &str) -> Sign {
    const WORDS: [(&str, Sign); 7] = [
        ("Connection refused", Sign::ConnectRefused),
        ("No route to host", Sign::HostUnreachable),
        ("Network is unreachable", Sign::NetworkUnreachable),
        ("Connection timed out", Sign::ConnectTimedOut),
        ("Cannot assign requested address", Sign::NoLocalPort),
        ("No such file or directory", Sign::SocketMissing),
        ("Permission denied", Sign::ConnectDenied),
    ];
    let plain = what.replace('_', " ");
    let found = WORDS.iter().find(|(words, _)| plain.starts_with(words));
    found.map_or(Sign::ConnectFailed, |(_, sign)| *sign)
}

/// `[2026-11-20 15:16:30.123][17][warning][config] …` and `2026-11-20T15:16:30.123456Z\twarning\t
/// envoy config\t…`: time, and where the message begins.
fn own_line(text: &str) -> Option<(Stamp, usize)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (at, end) = clock::iso(rest)?;
        let rest = rest[end..].strip_prefix("][")?;
        let (thread, rest) = rest.split_once("][")?;
        let (level, rest) = rest.split_once("][")?;
        let (_component, message) = rest.split_once("] ")?;
        let known = thread.bytes().all(|it| it.is_ascii_digit()) && is_level(level);
        return known.then(|| (at, text.len() - message.len()));
    }
    // The agent writes tabs, which a paste often has as blanks.
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].strip_prefix(['\t', ' '])?.trim_start();
    let (level, rest) = rest.split_once(['\t', ' '])?;
    let rest = rest.trim_start().strip_prefix("envoy")?;
    let message = match rest.strip_prefix(' ') {
        Some(named) => named.trim_start().split_once(['\t', ' '])?.1.trim_start(),
        None => rest.strip_prefix('\t')?,
    };
    is_level(level).then(|| (at, text.len() - message.len()))
}

fn is_level(text: &str) -> bool {
    matches!(text, "trace" | "debug" | "info" | "warning" | "warn" | "error" | "critical" | "off")
}

const ACTS: &[Phrase] = &[
    phrase("all dependencies initialized. starting workers", Sign::ProxyStarted, Trust::C),
    phrase("caught SIGTERM", Sign::ShuttingDown, Trust::C),
    phrase("shutting down admin due to", Sign::ShuttingDown, Trust::C),
    phrase("Caught Segmentation fault", Sign::ProxyWorkerCrashed, Trust::C),
    phrase("Caught Aborted", Sign::ProxyWorkerCrashed, Trust::C),
    phrase("cannot bind '", Sign::BindFailed, Trust::C),
    phrase("error initializing configuration", Sign::ConfigRefused, Trust::C),
    phrase("error initializing config ", Sign::ConfigRefused, Trust::C),
];

fn own(line: &Line, sink: &mut dyn Sink) {
    let Some((at, inset)) = own_line(&line.text) else { return };
    let message = &line.text[inset..];
    let mut put = |sign, span: Range<usize>| {
        let span = inset + span.start..inset + span.end;
        sink.event(Event::new(Product::Envoy, sign, Trust::C, span).at(Some(at)));
    };
    if let Some((found, span)) = find(ACTS, message) {
        return put(found.sign, span);
    }
    if let Some(it) = step(&message[bare(message)..]) {
        let inset = inset + bare(message);
        let span = inset + it.span.start..inset + it.span.end;
        let event = Event::new(Product::Envoy, it.sign, Trust::C, span).at(Some(at));
        return sink.event(event.upstream(it.cluster));
    }
    // What a control plane sends: `gRPC config for TYPE rejected: Error adding/updating listener(s)`.
    if message.contains("gRPC config for ")
        && let Some(start) = message.find(" rejected: ")
    {
        return put(Sign::ConfigRefused, start + 1..start + " rejected".len());
    }
    // The stream to the control plane is no request of anybody; headers of one are.
    if message.contains("gRPC config stream") || message.contains("':path'") {
        return;
    }
    if let Some(span) = coding_twice(line, message) {
        return put(Sign::CodingTwice, span);
    }
    let told = [
        "upstream reset: ",
        "remote address:",
        "transport failure reason: ",
        "TLS_error:",
        "delayed connect",
        "immediate connect",
    ];
    if !told.iter().any(|it| message.contains(it)) {
        return;
    }
    if let Some((sign, span)) = sign_of_reason(message).or_else(|| sign_of_details(message)) {
        let to = connecting_to(line, message);
        let span = inset + span.start..inset + span.end;
        let event = Event::new(Product::Envoy, sign, Trust::C, span).at(Some(at));
        sink.event(event.upstream(to));
    }
}

/// Lines before this one in which a connection's own are looked for.
const OF_CONNECTION: usize = 60;

/// `[C1884]`, or `"ConnectionId":"1884"` of newer releases.
fn connection(message: &str) -> Option<&str> {
    let at = message.find("[C").or_else(|| message.find("\"ConnectionId\":\""))?;
    let rest = &message[at..];
    let digits = rest.find(|it: char| it.is_ascii_digit()).filter(|it| *it < 20)?;
    let end = rest[digits..].find(|it: char| !it.is_ascii_digit())?;
    Some(&rest[..digits + end + 1])
}

/// `[C1884] connecting to 192.0.2.7:80`, said before of the same connection.
fn connecting_to(line: &Line, message: &str) -> Option<String> {
    let id = connection(message)?;
    line.preceding().take(OF_CONNECTION).filter(|it| it.contains(id)).find_map(|it| {
        let address = it.split_once("connecting to ")?.1.split(' ').next()?;
        is_address(address).then(|| address.to_owned())
    })
}

/// The second `Transfer-Encoding` of one head: at level trace, each header is told when it is read.
fn coding_twice(line: &Line, message: &str) -> Option<Range<usize>> {
    const HEADER: &str = "completed header: key=";
    const CODING: &str = "transfer-encoding value=";
    let is_coding = |it: &str| {
        let rest = &it[it.find(HEADER)? + HEADER.len()..];
        let name = rest.get(..CODING.len())?;
        name.eq_ignore_ascii_case(CODING).then_some(())
    };
    is_coding(message)?;
    let id = connection(message)?;
    let start = message.find(HEADER)?;
    let before = line.preceding().take(OF_CONNECTION).collect::<Vec<_>>();
    before
        .iter()
        .filter(|it| it.contains(id))
        .take_while(|it| {
            !["message begin", "message complete", " parsing "].iter().any(|end| it.contains(end))
        })
        .find_map(|it| is_coding(it))?;
    Some(start..message.trim_end().len())
}

/// One step of a request, as the log of level debug tells it.
struct Step<'a> {
    sign: Sign,
    span: Range<usize>,
    cluster: Option<&'a str>,
}

/// Where a message begins, after `[source/common/router/router.cc:454] [C0][S1] `.
fn bare(message: &str) -> usize {
    let mut rest = message;
    let placed = |it: &str| it.contains(".cc:") && it.contains('/');
    loop {
        let bracket = rest.strip_prefix('[').and_then(|it| it.split_once(']'));
        let place = rest.split_once(['\t', ' ']).filter(|it| placed(it.0));
        match bracket.or(place) {
            Some((_, after)) => rest = after.trim_start(),
            None => break,
        }
    }
    message.len() - rest.len()
}

/// envoy/source/common/router/router.cc, http/codec_client.cc: the path of a request comes after.
fn step(message: &str) -> Option<Step<'_>> {
    let said = |sign, end| Some(Step { sign, span: 0..end, cluster: None });
    if let Some(rest) = message.strip_prefix("unknown cluster '") {
        let cluster = rest.split('\'').next()?;
        let end = message.len() - rest.len() + cluster.len() + usize::from(cluster != rest);
        return Some(Step { sign: Sign::NoCluster, span: 0..end, cluster: Some(cluster) });
    }
    for (words, sign) in [
        ("no healthy host for", Sign::NoLiveUpstream),
        ("no healthy upstream host", Sign::NoLiveUpstream),
        ("connect timeout", Sign::ConnectTimedOut),
        ("upstream timeout", Sign::HeadTimedOut),
        ("upstream per try timeout", Sign::HeadTimedOut),
        ("upstream per try idle timeout", Sign::HeadTimedOut),
        ("disconnect. resetting ", Sign::Closed),
        ("no route match for URL", Sign::RouteUnknown),
        ("no cluster match for URL", Sign::RouteUnknown),
    ] {
        if message.starts_with(words) {
            return said(sign, words.trim_end().len());
        }
    }
    const REPLY: &str = "Sending local reply with details ";
    if let Some(details) = message.strip_prefix(REPLY) {
        let details = details.split(' ').next()?;
        let (sign, words) = sign_of_details(details).or_else(|| overload(details))?;
        return said(sign, REPLY.len() + words.end);
    }
    // What the upstream sent; `dispatch error: ` is of what the client sent.
    let sent = ["Error dispatching received data: ", "protocol error: ", "codec error: "];
    let inset = sent.iter().find_map(|it| message.strip_prefix(it).map(|_| it.len()))?;
    let (sign, words) = sign_of_codec(&message[inset..])?;
    said(sign, inset + words.end)
}

/// The overload manager, whose word is part of others.
fn overload(details: &str) -> Option<(Sign, Range<usize>)> {
    let word = details.split([' ', '\t', ',']).next()?;
    matches!(word, "overload" | "overload_manager").then_some((Sign::MemoryOut, 0..word.len()))
}

/// What the codec of HTTP/1 or of HTTP/2 did not take, in the words of http1/codec_impl.cc, of its
/// parser, and as details.
const CODEC: &[Phrase] = &[
    phrase(
        "both 'Content-Length' and 'Transfer-Encoding' are set",
        Sign::LengthAndChunked,
        Trust::C,
    ),
    phrase("content_length_and_chunked_not_allowed", Sign::LengthAndChunked, Trust::C),
    phrase("HPE_UNEXPECTED_CONTENT_LENGTH", Sign::LengthAndChunked, Trust::C),
    phrase("transfer encoding not allowed in 1xx or 204", Sign::HeaderBad, Trust::C),
    phrase("http1.transfer_encoding_not_allowed", Sign::HeaderBad, Trust::C),
    phrase("content length not allowed in 1xx or 204", Sign::HeaderBad, Trust::C),
    phrase("http1.content_length_not_allowed", Sign::HeaderBad, Trust::C),
    phrase("unsupported transfer encoding", Sign::CodingUnknown, Trust::C),
    phrase("http1.invalid_transfer_encoding", Sign::CodingUnknown, Trust::C),
    phrase("HPE_INVALID_TRANSFER_ENCODING", Sign::CodingUnknown, Trust::C),
    phrase("headers size exceeds limit", Sign::HeadTooBig, Trust::C),
    phrase("headers count exceeds limit", Sign::HeadTooBig, Trust::C),
    phrase("http1.headers_too_large", Sign::HeadTooBig, Trust::C),
    phrase("http1.too_many_headers", Sign::HeadTooBig, Trust::C),
    phrase("http2.too_many_headers", Sign::HeadTooBig, Trust::C),
    phrase("HPE_HEADER_OVERFLOW", Sign::HeadTooBig, Trust::C),
    phrase("HPE_INVALID_CONTENT_LENGTH", Sign::LengthInvalid, Trust::C),
    phrase("HPE_INVALID_CHUNK_SIZE", Sign::ChunkBad, Trust::C),
    phrase("HPE_INVALID_HEADER_TOKEN", Sign::HeaderBad, Trust::C),
    phrase("header value contains invalid chars", Sign::HeaderControlChar, Trust::C),
    phrase("header name contains invalid", Sign::HeaderBad, Trust::C),
    phrase("http1.invalid_characters", Sign::HeaderControlChar, Trust::C),
    phrase("http1.unexpected_underscore", Sign::HeaderBad, Trust::C),
    phrase("Invalid HTTP header field was received", Sign::HeaderBad, Trust::C),
    phrase("http2.invalid.header.field", Sign::HeaderBad, Trust::C),
    phrase("HPE_INVALID_VERSION", Sign::StatusLineBad, Trust::C),
    phrase("HPE_INVALID_STATUS", Sign::StatusLineBad, Trust::C),
    phrase("HPE_INVALID_CONSTANT", Sign::NotHttp, Trust::C),
    phrase("HPE_INVALID_METHOD", Sign::NotHttp, Trust::C),
    phrase("extraneous data after response complete", Sign::LengthLong, Trust::C),
    phrase("http1.codec_error", Sign::ProtocolError, Trust::C),
    phrase("http/1.1 protocol error", Sign::ProtocolError, Trust::C),
];

fn sign_of_codec(own: &str) -> Option<(Sign, Range<usize>)> {
    find(CODEC, own).map(|(found, words)| (found.sign, words))
}

/// The texts of answers begin a line; pieces of access lines may stand anywhere in one.
fn body(text: &str) -> Option<(Sign, Range<usize>)> {
    const ANSWERS: &[Phrase] = &[
        phrase("upstream request timeout", Sign::HeadTimedOut, Trust::C),
        phrase("no healthy upstream", Sign::NoLiveUpstream, Trust::C),
        phrase("stream timeout", Sign::HeadTimedOut, Trust::C),
    ];
    const RESET: &str = "upstream connect error or disconnect/reset before headers";
    if let Some(at) = text.find(RESET).filter(|at| stands_alone(&text[..*at])) {
        let rest = &text[at..];
        let (sign, end) = match sign_of_reason(rest).or_else(|| sign_of_details(rest)) {
            Some((sign, span)) => (sign, span.end),
            None => (Sign::Disconnected, RESET.len()),
        };
        return Some((sign, at..at + end));
    }
    let trimmed = text.trim().trim_end_matches(['.', '"', '\'', '}', ',', ')']);
    let answer = ANSWERS.iter().find(|it| {
        trimmed.strip_suffix(it.text).is_some_and(|before| answers(before.trim_start()))
    });
    if let Some(answer) = answer {
        let end = span_of(text, trimmed).end;
        return Some((answer.sign, end - answer.text.len()..end));
    }
    let trimmed = text.trim().trim_end_matches('.');
    // A piece of an access line begins with its flags or details, or with a TLS error.
    let own = text.trim_start_matches(|it: char| it.is_ascii_digit() || it == ' ');
    let inset = text.len() - own.len();
    let first = own.split(' ').next()?;
    let flags = first.split(',').all(|it| flag(it).is_some());
    let details = is_details(own) && own.starts_with("upstream_reset");
    let tls = own.starts_with("TLS error: ") || own.starts_with("TLS_error:");
    let plain = matches!(trimmed, "no_healthy_upstream" | "cluster_not_found" | "route_not_found");
    let connect = own.starts_with("delayed connect error: ");
    if !(flags && own.contains("upstream_reset") || details || tls || plain || connect) {
        return between_quotes(text);
    }
    let own = &own[..own.find(" \"-\" \"").unwrap_or(own.len())];
    let (sign, span) = sign_of_reason(own).or_else(|| sign_of_details(own))?;
    Some((sign, inset + span.start..inset + span.end))
}

/// Requests that a table or a metric counts by their flags.
struct Counted {
    sign: Sign,
    span: Range<usize>,
    status: u16,
    requests: u64,
}

/// More requests of a row, and more rows, are not told one by one.
const MOST: u64 = 100;
const ROWS: usize = 60;

/// `istio_requests_total{…,response_code="503",response_flags="UO",…} 21`.
fn counted(text: &str) -> Option<Counted> {
    let labels = text.trim_start().strip_prefix("istio_requests_total{")?;
    let (labels, value) = labels.rsplit_once('}')?;
    let status = between(labels, "response_code=\"", "\"").and_then(flat::status)?;
    let flags = between(labels, "response_flags=\"", "\"")?;
    let sign = flags.split(',').find_map(|it| flag(it)?).filter(|_| 500 <= status)?;
    let requests = number(value.trim_start()).and_then(|it| u64::try_from(it).ok())?.min(MOST);
    Some(Counted { sign, span: span_of(text, flags), status, requests })
}

/// The columns of a table by flags: what parts them, how many there are, and which hold what.
struct Columns {
    mark: char,
    all: usize,
    flags: usize,
    status: usize,
    requests: Option<usize>,
}

/// `Number of requests | response_code | response_flags`, with any marks between.
fn head(text: &str) -> Option<Columns> {
    if !text.contains("response_flags") || text.len() > 300 || text.contains(['"', '{', '=']) {
        return None;
    }
    let mark = ['|', '\t', ','].into_iter().find(|it| text.contains(*it))?;
    let names: Vec<String> = cells(text, mark).map(str::to_ascii_lowercase).collect();
    let place = |wanted: &[&str]| names.iter().position(|it| wanted.contains(&it.as_str()));
    Some(Columns {
        mark,
        all: names.len(),
        flags: place(&["response_flags"])?,
        status: place(&["response_code", "status", "code"])?,
        requests: names.iter().position(|it| it.starts_with("number") || it.contains("count")),
    })
}

fn cells(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).map(str::trim).filter(|it| !it.is_empty())
}

/// The rows below a head: each counts requests of one status and its flags.
fn table(line: &Line, sink: &mut dyn Sink) {
    let Some(columns) = head(&line.text) else { return };
    for below in line.below().take(ROWS) {
        let row: Vec<&str> = cells(&below.text, columns.mark).take(columns.all + 1).collect();
        if row.len() != columns.all {
            return;
        }
        let status = flat::status(row[columns.status]).filter(|it| 500 <= *it);
        let sign = row[columns.flags].split(',').find_map(|it| flag(it)?);
        let Some((status, sign)) = status.zip(sign) else { continue };
        let requests = columns.requests.and_then(|at| row[at].parse::<u64>().ok()).unwrap_or(1);
        let span = span_of(&below.text, row[columns.flags]);
        for _ in 0..requests.min(MOST) {
            let event = Event::new(Product::Envoy, sign, Trust::C, span.clone());
            sink.event_below(&below, event.status(Some(status)));
        }
    }
}

/// `response_flags="UF"`, as dashboards and queries show it.
fn between_quotes(text: &str) -> Option<(Sign, Range<usize>)> {
    let text = text.trim_start();
    if !text.starts_with("response_flags") {
        return None;
    }
    let value = between(text, "=\"", "\"").or_else(|| Some(text.split_once(": ")?.1))?;
    let sign = value.split(',').find_map(|it| flag(it)?)?;
    Some((sign, span_of(text, value)))
}

/// Nothing before an answer, or what a client of gRPC or a tool writes there.
fn answers(before: &str) -> bool {
    let before = before.trim_end();
    let status = before.trim_end_matches([':', '-', ' ']).ends_with("Service Unavailable");
    before.is_empty()
        || before.len() < 160
            && (before.ends_with("desc =") || before.ends_with("details = \"") || status)
        || matches!(
            before,
            "\"" | "<" | "body:" | "Body:" | "Response:" | "response:" | "HTTP 503:" | "503"
        )
}

/// Nothing before it, or what shows a text as a value: a quote, a bracket, a label with a colon.
fn stands_alone(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.len() < 80 && before.ends_with(['"', '\'', ':', '>', '=', '`', '<'])
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_last, check_nothing};

    #[test]
    fn flags_details_and_reason_make_the_sign() {
        check(
            "[2026-11-20T15:16:30.123Z] \"GET /data HTTP/1.1\" 503 UF,URX \
             upstream_reset_before_response_started{connection_failure} - \"delayed connect error: \
             113\" 0 91 0 - \"-\" \"curl/8.0\" \"b54e\" \"a.example.com\" \"192.0.2.10:80\" \
             outbound|80||a.default.svc.cluster.local - - - - default",
            "served 503; Envoy: HostUnreachable upstream=192.0.2.10:80 \
             who=outbound|80||a.default.svc.cluster.local status=503 | delayed connect error: 113",
        );
        check(
            "[2026-11-20T15:16:30.123Z] \"GET / HTTP/2\" 503 UC \
             upstream_reset_before_response_started{connection_termination} - \"-\" 0 95 3 - \"-\" \
             \"x\" \"id\" \"a\" \"192.0.2.10:80\" c - - - - -",
            "served 503; Envoy: Closed upstream=192.0.2.10:80 who=c status=503 | \
             upstream_reset_before_response_started{connection_termination}",
        );
        check(
            "[2026-11-20T15:16:30.123Z] \"GET / HTTP/1.1\" 503 UH 0 19 0 - \"-\" \"x\" \"id\" \"a\" \"-\"",
            "served 503; Envoy: NoLiveUpstream status=503 | UH",
        );
        check(
            "[2026-11-20T15:16:30.123Z] \"POST / HTTP/1.1\" 503 - via_upstream - \"-\" 3 19 5 4 \"-\" \
             \"x\" \"id\" \"a\" \"192.0.2.10:80\" inbound|80|| - - - - -",
            "served 503; Envoy: RelayedError upstream=192.0.2.10:80 who=inbound|80|| status=503 | \
             via_upstream",
        );
    }

    #[test]
    fn json_is_told_by_values_whatever_the_names() {
        check(
            r#"{"rc":503,"why":"upstream_reset_before_response_started{overflow}","to":"-"}"#,
            "served 503; Envoy: ConnectionLimit status=503 | \
             upstream_reset_before_response_started{overflow}",
        );
        check(
            r#"{"response_code":503,"response_flags":"UF","response_code_details":"upstream_reset_before_response_started{remote_connection_failure}","upstream_transport_failure_reason":"TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end","upstream_host":"192.0.2.1:443"}"#,
            "served 503; Envoy: TlsToPlain upstream=192.0.2.1:443 status=503 | WRONG_VERSION_NUMBER",
        );
        check_nothing(r#"{"status":200,"user_agent":"via_upstream","details":"x"}"#);
        check_nothing(
            r#"{"status":503,"user_agent":"upstream_reset_before_response_started{overflow}"}"#,
        );
    }

    #[test]
    fn what_callers_paste_is_read() {
        check(
            "upstream connect error or disconnect/reset before headers. retried and the latest reset \
             reason: remote connection failure, transport failure reason: delayed connect error: 111",
            "Envoy: ConnectRefused | upstream connect error or disconnect/reset before headers. \
             retried and the latest reset reason: remote connection failure, transport failure \
             reason: delayed connect error: 111",
        );
        check(
            "upstream connect error or disconnect/reset before headers",
            "Envoy: Disconnected | upstream connect error or disconnect/reset before headers",
        );
        check("no healthy upstream", "Envoy: NoLiveUpstream | no healthy upstream");
        check(
            "TLS error: 268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
            "Envoy: CertRefused | CERTIFICATE_VERIFY_FAILED",
        );
        check_nothing("we had no healthy upstream yesterday");
    }

    #[test]
    fn healthy_requests_and_callers_words_say_nothing() {
        check_nothing(
            "[2026-11-20T15:16:30.123Z] \"GET /upstream_reset_before_response_started{overflow} \
             HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 1 1 \"-\" \"UF no_healthy_upstream\" \"id\" \
             \"a\" \"192.0.2.10:80\" c - - - - -",
        );
    }

    #[test]
    fn each_of_its_own_replies_says_why() {
        for (details, want) in [
            ("upgrade_failed", "UpgradeRefused"),
            ("no_healthy_upstream", "NoLiveUpstream"),
            ("max_duration_timeout", "Deadline"),
            ("request_overall_timeout", "ClientSlow"),
            ("route_configuration_not_found", "RouteUnknown"),
            ("filter_chain_not_found", "RouteUnknown"),
            ("reached_concurrency_limit", "ConnectionLimit"),
            ("overload", "MemoryOut"),
            ("missing_host_header", "RequestUnreadable"),
            ("low_version", "RequestUnreadable"),
            ("http2.violation.of.messaging.rule", "ProtocolError"),
            ("upstream_response_timeout", "HeadTimedOut"),
        ] {
            check(
                &format!(
                    "2026-11-20T15:16:30.123456Z\tdebug\tenvoy http external/envoy/source/common/http/filter_manager.cc:1077\t[Tags: \"ConnectionId\":\"3\",\"StreamId\":\"4\"] Sending local reply with details {details}\tthread=32"
                ),
                &format!("Envoy: {want} | Sending local reply with details {details}"),
            );
        }
        check(
            "[2026-11-20 15:16:30.123][17][debug][pool] [source/common/conn_pool/conn_pool_base.cc:793] [C12] connect timeout",
            "Envoy: ConnectTimedOut | connect timeout",
        );
        check(
            "[2026-11-20 15:16:30.123][17][debug][client] [source/common/http/codec_client.cc:142] [C12] disconnect. resetting 1 pending requests",
            "Envoy: Closed | disconnect. resetting",
        );
        check_nothing(
            "2026-11-20T15:16:30.123456Z\tdebug\tenvoy http x.cc:1\t'user-agent', 'Sending local reply with details upgrade_failed'",
        );
    }

    #[test]
    fn its_log_of_a_request_is_read() {
        for (line, want) in [
            (
                "[2026-11-20 15:16:30.123][17][debug][router] [source/common/router/router.cc:454] \
                 [C0][S118] unknown cluster 'shop'",
                "Envoy: NoCluster upstream=shop | unknown cluster 'shop'",
            ),
            (
                "2026-11-20T15:16:30.123456Z     debug   envoy http      [C0][S118] Sending local \
                 reply with details cluster_not_found",
                "Envoy: NoCluster | Sending local reply with details cluster_not_found",
            ),
            (
                "2026-11-20T15:16:30.123456Z\tdebug\tenvoy client external/envoy/x.cc:1\t[Tags: \
                 \"ConnectionId\":\"3\"] Error dispatching received data: http/1.1 protocol error: \
                 transfer encoding not allowed in 1xx or 204",
                "Envoy: HeaderBad | Error dispatching received data: http/1.1 protocol error: \
                 transfer encoding not allowed in 1xx or 204",
            ),
            (
                "[2026-11-20 15:16:30.123][17][debug][client] [source/common/http/codec_client.cc:1] \
                 [C5] protocol error: http/1.1 protocol error: both 'Content-Length' and \
                 'Transfer-Encoding' are set.",
                "Envoy: LengthAndChunked | protocol error: http/1.1 protocol error: both \
                 'Content-Length' and 'Transfer-Encoding' are set",
            ),
        ] {
            check(line, want);
        }
        check_nothing(
            "[2026-11-20 15:16:30.123][17][debug][http] [source/x.cc:1] [C5] dispatch error: \
             http/1.1 protocol error: HPE_INVALID_METHOD",
        );
        check_nothing(
            "[2026-11-20 15:16:30.123][17][debug][router] [source/x.cc:1] [C0][S118] cluster 'shop' \
             match for URL '/unknown cluster 'a''",
        );
    }

    #[test]
    fn codecs_and_cut_lines_are_read() {
        check(
            r#"{"response_code":502,"response_flags":"UPE","response_code_details":"upstream_reset_before_response_started{protocol_error|http1.content_length_and_chunked_not_allowed}","upstream_host":"192.0.2.1:80"}"#,
            "served 502; Envoy: LengthAndChunked upstream=192.0.2.1:80 status=502 | \
             content_length_and_chunked_not_allowed",
        );
        check_nothing(
            r#"{"response_code":400,"response_flags":"DPE","response_code_details":"http1.codec_error","upstream_host":null}"#,
        );
        check(
            "[2026-11-20T15:16:30.123Z] \"GET / HTTP/1.1\" 503 UC \
             upstream_reset_before_response_started{connection_termination} - \"-\" 0 95",
            "served 503; Envoy: Closed status=503 | \
             upstream_reset_before_response_started{connection_termination}",
        );
        check(
            "rpc error: code = Unavailable desc = no healthy upstream",
            "Envoy: NoLiveUpstream | no healthy upstream",
        );
    }

    #[test]
    fn an_error_of_connecting_names_the_address() {
        let head = "[2026-11-20 15:16:30.123][12][debug][connection] [source/common/network/connection_impl.cc:703] ";
        check_last(
            &format!(
                "{head}[C18] connecting to 192.0.2.7:80\n{head}[C18] connection in progress\n{head}[C18] delayed connection error: 113"
            ),
            "Envoy: HostUnreachable upstream=192.0.2.7:80 | delayed connection error: 113",
        );
        check_nothing(&format!("{head}[C18] connected"));
    }

    #[test]
    fn a_coding_is_told_twice_in_one_head_only() {
        let coding = "2026-11-20T15:16:30.393303Z trace envoy http  [C7] completed header: key=Transfer-Encoding value=chunked";
        check_last(
            &format!(
                "{coding}\n2026-11-20T15:16:30.393305Z trace envoy http  [C7] onHeadersCompleteBase\n{coding}"
            ),
            "Envoy: CodingTwice | completed header: key=Transfer-Encoding value=chunked",
        );
        check_nothing(coding);
        let other = coding.replace("[C7]", "[C8]");
        let ends = "2026-11-20T15:16:30.393305Z trace envoy http  [C7] message complete";
        for before in [other, format!("{coding}\n{ends}")] {
            check_last(&format!("{before}\n{coding}"), "");
        }
    }

    #[test]
    fn tables_and_metrics_count_by_flags() {
        let head = "Number of requests | response_code | response_flags\n-- | -- | --\n";
        let one = "Envoy: ConnectionLimit status=503 | UO";
        check(&format!("{head}2 | 503 | UO"), &format!("{one}; {one}"));
        check("response_code\tresponse_flags\n503\tUO", one);
        check_nothing(&format!("{head}2 | 200 | -"));
        check_nothing("2 | 503 | UO");
        check(
            "istio_requests_total{reporter=\"source\",response_code=\"503\",response_flags=\"UF,URX\",destination_app=\"shop\"} 1",
            "Envoy: ConnectFailed status=503 | UF,URX",
        );
        check_nothing("istio_requests_total{response_code=\"200\",response_flags=\"-\"} 100");
    }

    #[test]
    fn its_own_log_is_read() {
        check(
            "[2026-11-20 15:16:30.123][17][info][main] [source/server/server.cc:1] caught SIGTERM",
            "Envoy: ShuttingDown | caught SIGTERM",
        );
    }
}
