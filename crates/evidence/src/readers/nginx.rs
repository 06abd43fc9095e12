//! nginx and what is built on it: the error log, the access log, and pieces of error lines.
//!
//! The error line is `TIME [LEVEL] PID#TID: *CONN MESSAGE while ACTION, client: …, server: …,
//! request: "…", upstream: "…", host: "…"`. Everything from `, client: ` on is the request's, and
//! what stands in the message before it is nginx's own (src/core/ngx_log.c,
//! src/http/ngx_http_request.c), save for what it quotes: so messages are known by how they begin,
//! and never by words that stand somewhere in them.

pub(super) mod access;
mod format;
pub(super) mod lua;
mod message;
mod stderr;
pub(super) mod tls;

pub(super) use access::{ACCESS, JSON};
pub use format::{LogFormat, log_formats};

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::pasted;
use crate::sign::Sign;
use crate::trust::Trust;
use memchr::memmem;
use message::Said;
use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// What stands in every line that says something, in the order of how often it does.
const HOOKS: &[&str] = &[
    "upstream server temporarily",
    "[error]",
    "[crit]",
    "[alert]",
    "[emerg]",
    "limiting ",
    "worker_connections",
    "client prematurely",
    "client intended",
    "start worker processes",
    "signal process started",
    "reconfiguring",
    "exited on signal",
    "bind() to ",
    "(SIGTERM) received",
    "(SIGQUIT) received",
];

pub(super) const ERROR: Reader = Reader {
    name: "nginx error log",
    product: Product::Nginx,
    hooks: HOOKS,
    fits: |line| is_dated(&line.text) || stripped(&line.text).is_some(),
    read: |line, sink| {
        if let Some(head) = head(&line.text) {
            tell(line, &head, sink);
        }
    },
    source: "https://nginx.org/en/docs/ngx_core_module.html#error_log; nginx 1.22.1 and 1.26",
    example: "2023/10/27 10:30:15 [error] 1234#1234: *5 connect() failed (111: Connection refused) \
              while connecting to upstream, client: 192.0.2.1, server: example.com, request: \"GET \
              /data HTTP/1.1\", upstream: \"http://127.0.0.1:8000/data\", host: \"example.com\"",
};

/// The script that starts nginx in its image.
pub(super) const IMAGE: Reader = Reader {
    name: "start of the nginx image",
    product: Product::Nginx,
    hooks: &["/docker-entrypoint.sh: Configuration complete"],
    fits: |line| line.text.starts_with(STARTED),
    read: |line, sink| {
        if line.text.starts_with(STARTED) {
            let span = 0..STARTED.len();
            sink.event(Event::new(Product::Nginx, Sign::InContainer, Trust::C, span));
        }
    },
    source: "https://github.com/nginx/docker-nginx entrypoint/docker-entrypoint.sh",
    example: "/docker-entrypoint.sh: Configuration complete; ready for start up",
};

const STARTED: &str = "/docker-entrypoint.sh: Configuration complete";

/// An error line that was cut at its start, or that a tool wrote something before: people paste the
/// words they find telling.
pub(super) const FRAGMENT: Reader = Reader {
    name: "piece of an nginx error line",
    product: Product::Nginx,
    hooks: &[
        "while connecting to upstream",
        "from upstream",
        "while SSL handshaking to upstream",
        "while sending request to upstream",
        "while reading upstream",
        "upstream prematurely closed",
        "upstream timed out (",
        "upstream sent ",
        "upstream SSL certificate",
        "connect() failed (",
        "connect() to ",
        "could not be resolved (",
        "no resolver defined to resolve",
        "SSL_do_handshake() failed",
        "peer closed connection in SSL handshake",
        "host not found in upstream",
        "worker_connections are not enough",
    ],
    fits: |line| piece(&line.text).is_some(),
    read: |line, sink| {
        if let Some(head) = piece(&line.text) {
            tell(line, &head, sink);
        }
    },
    source: "https://nginx.org/en/docs/ngx_core_module.html#error_log",
    example: "upstream prematurely closed connection while reading response header from upstream",
};

/// What stands before the message.
#[derive(Clone, Copy, Default)]
struct Head {
    at: Option<Stamp>,
    pid: Option<u32>,
    /// Refused configurations are known by it; nothing else is.
    emerg: bool,
    /// Where the message begins.
    inset: usize,
    /// The message may be cut at its start.
    cut: bool,
}

/// `2023/10/27 10:30:15 ` with a level and ids after it, told by where the signs between the
/// numbers stand: this is asked of every line.
fn is_dated(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 24
        && (bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]) == (b'/', b'/', b' ', b':', b':')
        && (bytes[19], bytes[20]) == (b' ', b'[')
        && text.get(20..).is_some_and(|it| ids(it).is_some())
}

fn head(text: &str) -> Option<Head> {
    if is_dated(text) {
        let (at, end) = clock::iso(text)?;
        let head = ids(text.get(end + 1..)?)?;
        return Some(Head { at: Some(at), inset: head.inset + end + 1, ..head });
    }
    stripped(text)
}

/// Without a time: `[error] 4610#0: *19 ` of a line that was cut, and `nginx: [emerg] ` as nginx
/// writes to the terminal it is started from.
fn stripped(text: &str) -> Option<Head> {
    match text.strip_prefix("nginx: ") {
        Some(rest) => {
            let (name, end) = level(rest)?;
            Some(Head { emerg: name == "emerg", inset: 7 + end, ..Head::default() })
        }
        None => ids(text),
    }
}

/// `[crit] `, and where it ends.
fn level(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('[')?;
    let end = rest.bytes().take(8).position(|it| it == b']')?;
    let name = &rest[..end];
    let known =
        matches!(name, "debug" | "info" | "notice" | "warn" | "error" | "crit" | "alert" | "emerg");
    (known && rest[end + 1..].starts_with(' ')).then_some((name, end + 3))
}

/// `[crit] 1234#1234: *5 `.
fn ids(text: &str) -> Option<Head> {
    let (name, start) = level(text)?;
    let rest = &text[start..];
    let pid = digits(rest);
    let rest = rest[pid..].strip_prefix('#').filter(|_| pid > 0)?;
    let tid = digits(rest);
    let rest = rest[tid..].strip_prefix(": ").filter(|_| tid > 0)?;
    let inset = text.len() - rest.len();
    Some(Head {
        at: None,
        pid: text[start..start + pid].parse().ok(),
        emerg: name == "emerg",
        inset: inset + connection(rest),
        cut: false,
    })
}

/// How long `*5 ` is.
fn connection(text: &str) -> usize {
    let Some(rest) = text.strip_prefix('*') else { return 0 };
    match digits(rest) {
        width if width > 0 && rest.as_bytes().get(width) == Some(&b' ') => width + 2,
        _ => 0,
    }
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// How far from the start the head of a line may stand behind what a tool wrote before it.
const FOREIGN: usize = 200;

/// Where the message begins in a piece of a line.
fn piece(text: &str) -> Option<Head> {
    let blank = text.len() - text.trim_start().len();
    let start = blank + connection(&text[blank..]);
    let cut = Head { inset: start, cut: true, ..Head::default() };
    if start > blank || message::begins(&text[start..]) {
        return message::read(own_and_request(&text[start..]).0, false, true).map(|_| cut);
    }
    behind_ids(text).or_else(|| behind_marks(text))
}

/// A line behind something else: the ids are found by the `#` between them.
fn behind_ids(text: &str) -> Option<Head> {
    let window = &text.as_bytes()[..text.len().min(FOREIGN)];
    let hash = memchr::memchr(b'#', window)?;
    let open = memchr::memrchr(b'[', &window[..hash])?;
    if memchr::memchr2(b'"', b'=', &window[..open]).is_some() {
        return None;
    }
    let head = ids(&text[open..])?;
    let at = open.checked_sub(20).and_then(|it| text.get(it..open)).and_then(clock::iso);
    let at = at.filter(|(_, width)| *width == 19).map(|(it, _)| it);
    Some(Head { at, inset: open + head.inset, ..head })
}

/// A message behind marks of mails, another logger's words, or the name of a field.
fn behind_marks(text: &str) -> Option<Head> {
    let (own, _) = own_and_request(text);
    // This is asked of every line that no stricter reader takes.
    let likely = ["upstream", "() failed (", "closed connection in SSL"]
        .iter()
        .any(|it| memmem::find(own.as_bytes(), it.as_bytes()).is_some());
    if !likely {
        return None;
    }
    pasted::messages(own).into_iter().find_map(|said| {
        let inset = pasted::inset(text, said);
        if let Some(head) = head(said) {
            return Some(Head { inset: inset + head.inset, ..head });
        }
        let start = match connection(said) {
            0 if message::begins(said) => 0,
            0 => message::begins_within(said)?,
            width => width,
        };
        message::read(&said[start..], false, true)?;
        Some(Head { inset: inset + start, cut: true, ..Head::default() })
    })
}

static CLIENT: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(", client"));
static REQUEST: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(", request: \""));

/// nginx's own words, and the request's after them.
fn own_and_request(text: &str) -> (&str, &str) {
    match CLIENT.find(text.as_bytes()).or_else(|| REQUEST.find(text.as_bytes())) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    }
}

/// The request's part, where its fields stand on lines of their own: `client: …,`, `upstream: …`.
fn parted(line: &Line, own: &str) -> String {
    const FIELDS: [&str; 7] =
        ["client: ", "server: ", "request: ", "subrequest: ", "upstream: ", "host: ", "referrer: "];
    let mut whole = String::new();
    if !own.trim_end().ends_with(',') {
        return whole;
    }
    for field in line.following().take(FIELDS.len()) {
        let field = field.trim();
        if !FIELDS.iter().any(|it| field.starts_with(it)) {
            break;
        }
        whole += ", ";
        whole += field.trim_end_matches(',');
    }
    whole
}

/// The address by which a container's own network sees what comes from outside of it: the gateway
/// of a bridge of Docker's. Who is asked by it stands behind that bridge.
fn is_bridge(client: &str) -> bool {
    let Ok(it) = client.parse::<Ipv4Addr>() else { return false };
    matches!(it.octets(), [172, 17..=31, 0, 1])
}

fn tell(line: &Line, head: &Head, sink: &mut dyn Sink) {
    let (own, request) = own_and_request(&line.text[head.inset..]);
    let Some(said) = message::read(own, head.emerg, head.cut) else { return };
    let parted = if request.is_empty() { parted(line, own) } else { String::new() };
    let request = if parted.is_empty() { request } else { &parted };
    let asked = match asked(request) {
        it if it.upstream.is_none() && request.is_empty() => Asked { upstream: named(own), ..it },
        it => it,
    };
    let said = with_socket(said, asked.upstream);
    let span = head.inset + said.span.start..head.inset + said.span.end;
    let upstream = match said.sign {
        // The server in question is named by a wire fault only; a client's doing has none.
        _ if said.upstream.is_some() && asked.upstream.is_none() => said.upstream,
        _ => asked.upstream,
    };
    if said.sign == Sign::ConnectRefused && asked.client.is_some_and(is_bridge) {
        let event = Event::new(Product::Nginx, Sign::InContainer, Trust::D, span.clone());
        sink.event(event.at(head.at));
    }
    sink.event(
        Event::new(said.product, said.sign, said.trust, span)
            .at(head.at)
            .pid(head.pid)
            .upstream(upstream.map(|it| Cow::Owned(it.to_owned())))
            .detail(said.detail)
            .number(said.number)
            .route(asked.route)
            .client(asked.client),
    );
}

/// Of a line whose middle was left out: `while connecting to upstream: "http://192.0.2.7:80/"`.
fn named(own: &str) -> Option<&str> {
    let (_, end) = message::doing(own);
    let rest = own.get(end..)?;
    let rest = rest.strip_prefix(": \"").or_else(|| rest.strip_prefix(", upstream: \""))?;
    quoted(rest)
}

/// The address is a unix socket's: some messages do not say so, but what follows them does.
fn with_socket<'a>(said: Said<'a>, upstream: Option<&str>) -> Said<'a> {
    if !upstream.is_some_and(|it| it.contains("unix:")) {
        return said;
    }
    let sign = match said.sign {
        Sign::ConnectRefused => Sign::SocketStale,
        Sign::ConnectDenied => Sign::SocketDenied,
        other => other,
    };
    Said { sign, ..said }
}

/// What the request's part says.
#[derive(Default)]
struct Asked<'a> {
    client: Option<&'a str>,
    route: Option<&'a str>,
    upstream: Option<&'a str>,
}

/// `, client: 192.0.2.1, server: x, request: "GET / HTTP/1.1", upstream: "http://…", host: "x"`.
///
/// A request line, a host and a referrer can hold what looks like the parts after them, so that they
/// are read in the order in which nginx writes them (ngx_http_log_error_handler).
fn asked(text: &str) -> Asked<'_> {
    let (client, rest) = match text.strip_prefix(", client: ") {
        Some(rest) => rest.split_at(memchr::memchr(b',', rest.as_bytes()).unwrap_or(rest.len())),
        // People take out who asked.
        None => ("", text),
    };
    let client = Some(client).filter(|it| !it.is_empty());
    let Some(at) = REQUEST.find(rest.as_bytes()) else {
        // The stream module: no request, and the upstream without a scheme.
        let upstream = rest.find(", upstream: \"").map(|at| &rest[at + 13..]);
        return Asked { client, route: None, upstream: upstream.and_then(quoted) };
    };
    let rest = &rest[at + 12..];
    let end = request_end(rest);
    let route = rest[..end].split(' ').nth(1).filter(|it| !it.is_empty());
    let rest = rest.get(end + 1..).unwrap_or_default();
    let rest = match rest.strip_prefix(", subrequest: \"") {
        Some(rest) => rest.split_once('"').map_or("", |(_, it)| it),
        None => rest,
    };
    let upstream = rest.strip_prefix(", upstream: \"").and_then(quoted);
    Asked { client, route, upstream }
}

/// Where the quote after the request line stands. No quote can follow `HTTP/1.1` inside of one:
/// nginx refuses the request.
fn request_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut first = None;
    for at in memchr::memchr_iter(b'"', bytes) {
        let ends_part = bytes.len() == at + 1 || bytes[at + 1..].starts_with(b", ");
        if !ends_part {
            continue;
        }
        let before = &bytes[..at];
        if before.ends_with(b"HTTP/1.1") || before.ends_with(b"HTTP/2.0") {
            return at;
        }
        if before.ends_with(b"HTTP/1.0") || before.ends_with(b"HTTP/3.0") {
            return at;
        }
        first = first.or(Some(at));
    }
    first.unwrap_or(bytes.len())
}

/// Up to the closing quote. Without one the line was cut, and an address counts only where
/// something stands behind it: half a port is another port.
fn quoted(text: &str) -> Option<&str> {
    let whole = match memchr::memchr(b'"', text.as_bytes()) {
        Some(end) => &text[..end],
        None => {
            let host = text.find("://").map_or(0, |at| at + 3);
            let unix = text[host..].starts_with("unix:");
            let behind = if unix { ":" } else { "/" };
            let from = host + if unix { 5 } else { 0 };
            text[from..].contains(behind).then_some(text)?
        }
    };
    Some(whole).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests;
