//! `[Fri Nov 20 15:16:30.123456 2026] [proxy:error] [pid 7:tid 9] (111)Connection refused: AH00957:
//! http: attempt to connect to 192.0.2.7:8000 (app) failed`, and the older form without module and
//! number. The error's number stands before the message, and the same number has other meanings
//! elsewhere: `(28)No space left on device` is what a header that is too long gives.

use super::{Code, modules};
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::nginx::tls;
use crate::sign::{Kind, Sign};
use crate::trust::Trust;

pub(in crate::readers) const ERROR: Reader = Reader {
    name: "Apache error log",
    product: Product::Apache,
    hooks: &[
        "] proxy: ",
        ": proxy: ",
        "ap_proxy_connect_backend",
        "AH00",
        "AH01",
        "AH02",
        "AH03",
        "AH10",
        "SSL Proxy",
        "Library Error: ",
        "daemon process",
        "before returning headers",
        "script headers",
        "mod_fcgid:",
        "mod_wsgi",
        "make_sock",
        "exit signal",
        "MaxClients",
        "resuming normal operations",
        "caught SIGTERM",
        "denied by server configuration",
        "PHP Fatal error:",
    ],
    fits: |line| parts(&line.text).is_some(),
    read: |line, sink| {
        if let Some(mut parts) = parts(&line.text) {
            parts.outgoing |= is_library_error(&parts) && is_beside_proxy(line, &parts);
            // The lines after it say why.
            let vague = parts.message.starts_with("SSL Proxy connect failed");
            if vague && line.following().take(3).any(|it| it.contains(":SSL routines:")) {
                return;
            }
            tell(&line.text, &parts, sink);
        }
    },
    source: "https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat; httpd 2.2 and 2.4.71",
    example: "[Fri Nov 20 15:16:30.123456 2026] [proxy:error] [pid 7:tid 9] (111)Connection refused: \
              AH00957: http: attempt to connect to 192.0.2.7:8000 (app) failed",
};

pub(super) struct Parts<'a> {
    at: Option<Stamp>,
    pid: Option<u32>,
    pub(super) module: &'a str,
    pub(super) code: Option<Code>,
    /// The outgoing side, which is an upstream.
    pub(super) remote: Option<&'a str>,
    client: Option<&'a str>,
    /// The connection that it is about is one to an upstream.
    outgoing: bool,
    /// From `(111)` on.
    pub(super) told: &'a str,
    /// The number behind `AH`.
    pub(super) id: Option<u32>,
    pub(super) message: &'a str,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let mut parts = Parts {
        at: None,
        pid: None,
        module: "",
        code: None,
        remote: None,
        client: None,
        outgoing: false,
        told: "",
        id: None,
        message: "",
    };
    let piece = text.trim_start();
    let cut = piece.strip_prefix("SSL ").unwrap_or(piece);
    if cut.starts_with(&LIBRARY["SSL ".len()..]) && cut.contains(":SSL routines:") {
        parts.told = cut;
        parts.message = cut;
        return Some(parts);
    }
    let mut rest = text;
    if let Some((at, end)) = text.strip_prefix('[').and_then(clock::ctime) {
        parts.at = Some(at);
        rest = text[end + 1..].strip_prefix("] ")?;
    }
    match bracket(rest).and_then(|(it, after)| Some((module_of(it)?, after))) {
        Some((module, after)) => (parts.module, rest) = (module, after),
        None if parts.at.is_some() => return None,
        // People cut what stands before the number of a message.
        None => {}
    }
    let modern = rest.starts_with("[pid ");
    read_brackets(&mut parts, &mut rest);
    parts.told = rest;
    if let Some((code, after)) = code(rest) {
        parts.code = Some(code);
        rest = after;
        read_brackets(&mut parts, &mut rest);
    }
    if let Some((id, after)) = rest.strip_prefix("AH").and_then(|it| it.split_once(": ")) {
        parts.id = id.parse().ok().filter(|_| id.len() == 5);
        rest = if parts.id.is_some() { after } else { rest };
    }
    parts.message = rest.split(", referer: ").next().unwrap_or(rest);
    parts.outgoing = parts.remote.is_some();
    // Without a time, only what no other product writes.
    let own = parts.at.is_some()
        || parts.id.is_some()
        || modern && !parts.module.is_empty()
        || parts.message.starts_with("proxy: ")
        || parts.message.starts_with("ap_proxy_connect_backend ");
    own.then_some(parts)
}

/// The module of `proxy:error`, `error`, `trace3`.
fn module_of(text: &str) -> Option<&str> {
    let (module, level) = text.split_once(':').unwrap_or(("", text));
    let level = level.trim_end_matches(|it: char| it.is_ascii_digit());
    let known = matches!(
        level,
        "emerg" | "alert" | "crit" | "error" | "warn" | "notice" | "info" | "debug" | "trace"
    );
    let plain = module.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it));
    (known && plain).then_some(module)
}

const LIBRARY: &str = "SSL Library Error: ";

/// OpenSSL's words behind mod_ssl's, of which people cut the first.
fn library(message: &str) -> Option<&str> {
    message.strip_prefix("SSL ").unwrap_or(message).strip_prefix(&LIBRARY["SSL ".len()..])
}

fn is_library_error(parts: &Parts<'_>) -> bool {
    library(parts.message).is_some() && parts.client.is_none()
}

/// OpenSSL's words do not say whose connection they are about; the lines beside them do.
fn is_beside_proxy(line: &Line, parts: &Parts<'_>) -> bool {
    const LINES: usize = 6;
    let proxied = |text: &str| {
        ["SSL Proxy", "AH02003", "AH01961", "SSL Handshake with remote server"]
            .iter()
            .any(|it| text.contains(it))
    };
    let served = |text: &str| text.contains("AH02008") || text.contains("SSL library error 1 in");
    if line.preceding().take(LINES).any(|it| proxied(&it)) {
        return true;
    }
    let before = line.preceding().take(LINES).any(|it| served(&it));
    !before && (parts.at.is_none() || line.following().take(LINES).any(|it| proxied(&it)))
}

/// `[text] `, and what follows.
fn bracket(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.split_once("] ").filter(|(it, _)| it.len() < 100)
}

/// `[pid 7:tid 9] `, `[client 192.0.2.1:5] `, `[remote 192.0.2.7:443] `, `proxy_util.c(123): `.
fn read_brackets<'a>(parts: &mut Parts<'a>, rest: &mut &'a str) {
    for _ in 0..6 {
        if let Some((inner, after)) = bracket(rest) {
            match inner.split_once(' ') {
                Some(("pid", it)) => {
                    parts.pid = it.split(':').next().and_then(|it| it.parse().ok());
                }
                Some(("client", it)) => parts.client = Some(it),
                Some(("remote", it)) => parts.remote = Some(it),
                _ => {}
            }
            *rest = after;
            continue;
        }
        let Some((place, after)) = rest.split_once("): ") else { return };
        let file = place.split_once(".c(").filter(|(name, line)| {
            !name.contains(' ') && line.bytes().all(|it| it.is_ascii_digit())
        });
        if file.is_none() {
            return;
        }
        *rest = after;
    }
}

/// `(111)Connection refused: `.
fn code(text: &str) -> Option<(Code, &str)> {
    let (inner, rest) = text.strip_prefix('(')?.split_once(')')?;
    let code = match inner.strip_prefix("EAI ") {
        Some(it) => Code::Resolver(it.parse().ok()?),
        None => Code::System(inner.parse().ok()?),
    };
    let (_, rest) = rest.split_once(": ")?;
    Some((code, rest))
}

/// What a message says.
pub(super) struct Said<'a> {
    pub(super) product: Product,
    pub(super) sign: Sign,
    pub(super) trust: Trust,
    pub(super) words: &'a str,
    pub(super) upstream: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) number: Option<i64>,
    pub(super) status: Option<u16>,
}

pub(super) fn new<'a>(sign: Sign, words: &'a str) -> Said<'a> {
    Said {
        product: Product::Apache,
        sign,
        trust: Trust::C,
        words,
        upstream: None,
        detail: None,
        number: None,
        status: None,
    }
}

fn tell(text: &str, parts: &Parts<'_>, sink: &mut dyn Sink) {
    let Some(said) = proxied(parts).or_else(|| modules::read(parts)).or_else(|| itself(parts))
    else {
        return;
    };
    let about_client = said.sign.kind() == Kind::Client;
    sink.event(
        Event::new(said.product, said.sign, said.trust, span_of(text, said.words))
            .at(parts.at)
            .pid(parts.pid)
            .upstream(said.upstream.or(parts.remote).filter(|_| !about_client))
            .detail(said.detail)
            .number(said.number)
            .status(said.status)
            .route(returned_by(parts.message))
            .client(parts.client.map(|it| it.rsplit_once(':').map_or(it, |(host, _)| host))),
    );
}

/// `Error reading from remote server returned by /path`.
fn returned_by(message: &str) -> Option<&str> {
    let path = message.split_once(" returned by ")?.1.split(' ').next()?;
    Some(path).filter(|it| it.starts_with('/'))
}

/// From the number to the end of these words of the message: both decide together.
fn with_code<'a>(parts: &Parts<'a>, words: &'a str) -> &'a str {
    let end = span_of(parts.told, words).end;
    // The client's address may stand between them; the words alone say enough then.
    let whole = &parts.told[..end];
    if parts.code.is_none() || whole.contains('[') { words } else { whole }
}

pub(super) fn words<'a>(message: &'a str, text: &str) -> Option<&'a str> {
    let at = message.find(text)?;
    Some(&message[at..at + text.len()])
}

pub(super) fn connect_sign(code: Option<Code>, unix: bool) -> Sign {
    match code {
        Some(Code::System(111 | 61 | 146 | 10061 | 730_061)) if unix => Sign::SocketStale,
        Some(Code::System(111 | 61 | 146 | 10061 | 730_061)) => Sign::ConnectRefused,
        Some(Code::System(110 | 60 | 145 | 70007 | 10060 | 730_060)) => Sign::ConnectTimedOut,
        Some(Code::System(2)) if unix => Sign::SocketMissing,
        Some(Code::System(13)) if unix => Sign::SocketDenied,
        Some(Code::System(13)) => Sign::ConnectDenied,
        Some(Code::System(11)) if unix => Sign::SocketBacklogFull,
        Some(Code::System(1)) => Sign::ConnectNotPermitted,
        Some(Code::System(99 | 49)) => Sign::NoLocalPort,
        Some(Code::System(113 | 65)) => Sign::HostUnreachable,
        Some(Code::System(101 | 51)) => Sign::NetworkUnreachable,
        Some(Code::System(23 | 24)) => Sign::NoDescriptors,
        Some(Code::Resolver(_)) => resolver_sign(code),
        _ => Sign::ConnectFailed,
    }
}

/// getaddrinfo's numbers, without their sign.
fn resolver_sign(code: Option<Code>) -> Sign {
    match code {
        Some(Code::Resolver(2 | 5 | 8)) => Sign::NameNotFound,
        Some(Code::Resolver(4)) => Sign::NameServerFailed,
        _ => Sign::NameUnresolved,
    }
}

/// What becomes of a connection that waited for an answer. APR calls the end of a stream 70014, and
/// 20014 where mod_proxy does not know better.
pub(super) fn waiting_sign(code: Option<Code>) -> Sign {
    match code {
        Some(Code::System(70007 | 110 | 60 | 120_007)) => Sign::HeadTimedOut,
        Some(Code::System(104 | 54)) => Sign::Reset,
        Some(Code::System(70014 | 20014)) => Sign::Closed,
        Some(Code::System(32)) => Sign::SendBroken,
        _ => Sign::Disconnected,
    }
}

/// A fixed text that the message begins with, behind nothing but `proxy: ` and the name of a scheme
/// or a balancer: further on, it may be a path or anything else that somebody sent.
fn opening<'a>(message: &'a str, text: &str) -> Option<&'a str> {
    let rest = message.strip_prefix("proxy: ").unwrap_or(message);
    let found = words(rest, text)?;
    let before = &rest[..span_of(rest, found).start];
    let name = before.strip_suffix(": ").or_else(|| before.strip_suffix("). "));
    let name = name.map(|it| it.strip_prefix("BALANCER: (").unwrap_or(it));
    let plain = name.is_some_and(|it| !it.contains([' ', '"', '\'']) && it.len() < 100);
    (before.is_empty() || plain).then_some(found)
}

/// Modules whose lines an app writes.
fn of_app(parts: &Parts<'_>) -> bool {
    const MODULES: [&str; 7] = ["php", "wsgi", "cgi", "perl", "lua", "fcgid", "python"];
    parts.id.is_none() && MODULES.iter().any(|it| parts.module.starts_with(it))
}

fn proxied<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    let message = parts.message;
    if of_app(parts) {
        return None;
    }
    if let Some(text) =
        opening(message, "attempt to connect to ").filter(|_| message.ends_with(" failed"))
    {
        let rest = &message[span_of(message, text).end..];
        let (unix, rest) = match rest.strip_prefix("Unix domain socket ") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let address = rest.split(' ').next()?;
        let sign = connect_sign(parts.code, unix || address.starts_with('/'));
        return Some(Said { upstream: Some(address), ..new(sign, with_code(parts, message)) });
    }
    for (text, how) in WAITING {
        let Some(text) = opening(message, text) else { continue };
        let rest = message[span_of(message, text).end..].trim_start();
        // `httpd-UDS:0` stands for any unix socket.
        let address = rest.split(' ').next();
        let address = address
            .filter(|it| !it.is_empty() && !it.starts_with('/') && !it.starts_with("httpd-UDS"));
        let sign = how(parts.code)?;
        let number = unreadable(parts.code).filter(|_| sign == Sign::BodyCut);
        return Some(Said { upstream: address, number, ..new(sign, with_code(parts, text)) });
    }
    answers(parts).or_else(|| balance(message)).or_else(|| secure(parts))
}

type How = fn(Option<Code>) -> Option<Sign>;

const WAITING: [(&str, How); 7] = [
    ("error reading status line from remote server", |code| Some(waiting_sign(code))),
    ("pass request body failed to", |code| match code? {
        Code::System(32) => Some(Sign::SendBroken),
        Code::System(104 | 54) => Some(Sign::Reset),
        Code::System(70007 | 110) => Some(Sign::SendTimedOut),
        _ => None,
    }),
    ("Error reading headers from backend", |code| {
        Some(match code {
            Some(Code::System(70007 | 110)) => Sign::HeadSlow,
            Some(Code::System(104 | 54)) => Sign::Reset,
            Some(Code::System(70014 | 20014)) => Sign::HeadPartial,
            _ => Sign::HeaderBad,
        })
    }),
    ("error reading response headers from", |code| Some(waiting_sign(code))),
    ("Network error reading response", body_sign),
    ("error reading response", body_sign),
    ("Tunnel timed out", |_| Some(Sign::BodyStalled)),
];

/// The end of the stream inside a body is 70008 (`Partial results are valid but processing is
/// incomplete`). 20014 is what mod_http's filter gives for framing that it cannot read
/// (modules/http/http_filters.c), and mod_ssl for a record.
fn unreadable(code: Option<Code>) -> Option<i64> {
    (code == Some(Code::System(20014))).then_some(20014)
}

fn body_sign(code: Option<Code>) -> Option<Sign> {
    Some(match code {
        Some(Code::System(70007 | 110)) => Sign::BodyStalled,
        Some(Code::System(104 | 54)) => Sign::BodyReset,
        _ => Sign::BodyCut,
    })
}

/// Fixed texts of mod_proxy_http.c and proxy_util.c about answers.
fn answers<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    const TABLE: [(&str, Sign); 16] = [
        ("header size is over the limit allowed by ResponseFieldSize", Sign::HeadTooBig),
        ("bad HTTP/1.1 header returned by", Sign::HeaderBad),
        ("bad HTTP/1.0 header returned by", Sign::HeaderBad),
        ("Invalid Content-Length", Sign::LengthInvalid),
        ("Unknown Transfer-Encoding", Sign::CodingUnknown),
        ("Error reading/parsing chunk", Sign::ChunkBad),
        ("Corrupt status line returned by remote server", Sign::StatusLineBad),
        ("Unexpected Upgrade", Sign::UpgradeUnexpected),
        ("Too many (", Sign::InterimsTooMany),
        ("Error during SSL Handshake with remote server", Sign::TlsFailed),
        ("failed to acquire connection for", Sign::ConnectionLimit),
        ("premature end of headers", Sign::HeadPartial),
        ("no http/1.1 status line", Sign::StatusLineBad),
        ("malformed header line", Sign::HeaderBad),
        ("prefetch request body failed to", Sign::ClientClosed),
        ("Request exceeded the limit of", Sign::ProxyLoop),
    ];
    let message = parts.message.strip_prefix("proxy: ").unwrap_or(parts.message);
    let text = message.strip_prefix("HTTP: ").unwrap_or(message);
    if let Some(rest) = text.strip_prefix("DNS lookup failure for: ") {
        let name = rest.split(' ').next().unwrap_or(rest);
        let end = span_of(text, name).end;
        let sign = resolver_sign(parts.code);
        return Some(Said { upstream: Some(name), detail: Some(name), ..new(sign, &text[..end]) });
    }
    const UNHANDLED: &str = "No protocol handler was valid for the URL";
    if text.starts_with(UNHANDLED) {
        let module = between(text, "(scheme '", "')").and_then(module_for);
        return Some(Said { detail: module, ..new(Sign::NoCluster, &text[..UNHANDLED.len()]) });
    }
    if let Some(text) = opening(message, "failed to enable ssl support")
        .or_else(|| opening(message, "SSLProxyEngine not enabled"))
    {
        return Some(Said { detail: Some("SSLProxyEngine"), ..new(Sign::NoCluster, text) });
    }
    // 2.2 and early 2.4: `SSL Proxy requested for example.com:80 but not enabled [Hint: SSLProxyEngine]`.
    if message.starts_with("SSL Proxy requested for ") {
        let text = words(message, "but not enabled")?;
        return Some(Said { detail: Some("SSLProxyEngine"), ..new(Sign::NoCluster, text) });
    }
    if text.starts_with("Error reading from remote server") {
        // The line before says why; this one, that the client was told so.
        let said = new(Sign::Answered502, &text[.."Error reading from remote server".len()]);
        return Some(Said { status: Some(502), ..said });
    }
    let (known, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    let limit = text.strip_prefix("header size is over the limit allowed by ResponseFieldSize (");
    let known = if *known == "Too many (" && !text.contains("interim responses") {
        return None;
    } else {
        *known
    };
    Some(Said { number: limit.and_then(number), ..new(*sign, &text[..known.len()]) })
}

fn balance(message: &str) -> Option<Said<'_>> {
    let in_parens = between(message, "(", ")");
    if let Some(text) = opening(message, "ap_proxy_connect_backend disabling worker for") {
        let seconds = message.split_once(") for ").and_then(|(_, it)| number(it));
        let number = seconds.and_then(|it| it.checked_mul(1000));
        return Some(Said { upstream: in_parens, number, ..new(Sign::ServerDown, text) });
    }
    if let Some(text) = opening(message, "disabled connection for") {
        return Some(Said { upstream: in_parens, ..new(Sign::NoLiveUpstream, text) });
    }
    if let Some(text) = opening(message, "All workers are in error state") {
        let name = message.split(": ").next().filter(|it| it.starts_with("balancer://"));
        return Some(Said { upstream: name, ..new(Sign::NoLiveUpstream, text) });
    }
    if message.starts_with("Health check DISABLING") || message.starts_with("Health check ENABLING")
    {
        let down = message.starts_with("Health check DISABLING");
        let sign = if down { Sign::ServerDown } else { Sign::ServerUp };
        let name = message.rsplit(' ').next().filter(|it| it.contains("://"));
        return Some(Said { upstream: name, ..new(sign, message) });
    }
    let text = opening(message, "failed to make connection to backend: ")?;
    let name = &message[span_of(message, text).end..];
    let upstream = name.split([' ', ',']).next().filter(|it| !it.is_empty());
    let said = new(Sign::Answered503, text.trim_end_matches([':', ' ']));
    Some(Said { upstream, status: Some(503), ..said })
}

/// The module that speaks the scheme of an upstream.
fn module_for(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "http" | "https" => "mod_proxy_http",
        "fcgi" => "mod_proxy_fcgi",
        "ajp" => "mod_proxy_ajp",
        "scgi" => "mod_proxy_scgi",
        "uwsgi" => "mod_proxy_uwsgi",
        "ws" | "wss" => "mod_proxy_wstunnel",
        "h2" | "h2c" => "mod_proxy_http2",
        "balancer" => "mod_proxy_balancer",
        "ftp" => "mod_proxy_ftp",
        _ => return None,
    })
}

/// mod_ssl about the outgoing side (ssl_engine_io.c, ssl_engine_kernel.c, ssl_engine_log.c).
fn secure<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    const PROXY: [(&str, Sign); 6] = [
        ("Peer certificate does not match for hostname ", Sign::CertWrongName),
        ("Peer certificate CN mismatch", Sign::CertWrongName),
        ("Peer certificate is expired", Sign::CertExpired),
        ("Peer did not select any of our ALPN protocols", Sign::AlpnMismatch),
        ("Peer certificate is not yet valid", Sign::CertExpired),
        ("connect failed", Sign::TlsFailed),
    ];
    let message = parts.message;
    if let Some(rest) =
        message.strip_prefix("SSL Proxy: ").or_else(|| message.strip_prefix("SSL Proxy "))
    {
        let (_, sign) = PROXY.iter().find(|(it, _)| rest.starts_with(it))?;
        let name = message.rsplit(' ').next().filter(|_| *sign == Sign::CertWrongName);
        return Some(Said { detail: name, ..new(*sign, message) });
    }
    if !parts.outgoing {
        return None;
    }
    if let Some(text) = words(message, "Certificate Verification: Error (") {
        let start = span_of(message, text);
        let code = number(&message[start.end..]);
        let end = message.find(" [").unwrap_or(message.len()).max(start.end);
        let said = new(tls::verify_sign(code), &message[start.start..end]);
        return Some(Said { number: code, ..said });
    }
    if message.contains("downstream server wanted client certificate but none are configured") {
        return Some(new(Sign::TlsClientCertRequired, message));
    }
    let reason = library(message)?;
    Some(Said { number: tls::alert(reason), ..new(tls::reason_sign(reason)?, reason) })
}

/// The server's own life.
fn itself<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    const TABLE: [(&str, Sign); 14] = [
        ("server reached MaxRequestWorkers setting", Sign::PoolExhausted),
        ("server reached MaxClients setting", Sign::PoolExhausted),
        ("scoreboard is full", Sign::PoolExhausted),
        ("Syntax error on line ", Sign::BootFailed),
        ("Configuration Failed", Sign::BootFailed),
        ("Unable to open logs", Sign::BootFailed),
        ("Fatal error initialising mod_ssl", Sign::BootFailed),
        ("no listening sockets available, shutting down", Sign::BootFailed),
        ("caught SIGTERM, shutting down", Sign::ProcessStopped),
        ("caught SIGWINCH, shutting down gracefully", Sign::ShuttingDown),
        ("Graceful restart requested, doing restart", Sign::ProxyStarted),
        ("SIGHUP received.", Sign::ProxyStarted),
        ("client denied by server configuration", Sign::AuthDenied),
        ("Request exceeded the limit of", Sign::ProxyLoop),
    ];
    let message = parts.message;
    if of_app(parts) {
        return None;
    }
    if message.starts_with("Apache/") {
        let text = words(message, "resuming normal operations")?;
        return Some(new(Sign::ProxyStarted, text));
    }
    if message.starts_with("Syntax error on line ") && message.contains(" of ") {
        let text = message.trim_end().trim_end_matches(':');
        return Some(Said { detail: Some(text), ..new(Sign::ConfigRefused, text) });
    }
    if let Some(rest) = message.strip_prefix("child pid ") {
        let (_, signal) = rest.split_once(" exit signal ")?;
        let end = signal.find(')').map_or(signal.len(), |at| at + 1);
        let code = between(signal, "(", ")").and_then(number);
        let text = &message[..span_of(message, &signal[..end]).end];
        return Some(Said { number: code, ..new(Sign::ProxyWorkerCrashed, text) });
    }
    if let Some(text) = opening(message, "make_sock: could not bind to address ") {
        let rest = &message[span_of(message, text).end..];
        let address = rest.split(' ').next();
        let taken = parts.code == Some(Code::System(98)) || parts.code == Some(Code::System(48));
        let sign = if taken { Sign::PortInUse } else { Sign::BindFailed };
        return Some(Said { detail: address, ..new(sign, with_code(parts, message)) });
    }
    let (text, sign) = TABLE.iter().find(|(it, _)| message.starts_with(it))?;
    Some(new(*sign, message[..text.len()].trim_end()))
}
