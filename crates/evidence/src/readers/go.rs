//! Go: the error texts of its standard library, which Traefik, Caddy, cloudflared, Docker and
//! Kubernetes write too, and the lines of its HTTP server and reverse proxy.
//!
//! An error wraps others in front: `Get "http://…": dial tcp 127.0.0.1:80: connect: connection
//! refused`. The URL in it may be a caller's and is stepped over (net/url, net/http, net,
//! crypto/tls, crypto/x509 of Go 1.22).

use crate::address;
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const LOG: Reader = Reader {
    name: "Go log",
    product: Product::Go,
    hooks: &[
        "http: proxy error: ",
        "http: panic serving ",
        "http: TLS handshake error from ",
        "http: Accept error: ",
        "httputil: ReverseProxy read error",
        "listen tcp ",
        "listen unix ",
    ],
    fits: |line| entry(&line.text).is_some(),
    read: log,
    source: "https://pkg.go.dev/net/http, net/http/httputil/reverseproxy.go, log; Go 1.19 and 1.22",
    example: "2026/11/20 15:16:30 http: proxy error: dial tcp 127.0.0.1:8000: connect: connection \
              refused",
};

/// What ends a Go program: `panic: …` or `fatal error: …` and its goroutines.
pub(super) const PANIC: Reader = Reader {
    name: "Go panic",
    product: Product::Go,
    hooks: &["panic: ", "fatal error: "],
    fits: |line| panic(line).is_some(),
    read: |line, sink| {
        let Some((sign, words)) = panic(line) else { return };
        let span = span_of(&line.text, words);
        let detail = words.split_once(": ").map(|(_, it)| it);
        sink.event(Event::new(Product::Go, sign, Trust::D, span).detail(detail));
    },
    source: "runtime/panic.go; Go 1.22",
    example: "panic: runtime error: invalid memory address or nil pointer dereference",
};

/// An error text that stands alone: people paste the words they find telling.
pub(super) const ERROR: Reader = Reader {
    name: "Go error",
    product: Product::Go,
    hooks: &[
        "dial tcp",
        "dial unix ",
        "read tcp ",
        "write tcp ",
        "x509: ",
        "tls: ",
        "net/http: ",
        "http2: ",
        "http: server gave HTTP",
    ],
    fits: |line| alone(&line.text),
    read: |line, sink| {
        let Some(fault) = fault(&line.text) else { return };
        let dependency = fault.upstream.and_then(dependency);
        let event = fault.event(Product::Go, Trust::C, 0);
        sink.event(match dependency {
            Some(sign) => Event { sign, trust: Trust::D, ..event },
            None => event,
        });
    },
    source: "https://pkg.go.dev/net#OpError, https://pkg.go.dev/crypto/x509; Go 1.22",
    example: "dial tcp 192.0.2.10:8080: connect: no route to host",
};

/// What an error text says.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) sign: Sign,
    /// The decisive words in the message.
    pub(super) span: Range<usize>,
    /// The address that was dialled or read from.
    pub(super) upstream: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
}

impl<'a> Fault<'a> {
    /// As an event of a line in which the message begins at `inset`.
    pub(super) fn event(self, product: Product, trust: Trust, inset: usize) -> Event<'a> {
        let span = inset + self.span.start..inset + self.span.end;
        Event::new(product, self.sign, trust, span).upstream(self.upstream).detail(self.detail)
    }
}

/// Texts that mean the same wherever they stand. The more telling ones come first.
const TEXTS: &[Phrase] = &[
    phrase("doesn't contain any IP SANs", Sign::CertNoIpSan, Trust::C),
    phrase("certificate has expired or is not yet valid", Sign::CertExpired, Trust::C),
    phrase("certificate signed by unknown authority", Sign::CertUntrusted, Trust::C),
    phrase("certificate is not trusted", Sign::CertUntrusted, Trust::C),
    phrase("certificate relies on legacy Common Name field", Sign::CertWrongName, Trust::C),
    phrase("certificate is not valid for any names", Sign::CertWrongName, Trust::C),
    phrase("x509: certificate is valid for ", Sign::CertWrongName, Trust::C),
    phrase("x509: ", Sign::CertRefused, Trust::C),
    phrase("tls: first record does not look like a TLS handshake", Sign::TlsToPlain, Trust::C),
    phrase("server gave HTTP response to HTTPS client", Sign::TlsToPlain, Trust::C),
    // Before Go 1.12, and in QUIC.
    phrase("tls: oversized record received", Sign::TlsToPlain, Trust::C),
    phrase("tls: unsupported SSLv2 handshake received", Sign::TlsToPlain, Trust::C),
    phrase("tls: protocol version not supported", Sign::TlsVersion, Trust::C),
    phrase("tls: server selected unsupported protocol version", Sign::TlsVersion, Trust::C),
    phrase("tls: no supported versions satisfy", Sign::TlsVersion, Trust::C),
    phrase("tls: handshake failure", Sign::TlsCipher, Trust::C),
    phrase("remote error: handshake failure", Sign::TlsCipher, Trust::C),
    phrase("remote error: unrecognized name", Sign::TlsNameRejected, Trust::C),
    phrase("remote error: protocol version", Sign::TlsVersion, Trust::C),
    phrase("remote error: bad certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("tls: insufficient security level", Sign::TlsCipher, Trust::C),
    phrase("tls: server chose an unconfigured cipher suite", Sign::TlsCipher, Trust::C),
    phrase("tls: unrecognized name", Sign::TlsNameRejected, Trust::C),
    phrase("tls: certificate required", Sign::TlsClientCertRequired, Trust::C),
    phrase("remote error: tls: bad certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("remote error: tls: unknown certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("remote error: tls: expired certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("remote error: tls: revoked certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("remote error: tls: unsupported certificate", Sign::TlsClientCertRejected, Trust::C),
    phrase("remote error: tls: access denied", Sign::TlsClientCertRejected, Trust::C),
    phrase("tls: server selected unadvertised ALPN protocol", Sign::AlpnMismatch, Trust::C),
    phrase("tls: no application protocol", Sign::AlpnMismatch, Trust::C),
    phrase("TLS handshake timeout", Sign::TlsTimedOut, Trust::C),
    phrase("remote error: tls: ", Sign::TlsFailed, Trust::C),
    phrase("tls: failed to verify certificate", Sign::CertRefused, Trust::C),
    phrase(
        "note that the frame header looked like an HTTP/1.1 header",
        Sign::Http2ToHttp1,
        Trust::C,
    ),
    phrase("http2: unexpected ALPN protocol", Sign::AlpnMismatch, Trust::C),
    phrase("server sent GOAWAY", Sign::GoAway, Trust::C),
    phrase("received from peer", Sign::StreamReset, Trust::C),
    phrase("http2: timeout awaiting response headers", Sign::HeadTimedOut, Trust::C),
    phrase("net/http: timeout awaiting response headers", Sign::HeadTimedOut, Trust::C),
    phrase("http2: client connection lost", Sign::Disconnected, Trust::C),
    phrase("http2: client connection force closed", Sign::Disconnected, Trust::C),
    phrase("malformed HTTP status code", Sign::StatusLineBad, Trust::C),
    phrase("malformed HTTP version", Sign::StatusLineBad, Trust::C),
    phrase("malformed MIME header", Sign::HeaderBad, Trust::C),
    phrase("cannot contain multiple Content-Length headers", Sign::LengthTwice, Trust::C),
    phrase("bad Content-Length", Sign::LengthInvalid, Trust::C),
    phrase("unsupported transfer encoding", Sign::CodingUnknown, Trust::C),
    phrase("too many transfer encodings", Sign::CodingTwice, Trust::C),
    phrase("invalid byte in chunk length", Sign::ChunkBad, Trust::C),
    phrase("malformed chunked encoding", Sign::ChunkBad, Trust::C),
    phrase("server response headers exceeded ", Sign::HeadTooBig, Trust::C),
    phrase("too many 1xx informational responses", Sign::InterimsTooMany, Trust::C),
    phrase("backend tried to switch protocol ", Sign::UpgradeUnexpected, Trust::C),
    phrase("can't switch protocols using non-Hijacker", Sign::UpgradeRefused, Trust::C),
    phrase("unsupported protocol scheme \\\"h2c", Sign::Http1ToHttp2, Trust::C),
    phrase("unsupported protocol scheme \"h2c", Sign::Http1ToHttp2, Trust::C),
    phrase("unsupported protocol scheme \\\"grpc", Sign::Http1ToHttp2, Trust::C),
    phrase("unsupported protocol scheme \"grpc", Sign::Http1ToHttp2, Trust::C),
    phrase("unsupported protocol scheme", Sign::NoCluster, Trust::C),
    phrase("http: server closed idle connection", Sign::Closed, Trust::C),
    phrase("transport connection broken: EOF", Sign::Closed, Trust::C),
    phrase("too many open files", Sign::NoDescriptors, Trust::C),
    phrase("cannot assign requested address", Sign::NoLocalPort, Trust::C),
    phrase("no space left on device", Sign::DiskFull, Trust::C),
    phrase("context canceled", Sign::ClientClosed, Trust::C),
    phrase("request canceled while waiting for connection", Sign::ConnectTimedOut, Trust::C),
    phrase("Client.Timeout exceeded while awaiting headers", Sign::HeadTimedOut, Trust::C),
    phrase(
        "Client.Timeout or context cancellation while reading body",
        Sign::BodyStalled,
        Trust::C,
    ),
];

/// What a message says, if it is an error text of the standard library.
pub(super) fn fault(message: &str) -> Option<Fault<'_>> {
    let inset = message.len() - own(message).len();
    let text = &message[inset..];
    let (sign, words) = sign(text)?;
    let span = inset + words.start..inset + words.end;
    let detail = match sign {
        Sign::CertWrongName | Sign::CertExpired | Sign::CertNoIpSan | Sign::CertUntrusted => {
            text.find("x509: ").map(|at| line_of(&text[at..]))
        }
        Sign::NameNotFound | Sign::NameServerFailed | Sign::NameTimedOut => host(text),
        _ => None,
    };
    Some(Fault { sign, span, upstream: upstream(text), detail })
}

/// Up to the end of a string that the text stands in.
fn line_of(text: &str) -> &str {
    text.split(['"', '\n']).next().unwrap_or(text)
}

/// What stands after `Get "http://…": `, whose URL may be a caller's. Loggers may have escaped the
/// quotes. Before Go 1.14 there were none.
fn own(message: &str) -> &str {
    let Some((method, rest)) = message.split_once(' ') else { return message };
    let word = !method.is_empty() && method.bytes().all(|it| it.is_ascii_alphabetic());
    if !word || method.len() > 8 {
        return message;
    }
    for (open, close) in [("\"", "\": "), ("\\\"", "\\\": ")] {
        if let Some(url) = rest.strip_prefix(open) {
            return url.split_once(close).map_or("", |(_, it)| it);
        }
    }
    if rest.starts_with("http://") || rest.starts_with("https://") {
        return rest.split_once(": ").map_or("", |(_, it)| it);
    }
    message
}

fn sign(text: &str) -> Option<(Sign, Range<usize>)> {
    if let Some(it) = lookup(text).or_else(|| not_http(text)) {
        return Some(it);
    }
    if let Some((found, words)) = find(TEXTS, text) {
        let start = match found.sign {
            // The names that the certificate has and the one that was wanted belong to it.
            Sign::CertWrongName | Sign::CertNoIpSan => {
                let start = text.find("x509: ").unwrap_or(words.start);
                return Some((found.sign, start..start + line_of(&text[start..]).len()));
            }
            Sign::NoDescriptors | Sign::NoLocalPort => dialled(text).unwrap_or(words.start),
            _ => words.start,
        };
        return Some((found.sign, start.min(words.start)..words.end));
    }
    system(text)
}

/// `dial tcp: lookup db on 127.0.0.11:53: no such host`.
fn lookup(text: &str) -> Option<(Sign, Range<usize>)> {
    const ENDS: &[Phrase] = &[
        phrase("no such host", Sign::NameNotFound, Trust::C),
        phrase("Name or service not known", Sign::NameNotFound, Trust::C),
        phrase("server misbehaving", Sign::NameServerFailed, Trust::C),
        phrase("i/o timeout", Sign::NameTimedOut, Trust::C),
        phrase("Temporary failure in name resolution", Sign::NameTimedOut, Trust::C),
        phrase("connection refused", Sign::NameUnresolved, Trust::C),
        phrase("cannot unmarshal DNS message", Sign::NameUnresolved, Trust::C),
    ];
    let start = text.find("lookup ")?;
    let (found, words) = find(ENDS, &text[start..])?;
    Some((found.sign, start..start + words.end))
}

/// The name that was looked up.
fn host(text: &str) -> Option<&str> {
    let rest = &text[text.find("lookup ")? + 7..];
    rest.split([' ', ':']).next().filter(|it| !it.is_empty())
}

/// `malformed HTTP response "\x15\x03\x01…"`: the first bytes tell what it was.
fn not_http(text: &str) -> Option<(Sign, Range<usize>)> {
    const WORDS: &str = "malformed HTTP response ";
    let start = text.find(WORDS)?;
    let rest = &text[start + WORDS.len()..];
    // A logger may have escaped the quote and the backslashes once more.
    let quoted = rest.trim_start_matches(['\\', '"']);
    let bytes = quoted.replace("\\\\", "\\");
    let open = rest.len() - quoted.len();
    let shown = quoted.find('"').unwrap_or(quoted.len()).min(48);
    let shown = crate::scan::clip(quoted, shown).len();
    // The backslashes before `x15` were taken with those of the quote.
    let is = |it: &str| bytes.trim_start_matches('\\').starts_with(it);
    let sign = match () {
        () if is("x15\\x03") || is("x16\\x03") => Sign::TlsBytes,
        () if is("x00\\x00") => Sign::Http2Bytes,
        () => Sign::NotHttp,
    };
    Some((sign, start..start + WORDS.len() + open + shown))
}

/// Errors of the system, whose meaning depends on what was done: `dial`, `read` or `write`.
fn system(text: &str) -> Option<(Sign, Range<usize>)> {
    let unix = text.contains("dial unix ");
    let dial = unix || dialled(text).is_some();
    let write = text.contains("write: ") || text.starts_with("write ") || text.contains(": write ");
    let body = text.contains("during body copy") || text.contains("readfrom tcp");
    let timeout = match () {
        () if dial => Sign::ConnectTimedOut,
        () if write => Sign::SendTimedOut,
        () if body => Sign::BodyStalled,
        () => Sign::HeadTimedOut,
    };
    let reset = if body { Sign::BodyReset } else { Sign::Reset };
    let is_unix = |socket: Sign, tcp: Sign| if unix { socket } else { tcp };
    let table = [
        ("connection refused", is_unix(Sign::SocketStale, Sign::ConnectRefused), dial),
        ("no such file or directory", Sign::SocketMissing, unix),
        ("permission denied", is_unix(Sign::SocketDenied, Sign::ConnectDenied), dial),
        ("resource temporarily unavailable", Sign::SocketBacklogFull, unix),
        ("no route to host", Sign::HostUnreachable, true),
        ("network is unreachable", Sign::NetworkUnreachable, true),
        ("operation not permitted", Sign::ConnectNotPermitted, dial),
        ("connection timed out", timeout, true),
        ("i/o timeout", timeout, true),
        ("connection reset by peer", reset, true),
        ("broken pipe", Sign::SendBroken, true),
        ("context deadline exceeded", if dial { timeout } else { Sign::Deadline }, true),
        ("use of closed network connection", Sign::Disconnected, true),
        ("unexpected EOF", if body { Sign::BodyCut } else { Sign::HeadPartial }, true),
    ];
    let found = table.iter().filter(|(_, _, holds)| *holds).find_map(|(words, sign, _)| {
        let at = memchr::memmem::find(text.as_bytes(), words.as_bytes())?;
        Some((*sign, at..at + words.len()))
    });
    if let Some((sign, words)) = found {
        let begins = dialled(text)
            .or_else(|| {
                ["read tcp ", "write tcp ", "dial unix "].iter().find_map(|it| text.find(it))
            })
            .filter(|at| *at < words.start)
            .unwrap_or(words.start);
        return Some((sign, begins..words.end));
    }
    let end = text.trim_end().len();
    let eof = text[..end].strip_suffix("EOF")?;
    let alone = eof.is_empty() || eof.ends_with(": ");
    alone.then_some((if body { Sign::BodyCut } else { Sign::Closed }, eof.len()..end))
}

fn dialled(text: &str) -> Option<usize> {
    text.find("dial tcp").or_else(|| text.find("dial udp"))
}

/// The far address of `dial tcp A: …`, `dial tcp L->R: …` and `read tcp L->R: …`.
fn upstream(text: &str) -> Option<&str> {
    const ACTS: [&str; 6] =
        ["dial tcp ", "dial tcp4 ", "dial tcp6 ", "dial unix ", "read tcp ", "write tcp "];
    let rest = ACTS.iter().find_map(|it| Some(&text[text.find(it)? + it.len()..]))?;
    let address = rest.split(": ").next()?;
    let address = address.rsplit_once("->").map_or(address, |(_, far)| far);
    let plain = !address.is_empty() && address.len() < 300 && !address.contains([' ', '"']);
    plain.then_some(address)
}

/// Error texts that begin a line.
fn alone(text: &str) -> bool {
    let own = own(text);
    let begins = ["dial tcp", "dial unix ", "read tcp ", "write tcp ", "x509: ", "tls: "]
        .iter()
        .chain(&["remote error: tls: ", "net/http: ", "http2: ", "http: server gave HTTP"])
        .any(|it| own.starts_with(it));
    begins && fault(text).is_some()
}

struct Entry<'a> {
    at: Option<Stamp>,
    message: &'a str,
}

const STARTS: [&str; 7] = [
    "http: proxy error: ",
    "http: panic serving ",
    "http: TLS handshake error from ",
    "http: Accept error: ",
    "httputil: ReverseProxy read error during body copy: ",
    "listen tcp ",
    "listen unix ",
];

/// `2026/11/20 15:16:30 file.go:184: MESSAGE`: what the package `log` puts in front, any of it, and
/// what logfmt makes of it.
fn entry(text: &str) -> Option<Entry<'_>> {
    let (at, mut rest) = match clock::iso(text) {
        Some((at, end)) => (Some(at), text[end..].trim_start()),
        None => (None, text),
    };
    if let Some(message) =
        text.starts_with("time=").then(|| between(text, " msg=\"", "\"")).flatten()
    {
        rest = message;
    }
    if let Some((file, message)) = rest.split_once(": ") {
        let line = file.rsplit_once(".go:").map(|(_, it)| it);
        if !file.contains(' ') && line.is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit())) {
            rest = message;
        }
    }
    STARTS.iter().any(|it| rest.starts_with(it)).then_some(Entry { at, message: rest })
}

/// `tls: oversized record received with length 22617`: the greeting began with `PROXY `, of which the
/// fourth and fifth byte were taken for a length. What stands there of other greetings is anybody's.
fn proxy_header(message: &str) -> Option<&str> {
    const WORDS: &str = "tls: oversized record received with length ";
    let start = message.find(WORDS)?;
    let length = crate::reader::number(&message[start + WORDS.len()..])?;
    let end = start + WORDS.len() + length.to_string().len();
    (length == i64::from(u16::from_be_bytes(*b"XY"))).then(|| message.get(start..end))?
}

fn log(line: &Line, sink: &mut dyn Sink) {
    let Some(Entry { at, message }) = entry(&line.text) else { return };
    let inset = span_of(&line.text, message).start;
    let put = |sink: &mut dyn Sink, sign, words: &str| {
        let span = span_of(&line.text, words);
        sink.event(Event::new(Product::Go, sign, Trust::C, span).at(at));
    };
    if let Some(from) = message.strip_prefix("http: TLS handshake error from ") {
        if let Some(words) = proxy_header(message) {
            return put(sink, Sign::ProxyHeaderMissing, words);
        }
        let span = span_of(&line.text, &message[..30]);
        // Of the reasons, those that a proxy as the client would give.
        let reason = from.split_once(": ").map(|(_, it)| it.trim_end()).filter(|it| {
            it.starts_with("remote error: ") || it.starts_with("tls: first record does not look")
        });
        let event = Event::new(Product::Go, Sign::ClientTls, Trust::C, span).at(at);
        return sink.event(event.detail(reason));
    }
    if let Some(rest) = message.strip_prefix("http: panic serving ") {
        // `192.0.2.1:5: runtime error: …`: the words are the app's.
        let detail = rest.split_once(": ").map_or("", |(_, it)| it);
        let span = inset..inset + "http: panic serving".len();
        let event = Event::new(Product::Go, Sign::UnhandledException, Trust::C, span);
        return sink.event(event.at(at).detail(Some(detail)));
    }
    if message.starts_with("http: Accept error: ") {
        if message.contains("too many open files") {
            put(sink, Sign::AppFdExhausted, message.split(';').next().unwrap_or(message));
        }
        return;
    }
    if let Some(rest) = message.strip_prefix("listen ") {
        return listen(line, at, message, rest, sink);
    }
    let Some((_, error)) = message.split_once(": ").and_then(|(_, it)| it.split_once(": ")) else {
        return;
    };
    let cut = message.starts_with("httputil: ");
    // The words of the act are part of what decides, so the whole message is read.
    let error = if cut { message } else { error };
    if let Some(fault) = fault(error) {
        let inset = span_of(&line.text, error).start;
        sink.event(fault.event(Product::Go, Trust::C, inset).at(at));
    }
}

/// `listen tcp :8080: bind: address already in use`.
fn listen(line: &Line, at: Option<Stamp>, message: &str, rest: &str, sink: &mut dyn Sink) {
    const WHY: &[Phrase] = &[
        phrase("bind: address already in use", Sign::PortInUse, Trust::C),
        phrase("bind: ", Sign::BindFailed, Trust::C),
    ];
    let Some((why, words)) = find(WHY, message) else { return };
    let address = rest.split_once(' ').and_then(|(_, it)| it.split_once(": ")).map(|(it, _)| it);
    let inset = span_of(&line.text, message).start;
    let end = if why.sign == Sign::PortInUse { words.end } else { message.len() };
    let span = inset..inset + end;
    sink.event(Event::new(Product::Go, why.sign, why.trust, span).at(at).upstream(address));
}

/// `panic: …` or `fatal error: …` with a goroutine among the next lines, where there are any.
fn panic<'l>(line: &'l Line) -> Option<(Sign, &'l str)> {
    const MEMORY: [&str; 2] = ["fatal error: runtime: out of memory", "cannot allocate memory"];
    const RUNTIME: [&str; 4] =
        ["all goroutines are asleep", "concurrent map ", "stack overflow", "unexpected signal"];
    let text = &*line.text;
    let memory = MEMORY.iter().any(|it| text.contains(it));
    let known = text.starts_with("panic: ")
        || text.starts_with("fatal error: ")
            && (memory || RUNTIME.iter().any(|it| text.contains(it)));
    if !known {
        return None;
    }
    // `[recovered]`, `[signal …]` and blank lines may stand between.
    let mut after = line.following().take(8).peekable();
    let whole = after.peek().is_none() || after.any(|it| it.starts_with("goroutine "));
    whole.then_some((if memory { Sign::HeapExhausted } else { Sign::ProcessExited }, text))
}

/// The dependency that usually listens on a port.
pub(super) fn dependency(address: &str) -> Option<Sign> {
    match address::port(address)? {
        5432 | 5433 | 6432 | 3306 | 33060 | 1433 | 1521 | 27017 | 9042 | 26257 => {
            Some(Sign::DbRefused)
        }
        6379 | 6380 | 11211 => Some(Sign::CacheDown),
        5672 | 5671 | 9092 | 4222 | 1883 | 61616 => Some(Sign::BrokerDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, check_nothing};

    #[track_caller]
    fn says(message: &str, sign: Sign, words: &str) {
        let it = fault(message).expect("a fault");
        assert_eq!((it.sign, &message[it.span]), (sign, words), "{message}");
    }

    #[test]
    fn a_proxy_header_is_known_by_two_of_its_letters() {
        check(
            "2026/11/20 15:16:30 server.go:2848: http: TLS handshake error from 192.0.2.1:23666: tls: oversized record received with length 22617",
            "Go: ProxyHeaderMissing | tls: oversized record received with length 22617",
        );
        check(
            "2026/11/20 15:16:30 http: TLS handshake error from 192.0.2.1:23666: tls: oversized record received with length 8239",
            "Go: ClientTls | http: TLS handshake error from",
        );
        check(
            "http: TLS handshake error from 192.0.2.1:5: remote error: tls: bad certificate",
            "Go: ClientTls detail=remote error: tls: bad certificate | http: TLS handshake error from",
        );
        check(
            "2026/11/20 15:16:30 http: proxy error: unsupported protocol scheme \"\"",
            "Go: NoCluster | unsupported protocol scheme",
        );
    }

    #[test]
    fn errors_of_the_system_mean_what_was_done() {
        let refused = "dial tcp 127.0.0.1:80: connect: connection refused";
        says(refused, Sign::ConnectRefused, refused);
        let missing = "dial unix /run/app.sock: connect: no such file or directory";
        says(missing, Sign::SocketMissing, missing);
        says(
            "dial tcp 192.0.2.1:80: i/o timeout",
            Sign::ConnectTimedOut,
            "dial tcp 192.0.2.1:80: i/o timeout",
        );
        says(
            "read tcp 192.0.2.1:5->192.0.2.2:80: read: connection reset by peer",
            Sign::Reset,
            "read tcp 192.0.2.1:5->192.0.2.2:80: read: connection reset by peer",
        );
        says(
            "dial tcp: lookup app on 127.0.0.11:53: no such host",
            Sign::NameNotFound,
            "lookup app on 127.0.0.11:53: no such host",
        );
        says(
            "dial tcp: lookup app on 127.0.0.11:53: server misbehaving",
            Sign::NameServerFailed,
            "lookup app on 127.0.0.11:53: server misbehaving",
        );
        says("EOF", Sign::Closed, "EOF");
        says("Get \"http://a/x\": EOF", Sign::Closed, "EOF");
        says("unexpected EOF", Sign::HeadPartial, "unexpected EOF");
        says(
            "httputil: ReverseProxy read error during body copy: unexpected EOF",
            Sign::BodyCut,
            "unexpected EOF",
        );
        says(
            "dial tcp 192.0.2.1:80: connect: cannot assign requested address",
            Sign::NoLocalPort,
            "dial tcp 192.0.2.1:80: connect: cannot assign requested address",
        );
    }

    #[test]
    fn tls_and_protocols_are_told_apart() {
        says("remote error: tls: handshake failure", Sign::TlsCipher, "tls: handshake failure");
        says(
            "tls: failed to verify certificate: x509: certificate is valid for a, not b",
            Sign::CertWrongName,
            "x509: certificate is valid for a, not b",
        );
        says(
            "tls: first record does not look like a TLS handshake",
            Sign::TlsToPlain,
            "tls: first record does not look like a TLS handshake",
        );
        says(
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x15\\x03\\x01\"",
            Sign::TlsBytes,
            "malformed HTTP response \"\\x15\\x03\\x01",
        );
        says(
            "malformed HTTP response \\\"\\\\x00\\\\x00\\\\x12\\\"",
            Sign::Http2Bytes,
            "malformed HTTP response \\\"\\\\x00\\\\x00\\\\x12\\",
        );
        says(
            "malformed HTTP response \"SSH-2.0\"",
            Sign::NotHttp,
            "malformed HTTP response \"SSH-2.0",
        );
        assert!(
            fault("all is well").is_none() && fault("").is_none() && fault("the EOF").is_none()
        );
    }

    #[test]
    fn a_url_in_front_is_stepped_over() {
        says("Get \"http://a/connection refused\": EOF", Sign::Closed, "EOF");
        assert!(fault("Get \"http://a/x509: certificate has expired\": boom").is_none());
    }

    #[test]
    fn the_reverse_proxy_and_the_server_are_read() {
        check(
            "2026/11/20 15:16:30 reverseproxy.go:184: http: proxy error: x509: certificate has \
             expired or is not yet valid",
            "Go: CertExpired detail=x509: certificate has expired or is not yet valid | certificate \
             has expired or is not yet valid",
        );
        check(
            "2026/11/20 15:16:30 http: TLS handshake error from 192.0.2.1:5: remote error: tls: \
             unknown certificate",
            "Go: ClientTls detail=remote error: tls: unknown certificate | http: TLS handshake error from",
        );
        check(
            "listen tcp :8080: bind: address already in use",
            "Go: PortInUse upstream=:8080 | listen tcp :8080: bind: address already in use",
        );
        check(
            "2026/11/20 15:16:30 http: panic serving 192.0.2.1:5: boom\ngoroutine 7 [running]:",
            "Go: UnhandledException detail=boom | http: panic serving",
        );
        check(
            "panic: boom\n\ngoroutine 1 [running]:\nmain.main()",
            "Go: ProcessExited detail=boom | panic: boom",
        );
        check_nothing("2026/11/20 15:16:30 GET /?http: proxy error: EOF from 192.0.2.1");
    }

    #[test]
    fn an_app_that_dials_a_database_is_no_proxy() {
        check(
            "dial tcp 192.0.2.5:5432: connect: connection refused",
            "Go: DbRefused upstream=192.0.2.5:5432 | dial tcp 192.0.2.5:5432: connect: connection refused",
        );
    }
}
