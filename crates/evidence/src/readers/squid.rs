//! Squid: the access log in its own format, and what it says of peers.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ACCESS: Reader = Reader {
    name: "Squid access log",
    product: Product::Squid,
    hooks: &[],
    fits: |line| entry(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = entry(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://wiki.squid-cache.org/SquidFaq/SquidLogs; the native format, squid 5.7",
    example: "1698402615.123   3004 192.0.2.1 TCP_MISS/503 4034 GET http://app.example.com/ - \
              HIER_DIRECT/192.0.2.7 text/html",
};

pub(super) const EVENTS: Reader = Reader {
    name: "Squid cache log",
    product: Product::Squid,
    hooks: &["TCP connection to ", "Detected DEAD", "Detected REVIVED", "file descriptors", "ERR_"],
    fits: |line| said(&line.text).is_some(),
    read: |line, sink| {
        let Some((at, sign, words, peer)) = said(&line.text) else { return };
        let event = Event::new(Product::Squid, sign, Trust::C, span_of(&line.text, words));
        sink.event(event.at(at).upstream(peer).who(peer));
    },
    source: "squid src/neighbors.cc, src/comm.cc; errorpages of ERR_CONNECT_FAIL and others",
    example: "2023/10/27 10:30:15 kid1| TCP connection to 192.0.2.7/8000 failed",
};

struct Entry<'a> {
    at: Stamp,
    elapsed: Option<i64>,
    client: &'a str,
    /// `TCP_MISS`, `TCP_MISS_ABORTED`, `NONE`.
    result: &'a str,
    status: &'a str,
    route: &'a str,
    hierarchy: &'a str,
}

fn entry(text: &str) -> Option<Entry<'_>> {
    let mut words = text.split_ascii_whitespace();
    let time = words.next()?;
    let (seconds, millis) = time.split_once('.')?;
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !digits(seconds) || millis.len() != 3 || !digits(millis) {
        return None;
    }
    let at = clock::epoch(time.parse().ok()?)?;
    let elapsed = words.next()?.parse().ok();
    let client = words.next()?;
    let (result, status) = words.next()?.split_once('/')?;
    let known =
        result.starts_with("TCP_") || result.starts_with("NONE") || result.starts_with("UDP_");
    if !known || status.len() != 3 || !digits(status) {
        return None;
    }
    let (_bytes, _method, route) = (words.next()?, words.next()?, words.next()?);
    let (_user, hierarchy) = (words.next()?, words.next()?);
    Some(Entry { at, elapsed, client, result, status, route, hierarchy })
}

impl Entry<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let Ok(status) = self.status.parse::<u16>() else { return };
        sink.served(Served { at: Some(self.at), status });
        let peer = self.hierarchy.split_once('/').map(|(_, it)| it).filter(|it| *it != "-");
        let sign = match status {
            _ if self.result.ends_with("_ABORTED") => Sign::ClientClosed,
            407 => Sign::AuthDenied,
            403 if self.result.contains("DENIED") => Sign::AuthDenied,
            500 => Sign::Answered500,
            502 => Sign::Answered502,
            503 => Sign::Answered503,
            504 => Sign::Answered504,
            _ => return,
        };
        let client = sign.kind() == crate::sign::Kind::Client;
        let words = if sign == Sign::ClientClosed { self.result } else { self.status };
        sink.event(
            Event::new(Product::Squid, sign, Trust::C, span_of(text, words))
                .at(Some(self.at))
                .status(Some(status))
                .upstream(peer.filter(|_| !client))
                .number(self.elapsed.filter(|it| !client && *it >= 0))
                .route(Some(self.route))
                .client(Some(self.client)),
        );
    }
}

type Words<'a> = (Option<Stamp>, Sign, &'a str, Option<&'a str>);

/// `2023/10/27 10:30:15 kid1| TCP connection to 192.0.2.7/8000 failed`.
fn said(text: &str) -> Option<Words<'_>> {
    let (at, rest) = match clock::iso(text) {
        Some((at, end)) => {
            let (kid, rest) = text[end..].split_once("| ")?;
            (kid.is_empty() || kid.starts_with(" kid")).then_some(())?;
            (Some(at), rest)
        }
        None => (None, text),
    };
    let rest =
        rest.strip_prefix("ERROR: ").or_else(|| rest.strip_prefix("WARNING: ")).unwrap_or(rest);
    if let Some(peer) = rest.strip_prefix("TCP connection to ") {
        let peer = peer.strip_suffix(" failed")?;
        return (!peer.contains(' ')).then_some((at, Sign::ConnectFailed, rest, Some(peer)));
    }
    for (words, sign) in
        [("Detected DEAD ", Sign::ServerDown), ("Detected REVIVED ", Sign::ServerUp)]
    {
        if let Some(peer) = rest.strip_prefix(words).filter(|_| at.is_some()) {
            return Some((
                at,
                sign,
                words_of(rest, words),
                peer.split_once(": ").map(|(_, it)| it),
            ));
        }
    }
    let short = "Your cache is running out of filedescriptors";
    if rest.starts_with(short) && at.is_some() {
        return Some((at, Sign::NoDescriptors, &rest[..short.len()], None));
    }
    page(rest).map(|(sign, words)| (None, sign, words, None))
}

fn words_of<'a>(text: &'a str, words: &str) -> &'a str {
    text[..words.len()].trim_end()
}

/// The header of Squid's own answers: `X-Squid-Error: ERR_CONNECT_FAIL 111`.
fn page(text: &str) -> Option<(Sign, &str)> {
    let value = text.trim_start().strip_prefix("X-Squid-Error:")?.trim_start().trim_matches('"');
    let (name, code) = value.split_once(' ').unwrap_or((value, ""));
    let sign = match (name, code) {
        ("ERR_CONNECT_FAIL", "111") => Sign::ConnectRefused,
        ("ERR_CONNECT_FAIL", "110") => Sign::ConnectTimedOut,
        ("ERR_CONNECT_FAIL", "113") => Sign::HostUnreachable,
        ("ERR_CONNECT_FAIL", "101") => Sign::NetworkUnreachable,
        ("ERR_CONNECT_FAIL", "99") => Sign::NoLocalPort,
        ("ERR_CONNECT_FAIL", _) => Sign::ConnectFailed,
        ("ERR_DNS_FAIL", _) => Sign::NameUnresolved,
        ("ERR_READ_TIMEOUT", _) => Sign::HeadTimedOut,
        ("ERR_READ_ERROR", "104") => Sign::Reset,
        ("ERR_READ_ERROR", _) => Sign::Disconnected,
        ("ERR_ZERO_SIZE_OBJECT", _) => Sign::Closed,
        ("ERR_INVALID_RESP", _) => Sign::NotHttp,
        ("ERR_SECURE_CONNECT_FAIL", _) => Sign::TlsFailed,
        ("ERR_CANNOT_FORWARD", _) => Sign::NoLiveUpstream,
        ("ERR_ACCESS_DENIED" | "ERR_CACHE_ACCESS_DENIED", _) => Sign::AuthDenied,
        _ => return None,
    };
    Some((sign, value))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn entries_name_the_server_that_was_asked() {
        let line = |result: &str| {
            format!(
                "1698402615.123   3004 192.0.2.1 {result} 4034 GET http://app.example.com/503 - HIER_DIRECT/192.0.2.7 text/html"
            )
        };
        check(
            &line("TCP_MISS/503"),
            "served 503; Squid: Answered503 upstream=192.0.2.7 number=3004 status=503 | 503",
        );
        check(
            &line("TCP_MISS_ABORTED/000"),
            "served 0; Squid: ClientClosed status=0 | TCP_MISS_ABORTED",
        );
        check(&line("TCP_MISS/200"), "served 200");
        check_nothing("1698402615.123 3004 192.0.2.1 GET http://x/TCP_MISS/503 4034 - - -");
    }

    #[test]
    fn events_and_pages_say_what_failed() {
        check(
            "2023/10/27 10:30:15 kid1| TCP connection to 192.0.2.7/8000 failed",
            "Squid: ConnectFailed upstream=192.0.2.7/8000 who=192.0.2.7/8000 | TCP connection to 192.0.2.7/8000 failed",
        );
        check(
            "2023/10/27 10:30:15| Detected DEAD Parent: cache1",
            "Squid: ServerDown upstream=cache1 who=cache1 | Detected DEAD",
        );
        check_nothing("2023/10/27 10:30:15 kid1| helperOpenServers: Starting 0/5 processes");
        check_nothing("GET /X-Squid-Error: ERR_CONNECT_FAIL 111");
    }
}
