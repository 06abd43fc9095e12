//! Faults in words that are unmistakable in any program: the error texts of Go, OpenSSL, other TLS
//! libraries and the system. They count where a program says them of itself, and as free text: which
//! program it was is not known.

use super::go;
use super::nginx::tls;
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
    let found = pasted::messages(text).into_iter().find_map(|message| {
        let found = Message(message).fault()?;
        Some(Event { span: span_of(text, &message[found.span.clone()]), ..found })
    })?;
    Some(found.at(crate::scan::leading_time(text)))
}

struct Message<'a>(&'a str);

impl<'a> Message<'a> {
    fn fault(&self) -> Option<Event<'a>> {
        self.client()
            .or_else(|| self.openssl())
            .or_else(|| self.certificate())
            .or_else(|| self.go())
            .or_else(|| self.fixed())
            .or_else(|| self.system())
    }

    fn event(&self, sign: Sign, at: usize, words: &str) -> Event<'a> {
        Event::new(Product::Unknown, sign, Trust::D, at..at + words.len())
    }

    fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|it| self.0.contains(it))
    }

    /// A server about the clients that greet it: nothing of an upstream.
    fn client(&self) -> Option<Event<'a>> {
        const WORDS: [&str; 2] = ["TLS handshake error from ", "SSL_accept"];
        let (at, words) = WORDS.iter().find_map(|it| Some((self.0.find(it)?, *it)))?;
        Some(self.event(Sign::ClientTls, at, words.trim_end()))
    }

    /// `error:0A00010B:SSL routines::wrong version number`, of every release.
    fn openssl(&self) -> Option<Event<'a>> {
        let at = self.0.find(":SSL routines:")?;
        let start = self.0[..at].rfind("error:")?;
        let code = &self.0[start + "error:".len()..at];
        if code.is_empty() || !code.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let quoted = self.0[..start].matches('"').count() % 2 == 1;
        let rest = &self.0[start..];
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
            let own = pasted::own(self.0, words).or_else(|| {
                // The first letter may be either.
                let (at, whole) = (self.0.find(words)?, words.starts_with("ertificate"));
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
        BEGIN.iter().enumerate().find_map(|(rank, words)| {
            if rank >= WEAK && !self.is_proxied() {
                return None;
            }
            let at = pasted::own(self.0, words)?;
            let fault = go::fault(&self.0[at..])?;
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
        const WORDS: [&str; 14] = [
            "upstream",
            "Upstream",
            "backend",
            "Backend",
            "proxy",
            "Proxy",
            "origin s",
            "Origin ",
            "roundtrip",
            "round trip",
            "gateway",
            "Gateway",
            "502",
            "504",
        ];
        WORDS.iter().any(|it| self.0.contains(it))
    }

    /// Messages that programs of one kind share.
    fn fixed(&self) -> Option<Event<'a>> {
        const TABLE: [(&str, Sign); 27] = [
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
        if let Some(rest) = self.0.strip_prefix("Service \"") {
            let (name, rest) = rest.split_once('"')?;
            let words = rest.trim_start();
            let known = "does not have any active Endpoint";
            let plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-./_".contains(&it));
            let at = self.0.len() - words.len();
            let service = name.rsplit('/').next();
            let event = self.event(Sign::NoEndpoints, at, known).upstream(service).who(service);
            return (plain && words.starts_with(known))
                .then_some(Event { product: Product::IngressNginx, ..event });
        }
        TABLE.iter().find_map(|(words, sign)| {
            let at = pasted::own(self.0, words)?;
            Some(self.event(*sign, at, words))
        })
    }

    /// An error of the system behind words for a connection to a server that stands behind.
    fn system(&self) -> Option<Event<'a>> {
        const ERRORS: [(&str, Sign); 16] = [
            ("onnection refused", Sign::ConnectRefused),
            ("onnection timed out", Sign::ConnectTimedOut),
            ("peration timed out", Sign::ConnectTimedOut),
            ("o route to host", Sign::HostUnreachable),
            ("etwork is unreachable", Sign::NetworkUnreachable),
            ("onnection reset by peer", Sign::Reset),
            ("roken pipe", Sign::SendBroken),
            ("annot assign requested address", Sign::NoLocalPort),
            ("ame or service not known", Sign::NameNotFound),
            ("odename nor servname provided", Sign::NameNotFound),
            ("getaddrinfo ENOTFOUND", Sign::NameNotFound),
            ("emporary failure in name resolution", Sign::NameTimedOut),
            ("getaddrinfo EAI_AGAIN", Sign::NameTimedOut),
            ("connect ECONNREFUSED", Sign::ConnectRefused),
            ("connect ETIMEDOUT", Sign::ConnectTimedOut),
            ("connect EHOSTUNREACH", Sign::HostUnreachable),
        ];
        ERRORS.iter().find_map(|(words, sign)| {
            let found = self.0.find(words)?;
            // With the first letter, whichever case it has.
            let at = match words.starts_with(['g', 'c']) {
                true => found,
                false => found.checked_sub(1)?,
            };
            let whole = self.0.get(at..found + words.len())?;
            let before = &self.0[..at];
            let at = pasted::own(self.0, whole).filter(|it| *it == at)?;
            let proxied = Message(before).is_proxied() && before.len() < 200;
            proxied.then(|| self.event(*sign, at, whole).upstream(address(before)))
        })
    }
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
}
