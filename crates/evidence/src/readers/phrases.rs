//! Faults in words that are unmistakable in any program: the error texts of Go, OpenSSL, other TLS
//! libraries and the system. They count where a program says them of itself, and as free text: which
//! program it was is not known.

use super::go;
use super::nginx::{lua, tls};
use super::{pasted, plain};
use crate::event::Event;
use crate::line::Line;
use crate::product::Product;
use crate::reader::span_of;
use crate::sign::Sign;
use crate::trust::Trust;
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// One search for all the words: this is asked of every line that no other reader takes.
static HOOKS: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(plain::TEXT.hooks).expect("hooks are short texts"));

/// What one of these faults says in a line that no reader of a format takes.
pub(super) fn said<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &line.text;
    if !HOOKS.is_match(&**text) {
        return None;
    }
    let logged = pasted::is_logged(text);
    let found = pasted::messages(text).into_iter().find_map(|message| {
        let found = Message { text: message, logged }.fault()?;
        Some(Event { span: span_of(text, &message[found.span.clone()]), ..found })
    });
    let found = found.or_else(|| answered(text)).or_else(|| upgrade(text))?;
    Some(found.at(crate::scan::leading_time(text)))
}

/// `level=fatal msg="502 Bad Gateway: …"`: a call of the program got this answer.
fn answered(text: &str) -> Option<Event<'_>> {
    const ANSWERS: [(&str, i64); 5] = [
        ("502 Bad Gateway", 502),
        ("503 Service Unavailable", 503),
        ("503 Service Temporarily Unavailable", 503),
        ("504 Gateway Timeout", 504),
        ("504 Gateway Time-out", 504),
    ];
    if !ANSWERS.iter().any(|(it, _)| text.contains(it)) || !pasted::is_failure(text) {
        return None;
    }
    pasted::messages(text).into_iter().find_map(|message| {
        let (at, words, status) = ANSWERS
            .iter()
            .find_map(|(words, status)| Some((pasted::own(message, words)?, *words, *status)))?;
        let span = span_of(text, &message[at..at + words.len()]);
        let event = Event::new(Product::Unknown, Sign::CallerSawError, Trust::D, span);
        Some(event.number(Some(status)))
    })
}

/// What libraries say of a request for a WebSocket that came without its headers. Programs write
/// it down at any level: for them it is a bad request like any other.
fn upgrade(text: &str) -> Option<Event<'_>> {
    const WORDS: [&str; 12] = [
        "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header",
        "websocket: the client is not using the websocket protocol: 'websocket' token not found in 'Upgrade' header",
        "websocket: not a websocket handshake: 'upgrade' token not found in 'Connection' header",
        "websocket: not a websocket handshake: 'websocket' token not found in 'Upgrade' header",
        "WebSocket protocol violation: Connection header \\\"",
        "WebSocket protocol violation: Connection header \"",
        "WebSocket protocol violation: Upgrade header \"",
        "Handshake failed due to invalid Upgrade header",
        "Handshake failed due to invalid Connection header",
        "Failed to upgrade to WebSocket (REQUEST_METHOD: ",
        "No WebSocket UPGRADE hdr: ",
        "websockets.exceptions.InvalidUpgrade: ",
    ];
    if !WORDS.iter().any(|it| text.contains(it)) {
        return None;
    }
    pasted::all(text).into_iter().find_map(|message| {
        let (at, words) =
            WORDS.iter().find_map(|words| Some((pasted::own(message, words)?, *words)))?;
        let words = words.trim_end_matches([' ', '\\', '"', ':']);
        let span = span_of(text, &message[at..at + words.len()]);
        Some(Event::new(Product::Unknown, Sign::UpgradeRefused, Trust::D, span))
    })
}

struct Message<'a> {
    text: &'a str,
    /// A logger wrote it, with a time or a level.
    logged: bool,
}

impl<'a> Message<'a> {
    fn fault(&self) -> Option<Event<'a>> {
        self.client()
            .or_else(|| self.openssl())
            .or_else(|| self.certificate())
            .or_else(|| self.hyper())
            .or_else(|| self.go())
            .or_else(|| self.fixed())
            .or_else(|| self.system())
    }

    fn event(&self, sign: Sign, at: usize, words: &str) -> Event<'a> {
        Event::new(Product::Unknown, sign, Trust::D, at..at + words.len())
    }

    fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|it| self.text.contains(it))
    }

    /// A server about the clients that greet it: nothing of an upstream.
    fn client(&self) -> Option<Event<'a>> {
        const WORDS: [&str; 2] = ["TLS handshake error from ", "SSL_accept"];
        let (at, words) = WORDS.iter().find_map(|it| Some((self.text.find(it)?, *it)))?;
        Some(self.event(Sign::ClientTls, at, words.trim_end()))
    }

    /// `error:0A00010B:SSL routines::wrong version number`, of every release.
    fn openssl(&self) -> Option<Event<'a>> {
        let at = self.text.find(":SSL routines:")?;
        let start = self.text[..at].rfind("error:")?;
        let code = &self.text[start + "error:".len()..at];
        if code.is_empty() || !code.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let quoted = self.text[..start].matches('"').count() % 2 == 1;
        let rest = &self.text[start..];
        let end = rest.find([')', '"', '\'', ';', ',']).unwrap_or(rest.len());
        let words = rest[..end].trim_end();
        // The functions that read a client's greeting, and the reasons that only a server meets.
        const SERVER: [&str; 7] = [
            "client_hello",
            "CLIENT_HELLO",
            "process_client",
            "get_client",
            "GET_CLIENT",
            "ACCEPT",
            "peer did not return a certificate",
        ];
        let served =
            SERVER.iter().any(|it| words.contains(it)) || self.any(&["client:", "[client"]);
        let sign = if served { Sign::ClientTls } else { tls::reason_sign(words)? };
        let reason = words.rsplit(':').next().map(str::trim).filter(|it| !it.is_empty());
        let event = self.event(sign, start, words).number(tls::alert(words)).detail(reason);
        (!quoted).then_some(event)
    }

    /// What libraries of TLS say of the other side's certificate.
    fn certificate(&self) -> Option<Event<'a>> {
        const VERIFIED: [(&str, Sign); 21] = [
            ("self signed certificate in certificate chain", Sign::CertUntrusted),
            ("self-signed certificate in certificate chain", Sign::CertUntrusted),
            ("self signed certificate", Sign::CertSelfSigned),
            ("self-signed certificate", Sign::CertSelfSigned),
            ("unable to get local issuer certificate", Sign::CertUntrusted),
            ("unable to get issuer certificate", Sign::CertUntrusted),
            ("unable to verify the first certificate", Sign::CertIncomplete),
            ("unable to verify leaf signature", Sign::CertIncomplete),
            ("certificate has expired", Sign::CertExpired),
            ("certificate is not yet valid", Sign::CertExpired),
            ("hostname mismatch", Sign::CertWrongName),
            ("Hostname mismatch", Sign::CertWrongName),
            ("IP address mismatch", Sign::CertNoIpSan),
            ("invalid peer certificate: Expired", Sign::CertExpired),
            ("invalid peer certificate: certificate expired", Sign::CertExpired),
            ("invalid peer certificate: NotValidYet", Sign::CertExpired),
            ("invalid peer certificate: UnknownIssuer", Sign::CertUntrusted),
            ("invalid peer certificate: NotValidForName", Sign::CertWrongName),
            ("invalid peer certificate: certificate not valid for name", Sign::CertWrongName),
            ("certificate verify failed", Sign::CertRefused),
            ("ertificate verification failed", Sign::CertRefused),
        ];
        const ABOUT: [&str; 7] = [
            "ertificate verif",
            "verify error",
            "verification error",
            "SSL",
            "TLS",
            "ssl",
            "peer cert",
        ];
        if !self.any(&ABOUT) || self.any(&["lient cert", "client:", "[client", "x509: "]) {
            return None;
        }
        let (at, words, sign) = VERIFIED.iter().find_map(|(words, sign)| {
            let own = pasted::own(self.text, words).or_else(|| {
                // The first letter may be either.
                let (at, whole) = (self.text.find(words)?, words.starts_with("ertificate"));
                (whole && at <= 1).then_some(at)
            });
            Some((own?, *words, *sign))
        })?;
        Some(self.event(sign, at, words))
    }

    /// Errors of Go's standard library, wrapped in whatever words.
    fn go(&self) -> Option<Event<'a>> {
        /// How these errors begin.
        const BEGIN: [&str; 19] = [
            "remote error: tls: ",
            "tls: ",
            "x509: ",
            "dial tcp",
            "dial unix ",
            "dial udp",
            "read tcp ",
            "write tcp ",
            "lookup ",
            "net/http: ",
            "http2: ",
            "http: server gave HTTP",
            "http: server closed idle connection",
            "malformed HTTP ",
            "context deadline exceeded (Client.Timeout",
            "stream error: stream ID ",
            "context deadline exceeded",
            "unexpected EOF",
            "EOF",
        ];
        /// From here on the words say too little where nothing says what was done.
        const WEAK: usize = 16;
        /// Up to here no other words are meant, whatever stands before them.
        const PLAIN: usize = 7;
        BEGIN.iter().enumerate().find_map(|(rank, words)| {
            if rank >= WEAK && !self.is_proxied() {
                return None;
            }
            let at = pasted::own(self.text, words).or_else(|| {
                let behind = || pasted::behind_failure(self.text, words);
                (self.logged && rank < PLAIN).then(behind).flatten()
            })?;
            let fault = go::fault(&self.text[at..])?;
            if fault.sign == Sign::ClientClosed || rank >= WEAK && fault.span.start > 0 {
                return None;
            }
            let dependency = fault.upstream.and_then(go::dependency);
            let event = fault.event(Product::Go, Trust::D, at);
            Some(Event { sign: dependency.unwrap_or(event.sign), ..event })
        })
    }

    /// Whether the program says that it was about to reach a server for somebody else.
    fn is_proxied(&self) -> bool {
        const WORDS: [&str; 16] = [
            "upstream",
            "Upstream",
            "backend",
            "Backend",
            "prox",
            "Prox",
            "orwarding",
            "to target",
            "origin s",
            "Origin ",
            "roundtrip",
            "round trip",
            "gateway",
            "Gateway",
            "502",
            "504",
        ];
        WORDS.iter().any(|it| self.text.contains(it))
    }

    /// Messages that programs of one kind share.
    fn fixed(&self) -> Option<Event<'a>> {
        const TABLE: [(&str, Sign); 32] = [
            ("upstream prematurely closed connection", Sign::Closed),
            ("no live upstreams", Sign::NoLiveUpstream),
            ("no healthy upstream", Sign::NoLiveUpstream),
            ("no healthy backend", Sign::NoLiveUpstream),
            ("no available backend", Sign::NoLiveUpstream),
            ("no upstreams available", Sign::NoLiveUpstream),
            ("no upstream available", Sign::NoLiveUpstream),
            ("upstream sent too big header", Sign::HeadTooBig),
            ("upstream sent invalid header", Sign::HeaderBad),
            ("upstream request timeout", Sign::HeadTimedOut),
            ("upstream connection refused", Sign::ConnectRefused),
            ("backend connection refused", Sign::ConnectRefused),
            ("host not found in upstream", Sign::NameNotFound),
            ("no resolver defined to resolve", Sign::NameUnresolved),
            ("worker_connections are not enough", Sign::ConnectionTableFull),
            ("connection pool exhausted for upstream", Sign::ConnectionLimit),
            ("circuit breaker is open", Sign::CircuitOpen),
            // Netty and grpc-go as servers, which met a client of HTTP/1; and clients of gRPC.
            ("Unexpected HTTP/1.x request", Sign::Http1ToHttp2),
            (
                "transport: http2Server.HandleStreams received bogus greeting from client",
                Sign::Http1ToHttp2,
            ),
            ("HTTP/2 client preface string missing or corrupt", Sign::Http1ToHttp2),
            ("First received frame was not SETTINGS", Sign::Http2ToHttp1),
            ("Trying to connect an http1.x server", Sign::Http2ToHttp1),
            ("upstream closed connection before", Sign::Closed),
            ("TIMEOUTconnect exceeded", Sign::ConnectTimedOut),
            ("TIMEOUTidle exceeded", Sign::BodyStalled),
            ("Error obtaining Endpoints for Service", Sign::NoEndpoints),
            // What Kong answers in its own name.
            ("failure to get a peer from the ring-balancer", Sign::NoLiveUpstream),
            ("name resolution failed", Sign::NameUnresolved),
            ("An invalid response was received from the upstream server", Sign::Answered502),
            ("The upstream server is timing out", Sign::Answered504),
            ("no Route matched with those values", Sign::RouteUnknown),
            // A variable that does not fit what is left of a packet: sizes have 16 bits, and headers had more.
            ("invalid uwsgi request (current strsize", Sign::RequestTooBigForUpstream),
        ];
        if let Some(rest) = self.text.strip_prefix("Service \"") {
            let (name, rest) = rest.split_once('"')?;
            let words = rest.trim_start();
            let known = "does not have any active Endpoint";
            let plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-./_".contains(&it));
            let at = self.text.len() - words.len();
            let service = name.rsplit('/').next();
            let event = self.event(Sign::NoEndpoints, at, known).upstream(service).who(service);
            return (plain && words.starts_with(known))
                .then_some(Event { product: Product::IngressNginx, ..event });
        }
        if let Some(it) = self.parsed_domain() {
            return Some(it);
        }
        TABLE.iter().find_map(|(words, sign)| {
            let at = pasted::own(self.text, words)?;
            // A greeting of TLS, as its bytes are shown.
            let rest = &self.text[at..];
            let greeted = ["\\x16\\x03", "bytes: 1603"].iter().any(|it| rest.contains(it));
            let sign =
                if greeted && *sign == Sign::Http1ToHttp2 { Sign::TlsToPlain } else { *sign };
            Some(self.event(sign, at, words))
        })
    }

    /// APISIX without nginx's head: `parse_domain(): failed to parse domain: a, error: REASON`.
    fn parsed_domain(&self) -> Option<Event<'a>> {
        const WORDS: &str = "failed to parse domain: ";
        let at = pasted::own(self.text, WORDS)?;
        let (name, reason) = self.text[at + WORDS.len()..].split_once(", error: ")?;
        let reason = reason.split([',', ';']).next()?.trim_end_matches(['.', ' ']);
        let start = span_of(self.text, reason).start;
        let event = self.event(lua::dns_sign(reason), start, reason).upstream(Some(name));
        (!name.contains(' ')).then_some(Event { product: Product::Apisix, ..event })
    }

    /// Errors of Rust's hyper, reqwest and rustls, which name what they did.
    fn hyper(&self) -> Option<Event<'a>> {
        /// What was done, with which the words begin.
        const BEGIN: [&str; 6] = [
            "error trying to connect: ",
            "client error (Connect)",
            "client error (SendRequest)",
            "error sending request",
            "tcp connect error: ",
            "dns error: failed to lookup address information",
        ];
        if let Some(start) = BEGIN.iter().find_map(|it| pasted::own(self.text, it)) {
            let rest = &self.text[start..];
            let (sign, span) = of_connecting(rest)?;
            let address = address(&rest[..span.start]);
            return Some(self.event(sign, start + span.start, &rest[span]).upstream(address));
        }
        ALONE.iter().find_map(|(words, sign)| {
            let at = pasted::own(self.text, words)?;
            Some(self.event(*sign, at, words.trim_end()))
        })
    }

    /// An error of the system behind words for a connection to a server that stands behind.
    fn system(&self) -> Option<Event<'a>> {
        /// Without their first letter, which may be a capital.
        const WORDS: [(&str, Sign); 12] = [
            ("onnection refused", Sign::ConnectRefused),
            ("onnection timed out", Sign::ConnectTimedOut),
            ("peration timed out", Sign::ConnectTimedOut),
            ("o route to host", Sign::HostUnreachable),
            ("etwork is unreachable", Sign::NetworkUnreachable),
            ("onnection reset by peer", Sign::Reset),
            ("roken pipe", Sign::SendBroken),
            ("annot assign requested address", Sign::NoLocalPort),
            ("an't assign requested address", Sign::NoLocalPort),
            ("ame or service not known", Sign::NameNotFound),
            ("odename nor servname provided", Sign::NameNotFound),
            ("emporary failure in name resolution", Sign::NameTimedOut),
        ];
        /// Codes of libuv, with what was done before them where it is said.
        const CODES: [(&str, Sign); 12] = [
            ("getaddrinfo ENOTFOUND", Sign::NameNotFound),
            ("getaddrinfo EAI_AGAIN", Sign::NameTimedOut),
            ("connect ECONNREFUSED", Sign::ConnectRefused),
            ("connect ETIMEDOUT", Sign::ConnectTimedOut),
            ("connect EHOSTUNREACH", Sign::HostUnreachable),
            ("connect ENETUNREACH", Sign::NetworkUnreachable),
            ("connect EADDRNOTAVAIL", Sign::NoLocalPort),
            ("connect ENOENT", Sign::SocketMissing),
            ("connect EACCES", Sign::SocketDenied),
            ("read ECONNRESET", Sign::Reset),
            ("write EPIPE", Sign::SendBroken),
            ("socket hang up", Sign::Closed),
        ];
        /// The same alone, where the message ends with them.
        const LAST: [(&str, Sign); 5] = [
            ("ECONNREFUSED", Sign::ConnectRefused),
            ("ECONNRESET", Sign::Reset),
            ("EHOSTUNREACH", Sign::HostUnreachable),
            ("ENOTFOUND", Sign::NameNotFound),
            ("ETIMEDOUT", Sign::ConnectTimedOut),
        ];
        let word = |(words, sign): &(&str, Sign)| {
            let found = self.text.find(words)?;
            let at = found.checked_sub(1)?;
            Some((at, self.text.get(at..found + words.len())?, *sign))
        };
        let code = |(words, sign): &(&'static str, Sign)| {
            let at = self.text.find(words)?;
            Some((at, self.text.get(at..at + words.len())?, *sign))
        };
        let last = |(words, sign): &(&'static str, Sign)| {
            let before = self.text.trim_end().strip_suffix(words)?;
            before.ends_with(": ").then_some((before.len(), *words, *sign))
        };
        let (at, words, sign) = WORDS
            .iter()
            .find_map(word)
            .or_else(|| CODES.iter().find_map(code))
            .or_else(|| LAST.iter().find_map(last))?;
        let before = &self.text[..at];
        let at = pasted::own(self.text, words).filter(|it| *it == at)?;
        let whole = Message { text: before, logged: self.logged };
        let proxied = whole.is_proxied() && before.len() < 200;
        let after = || address(&self.text[at + words.len()..]);
        proxied.then(|| self.event(sign, at, words).upstream(address(before).or_else(after)))
    }
}

/// Words of rustls and hyper that no other program has a reason to write.
const ALONE: [(&str, Sign); 10] = [
    ("received corrupt message of type InvalidContentType", Sign::TlsToPlain),
    ("received fatal alert: HandshakeFailure", Sign::TlsCipher),
    ("received fatal alert: ProtocolVersion", Sign::TlsVersion),
    ("received fatal alert: UnrecognisedName", Sign::TlsNameRejected),
    ("received fatal alert: UnrecognizedName", Sign::TlsNameRejected),
    ("received fatal alert: CertificateRequired", Sign::TlsClientCertRequired),
    ("received fatal alert: NoApplicationProtocol", Sign::AlpnMismatch),
    ("connection closed before message completed", Sign::Closed),
    ("invalid HTTP status-code parsed", Sign::StatusLineBad),
    ("message head is too large", Sign::HeadTooBig),
];

/// What ended an attempt to connect or to send, in the words of hyper, of its TLS, or of the system.
fn of_connecting(text: &str) -> Option<(Sign, std::ops::Range<usize>)> {
    const WORDS: [(&str, Sign); 24] = [
        ("Name or service not known", Sign::NameNotFound),
        ("nodename nor servname provided", Sign::NameNotFound),
        ("No address associated with hostname", Sign::NameNotFound),
        ("No such host is known", Sign::NameNotFound),
        ("no record found", Sign::NameNotFound),
        ("Temporary failure in name resolution", Sign::NameTimedOut),
        ("dns error", Sign::NameUnresolved),
        ("received fatal alert: BadCertificate", Sign::TlsClientCertRejected),
        ("received fatal alert: UnknownCA", Sign::TlsClientCertRejected),
        ("received fatal alert: CertificateUnknown", Sign::TlsClientCertRejected),
        ("received fatal alert: ", Sign::TlsFailed),
        ("invalid peer certificate: Expired", Sign::CertExpired),
        ("invalid peer certificate: UnknownIssuer", Sign::CertUntrusted),
        ("invalid peer certificate: NotValidForName", Sign::CertWrongName),
        ("invalid peer certificate: certificate not valid for name", Sign::CertWrongName),
        ("invalid peer certificate", Sign::CertRefused),
        ("self-signed certificate", Sign::CertSelfSigned),
        ("self signed certificate", Sign::CertSelfSigned),
        ("unable to get local issuer certificate", Sign::CertUntrusted),
        ("certificate verify failed", Sign::CertRefused),
        ("tls handshake eof", Sign::TlsClosed),
        ("operation timed out", Sign::ConnectTimedOut),
        ("deadline has elapsed", Sign::ConnectTimedOut),
        ("connection error detected: frame with invalid size", Sign::Http2ToHttp1),
    ];
    if let Some(at) = text.find("(os error ") {
        let digits = &text[at + "(os error ".len()..];
        let errno = crate::reader::number(digits)?;
        let end = at + text[at..].find(')').map_or(text.len() - at, |it| it + 1);
        // The system's words before its number.
        let start = text[..at].rfind(": ").map_or(0, |it| it + 2);
        return Some((of_errno(errno)?, start..end));
    }
    let one = |(words, sign): &(&str, Sign)| {
        let at = text.find(words)?;
        Some((*sign, at..at + words.trim_end().len()))
    };
    ALONE.iter().find_map(one).or_else(|| WORDS.iter().find_map(one))
}

/// An error number of Linux, of BSD and macOS, or of Windows: what it says of a connection.
fn of_errno(errno: i64) -> Option<Sign> {
    Some(match errno {
        111 | 61 | 10061 => Sign::ConnectRefused,
        110 | 60 | 10060 => Sign::ConnectTimedOut,
        113 | 65 | 10065 => Sign::HostUnreachable,
        101 | 51 | 10051 => Sign::NetworkUnreachable,
        104 | 54 | 10054 => Sign::Reset,
        99 | 49 | 10049 => Sign::NoLocalPort,
        24 | 23 => Sign::NoDescriptors,
        13 => Sign::ConnectDenied,
        1 => Sign::ConnectNotPermitted,
        2 => Sign::SocketMissing,
        32 => Sign::SendBroken,
        _ => return None,
    })
}

/// The last `host:port` of the words before an error.
fn address(text: &str) -> Option<&str> {
    text.split([' ', '(', ')', ',', '[', ']', '\'', '=', '"'])
        .rev()
        .map(|it| crate::address::authority(it.trim_end_matches([':', '.'])))
        .find(|it| {
            crate::address::port(it).is_some_and(|it| it > 0)
                && !crate::address::host(it).is_empty()
        })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn errors_of_go_are_read_behind_any_prefix() {
        let refused = "dial tcp 192.0.2.10:8080: connect: connection refused";
        for line in [
            format!("> {refused}"),
            format!("oauthproxy.go:123: error: {refused}"),
            format!("2026/11/20 15:16:30 [W] [proxy.go:184] connect to local service: {refused}"),
            format!("time=\"2026-11-20T15:16:30Z\" level=error msg=\"cannot reach it: {refused}\""),
            format!("t=2026-11-20T15:16:30+0000 lvl=eror msg=\"failed\" err=\"{refused}\""),
            format!(
                r#"{{"level":"error","ts":1795187790.1,"caller":"a.go:1","msg":"failed","error":"{refused}"}}"#
            ),
            format!(
                "2026-11-20T15:16:30.1Z\tERROR\tproxy/a.go:1\tfailed\t{{\"error\": \"{refused}\"}}"
            ),
            format!("`{refused}`"),
            format!("Error: Get \"http://192.0.2.10:8080/a?b\": {refused}"),
        ] {
            check(&line, &format!("Go: ConnectRefused upstream=192.0.2.10:8080 | {refused}"));
        }
    }

    #[test]
    fn tls_is_read_in_the_words_of_every_library() {
        for (line, want) in [
            (
                "[ERROR] Certificate verification failed: self signed certificate",
                "CertSelfSigned | self signed certificate",
            ),
            (
                "LOG4[7]: CERT: Pre-verification error: unable to get local issuer certificate: TLS",
                "CertUntrusted | unable to get local issuer certificate",
            ),
            (
                "SSL_connect: error:0A00010B:SSL routines::wrong version number",
                "TlsToPlain detail=wrong version number | error:0A00010B:SSL routines::wrong version number",
            ),
            (
                "TLS to it failed: error:14090086:SSL routines:ssl3_get_server_certificate:certificate verify failed",
                "CertRefused detail=certificate verify failed | error:14090086:SSL \
                 routines:ssl3_get_server_certificate:certificate verify failed",
            ),
            (
                "TLS connect to the origin failed: invalid peer certificate: UnknownIssuer",
                "CertUntrusted | invalid peer certificate: UnknownIssuer",
            ),
            (
                "error:1417A0C1:SSL routines:tls_post_process_client_hello:no shared cipher",
                "ClientTls detail=no shared cipher | error:1417A0C1:SSL \
                 routines:tls_post_process_client_hello:no shared cipher",
            ),
        ] {
            check(line, &format!("the log: {want}"));
        }
        check(
            "error=\"x509: certificate signed by unknown authority\" level=warn msg=failed",
            "Go: CertUntrusted detail=x509: certificate signed by unknown authority | certificate \
             signed by unknown authority",
        );
    }

    #[test]
    fn a_proxy_that_is_not_known_tells_what_failed() {
        for (line, want) in [
            (
                "hitch[5]: backend connect 192.0.2.7:80: Connection refused",
                "ConnectRefused upstream=192.0.2.7:80 | Connection refused",
            ),
            (
                "[proxy] error talking to upstream app:80: read: Connection reset by peer",
                "Reset upstream=app:80 | Connection reset by peer",
            ),
            (
                r#"{"message":"failure to get a peer from the ring-balancer"}"#,
                "NoLiveUpstream | failure to get a peer from the ring-balancer",
            ),
            ("ERROR: no healthy upstream", "NoLiveUpstream | no healthy upstream"),
        ] {
            check(line, &format!("the log: {want}"));
        }
        check(
            "Service \"shop/web\" does not have any active Endpoint.",
            "ingress-nginx: NoEndpoints upstream=web who=web | does not have any active Endpoint",
        );
    }

    #[test]
    fn a_logger_may_put_no_mark_before_an_error() {
        check(
            "2026/11/20 15:16:30 [041] WARN: Cannot read from the server tls: protocol version not supported",
            "Go: TlsVersion | tls: protocol version not supported",
        );
        check_nothing("I cannot read from the server tls: protocol version not supported");
    }

    #[test]
    fn an_answer_that_a_program_got_is_a_callers() {
        check(
            "time=\"2026-11-20T15:16:30Z\" level=fatal msg=\"oidc: 502 Bad Gateway: x\"",
            "the log: CallerSawError number=502 | 502 Bad Gateway",
        );
        check_nothing("time=\"2026-11-20T15:16:30Z\" level=info msg=\"oidc: 502 Bad Gateway\"");
        check_nothing("level=error msg=\"GET /?q=502 Bad Gateway\"");
    }

    #[test]
    fn a_websocket_without_its_headers_is_told_at_any_level() {
        let words = "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header";
        check(
            &format!("time=\"2026-11-20T15:16:30Z\" level=info msg=\"no upgrade: {words}\\n\""),
            &format!("the log: UpgradeRefused | {words}"),
        );
        check(
            "WARN: Failed to upgrade to WebSocket (REQUEST_METHOD: GET, HTTP_CONNECTION: close, HTTP_UPGRADE: )",
            "the log: UpgradeRefused | Failed to upgrade to WebSocket (REQUEST_METHOD",
        );
        check_nothing(&format!("the caller sent \"{words}\""));
    }

    #[test]
    fn servers_of_http2_tell_who_came_without_it() {
        for (line, want) in [
            (
                "Unexpected HTTP/1.x request: POST /shop",
                "Http1ToHttp2 | Unexpected HTTP/1.x request",
            ),
            (
                "WARN: HTTP/2 client preface string missing or corrupt. Hex dump for received bytes: 474554202f",
                "Http1ToHttp2 | HTTP/2 client preface string missing or corrupt",
            ),
            (
                "WARN: HTTP/2 client preface string missing or corrupt. Hex dump for received bytes: 1603010200",
                "TlsToPlain | HTTP/2 client preface string missing or corrupt",
            ),
            (
                "E1120 15:16:30.123456789 7 call.cc:1] Trying to connect an http1.x server",
                "Http2ToHttp1 | Trying to connect an http1.x server",
            ),
        ] {
            check(line, &format!("the log: {want}"));
        }
        check_nothing("he asked about Unexpected HTTP/1.x request: POST /shop");
    }

    #[test]
    fn a_name_that_was_not_parsed_tells_why() {
        check(
            "parse_domain(): failed to parse domain: shop, error: server returned error code: 3: name error",
            "APISIX: NameNotFound upstream=shop | server returned error code: 3: name error",
        );
        check_nothing("it failed to parse domain: shop, error: name error");
    }

    #[test]
    fn prose_healthy_lines_and_words_of_callers_are_left() {
        for line in [
            "I get x509 errors and do not know why my upstream says connection refused",
            "we fixed the x509: certificate signed by unknown authority of yesterday",
            "the docs say no live upstreams happens when all of them are down",
            "INFO: retried after dial tcp 192.0.2.10:80: connect: connection refused",
            r#"{"level":"info","msg":"x509: certificate signed by unknown authority"}"#,
            r#"{"level":"error","request":{"headers":{"User-Agent":["x509: certificate has expired"]}}}"#,
            r#"{"level":"error","user_agent":"dial tcp 192.0.2.1:80: connect: connection refused"}"#,
            "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /: x509: a HTTP/1.1\" 200 5 \"-\" \"a: tls: handshake failure\"",
            "user_agent=\"a: dial tcp 192.0.2.1:80: connect: connection refused\" path=/",
            "GET /?q=: tls: handshake failure",
            "warn: caller sent \"a: tls: handshake failure\"",
            "the EOF",
            "backend: EOFs are normal",
            "upstream is well: 0 errors",
        ] {
            check_nothing(line);
        }
    }

    /// What libraries say of a connection that failed, and what that means.
    const MESSAGES: &[(&str, &str)] = &[
        ("dial tcp 192.0.2.10:8080: connect: connection refused", "ConnectRefused"),
        ("dial tcp 192.0.2.10:8080: i/o timeout", "ConnectTimedOut"),
        ("dial tcp 192.0.2.10:8080: connect: no route to host", "HostUnreachable"),
        ("dial tcp: lookup app on 127.0.0.11:53: no such host", "NameNotFound"),
        ("read tcp 192.0.2.2:41000->192.0.2.10:8080: read: connection reset by peer", "Reset"),
        ("x509: certificate signed by unknown authority", "CertUntrusted"),
        ("x509: certificate has expired or is not yet valid", "CertExpired"),
        ("tls: first record does not look like a TLS handshake", "TlsToPlain"),
        ("tls: server selected unsupported protocol version 301", "TlsVersion"),
        ("remote error: tls: handshake failure", "TlsCipher"),
        ("net/http: timeout awaiting response headers", "HeadTimedOut"),
        ("http: server gave HTTP response to HTTPS client", "TlsToPlain"),
        ("error:0A000086:SSL routines::certificate verify failed", "CertRefused"),
        ("error:0A00010B:SSL routines::wrong version number", "TlsToPlain"),
        ("error:1409442E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version", "TlsVersion"),
        (
            "error trying to connect: tcp connect error: Connection refused (os error 111)",
            "ConnectRefused",
        ),
        (
            "client error (Connect): tcp connect error: 192.0.2.10:8080: Connection refused (os error 111)",
            "ConnectRefused",
        ),
        (
            "error trying to connect: dns error: failed to lookup address information: Name or service not known",
            "NameNotFound",
        ),
        ("error trying to connect: invalid peer certificate: UnknownIssuer", "CertUntrusted"),
        ("error trying to connect: No route to host (os error 113)", "HostUnreachable"),
        ("connection closed before message completed", "Closed"),
        ("upstream prematurely closed connection", "Closed"),
        ("proxy to 192.0.2.10:8080: connect ECONNREFUSED 192.0.2.10:8080", "ConnectRefused"),
        ("proxy error: getaddrinfo ENOTFOUND app", "NameNotFound"),
        ("proxy error: read ECONNRESET", "Reset"),
        ("proxy error: socket hang up", "Closed"),
        ("upstream 192.0.2.10:8080: Connection refused", "ConnectRefused"),
        ("backend 192.0.2.10:8080: [Errno 111] Connection refused", "ConnectRefused"),
        ("backend 192.0.2.10:8080: [Errno 113] No route to host", "HostUnreachable"),
        ("upstream app: Name or service not known", "NameNotFound"),
        ("connecting to upstream failed: Connection timed out", "ConnectTimedOut"),
        ("forwarding to app:8080 failed: Connection refused", "ConnectRefused"),
        ("backend connect: Cannot assign requested address", "NoLocalPort"),
    ];

    /// How loggers write a message down.
    const ENVELOPES: &[&str] = &[
        "{m}",
        "> {m}",
        "2026-11-20T15:16:30Z ERROR {m}",
        "2026/11/20 15:16:30 {m}",
        "2026-11-20 15:16:30.123 [error] {m}",
        "[2026-11-20 15:16:30] [ERROR] {m}",
        "[2026-11-20T15:16:30Z ERROR edge::forward] {m}",
        "2026-11-20T15:16:30.123456Z ERROR edge::forward: request failed error={m}",
        "2026-11-20 15:16:30,123 ERROR [main] com.example.Edge - request failed: {m}",
        "ERROR:edge:request failed: {m}",
        "Nov 20 15:16:30 host edge[12]: request failed: {m}",
        "[15:16:30 ERR] request failed: {m}",
        "ERRO[0003] request failed                                error=\"{m}\"",
        "3:16PM ERR request failed error=\"{m}\" attempt=1",
        "E1120 15:16:30.123456       1 edge.go:184] request failed: {m}",
        "E1120 15:16:30.123456       1 edge.go:184] \"Request failed\" err=\"{m}\"",
        "time=\"2026-11-20T15:16:30Z\" level=error msg=\"request failed: {m}\"",
        "ts=2026-11-20T15:16:30Z caller=edge.go:1 level=error msg=\"request failed\" err=\"{m}\"",
        "time=2026-11-20T15:16:30.123Z level=ERROR msg=\"request failed\" error=\"{m}\" attempt=1",
        "2026-11-20 15:16:30 [error    ] request failed                 error='{m}'",
        r#"{"time":"2026-11-20T15:16:30Z","level":"ERROR","msg":"request failed","error":"{m}"}"#,
        r#"{"level":"error","ts":1795187790.1,"caller":"edge/a.go:1","msg":"failed","error":"{m}"}"#,
        r#"{"level":"error","error":"{m}","time":"2026-11-20T15:16:30Z","message":"request failed"}"#,
        "2026-11-20T15:16:30.123Z\tERROR\tedge/a.go:1\tfailed\t{\"error\": \"{m}\"}",
        r#"{"name":"edge","hostname":"h","pid":1,"level":50,"err":{"message":"{m}","name":"Error"},"msg":"failed","time":"2026-11-20T15:16:30Z","v":0}"#,
        r#"{"level":50,"time":1795187790123,"pid":1,"err":{"type":"Error","message":"{m}","stack":"x"},"msg":"failed"}"#,
        r#"{"@timestamp":"2026-11-20T15:16:30Z","log.level":"ERROR","message":"failed","error.message":"{m}"}"#,
        r#"{"instant":{"epochSecond":1795187790},"level":"ERROR","loggerName":"c.e.Edge","message":"failed","thrown":{"message":"{m}"}}"#,
        r#"{"severity":"ERROR","message":"request failed: {m}"}"#,
        r#"{"timestamp":"2026-11-20T15:16:30Z","level":"ERROR","fields":{"message":"failed","error":"{m}"},"target":"edge"}"#,
        r#"{"@t":"2026-11-20T15:16:30Z","@mt":"failed","@l":"Error","@x":"{m}"}"#,
    ];

    #[test]
    fn every_failure_is_read_in_every_envelope() {
        let mut missed = Vec::new();
        for (message, sign) in MESSAGES {
            for envelope in ENVELOPES {
                let line = envelope.replace("{m}", message);
                let found = crate::testing::read(&line).join("; ");
                if !found.contains(&format!(": {sign} ")) || found.contains("; ") {
                    missed.push(format!("{line}\n    {sign}: {found}"));
                }
            }
        }
        assert!(missed.is_empty(), "{} are missed:\n{}", missed.len(), missed.join("\n"));
    }

    #[test]
    fn what_is_calm_stays_calm_in_every_envelope() {
        for (message, _) in MESSAGES {
            for line in [
                format!("2026-11-20T15:16:30Z INFO retried: {message}"),
                format!("time=\"2026-11-20T15:16:30Z\" level=info msg=\"retried: {message}\""),
                format!(r#"{{"level":"debug","msg":"retried","error":"{message}"}}"#),
                format!(
                    r#"{{"level":30,"time":1,"msg":"retried","err":{{"message":"{message}"}}}}"#
                ),
                format!("3:16PM INF retried error=\"{message}\""),
                format!("I1120 15:16:30.123456       1 edge.go:184] retried: {message}"),
                format!("INFO[0003] retried error=\"{message}\""),
                format!("[15:16:30 INF] retried: {message}"),
                format!(
                    r#"{{"level":"error","request":{{"headers":{{"User-Agent":["{message}"]}}}}}}"#
                ),
                format!(
                    "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /: {message} HTTP/1.1\" 200 5 \"-\" \"a: {message}\""
                ),
                format!("we read that \"{message}\" is a common thing to see"),
            ] {
                check_nothing(&line);
            }
        }
    }
}
