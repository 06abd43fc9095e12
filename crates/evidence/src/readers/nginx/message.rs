//! What nginx's own words say.
//!
//! A message is known by its first words, since what comes later may be quoted: a path, a header
//! of the answer, a line that the app wrote.

use super::{digits, lua, stderr, tls};
use crate::product::Product;
use crate::reader::number;
use crate::readers::pasted;
use crate::sign::Sign;
use crate::trust::Trust;
use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// What a message says. The span counts from the message's first byte.
#[derive(Clone)]
pub(super) struct Said<'a> {
    pub(super) product: Product,
    pub(super) sign: Sign,
    pub(super) trust: Trust,
    pub(super) span: Range<usize>,
    /// An address that stands in the message itself.
    pub(super) upstream: Option<&'a str>,
    pub(super) detail: Option<Cow<'a, str>>,
    pub(super) number: Option<i64>,
}

impl<'a> Said<'a> {
    pub(super) fn new(sign: Sign, span: Range<usize>) -> Said<'a> {
        Said {
            product: Product::Nginx,
            sign,
            trust: Trust::C,
            span,
            upstream: None,
            detail: None,
            number: None,
        }
    }

    pub(super) fn detail(self, detail: Option<&'a str>) -> Said<'a> {
        Said { detail: detail.map(Cow::Borrowed), ..self }
    }

    pub(super) fn number(self, number: Option<i64>) -> Said<'a> {
        Said { number, ..self }
    }

    pub(super) fn upstream(self, upstream: Option<&'a str>) -> Said<'a> {
        Said { upstream, ..self }
    }

    pub(super) fn trust(self, trust: Trust) -> Said<'a> {
        Said { trust, ..self }
    }

    pub(super) fn product(self, product: Product) -> Said<'a> {
        Said { product, ..self }
    }
}

/// What nginx was doing: `c->log->action`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Connecting,
    Handshaking,
    Sending,
    ReadingHead,
    ReadingBody,
    /// A WebSocket or a TCP stream, in either direction.
    Tunnelling,
    /// Something with the client.
    Serving,
    /// Something that is no request of anybody.
    Other,
    /// Not said.
    Unsaid,
}

const DOING: [(&str, Doing); 13] = [
    ("reading response header from upstream", Doing::ReadingHead),
    ("connecting to upstream", Doing::Connecting),
    ("reading upstream", Doing::ReadingBody),
    ("sending request to upstream", Doing::Sending),
    ("SSL handshaking to upstream", Doing::Handshaking),
    ("sending to upstream", Doing::Sending),
    ("proxying upgraded connection", Doing::Tunnelling),
    ("proxying", Doing::Tunnelling),
    ("sending to client", Doing::Serving),
    ("reading client", Doing::Serving),
    ("SSL handshaking", Doing::Serving),
    ("keepalive", Doing::Serving),
    ("waiting for request", Doing::Serving),
];

static WHILE: LazyLock<memmem::FinderRev<'static>> =
    LazyLock::new(|| memmem::FinderRev::new(" while "));
static FAILED: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(" failed ("));

/// What is being done, and where the words for it end.
pub(super) fn doing(own: &str) -> (Doing, usize) {
    let Some(at) = WHILE.rfind(own.as_bytes()) else { return (Doing::Unsaid, own.len()) };
    let words = &own[at + 7..];
    for (known, doing) in DOING {
        let whole = known != "SSL handshaking" || words.len() == known.len();
        if words.starts_with(known) && whole {
            return (doing, at + 7 + known.len());
        }
    }
    // Cut at the end: nginx stops at 2048 bytes, and so do people.
    let cut = words.trim_end_matches('.');
    let known = DOING.iter().find(|(known, _)| cut.len() >= 8 && known.starts_with(cut));
    (known.map_or(Doing::Other, |(_, doing)| *doing), own.len())
}

/// Whether a text begins like a message that stands for itself: for pieces without anything of a
/// line before them.
pub(super) fn begins(text: &str) -> bool {
    BEGINNINGS.iter().any(|it| text.starts_with(it))
        || after_word(text, "could not be resolved (").is_some()
        || after_word(text, "worker_connections are not enough").is_some()
}

/// Where the words of a message begin behind those of a tool.
pub(super) fn begins_within(text: &str) -> Option<usize> {
    // The last ones could be anybody's where they do not begin a line.
    BEGINNINGS.iter().take(BEGINNINGS.len() - 3).find_map(|it| pasted::own(text, it))
}

const BEGINNINGS: [&str; 21] = [
    "upstream prematurely closed ",
    "upstream timed out (",
    "upstream sent ",
    "upstream SSL certificate ",
    "upstream rejected request with error",
    "connect() failed (",
    "connect() to ",
    "recv() failed (",
    "readv() failed (",
    "send() failed (",
    "writev() failed (",
    "sendfile() failed (",
    "SSL_do_handshake() failed",
    "SSL_read() failed (",
    "peer closed connection in SSL handshake",
    "no live upstreams while connecting to upstream",
    "no resolver defined to resolve ",
    "host not found in upstream ",
    "failed (",
    "timed out (",
    "prematurely closed connection while ",
];

/// What follows `word phrase` in a text whose first word may be anything.
fn after_word<'a>(text: &'a str, phrase: &str) -> Option<(&'a str, &'a str)> {
    let end = memchr::memchr(b' ', &text.as_bytes()[..text.len().min(260)])?;
    let rest = text[end + 1..].strip_prefix(phrase)?;
    Some((&text[..end], rest))
}

/// `own` is the message up to the request's part. `emerg`: nginx refuses its configuration or its
/// start. `piece`: the line was cut at its start.
pub(super) fn read(own: &str, emerg: bool, piece: bool) -> Option<Said<'_>> {
    let said = match own.as_bytes().first()? {
        b'u' => upstream(own),
        b'c' => connect(own, piece).or_else(|| client(own)),
        b'r' | b's' | b'w' => socket(own, piece).or_else(|| process(own)),
        b'S' | b'p' => tls::read(own, piece).or_else(|| cut_start(own, piece)),
        b'[' => lua::read(own),
        b'F' => stderr::read(own),
        b'n' => no(own),
        b'e' | b'k' => gone(own),
        b'l' => limit(own).or_else(|| lua::socket(own)),
        b'f' | b't' => cut_start(own, piece),
        b'b' => broken(own),
        b'h' => host(own),
        b'i' => fixed(own, &INVALID),
        b'm' => fixed(own, &WITH_M),
        b'z' => fixed(own, &WITH_Z),
        b'a' => fixed(own, &WITH_A),
        b'0'..=b'9' => slots(own),
        _ => None,
    };
    said.or_else(|| names(own)).or_else(|| local(own)).or_else(|| config(own, emerg))
}

const INVALID: [(&str, Sign); 3] = [
    ("invalid host in upstream", Sign::NoCluster),
    ("invalid port in upstream", Sign::NoCluster),
    ("invalid URL prefix in", Sign::NoCluster),
];

const WITH_M: [(&str, Sign); 1] = [("memcached sent invalid", Sign::ProtocolError)];

const WITH_Z: [(&str, Sign); 1] = [("zero length URI to proxy", Sign::NoCluster)];

const WITH_A: [(&str, Sign); 2] = [
    ("access forbidden by rule", Sign::AuthDenied),
    ("auth request unexpected status: ", Sign::ExternalFailed),
];

fn fixed<'a>(own: &str, table: &[(&str, Sign)]) -> Option<Said<'a>> {
    let (text, sign) = table.iter().find(|(text, _)| own.starts_with(text))?;
    Some(Said::new(*sign, 0..text.len()))
}

// What upstreams do.

fn upstream(own: &str) -> Option<Said<'_>> {
    let rest = own.strip_prefix("upstream ")?;
    if rest.starts_with("timed out") {
        return Some(timed_out(own));
    }
    if rest.starts_with("prematurely closed ") {
        return Some(prematurely_closed(own));
    }
    if let Some(rest) = rest.strip_prefix("sent ") {
        return sent(own, rest);
    }
    if rest.starts_with("server temporarily disabled") {
        return Some(Said::new(Sign::ServerDown, 0..36).trust(Trust::E));
    }
    const OTHERS: [(&str, Sign); 8] = [
        ("upstream closed prematurely FastCGI stdout", Sign::Closed),
        ("upstream closed request stream", Sign::StreamReset),
        ("upstream split a header line in FastCGI records", Sign::HeaderBad),
        ("upstream buffer is too small to read response", Sign::HeadTooBig),
        ("upstream violated stream flow control", Sign::ProtocolError),
        ("upstream violated connection flow control", Sign::ProtocolError),
        ("upstream queue is full", Sign::ConnectionLimit),
        ("upstream queue timeout", Sign::QueueTimedOut),
    ];
    if let Some(said) = fixed(own, &OTHERS) {
        return Some(said);
    }
    // The target stood in a variable, and no group has that name: `upstream "app" not found`.
    if let Some((name, rest)) = rest.strip_prefix('"').and_then(|it| it.split_once('"'))
        && rest.starts_with(" not found")
    {
        let end = own.len() - rest.len() + " not found".len();
        return Some(Said::new(Sign::NoCluster, 0..end).upstream(Some(name)));
    }
    if let Some(rest) = rest.strip_prefix("rejected request with error ") {
        let code = number(rest);
        return Some(Said::new(Sign::StreamReset, 0..37 + digits(rest)).number(code));
    }
    tls::certificate(own)
}

fn timed_out(own: &str) -> Said<'_> {
    let (doing, end) = doing(own);
    let sign = match doing {
        Doing::Connecting => Sign::ConnectTimedOut,
        Doing::Handshaking => Sign::TlsTimedOut,
        Doing::Sending => Sign::SendTimedOut,
        Doing::ReadingBody | Doing::Tunnelling => Sign::BodyStalled,
        _ => Sign::HeadTimedOut,
    };
    // Without an action it is the likely one, no more.
    let trust = if doing == Doing::Unsaid { Trust::D } else { Trust::C };
    Said::new(sign, 0..end).trust(trust)
}

fn prematurely_closed(own: &str) -> Said<'_> {
    let (doing, end) = doing(own);
    let sign = match doing {
        Doing::ReadingBody | Doing::Tunnelling => Sign::BodyCut,
        _ => Sign::Closed,
    };
    Said::new(sign, 0..end)
}

/// `upstream sent …`: answers that nginx does not take (ngx_http_proxy_module.c,
/// ngx_http_fastcgi_module.c, ngx_http_grpc_module.c, ngx_http_upstream.c).
fn sent<'a>(own: &'a str, rest: &'a str) -> Option<Said<'a>> {
    const SENT: [(&str, Sign); 19] = [
        ("too big header", Sign::HeadTooBig),
        ("no valid HTTP/1.0 header", Sign::NotHttp),
        (
            "\"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
            Sign::LengthAndChunked,
        ),
        ("invalid \"Content-Length\" header", Sign::LengthInvalid),
        ("invalid header", Sign::HeaderBad),
        ("invalid chunked response", Sign::ChunkBad),
        ("unknown \"Transfer-Encoding\"", Sign::CodingUnknown),
        ("more data than specified in \"Content-Length\" header", Sign::LengthLong),
        ("response body larger than indicated content length", Sign::LengthLong),
        ("response body smaller than indicated content length", Sign::BodyShort),
        ("unsupported FastCGI protocol version", Sign::FastCgiMismatch),
        ("invalid FastCGI record type", Sign::FastCgiMismatch),
        ("unexpected FastCGI record", Sign::FastCgiMismatch),
        ("too large http2 frame", Sign::ProtocolError),
        ("no :status header", Sign::GrpcMismatch),
        ("invalid :status", Sign::GrpcMismatch),
        ("goaway", Sign::GoAway),
        ("invalid status", Sign::StatusLineBad),
        ("too many intermediate responses", Sign::InterimsTooMany),
    ];
    /// `HTT` as the length of a frame of HTTP/2: the answer was `HTTP/1.1 …`.
    const HTT: i64 = 0x48_54_54;
    if let Some(line) = rest.strip_prefix("duplicate header line: \"") {
        return Some(duplicate(line));
    }
    let Some((words, sign)) = SENT.iter().find(|(it, _)| rest.starts_with(it)) else {
        return odd_frame(rest);
    };
    let end = own.len() - rest.len() + words.len();
    let after =
        rest[words.len()..].trim_start_matches(" with error").trim_start_matches([':', ' ']);
    let counted = number(after);
    let width = rest.len() - words.len() - after.len();
    let end = if counted.is_some() { end + width + digits(after) } else { end };
    let sign = match sign {
        Sign::ProtocolError if counted == Some(HTT) => Sign::Http2ToHttp1,
        Sign::HeaderBad if has_control(rest) => Sign::HeaderControlChar,
        other => *other,
    };
    Some(Said::new(sign, 0..end).number(counted))
}

/// `invalid header: "X-Ctl: ab\x00..."`: the byte that nginx stopped at comes last.
fn has_control(rest: &str) -> bool {
    let Some(at) = rest.rfind("\\x") else { return false };
    matches!(rest.get(at + 2..at + 3), Some("0" | "1")) || rest[at + 2..].starts_with("7f")
}

/// Frames of HTTP/2 that no peer may send. A warning about bytes after the end is no failure.
fn odd_frame(rest: &str) -> Option<Said<'_>> {
    const ODD: [&str; 12] = [
        "frame for",
        "invalid http2",
        "unexpected http2",
        "truncated http2",
        "http2 frame",
        "too large http2",
        "unknown http2",
        "unexpected continuation",
        "http2 headers",
        "http2 data",
        "zero-length",
        "invalid window",
    ];
    let words = ODD.iter().find(|it| rest.starts_with(**it))?;
    Some(Said::new(Sign::ProtocolError, 0.."upstream sent ".len() + words.len()))
}

fn duplicate(line: &str) -> Said<'_> {
    let name = line.split([':', '"']).next().unwrap_or_default();
    let sign = match name.to_ascii_lowercase().as_str() {
        "content-length" => Sign::LengthTwice,
        "transfer-encoding" => Sign::CodingTwice,
        _ => Sign::HeaderBad,
    };
    let end = "upstream sent duplicate header line: \"".len() + name.len();
    Said::new(sign, 0..end).detail(Some(name).filter(|_| sign == Sign::HeaderBad))
}

// Sockets.

/// An error of the system: its number, and where it is written.
fn errno(own: &str) -> Option<(i64, Range<usize>)> {
    let at = FAILED.find(own.as_bytes())? + " failed (".len();
    errno_at(own, at)
}

fn errno_at(own: &str, at: usize) -> Option<(i64, Range<usize>)> {
    let width = digits(&own[at..]);
    let code = own[at..at + width].parse().ok()?;
    let end = memchr::memchr(b')', &own.as_bytes()[at..]).map_or(own.len(), |it| at + it + 1);
    own[at + width..].starts_with(": ").then_some((code, at..end))
}

/// `connect() failed (111: Connection refused)`, `connect() to unix:/x failed (2: …)`.
fn connect(own: &str, piece: bool) -> Option<Said<'_>> {
    let rest = own.strip_prefix("connect() ")?;
    let (code, place) = errno(own)?;
    let address = rest.strip_prefix("to ").and_then(|it| it.split(' ').next());
    let (doing, end) = doing(own);
    let upstream = address.filter(|it| !it.is_empty());
    let sign = connect_sign(code, address.is_some_and(|it| it.starts_with("unix:")));
    match doing {
        Doing::Connecting => Some(Said::new(sign, 0..end).upstream(upstream)),
        Doing::Unsaid if piece => Some(Said::new(sign, 0..place.end).upstream(upstream)),
        // A socket that a Lua module opened for itself.
        Doing::Unsaid => Some(
            Said::new(Sign::ExternalFailed, 0..place.end)
                .product(Product::OpenResty)
                .detail(Some(&own[place.start..place.end.saturating_sub(1).max(place.start)])),
        ),
        _ => None,
    }
}

/// The numbers of Linux, the BSDs and Windows do not overlap where it matters.
fn connect_sign(code: i64, unix: bool) -> Sign {
    match code {
        111 | 61 | 10061 if unix => Sign::SocketStale,
        111 | 61 | 10061 => Sign::ConnectRefused,
        110 | 60 | 10060 => Sign::ConnectTimedOut,
        2 if unix => Sign::SocketMissing,
        13 if unix => Sign::SocketDenied,
        13 | 10013 => Sign::ConnectDenied,
        1 => Sign::ConnectNotPermitted,
        11 | 35 if unix => Sign::SocketBacklogFull,
        99 | 49 | 10049 => Sign::NoLocalPort,
        113 | 65 | 10065 => Sign::HostUnreachable,
        101 | 51 | 10051 => Sign::NetworkUnreachable,
        23 | 24 | 10024 => Sign::NoDescriptors,
        12 | 105 | 10055 => Sign::MemoryOut,
        104 | 54 | 10054 => Sign::Reset,
        _ => Sign::ConnectFailed,
    }
}

/// `recv() failed (104: Connection reset by peer) while …`, and the other calls on a connection.
fn socket(own: &str, piece: bool) -> Option<Said<'_>> {
    const CALLS: [&str; 9] =
        ["recv", "readv", "send", "writev", "sendfile", "sendmsg", "recvmsg", "socket", "read"];
    let call = &own[..own.bytes().take(9).position(|it| it == b'(')?];
    if !CALLS.contains(&call) || !own[call.len()..].starts_with("() failed (") {
        return None;
    }
    let (code, place) = errno_at(own, call.len() + "() failed (".len())?;
    let (doing, end) = doing(own);
    let own_limit = matches!(code, 23 | 24 | 12 | 105 | 10024 | 10055);
    let sign = match doing {
        _ if own_limit => return Some(Said::new(connect_sign(code, false), 0..place.end)),
        Doing::Unsaid if !piece => return None,
        // Which end of a tunnel it was is not said; neither is it of what is no request.
        Doing::Tunnelling | Doing::Other => return None,
        Doing::Serving => {
            return matches!(code, 104 | 54 | 32 | 10054)
                .then(|| Said::new(Sign::ClientClosed, 0..end));
        }
        Doing::ReadingBody if matches!(code, 104 | 54 | 10054) => Sign::BodyReset,
        Doing::Connecting => connect_sign(code, false),
        _ => match code {
            104 | 54 | 10054 => Sign::Reset,
            32 => Sign::SendBroken,
            113 | 65 | 10065 => Sign::HostUnreachable,
            101 | 51 | 10051 => Sign::NetworkUnreachable,
            _ => Sign::Disconnected,
        },
    };
    Some(Said::new(sign, 0..end))
}

/// What is left of a message whose first word is missing.
fn cut_start(own: &str, piece: bool) -> Option<Said<'_>> {
    if !piece {
        return None;
    }
    if own.starts_with("timed out (110: ") {
        return Some(timed_out(own)).filter(|it| it.trust == Trust::C);
    }
    if own.starts_with("prematurely closed connection while ") {
        return Some(prematurely_closed(own));
    }
    let (code, _) = errno_at(own, own.strip_prefix("failed (").map(|_| 8)?)?;
    match doing(own) {
        (Doing::Connecting, end) => Some(Said::new(connect_sign(code, false), 0..end)),
        (Doing::ReadingHead, end) if code == 104 => Some(Said::new(Sign::Reset, 0..end)),
        (Doing::ReadingBody, end) if code == 104 => Some(Said::new(Sign::BodyReset, 0..end)),
        _ => None,
    }
}

// Names.

/// `backend could not be resolved (3: Host not found)`: the codes of DNS, not those of the system.
/// The name may be one that the caller chose, so that it is no part of the words.
fn names(own: &str) -> Option<Said<'_>> {
    let (name, rest) = after_word(own, "could not be resolved (")?;
    let sign = match number(rest) {
        Some(3) => Sign::NameNotFound,
        Some(2) => Sign::NameServerFailed,
        Some(5) => Sign::NameRefused,
        Some(110 | 60 | 10060) => Sign::NameTimedOut,
        _ => Sign::NameUnresolved,
    };
    let start = name.len() + 1;
    let end = rest.find(')').map_or(own.len(), |at| own.len() - rest.len() + at + 1);
    Some(Said::new(sign, start..end).upstream(Some(name)).detail(Some(name)))
}

fn no(own: &str) -> Option<Said<'_>> {
    const TABLE: [(&str, Sign); 5] = [
        ("no live upstreams", Sign::NoLiveUpstream),
        ("no host in upstream", Sign::NoCluster),
        ("no servers are inside upstream", Sign::NoEndpoints),
        ("no port in upstream", Sign::NoCluster),
        ("no user/password was provided for basic authentication", Sign::AuthDenied),
    ];
    if let Some(name) = own.strip_prefix("no resolver defined to resolve ") {
        let name = name.split([' ', ',']).next().filter(|it| !it.is_empty());
        return Some(Said::new(Sign::NameUnresolved, 0..30).upstream(name).detail(name));
    }
    let said = fixed(own, &TABLE)?;
    let name = crate::reader::between(own, "\"", "\"");
    Some(match said.sign {
        Sign::NoEndpoints | Sign::NoCluster => said.upstream(name),
        _ => said,
    })
}

/// At start, where a name in the configuration cannot be resolved.
fn host(own: &str) -> Option<Said<'_>> {
    let rest = own.strip_prefix("host not found in upstream \"")?;
    let (name, _) = rest.split_once('"')?;
    let end = "host not found in upstream \"".len() + name.len() + 1;
    Some(Said::new(Sign::NameNotFound, 0..end).upstream(Some(name)).detail(Some(name)))
}

// Clients and limits.

fn client(own: &str) -> Option<Said<'_>> {
    const TABLE: [(&str, Sign); 9] = [
        ("client intended to send too large body: ", Sign::ClientBodyTooLarge),
        ("client intended to send too large chunked body: ", Sign::ClientBodyTooLarge),
        ("client sent too long header line", Sign::ClientHeaderTooLarge),
        ("client sent too long URI", Sign::ClientHeaderTooLarge),
        ("client sent too large request", Sign::ClientHeaderTooLarge),
        ("client sent too many header lines", Sign::ClientHeaderTooLarge),
        ("client sent plain HTTP request to HTTPS port", Sign::ClientTls),
        ("client prematurely closed connection", Sign::ClientClosed),
        ("client timed out (", Sign::ClientSlow),
    ];
    let said = fixed(own, &TABLE)?;
    let bytes = number(&own[said.span.end..]).filter(|_| said.sign == Sign::ClientBodyTooLarge);
    let end = match bytes {
        Some(_) => said.span.end + digits(&own[said.span.end..]),
        None => own[..said.span.end].trim_end_matches([' ', '(', ':']).len(),
    };
    Some(Said { span: 0..end, ..said }.number(bytes))
}

/// `epoll_wait() reported that client prematurely closed connection, so upstream …`.
fn gone(own: &str) -> Option<Said<'_>> {
    let (call, _) = own.split_once("() reported that client prematurely closed connection")?;
    let end = call.len() + "() reported that client prematurely closed connection".len();
    (call.len() < 16).then(|| Said::new(Sign::ClientClosed, 0..end))
}

fn limit(own: &str) -> Option<Said<'_>> {
    let refused = own.starts_with("limiting requests, excess: ")
        || own.starts_with("limiting connections by zone ");
    if !refused {
        return None;
    }
    let zone = crate::reader::between(own, " zone \"", "\"");
    let end = zone.map_or(own.len(), |it| crate::reader::span_of(own, it).end + 1);
    Some(Said::new(Sign::RateLimited, 0..end).detail(zone))
}

/// `broken header: "GET / …" while reading PROXY protocol`: what it quotes is the peer's.
fn broken(own: &str) -> Option<Said<'_>> {
    own.starts_with("broken header: \"").then_some(())?;
    let words = "while reading PROXY protocol";
    let at = own.rfind(words)?;
    Some(Said::new(Sign::ProxyHeaderMissing, at..at + words.len()))
}

// nginx's own process and host.

fn slots(own: &str) -> Option<Said<'_>> {
    let (count, _) = after_word(own, "worker_connections are not enough")?;
    let limit = count.parse().ok()?;
    let end = count.len() + 1 + "worker_connections are not enough".len();
    Some(Said::new(Sign::ConnectionTableFull, 0..end).number(Some(limit)))
}

fn process(own: &str) -> Option<Said<'_>> {
    if own.starts_with("start worker processes") {
        return Some(Said::new(Sign::ProxyStarted, 0..22));
    }
    if own.starts_with("reconfiguring") {
        return Some(Said::new(Sign::ProxyStarted, 0..13));
    }
    if own.starts_with("signal process started") {
        return Some(Said::new(Sign::ProxyStarted, 0..22));
    }
    if own.starts_with("subrequests cycle while processing") {
        return Some(Said::new(Sign::ProxyLoop, 0..17));
    }
    if own.starts_with("rewrite or internal redirection cycle") {
        return Some(Said::new(Sign::ProxyLoop, 0..37));
    }
    if let Some(rest) = own.strip_prefix("signal ") {
        let sign = match number(rest)? {
            1 => Sign::ProxyStarted,
            3 => Sign::ShuttingDown,
            15 => Sign::ProcessStopped,
            _ => return None,
        };
        let end = own.find(" received")? + " received".len();
        return Some(Said::new(sign, 0..end));
    }
    let rest = own.strip_prefix("worker process ")?;
    let rest = rest[digits(rest)..].strip_prefix(" exited ")?;
    let (code, after) = match rest.strip_prefix("on signal ") {
        Some(rest) => (number(rest)?, rest),
        None => {
            let rest = rest.strip_prefix("with code ")?;
            (number(rest).filter(|it| *it != 0)?, rest)
        }
    };
    let end = own.len() - after.len() + digits(after);
    Some(Said::new(Sign::ProxyWorkerCrashed, 0..end).number(Some(code)))
}

/// Calls that fail for want of something on nginx's own host: `pwritev() "/tmp/x" failed (28: No
/// space left on device)`. What they are about may be a path that a caller asked for, so that only
/// the number at the end counts.
fn local(own: &str) -> Option<Said<'_>> {
    let paren = own.bytes().take(24).position(|it| it == b'(')?;
    let call =
        own[..paren].bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    if !call {
        return None;
    }
    let at = memmem::rfind(own.as_bytes(), b" failed (")? + " failed (".len();
    let (code, place) = errno_at(own, at)?;
    let words = at - "failed (".len()..place.end;
    let sign = match (&own[..paren], code) {
        ("bind", 98 | 48 | 10048) => Sign::PortInUse,
        ("bind", 99 | 49) if doing(own).0 == Doing::Connecting => Sign::NoLocalPort,
        ("bind", _) => Sign::BindFailed,
        (_, 28) => Sign::DiskFull,
        (_, 23 | 24 | 10024) => Sign::NoDescriptors,
        (_, 12) => Sign::MemoryOut,
        _ => return None,
    };
    let said = Said::new(sign, words);
    if !own.starts_with("bind() to ") {
        return Some(said);
    }
    let address = own["bind() to ".len()..].split(' ').next();
    Some(Said { span: 0..place.end, ..said }.detail(address))
}

/// A configuration that nginx does not take: `… in /etc/nginx/nginx.conf:12`.
fn config(own: &str, emerg: bool) -> Option<Said<'_>> {
    // What nginx lacks at start besides: files, rights, addresses.
    const AT_START: [&str; 9] = [
        "cannot load certificate",
        "SSL_CTX_",
        "open() ",
        "mkdir() ",
        "dlopen() ",
        "getpwnam(",
        "getgrnam(",
        "still could not bind()",
        "invalid PID number",
    ];
    if emerg && AT_START.iter().any(|it| own.starts_with(it)) {
        return Some(Said::new(Sign::BootFailed, 0..own.len()).detail(Some(own)));
    }
    let (_, place) = own.rsplit_once(" in ").filter(|_| emerg)?;
    let (file, line) = place.rsplit_once(':')?;
    let is_place = file.starts_with('/') || file.contains('.') || file.contains(":\\");
    (is_place && number(line).is_some())
        .then(|| Said::new(Sign::ConfigRefused, 0..own.len()).detail(Some(own)))
}

#[cfg(test)]
mod tests {
    use super::{Sign, read};

    #[test]
    fn no_beginning_makes_a_reader_stumble() {
        for text in [
            "",
            "u",
            "connect() ",
            "connect() to  failed (",
            "upstream sent ",
            "é",
            "*é ",
            "SSL_do_handshake() failed (SSL:",
            "FastCGI sent in stderr: \"",
            "[lua] ",
            "bind() to ",
            "worker process ",
            "upstream SSL certificate verify error: (",
            "signal ",
            "send(",
            "bind(é",
        ] {
            for end in 0..=text.len() {
                if let Some(text) = text.get(..end) {
                    let _ = read(text, true, true);
                    let _ = read(text, false, false);
                }
            }
        }
    }

    #[test]
    fn numbers_of_other_systems_say_the_same() {
        for code in ["111", "61", "10061"] {
            let text = format!("connect() failed ({code}: refused) while connecting to upstream");
            assert_eq!(read(&text, false, false).map(|it| it.sign), Some(Sign::ConnectRefused));
        }
    }
}
