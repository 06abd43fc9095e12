//! Access lines of nginx and of what is built on it: the combined format with whatever stands
//! behind it, the formats of ingress-nginx, Kong and APISIX, and objects of JSON.
//!
//! `$upstream_addr`, `$upstream_status` and the times are lists: `, ` between attempts, ` : `
//! between groups (internal redirects), `-` for what did not happen (ngx_http_upstream_module).

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const ACCESS: Reader = Reader {
    name: "nginx access log",
    product: Product::Nginx,
    hooks: &[],
    fits: |line| request(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = request(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format; the main format of its packages",
    example: "192.0.2.1 - - [27/Oct/2023:10:30:15 +0000] \"GET /data HTTP/1.1\" 502 157 \"-\" \"curl/8.0\" \"-\"",
};

pub(in crate::readers) const JSON: Reader = Reader {
    name: "nginx access log in JSON",
    product: Product::Nginx,
    hooks: &[],
    fits: |line| object(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = object(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format; escape=json",
    example: r#"{"time_iso8601":"2023-10-27T10:30:15+00:00","remote_addr":"192.0.2.1","request":"GET / HTTP/1.1","status":502,"request_time":0.003,"upstream_addr":"192.0.2.7:8000","upstream_status":"502"}"#,
};

/// What an access line says of a request, as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::readers) struct Access<'a> {
    pub(in crate::readers) product: Product,
    pub(in crate::readers) at: Option<Stamp>,
    pub(in crate::readers) client: Option<&'a str>,
    pub(in crate::readers) route: Option<&'a str>,
    pub(in crate::readers) status: &'a str,
    pub(in crate::readers) addresses: Option<&'a str>,
    pub(in crate::readers) statuses: Option<&'a str>,
    pub(in crate::readers) header_times: Option<&'a str>,
    pub(in crate::readers) lengths: Option<&'a str>,
    pub(in crate::readers) request_id: Option<&'a str>,
}

impl<'a> Access<'a> {
    pub(in crate::readers) fn new(product: Product) -> Access<'a> {
        Access {
            product,
            at: None,
            client: None,
            route: None,
            status: "",
            addresses: None,
            statuses: None,
            header_times: None,
            lengths: None,
            request_id: None,
        }
    }

    /// Takes a field by the name that people give it, which is mostly that of the variable.
    pub(in crate::readers) fn set(&mut self, name: &str, value: &'a str) {
        let given = Some(value).filter(|it| !it.is_empty() && *it != "-");
        match plain_name(name).as_str() {
            "status" | "http_status" | "response_status" | "status_code" | "statuscode"
            | "http_status_code" | "resp_status" | "request_status" => self.status = value,
            "upstream_status"
            | "us"
            | "ups_status"
            | "proxy_status"
            | "upstream_http_status"
            | "upstream_response_status"
            | "upstream_status_code" => self.statuses = given,
            "upstream_addr"
            | "upstream"
            | "ua"
            | "ups_addr"
            | "upstream_address"
            | "backend"
            | "upstream_host"
            | "upstreamaddr"
            | "proxy_upstream_addr" => {
                // `ua` is the user agent for some.
                self.addresses = given.filter(|it| first(it).is_some_and(is_address));
            }
            "upstream_header_time" | "uht" | "ups_header_time" => self.header_times = Some(value),
            "upstream_response_length" | "upstream_bytes_received" => self.lengths = given,
            "request_id" | "req_id" | "kong_request_id" | "x_request_id" => self.request_id = given,
            "remote_addr" | "client_ip" | "clientip" | "client" | "remote_ip" | "realip"
            | "remoteaddr" => self.client = given,
            "request" => self.route = given.and_then(|it| it.split(' ').nth(1)),
            "request_uri" | "uri" | "path" | "url" | "request_path" => {
                self.route = self.route.or(given);
            }
            "time_iso8601" | "time_local" | "msec" | "timestamp" | "time" | "@timestamp" => {
                self.at = self.at.or_else(|| clock::any(value.trim_matches(['[', ']'])));
            }
            _ => {}
        }
    }

    pub(in crate::readers) fn number(&self) -> Option<u16> {
        let digits = self.status.len() == 3 && self.status.bytes().all(|it| it.is_ascii_digit());
        digits.then(|| self.status.parse().ok()).flatten()
    }

    /// `text` holds the line, and all fields are parts of it.
    pub(in crate::readers) fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let Some(status) = self.number() else { return };
        sink.served(Served { at: self.at, status });
        if let Some(event) = self.preface(text, status) {
            return sink.event(event);
        }
        let Some((sign, attempt)) = self.sign(status) else { return };
        let about_client = sign.kind() == crate::sign::Kind::Client;
        // The words that decide: where an attempt failed and another went well, both.
        let span = match attempt.status.filter(|_| status < 500) {
            Some(failed) => span_of(text, failed),
            None => span_of(text, self.status),
        };
        sink.event(
            Event::new(self.product, sign, Trust::C, span)
                .at(self.at)
                .status(Some(status))
                .upstream(attempt.address.filter(|_| !about_client))
                .route(self.route)
                .client(self.client)
                .request_id(self.request_id),
        );
    }

    /// `PRI * HTTP/2.0` is the greeting of HTTP/2 (RFC 9113, 3.4), read by a server of HTTP/1. From an
    /// address of a network of one's own, a proxy sent it; from elsewhere it may be a scanner.
    fn preface<'e>(&'e self, text: &'e str, status: u16) -> Option<Event<'e>> {
        const PREFACE: &str = "\"PRI * HTTP/2.0\"";
        if !matches!(status, 400 | 405 | 505) || !self.client.is_some_and(is_private) {
            return None;
        }
        let at = text.find(PREFACE)?;
        // The first quote of the line, so that no caller wrote it.
        let first = !text[..at].contains('"');
        let span = at + 1..at + PREFACE.len() - 1;
        let event = Event::new(self.product, Sign::Http2ToHttp1, Trust::C, span).at(self.at);
        first.then(|| event.client(self.client))
    }

    fn sign(&self, status: u16) -> Option<(Sign, Attempt<'a>)> {
        let (attempts, last) = self.attempts();
        let sign = match status {
            // nginx passes what is no status line on as HTTP/0.9.
            9 => Sign::NotHttp,
            408 => Sign::ClientSlow,
            413 => Sign::ClientBodyTooLarge,
            431 | 494 => Sign::ClientHeaderTooLarge,
            495..=497 => Sign::ClientTls,
            499 => Sign::ClientClosed,
            500 | 502..=504 if self.is_relayed(status, last) => Sign::RelayedError,
            500 | 502..=504 => answered(status)?,
            _ if status < 500 => {
                // One attempt failed, a later one went well.
                let failed = attempts?;
                return Some((answered(failed.status?.parse().ok()?)?, failed));
            }
            _ => return None,
        };
        Some((sign, last))
    }

    /// The app gave the status itself. nginx writes 502 and 504 as the status of the upstream when
    /// there was no answer at all; then there is no time of a head either, and no byte.
    fn is_relayed(&self, status: u16, last: Attempt<'_>) -> bool {
        if last.status.and_then(|it| it.parse().ok()) != Some(status) {
            return false;
        }
        if let Some(times) = self.header_times {
            return list(times).next_back().is_some_and(|it| it != "-" && !it.is_empty());
        }
        match self.lengths.and_then(|it| list(it).next_back()) {
            Some(length) if length != "0" && length != "-" => true,
            Some(_) => status == 503,
            None => matches!(status, 500 | 503),
        }
    }

    /// The first attempt that failed, if one did, and the last.
    fn attempts(&self) -> (Option<Attempt<'a>>, Attempt<'a>) {
        let mut addresses = self.addresses.map(list).into_iter().flatten();
        let mut last = Attempt::default();
        let mut failed = None;
        let mut take = |status: Option<&'a str>| {
            let address = addresses.next().filter(|it| *it != "-" && !it.is_empty());
            last = Attempt { address: address.or(last.address), status };
            if failed.is_none()
                && status.is_some_and(|it| matches!(it, "500" | "502" | "503" | "504"))
            {
                failed = Some(last);
            }
        };
        match self.statuses {
            Some(statuses) => list(statuses).for_each(|it| take(Some(it))),
            None => take(None),
        }
        (failed, last)
    }
}

#[derive(Clone, Copy, Default)]
struct Attempt<'a> {
    address: Option<&'a str>,
    status: Option<&'a str>,
}

fn answered(status: u16) -> Option<Sign> {
    Some(match status {
        500 => Sign::Answered500,
        502 => Sign::Answered502,
        503 => Sign::Answered503,
        504 => Sign::Answered504,
        _ => return None,
    })
}

/// `$upstream_status` and `"X-Upstream-Status"` are one name.
fn plain_name(name: &str) -> String {
    let name = name.trim_matches(['$', '{', '}', '"']);
    name.chars().take(40).map(|it| if it == '-' { '_' } else { it.to_ascii_lowercase() }).collect()
}

/// The members of a list, whose groups are taken as one. None of them holds a space.
fn list(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split([',', ' ']).filter(|it| !it.is_empty() && *it != ":")
}

fn first(text: &str) -> Option<&str> {
    list(text).next()
}

/// `192.0.2.7:8000`, `[::1]:80`, `unix:/run/x.sock`, `backend:80`.
fn is_address(text: &str) -> bool {
    text.starts_with("unix:")
        || crate::address::port(text).is_some() && !text.contains([' ', '/', '(', '"'])
}

fn is_status(text: &str) -> bool {
    list(text).all(|it| it == "-" || it.len() == 3 && it.bytes().all(|it| it.is_ascii_digit()))
}

fn is_time(text: &str) -> bool {
    list(text).all(|it| it == "-" || it.contains('.') && it.parse::<f64>().is_ok())
}

// Lines of text.

/// `$remote_addr - $remote_user [$time_local] "$request" $status …`.
pub(in crate::readers) fn request(text: &str) -> Option<Access<'_>> {
    let bytes = text.as_bytes();
    if bytes.len() < 30 || !bytes[0].is_ascii_alphanumeric() && !b"-[:".contains(&bytes[0]) {
        return None;
    }
    let (open, at, rest) = time(text)?;
    let before = text[..open].strip_suffix(' ')?;
    let client = before.split(' ').next()?;
    if memchr::memchr(b'"', before.as_bytes()).is_some() || !before[client.len()..].contains(' ') {
        return None;
    }
    // APISIX writes the host before the request.
    let (host, rest) = match rest.strip_prefix('"') {
        Some(rest) => (None, rest),
        None => rest
            .split_once(" \"")
            .filter(|(it, _)| !it.contains(' '))
            .map(|(it, rest)| (Some(it), rest))?,
    };
    let end = closing_quote(rest)?;
    let (line, rest) = (&rest[..end], rest[end + 1..].strip_prefix(' ')?);
    let status = rest.get(..3).filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?;
    let rest = &rest[3..];
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let mut access = Access::new(Product::Nginx);
    access.at = Some(at);
    access.client = Some(client);
    access.route = line.split(' ').nth(1);
    access.status = status;
    if host.is_some() {
        access.product = Product::Apisix;
    }
    extras(&mut access, rest);
    Some(access)
}

/// Where the time's bracket opens, the time, and what stands behind it. The user before it is the
/// caller's word, and may hold brackets; quotes are escaped in it.
fn time(text: &str) -> Option<(usize, Stamp, &str)> {
    let quote = memchr::memchr(b'"', text.as_bytes())?;
    let open = memchr::memrchr(b'[', &text.as_bytes()[..quote])?;
    let inside = &text[open + 1..];
    let found = clock::day_first(inside).or_else(|| clock::iso(inside));
    let (at, end) = found.filter(|it| it.0.zoned)?;
    Some((open, at, inside[end..].strip_prefix("] ")?))
}

/// Where the quote stands that no backslash escapes.
pub(in crate::readers) fn closing_quote(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'"', text.as_bytes()).find(|at| {
        let before = &text.as_bytes()[..*at];
        before.iter().rev().take_while(|it| **it == b'\\').count() % 2 == 0
    })
}

/// A piece of what stands behind the status.
enum Token<'a> {
    Quoted,
    Bracket,
    Named(&'a str, &'a str),
    Bare(&'a str),
}

/// Cuts the next piece off. Elements of a list are one piece.
fn token<'a>(rest: &mut &'a str) -> Option<Token<'a>> {
    let text = rest.trim_start();
    if let Some(inner) = text.strip_prefix('"') {
        let end = closing_quote(inner).unwrap_or(inner.len());
        *rest = inner.get(end + 1..).unwrap_or_default();
        return Some(Token::Quoted);
    }
    if text.starts_with('[') {
        let end = memchr::memchr(b']', text.as_bytes()).map_or(text.len(), |it| it + 1);
        *rest = &text[end..];
        return Some(Token::Bracket);
    }
    let mut end = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    let word = &text[..end];
    if word.is_empty() {
        return None;
    }
    let named = word.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('"'));
    let colon = word.strip_suffix(':').filter(|_| text[end..].starts_with(" \""));
    let quoted = match (named, colon) {
        (Some((name, value)), _) if value.starts_with('"') => Some((name, name.len() + 2)),
        (None, Some(name)) => Some((name, end + 2)),
        _ => None,
    };
    if let Some((name, start)) = quoted {
        let inner = &text[start..];
        let close = closing_quote(inner).unwrap_or(inner.len());
        *rest = inner.get(close + 1..).unwrap_or_default();
        return Some(Token::Named(name, &inner[..close]));
    }
    loop {
        let tail = &text[end..];
        let more = if text[..end].ends_with(',') && tail.starts_with(' ') {
            1
        } else if tail.starts_with(" : ") {
            3
        } else {
            break;
        };
        let next = &tail[more..];
        end += more + memchr::memchr(b' ', next.as_bytes()).unwrap_or(next.len());
        if next.is_empty() {
            break;
        }
    }
    let word = &text[..end];
    *rest = &text[end..];
    Some(match word.split_once('=').filter(|(name, _)| !name.is_empty()) {
        Some((name, value)) => Token::Named(name, value),
        None => Token::Bare(word),
    })
}

/// What stands behind the status: bytes, referrer, agent, and then what the owner asked for.
fn extras<'a>(access: &mut Access<'a>, mut rest: &'a str) {
    let (mut bare, mut quoted, mut brackets) = ([""; 5], 0, 0);
    let mut found = 0;
    while let Some(token) = token(&mut rest) {
        match token {
            Token::Quoted => quoted += 1,
            Token::Bracket => brackets += 1,
            // The status of the client stands where it always does.
            Token::Named("status", _) => {}
            Token::Named(name, value) => {
                if name == "kong_request_id" {
                    access.product = Product::Kong;
                }
                access.set(name, value);
            }
            Token::Bare(word)
                if found == 0 && quoted >= 2 && first(word).is_some_and(is_address) =>
            {
                bare[0] = word;
                found = 1;
            }
            Token::Bare(word) if (1..bare.len()).contains(&found) => {
                bare[found] = word;
                found += 1;
            }
            Token::Bare(_) => {}
        }
    }
    if found == 0 {
        if brackets > 0 && access.product == Product::Nginx {
            access.product = Product::IngressNginx;
        }
        return;
    }
    access.addresses = Some(bare[0]);
    // ingress-nginx: address, length, time, status, request id; APISIX: address, status, time.
    if brackets > 0 && is_status(bare[3]) && !bare[3].is_empty() {
        access.product = Product::IngressNginx;
        access.lengths = Some(bare[1]);
        access.statuses = Some(bare[3]);
        access.request_id = Some(bare[4]).filter(|it| it.len() >= 8);
    } else if found > 1 && is_status(bare[1]) && (found == 2 || is_time(bare[2])) {
        access.statuses = Some(bare[1]);
    } else if found > 2 && is_time(bare[1]) && is_status(bare[2]) {
        access.statuses = Some(bare[2]);
    }
}

// Objects of JSON.

fn object(text: &str) -> Option<Access<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    let mut access = Access::new(Product::Nginx);
    let mut own = false;
    let mut names = 0;
    let well = members(text, &mut |name, value| {
        names += 1;
        own |= name.starts_with("upstream_")
            || matches!(name, "request_time" | "body_bytes_sent" | "time_iso8601" | "time_local");
        // Other products' objects have a status too.
        if matches!(name, "logger" | "response_flags" | "DownstreamStatus" | "level") {
            access.status = "";
            own = false;
            return false;
        }
        access.set(name, value);
        names < 200
    });
    (own && well && access.number().is_some()).then_some(access)
}

/// Calls with each name and value of an object and of the objects in it, until the answer is no.
/// Strings are given as written, between their quotes.
fn members<'a>(text: &'a str, found: &mut dyn FnMut(&'a str, &'a str) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut at = 1;
    let mut name: Option<&str> = None;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let Some(end) = closing_quote(&text[at + 1..]) else { return true };
                let string = &text[at + 1..at + 1 + end];
                at += end + 2;
                let after = bytes[at..].iter().position(|it| *it != b' ').map_or(at, |it| at + it);
                match name.take() {
                    None if bytes.get(after) == Some(&b':') => {
                        name = Some(string);
                        at = after + 1;
                    }
                    None => {}
                    Some(name) if !found(name, string) => return false,
                    Some(_) => {}
                }
            }
            b'{' | b'[' => {
                name = None;
                at += 1;
            }
            byte if byte.is_ascii_digit() || byte == b'-' => {
                let scalar = |it: &u8| it.is_ascii_alphanumeric() || b"+-.".contains(it);
                let width = bytes[at..].iter().take_while(|it| scalar(it)).count();
                if name.take().is_some_and(|it| !found(it, &text[at..at + width])) {
                    return false;
                }
                at += width;
            }
            _ => at += 1,
        }
    }
    true
}

/// Of RFC 1918 and RFC 6598, loopback, or their like of IPv6.
fn is_private(client: &str) -> bool {
    match client.parse() {
        Ok(std::net::IpAddr::V4(it)) => {
            let [a, b, ..] = it.octets();
            it.is_private() || it.is_loopback() || a == 100 && (64..128).contains(&b)
        }
        Ok(std::net::IpAddr::V6(it)) => it.is_loopback() || it.segments()[0] & 0xfe00 == 0xfc00,
        Err(_) => false,
    }
}
