//! Failures in lines of programs that no reader knows: words for an error of the system, of TLS, of
//! names or of HTTP that stand anywhere in a message.
//!
//! This is the last resort. Who says it of what is not known, so the trust is the lowest there is, and
//! it counts only where nothing else in all inputs has failed. What may be a caller's words, calm,
//! documentation or code is left out, even where that loses some.

use super::pasted;
use super::raised::dependency;
use crate::address;
use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::span_of;
use crate::sign::Sign;
use crate::trust::Trust;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::ops::Range;
use std::sync::LazyLock;

/// Words whose first letter may be either, written without it; the more telling first.
const CUT: &[(&str, Sign)] = &[
    ("annot assign requested address", Sign::NoLocalPort),
    ("an't assign requested address", Sign::NoLocalPort),
    ("oo many open files", Sign::AppFdExhausted),
    ("o space left on device", Sign::AppDiskFull),
    ("isk quota exceeded", Sign::AppDiskFull),
    ("annot allocate memory", Sign::HeapExhausted),
    ("ut of memory", Sign::HeapExhausted),
    ("ddress already in use", Sign::PortInUse),
    ("onnection refused", Sign::ConnectRefused),
    ("ctively refused", Sign::ConnectRefused),
    ("o route to host", Sign::HostUnreachable),
    ("ost is unreachable", Sign::HostUnreachable),
    ("etwork is unreachable", Sign::NetworkUnreachable),
    ("o such host", Sign::NameNotFound),
    ("ame or service not known", Sign::NameNotFound),
    ("odename nor servname provided", Sign::NameNotFound),
    ("ould not resolve host", Sign::NameNotFound),
    ("o address associated with hostname", Sign::NameNotFound),
    ("emporary failure in name resolution", Sign::NameTimedOut),
    ("ame resolution failed", Sign::NameUnresolved),
    ("ame does not resolve", Sign::NameNotFound),
    ("ertificate has expired", Sign::CertExpired),
    ("ertificate expired", Sign::CertExpired),
    ("ertificate is not yet valid", Sign::CertExpired),
    ("elf signed certificate in certificate chain", Sign::CertUntrusted),
    ("elf-signed certificate in certificate chain", Sign::CertUntrusted),
    ("elf signed certificate", Sign::CertSelfSigned),
    ("elf-signed certificate", Sign::CertSelfSigned),
    ("nable to get local issuer certificate", Sign::CertUntrusted),
    ("nable to verify the first certificate", Sign::CertIncomplete),
    ("nable to find valid certification path", Sign::CertUntrusted),
    ("ertificate signed by unknown authority", Sign::CertUntrusted),
    ("ertificate verify failed", Sign::CertRefused),
    ("ertificate verification failed", Sign::CertRefused),
    ("emote certificate is invalid", Sign::CertRefused),
    ("ostname mismatch", Sign::CertWrongName),
    ("o subject alternative", Sign::CertWrongName),
    ("rong version number", Sign::TlsToPlain),
    ("nsupported or unrecognized SSL message", Sign::TlsToPlain),
    ("irst record does not look like a TLS handshake", Sign::TlsToPlain),
    ("annot determine the frame size or a corrupted frame", Sign::TlsToPlain),
    ("ot an SSL/TLS record", Sign::TlsToPlain),
    ("o appropriate protocol", Sign::TlsVersion),
    ("lert protocol version", Sign::TlsVersion),
    ("o cipher suites in common", Sign::TlsCipher),
    ("o shared cipher", Sign::TlsCipher),
    ("lert handshake failure", Sign::TlsCipher),
    ("nrecognized name", Sign::TlsNameRejected),
    ("emote host terminated the handshake", Sign::TlsClosed),
    ("emote host closed connection during handshake", Sign::TlsClosed),
    ("onnection reset", Sign::Reset),
    ("orcibly closed by the remote host", Sign::Reset),
    ("roken pipe", Sign::SendBroken),
    ("ocket hang up", Sign::Closed),
    ("ther side closed", Sign::Closed),
    ("onnection prematurely closed", Sign::Closed),
    ("onnection closed before", Sign::Closed),
    ("onnection was closed", Sign::Closed),
    ("onnection closed unexpectedly", Sign::Closed),
    ("erver disconnected without sending a response", Sign::Closed),
    ("emote end closed connection without response", Sign::Closed),
    ("ailed to respond", Sign::Closed),
    ("mpty reply from server", Sign::Closed),
    ("esponse ended prematurely", Sign::BodyCut),
    ("nexpected EOF", Sign::Closed),
    ("onnection timed out", Sign::ConnectTimedOut),
    ("onnect timed out", Sign::ConnectTimedOut),
    ("onnect Timeout Error", Sign::ConnectTimedOut),
    ("ead timed out", Sign::HeadTimedOut),
    ("equest timed out", Sign::HeadTimedOut),
    ("esponse timed out", Sign::HeadTimedOut),
    ("peration timed out", Sign::ConnectTimedOut),
    ("pstream timed out", Sign::HeadTimedOut),
    ("eaders Timeout Error", Sign::HeadTimedOut),
    ("imeout awaiting response headers", Sign::HeadTimedOut),
    ("ontext deadline exceeded", Sign::HeadTimedOut),
    ("alformed HTTP response", Sign::NotHttp),
    ("nvalid HTTP version", Sign::NotHttp),
    ("nvalid version format", Sign::NotHttp),
    ("ueue is full", Sign::PoolExhausted),
    ("ueue full", Sign::PoolExhausted),
    ("hread pool is EXHAUSTED", Sign::PoolExhausted),
    ("hread pool exhausted", Sign::PoolExhausted),
    ("onnection pool exhausted", Sign::DbPoolExhausted),
    ("onnection pool is exhausted", Sign::DbPoolExhausted),
    ("imeout waiting for connection from pool", Sign::QueueTimedOut),
    ("ending acquire queue has reached its maximum", Sign::ConnectionLimit),
    ("ailed to connect to all addresses", Sign::ConnectFailed),
    ("onnection with the server could not be established", Sign::ConnectFailed),
    ("o healthy upstream", Sign::NoLiveUpstream),
    ("o live upstream", Sign::NoLiveUpstream),
    ("o available server", Sign::NoLiveUpstream),
    ("o endpoints available", Sign::NoEndpoints),
    ("o servers available for service", Sign::NoEndpoints),
    ("nable to find instance for", Sign::NoEndpoints),
];

/// Names and codes, which are written in one way only.
const WHOLE: &[(&str, Sign)] = &[
    ("EADDRNOTAVAIL", Sign::NoLocalPort),
    ("EMFILE", Sign::AppFdExhausted),
    ("ENFILE", Sign::AppFdExhausted),
    ("ENOSPC", Sign::AppDiskFull),
    ("ENOMEM", Sign::HeapExhausted),
    ("OutOfMemoryError", Sign::HeapExhausted),
    ("OutOfMemoryException", Sign::HeapExhausted),
    ("OOMKilled", Sign::OomKilled),
    ("signal: killed", Sign::OomKilled),
    ("EADDRINUSE", Sign::PortInUse),
    ("ECONNREFUSED", Sign::ConnectRefused),
    ("ConnectionRefused", Sign::ConnectRefused),
    ("EHOSTUNREACH", Sign::HostUnreachable),
    ("NoRouteToHostException", Sign::HostUnreachable),
    ("ENETUNREACH", Sign::NetworkUnreachable),
    ("ENOTFOUND", Sign::NameNotFound),
    ("EAI_AGAIN", Sign::NameTimedOut),
    ("UnknownHostException", Sign::NameNotFound),
    ("NXDOMAIN", Sign::NameNotFound),
    ("SERVFAIL", Sign::NameServerFailed),
    ("server misbehaving", Sign::NameServerFailed),
    ("CERT_HAS_EXPIRED", Sign::CertExpired),
    ("CertificateExpiredException", Sign::CertExpired),
    ("SELF_SIGNED_CERT_IN_CHAIN", Sign::CertUntrusted),
    ("DEPTH_ZERO_SELF_SIGNED_CERT", Sign::CertSelfSigned),
    ("UNABLE_TO_GET_ISSUER_CERT", Sign::CertUntrusted),
    ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", Sign::CertIncomplete),
    ("PKIX path building failed", Sign::CertUntrusted),
    ("PKIX path validation failed", Sign::CertRefused),
    ("UntrustedRoot", Sign::CertUntrusted),
    ("PartialChain", Sign::CertIncomplete),
    ("RemoteCertificateNameMismatch", Sign::CertWrongName),
    ("RemoteCertificateChainErrors", Sign::CertUntrusted),
    ("ERR_TLS_CERT_ALTNAME_INVALID", Sign::CertWrongName),
    ("does not match certificate's altnames", Sign::CertWrongName),
    ("doesn't contain any IP SANs", Sign::CertNoIpSan),
    ("UnknownIssuer", Sign::CertUntrusted),
    ("NotValidForName", Sign::CertWrongName),
    ("CERTIFICATE_VERIFY_FAILED", Sign::CertRefused),
    ("WRONG_VERSION_NUMBER", Sign::TlsToPlain),
    ("NotSslRecordException", Sign::TlsToPlain),
    ("InvalidContentType", Sign::TlsToPlain),
    ("server gave HTTP response to HTTPS client", Sign::TlsToPlain),
    ("HTTP request to an HTTPS server", Sign::PlainToTlsPort),
    ("plain HTTP request was sent to HTTPS port", Sign::PlainToTlsPort),
    ("UNSUPPORTED_PROTOCOL", Sign::TlsVersion),
    ("TLSV1_ALERT_PROTOCOL_VERSION", Sign::TlsVersion),
    ("HANDSHAKE_FAILURE", Sign::TlsCipher),
    ("handshake_failure", Sign::TlsCipher),
    ("unrecognized_name", Sign::TlsNameRejected),
    ("bad_certificate", Sign::TlsClientCertRejected),
    ("certificate_required", Sign::TlsClientCertRequired),
    ("no_application_protocol", Sign::AlpnMismatch),
    ("TLS handshake timeout", Sign::TlsTimedOut),
    ("SSLHandshakeException", Sign::TlsFailed),
    ("SSL handshake failed", Sign::TlsFailed),
    ("TLS handshake failed", Sign::TlsFailed),
    ("ECONNRESET", Sign::Reset),
    ("EPIPE", Sign::SendBroken),
    ("PrematureCloseException", Sign::Closed),
    ("RemoteDisconnected", Sign::Closed),
    ("NoHttpResponseException", Sign::Closed),
    ("ServerDisconnectedError", Sign::Closed),
    ("RemoteProtocolError", Sign::Closed),
    ("UND_ERR_SOCKET", Sign::Closed),
    ("ETIMEDOUT", Sign::ConnectTimedOut),
    ("ConnectTimeoutException", Sign::ConnectTimedOut),
    ("UND_ERR_CONNECT_TIMEOUT", Sign::ConnectTimedOut),
    ("i/o timeout", Sign::ConnectTimedOut),
    ("SocketTimeoutException", Sign::HeadTimedOut),
    ("ReadTimeoutException", Sign::HeadTimedOut),
    ("UND_ERR_HEADERS_TIMEOUT", Sign::HeadTimedOut),
    ("DEADLINE_EXCEEDED", Sign::HeadTimedOut),
    ("DeadlineExceeded", Sign::HeadTimedOut),
    ("UND_ERR_BODY_TIMEOUT", Sign::BodyStalled),
    ("HPE_INVALID_CONSTANT", Sign::NotHttp),
    ("HPE_HEADER_OVERFLOW", Sign::HeadTooBig),
    ("HPE_INVALID_HEADER_TOKEN", Sign::HeaderBad),
    ("HPE_UNEXPECTED_CONTENT_LENGTH", Sign::LengthAndChunked),
    ("BadStatusLine", Sign::StatusLineBad),
    ("TooLongHttpHeaderException", Sign::HeadTooBig),
    ("RejectedExecutionException", Sign::PoolExhausted),
    ("TaskRejectedException", Sign::PoolExhausted),
    ("BulkheadFullException", Sign::AppConcurrencyLimit),
    ("PoolAcquireTimeoutException", Sign::QueueTimedOut),
    ("PoolAcquirePendingLimitException", Sign::ConnectionLimit),
    ("CallNotPermittedException", Sign::CircuitOpen),
    ("BrokenCircuitException", Sign::CircuitOpen),
    ("ConnectionPoolTooBusyException", Sign::ConnectionLimit),
    ("UNAVAILABLE: io exception", Sign::ConnectFailed),
    ("ms exceeded", Sign::HeadTimedOut),
    ("upgrade_failed", Sign::UpgradeRefused),
    ("502 Bad Gateway", Sign::CallerSawError),
    ("503 Service Unavailable", Sign::CallerSawError),
    ("503 Service Temporarily Unavailable", Sign::CallerSawError),
    ("504 Gateway Time", Sign::CallerSawError),
    ("status code 502", Sign::CallerSawError),
    ("status code 503", Sign::CallerSawError),
    ("status code 504", Sign::CallerSawError),
];

/// What one search finds lines by.
pub(crate) fn hooks() -> impl Iterator<Item = &'static str> {
    CUT.iter().chain(WHOLE).map(|(words, _)| *words)
}

static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::LeftmostLongest)
        .build(hooks())
        .expect("words are short texts")
});

/// The failure that a line speaks of, if no reader makes anything of it.
pub(crate) fn said<'a>(line: &'a Line<'_>) -> Option<Event<'a>> {
    let text = &*line.text;
    if !WORDS.is_match(text) || is_calm(text) {
        return None;
    }
    let logged = pasted::is_logged(text);
    let found = pasted::messages(text).into_iter().find_map(|message| {
        let (sign, span) = of_message(message, text, logged)?;
        let upstream = dialled(message, &span);
        let of = upstream.and_then(address::port).and_then(dependency);
        let sign = of.filter(|_| is_of_address(sign)).unwrap_or(sign);
        let words = &message[span.clone()];
        let status = |it: &str| it.parse().ok().filter(|it| (500..600).contains(it));
        let number = words.split(' ').find_map(status);
        let event = Event::new(Product::Unknown, sign, Trust::E, span_of(text, &message[span]));
        Some(event.upstream(upstream).number(number))
    })?;
    Some(found.at(crate::scan::leading_time(text).or(Lead::of(text).at)))
}

/// What the most telling of these words say, whoever they are of.
pub(crate) fn sign_of(text: &str) -> Option<Sign> {
    let text = crate::scan::clip(text, 1000);
    let rank = WORDS.find_iter(text).map(|it| it.pattern().as_usize()).min()?;
    CUT.iter().chain(WHOLE).nth(rank).map(|it| it.1)
}

/// The most telling words of a message that are its own.
fn of_message(message: &str, line: &str, logged: bool) -> Option<(Sign, Range<usize>)> {
    const TRIES: usize = 16;
    let found = WORDS.find_iter(message).take(TRIES).filter_map(|it| {
        let rank = it.pattern().as_usize();
        let cut = rank < CUT.len();
        let sign = CUT.iter().chain(WHOLE).nth(rank)?.1;
        let first = |at: &usize| message.as_bytes().get(*at).is_some_and(u8::is_ascii_alphabetic);
        let start = match cut {
            true => it.start().checked_sub(1).filter(first)?,
            false => it.start(),
        };
        let span = start..it.end();
        let (before, after) = (&message[..start], &message[it.end()..]);
        let apart = !before.ends_with(|it: char| it.is_ascii_alphanumeric() || it == '_')
            || !cut && before.ends_with('.')
            || message[span.clone()].starts_with("ms ");
        let whole = !after.starts_with(|it: char| it.is_ascii_lowercase())
            || message[span.clone()].ends_with("Time");
        let own = apart && whole && is_outside(before) && !is_denied(before, after);
        let told = own && (logged || is_told(before, &message[span.clone()], after, line));
        let behind = !of_either_side(sign) || !is_of_client(line);
        (told && behind).then_some((rank, sign, span))
    });
    found.min_by_key(|(rank, ..)| *rank).map(|(_, sign, span)| (sign, span))
}

/// Faults that a server meets with its clients just as with its upstreams.
fn of_either_side(sign: Sign) -> bool {
    use Sign::*;
    matches!(
        sign,
        Reset
            | Closed
            | SendBroken
            | BodyCut
            | BodyStalled
            | HeadTimedOut
            | ConnectTimedOut
            | NotHttp
            | HeaderBad
            | HeadTooBig
            | StatusLineBad
            | CertExpired
            | CertRefused
            | CertUntrusted
            | TlsToPlain
            | PlainToTlsPort
            | TlsVersion
            | TlsCipher
            | TlsClosed
            | TlsTimedOut
            | TlsFailed
            | TlsNameRejected
            | TlsClientCertRequired
            | TlsClientCertRejected
            | AlpnMismatch
    )
}

fn is_of_client(line: &str) -> bool {
    const WORDS: [&str; 32] = [
        "client disconnect",
        "client closed",
        "client connection",
        "client went",
        "client abort",
        "client has",
        "client sent",
        "client request",
        "client did",
        "client reset",
        "client timeout",
        "clients",
        "Client disconnect",
        "Client closed",
        "Client connection",
        "Client reset",
        "ClientAbort",
        "the client",
        "by client",
        "from client",
        "to client",
        "[client",
        "client=",
        "client:",
        "client_ip",
        "ownstream",
        "nbound",
        "rowser",
        "SSL_accept",
        "accept",
        "andshake error from",
        "ncoming",
    ];
    const ANSWERING: [&str; 7] = [
        "riting response",
        "rite response",
        "ending response",
        "end response",
        "riting the response",
        "rite: ",
        "reply to ",
    ];
    WORDS.iter().chain(&ANSWERING).any(|it| line.contains(it))
}

fn is_of_address(sign: Sign) -> bool {
    use Sign::*;
    matches!(sign, ConnectRefused | ConnectTimedOut | HostUnreachable | NetworkUnreachable)
}

/// Outside of quotes, of a page, and of what is asked for; braces are those of an error that is shown
/// as its language shows it.
fn is_outside(before: &str) -> bool {
    if before.contains(['<', '?']) || before.contains('{') && !before.contains("rror") {
        return false;
    }
    /// What gRPC quotes is its own error.
    const OWN: [&str; 3] = ["desc = ", "details = ", "debug_error_string = "];
    let mut quotes = 0;
    let mut escaped = false;
    for (at, it) in before.bytes().enumerate() {
        let own = || OWN.iter().any(|it| before[..at].ends_with(it));
        quotes += usize::from(it == b'"' && !escaped && !own());
        escaped = it == b'\\' && !escaped;
    }
    quotes % 2 == 0
        && before.matches("\\\"").count().is_multiple_of(2)
        && before.matches('`').count().is_multiple_of(2)
        && !is_path(before)
}

/// Whether the word that goes on here is the path or the address of a request.
fn is_path(before: &str) -> bool {
    let word = before.rsplit([' ', '\t', '"', '=', '(']).next().unwrap_or("");
    word.contains('/') && !word.ends_with([':', ')'])
}

/// Words around that say the contrary, or make a name of it: `no connection refused`,
/// `connection reset: 0`, `queue full = false`, `i/o timeout (default 30s)`.
fn is_denied(before: &str, after: &str) -> bool {
    const NONE: [&str; 16] = [
        "0 ",
        "no ",
        "No ",
        "not ",
        "without ",
        "zero ",
        "never ",
        "any ",
        "on ",
        "avoid ",
        "prevent ",
        "handle ",
        "ignore ",
        "ignoring ",
        "0x",
        "than ",
    ];
    const THEN: [&str; 14] = [
        " 0",
        "=0",
        ": 0",
        "=\"0",
        " = 0",
        "=false",
        ": false",
        " = false",
        " (default",
        " set to",
        " threshold",
        " handler",
        " count",
        "?",
    ];
    // Codes in a row are a setting.
    let code = |it: u8| it.is_ascii_uppercase() || it == b'_';
    let listed = ["ECO", "ETI", "EPI", "EAI", "ENO", "EHO", "ENE", "EAD", "UND", "HPE"];
    let next = after.trim_start_matches([',', ' ', '|', '/']);
    let row = after.starts_with([',', '|', '/']) && listed.iter().any(|it| next.starts_with(it))
        || before
            .trim_end()
            .strip_suffix([',', '|', '/'])
            .is_some_and(|it| it.bytes().rev().take(4).filter(|it| code(*it)).count() == 4);
    row || NONE.iter().any(|it| before.ends_with(it)) || THEN.iter().any(|it| after.starts_with(it))
}

/// Whether a line without a time or a level speaks of a failure all the same: as the end of what was
/// done, behind the word error, and not as prose, code or help.
fn is_told(before: &str, words: &str, after: &str, line: &str) -> bool {
    const FAILED: [&str; 18] = [
        "rror",
        "ailed",
        "ailure",
        "FATAL",
        "fatal",
        "panic",
        "xception",
        "annot ",
        "ould not ",
        "nable to ",
        "502",
        "503",
        "504",
        "REFUSED",
        "WARN",
        "ERR",
        "rejected",
        "aused by",
    ];
    let starts = before.trim().is_empty() && after.trim_end_matches(['.', '!']).is_empty();
    let marked = before.ends_with(": ") || before.ends_with('(') || before.ends_with("] ");
    let failed = FAILED.iter().any(|it| before.contains(it) || after.contains(it))
        || words.ends_with("Exception");
    (starts || marked && failed || failed && before.len() + after.len() < 160) && !is_prose(line)
}

fn is_prose(line: &str) -> bool {
    const WORDS: [&str; 43] = [
        " if ",
        "If ",
        " when ",
        "When ",
        " I ",
        "I'm",
        "I've",
        "I get",
        " we ",
        "We ",
        " you",
        "You ",
        " my ",
        "My ",
        " our ",
        "should",
        " may ",
        " might ",
        " can ",
        "means",
        "how to",
        "How to",
        "Why ",
        "why ",
        "usually",
        "e.g.",
        "i.e.",
        " because ",
        "sometimes",
        " this is ",
        "example",
        "documentation",
        "catch (",
        "except ",
        "raise ",
        "throw ",
        "import ",
        "assert",
        "=>",
        "def ",
        "func ",
        "class ",
        "return ",
    ];
    let trimmed = line.trim();
    // Options, comments, prompts, markup, frames of a stack, tables.
    let kept = ["-", "//", "/*", "*", ";", "$ ", "<", "|", "at ", "#", "%", "&", "+"];
    WORDS.iter().any(|it| line.contains(it))
        || kept.iter().any(|it| trimmed.starts_with(it))
        || trimmed.ends_with(['?', '{', ';', ','])
}

/// A line that tells of success, of trying again, or of how something is set.
fn is_calm(text: &str) -> bool {
    const CALM: [&str; 22] = [
        "no error",
        "No error",
        "0 errors",
        "errors=0",
        "errors: 0",
        "without error",
        "recovered",
        "Recovered",
        "succe",
        "Succe",
        "resolved itself",
        "reconnected",
        "Reconnected",
        "is healthy",
        "estored",
        "back online",
        "is now up",
        "was fixed",
        "xpected in ",
        "simulat",
        "gnoring",
        "gnored",
    ];
    const AGAIN: [&str; 8] = [
        "etrying",
        "ill retry",
        "econnecting",
        "rying again",
        "ry again",
        "attempt ",
        "retry in",
        "backoff",
    ];
    const ENDED: [&str; 7] =
        ["iving up", "gave up", "xhausted", "after ", "axRetries", "ax retries", "no more"];
    // What was not resolved is no success.
    let calm = CALM.iter().any(|it| text.contains(it) && !text.contains("unsucce"));
    let again = AGAIN.iter().any(|it| text.contains(it))
        && !ENDED.iter().any(|it| text.contains(it))
        && !pasted::is_failure(text);
    let frame = text.trim_start().starts_with("at ");
    calm || again || frame || is_request(text)
}

/// A request by its method, path and protocol, or by its headers: what follows may be a caller's.
fn is_request(text: &str) -> bool {
    const HEADERS: [&str; 8] = [
        "user-agent",
        "user_agent",
        "User-Agent",
        "userAgent",
        "referer",
        "Referer",
        "x-forwarded-",
        "\" HTTP/1",
    ];
    const METHODS: [&str; 7] = ["GET ", "POST ", "PUT ", "DELETE ", "PATCH ", "HEAD ", "OPTIONS "];
    // Its status says that nothing of the server's failed.
    const FINE: [&str; 14] = [
        " 200 ", " 201 ", " 204 ", " 206 ", " 301 ", " 302 ", " 304 ", " 400 ", " 401 ", " 403 ",
        " 404 ", " 408 ", " 429 ", " 499 ",
    ];
    let asked = METHODS.iter().any(|it| text.contains(it));
    HEADERS.iter().any(|it| text.contains(it))
        || asked && (FINE.iter().any(|it| text.contains(it)) || text.contains('?'))
}

/// Who was dialled: `host:port` right before or after the words.
fn dialled<'a>(message: &'a str, span: &Range<usize>) -> Option<&'a str> {
    let words = |text: &'a str| {
        text.split([' ', '(', ')', ',', '[', '\'', '=', '"', ';', '|'])
            .map(|it| address::authority(it.trim_end_matches([':', '.', ']'])))
    };
    let is_one = |it: &&str| {
        let host = address::host(it);
        let plain = host.bytes().all(|it| it.is_ascii_alphanumeric() || b".-_:".contains(&it));
        let named = host.bytes().any(|it| it.is_ascii_alphabetic()) || host.contains('.');
        let place = host.ends_with(".go")
            || host.ends_with(".js")
            || host.ends_with(".rs")
            || host.ends_with(".py")
            || host.ends_with(".cc")
            || host.ends_with(".java");
        address::port(it).is_some_and(|it| it > 0) && plain && named && !place && !host.is_empty()
    };
    let (before, after) = (&message[..span.start], &message[span.end..]);
    words(after).take(4).find(is_one).or_else(|| words(before).rev().take(12).find(is_one))
}

#[cfg(test)]
mod tests {
    use crate::sign::Sign;
    use crate::source::Arrival;
    use crate::testimony::Testimony;

    /// `Sign upstream=… | quote` of the loose words in a text, and whether a reader found any failure.
    fn loose(text: &str) -> String {
        let testimony = Testimony::of(&[("app.log", text)], Arrival::Stream, 2026);
        let mut found: Vec<String> = Vec::new();
        for (key, group) in &testimony.ledger.loose {
            let upstream =
                key.upstream.as_ref().map_or(String::new(), |it| format!(" upstream={it}"));
            found.push(format!("{:?}{upstream} | {}", key.sign, group.sample().quote));
        }
        found.sort();
        found.join("; ")
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(loose(text), want, "{text}");
    }

    #[test]
    fn words_of_a_failure_stand_anywhere_in_a_message() {
        for (line, want) in [
            (
                "ERROR forwarding went wrong agent=a upstream=api.example.com error=\"could not open: can't assign requested address\"",
                "NoLocalPort | can't assign requested address",
            ),
            (
                "12:01:07 edge-relay E could not pass the request on to app:8080 for Connection refused by it",
                "ConnectRefused upstream=app:8080 | Connection refused",
            ),
            (
                "2026-11-20T15:16:30Z ERROR relay: it said PKIX path building failed somewhere",
                "CertUntrusted | PKIX path building failed",
            ),
            (
                "2026-11-20T15:16:30Z ERROR relay: the work could not be queued RejectedExecutionException was thrown",
                "PoolExhausted | RejectedExecutionException",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay sees EMFILE while it opens a socket",
                "AppFdExhausted | EMFILE",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay sees 504 Gateway Timeout from the next one",
                "CallerSawError | 504 Gateway Time",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay sees that the connection to store:5432 fails ECONNREFUSED here",
                "DbRefused upstream=store:5432 | ECONNREFUSED",
            ),
            (
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 192.0.2.7:50051: connect: connection refused\"",
                "ConnectRefused upstream=192.0.2.7:50051 | connection refused",
            ),
            (
                "io.vertx.core.http.ConnectionPoolTooBusyException: Connection pool reached max wait queue size of 20",
                "ConnectionLimit | ConnectionPoolTooBusyException",
            ),
            ("AxiosError: timeout of 5000ms exceeded", "HeadTimedOut | ms exceeded"),
            (
                "io.grpc.StatusRuntimeException: UNAVAILABLE: io exception",
                "ConnectFailed | UNAVAILABLE: io exception",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay got Service Unavailable, status code 503 from it",
                "CallerSawError | status code 503",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay: upgrade ended with upgrade_failed for it",
                "UpgradeRefused | upgrade_failed",
            ),
            (
                "2026-11-20 15:16:30 ERROR relay: the resolver says no such host here",
                "NameNotFound | no such host",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn the_more_telling_words_of_a_line_count() {
        check(
            "2026-11-20 15:16:30 ERROR relay gets SSLHandshakeException and PKIX path building failed in it",
            "CertUntrusted | PKIX path building failed",
        );
    }

    /// What programs write while all is well, and what others say in their lines.
    const CALM: &[&str] = &[
        // How they start, with the names of settings and of errors in them.
        "server is listening on port 3000",
        "2026-11-20T15:16:30Z INFO relay: connect_timeout=5s read_timeout=30s",
        "2026-11-20 15:16:30 INFO relay: connection timed out after is set to 30s",
        "relay: ETIMEDOUT handler registered",
        "Config: i/o timeout (default 30s)",
        "config: queue full threshold 200",
        "2026-11-20T15:16:30Z WARN relay: queue full = false",
        "timeout: 30s",
        "keepalive_timeout 65;",
        "proxy_read_timeout 60s;",
        "proxy_next_upstream error timeout http_502 http_503;",
        "retry_on: ECONNRESET,ETIMEDOUT",
        "retryOn: [ECONNREFUSED, ECONNRESET]",
        "  --dial-timeout duration   how long to wait before i/o timeout (default 30s)",
        "  -t, --timeout SECONDS  fail with connection timed out after so many seconds",
        "# 503 Service Unavailable is what a client sees while it starts",
        "// returns ECONNREFUSED if nobody listens",
        "* handles a connection reset by the peer",
        "<p>502 Bad Gateway errors are shown here</p>",
        "loaded 3 rules for 502 Bad Gateway",
        // How they feel.
        "2026-11-20T15:16:30Z INFO relay: no errors, 0 timeouts",
        "2026-11-20 15:16:30 relay: connection refused: 0, connection reset: 0",
        "stats: connection reset=0 broken pipe=0",
        "health: ok, no connection refused in 10m",
        "2026-11-20 15:16:30 WARN relay: recovered from connection reset by peer",
        "2026-11-20 15:16:30 WARN relay: connection refused at first, reconnected to db:5432",
        "2026-11-20 15:16:30 WARN relay: retry 2 succeeded, the first ended with connection reset",
        "2026-11-20 15:16:30 WARN relay: connection refused by app:80, retrying in 1s",
        "waiting for db:5432: connection refused, will retry",
        "dial tcp app:80: connection refused; trying again",
        "2026-11-20 15:16:30 INFO relay: connection refused while it started, now fine",
        "time=\"2026-11-20T15:16:30Z\" level=info msg=\"closed after i/o timeout\"",
        "time=\"2026-11-20T15:16:30Z\" level=debug msg=\"ECONNRESET of an idle connection\"",
        r#"{"level":"info","msg":"socket hang up of an idle connection"}"#,
        r#"{"level":30,"msg":"read ECONNRESET"}"#,
        r#"{"severity":"NOTICE","message":"connection reset by peer"}"#,
        "I1120 15:16:30.123456       1 relay.go:12] connection refused by a test",
        "[15:16:30 INF] the operation timed out and was repeated",
        "DEBUG relay: ENOTFOUND is cached",
        // Reloads.
        "2026-11-20 15:16:30 NOTICE relay: reload, old connections end with connection reset",
        "reload: address already in use is expected in this mode, ignoring",
        "2026-11-20 15:16:30 WARN relay: ignoring EADDRINUSE, the socket was passed on",
        // Access lines and all that callers choose.
        "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /connection%20refused HTTP/1.1\" 200 5",
        "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /?q=ECONNREFUSED HTTP/1.1\" 404 5 \"-\" \"ECONNRESET\"",
        "GET /search?q=ECONNREFUSED 200 12ms",
        "POST /errors/ECONNREFUSED 204 1ms",
        "15:16:30 GET /502 Bad Gateway 404 3ms",
        "2026-11-20 15:16:30 ERROR relay: bad request path=/a/ECONNREFUSED",
        "2026-11-20 15:16:30 ERROR relay: user-agent: socket hang up",
        "2026-11-20 15:16:30 ERROR relay: the form said \"connection refused\"",
        "2026-11-20 15:16:30 ERROR relay: the form said \\\"connection refused\\\"",
        "2026-11-20 15:16:30 ERROR relay: unknown field <ECONNREFUSED>",
        r#"{"level":"error","msg":"bad form","body":"dial tcp: connection refused"}"#,
        r#"{"level":"error","request":{"uri":"/ECONNREFUSED","headers":{"Referer":["ECONNRESET"]}}}"#,
        "time=\"2026-11-20T15:16:30Z\" level=error msg=\"bad form\" referer=\"http://x/ECONNREFUSED\"",
        // Clients that went away.
        "2026-11-20 15:16:30 WARN relay: client disconnected: connection reset by peer",
        "2026-11-20 15:16:30 ERROR relay: write response: broken pipe",
        "2026-11-20 15:16:30 WARN relay: the client closed it, unexpected EOF",
        "2026-11-20 15:16:30 ERROR relay: downstream read timed out",
        "2026-11-20 15:16:30 ERROR relay: TLS handshake failed for incoming connection",
        "2026-11-20 15:16:30 ERROR relay: error while accepting: connection reset",
        "ClientAbortException: java.io.IOException: Broken pipe",
        // Prose, code and documentation.
        "I get connection refused and do not know why",
        "If the upstream is down you will see 502 Bad Gateway.",
        "Why do we get an error with ECONNREFUSED?",
        "the error ECONNREFUSED means that nobody listens",
        "This is an example of the error: connection refused",
        "} catch (SocketTimeoutException e) {",
        "except RemoteDisconnected: # error",
        "throw new Error('socket hang up');",
        "import java.net.UnknownHostException;",
        "\tat org.example.Error.ECONNREFUSED(Error.java:3)",
        "| error | ECONNREFUSED | nobody listens |",
        // Parts of longer words.
        "2026-11-20 15:16:30 ERROR relay: NOTECONNREFUSED",
        "2026-11-20 15:16:30 ERROR relay: my_connection refused",
        "2026-11-20 15:16:30 ERROR relay: queue fuller",
        "",
        "é ECONNREFUSED é\"",
    ];

    #[test]
    fn calm_lines_say_nothing() {
        assert!(CALM.len() >= 60);
        let loud: Vec<String> = CALM
            .iter()
            .filter_map(|it| {
                let found = loose(it);
                (!found.is_empty()).then(|| format!("{it}: {found}"))
            })
            .collect();
        assert!(loud.is_empty(), "{}", loud.join("\n"));
    }

    #[test]
    fn what_a_reader_knows_is_not_guessed_at() {
        let line = "2026/11/20 15:16:30 [error] 7#7: *1 connect() failed (111: Connection refused) \
                    while connecting to upstream, client: 192.0.2.1, server: x, request: \"GET / \
                    HTTP/1.1\", upstream: \"http://192.0.2.7:80/\", host: \"x\"";
        let testimony = Testimony::of(&[("error.log", line)], Arrival::Stream, 2026);
        assert!(testimony.ledger.loose.is_empty());
        assert!(testimony.ledger.groups.keys().any(|it| it.sign == Sign::ConnectRefused));
    }

    #[test]
    fn configurations_hold_no_loose_words() {
        let text = "server {\n  listen 80;\n  location / {\n    proxy_pass http://app:80;\n    \
                    # error: connection refused\n  }\n}\n";
        let testimony = Testimony::of(&[("nginx.conf", text)], Arrival::File, 2026);
        assert!(testimony.ledger.loose.is_empty());
    }

    #[test]
    fn a_hostile_line_is_searched_in_linear_time() {
        let line = format!("ERROR {}", "ECONNREFUSED\\\"`?<".repeat(4_000));
        assert!(loose(&line).is_empty());
        let line = format!("2026-11-20 15:16:30 ERROR {}", "x connection refused: 0 ".repeat(100));
        assert!(loose(&line).is_empty());
    }

    #[test]
    fn groups_are_bounded() {
        let text: String = (0..3000)
            .map(|it| {
                format!("2026-11-20 15:16:30 ERROR relay: to h{it}:80 it is ECONNREFUSED here\n")
            })
            .collect();
        let testimony = Testimony::of(&[("a.log", &text)], Arrival::Stream, 2026);
        assert_eq!(testimony.ledger.loose.len(), crate::ledger::MAX_LOOSE);
        assert_eq!(testimony.ledger.left_out, 0);
    }
}
