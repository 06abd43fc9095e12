//! Squid: the access log in its own format, and what it says of peers.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
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
    hooks: &[
        "TCP connection to ",
        "Detected DEAD",
        "Detected REVIVED",
        "file descriptors",
        "ERR_",
        "Unable to determine IP address from host name",
        "The name server was unable to process this query",
        "The domain name does not exist",
        "The name server refuses to perform the specified operation",
        "requested URL could not be retrieved",
        "Zero Sized Reply",
        "Failed to establish a secure connection to",
        "Unable to forward this request at this time",
        "The system returned:",
    ],
    fits: |line| said(&line.text).or_else(|| sentence(line)).is_some(),
    read: |line, sink| {
        let Some((at, sign, words, peer)) = said(&line.text).or_else(|| sentence(line)) else {
            return;
        };
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
    let bare = text.trim_start_matches([' ', '<', '*', '>', '-']);
    let value =
        bare.strip_prefix("X-Squid-Error:").or_else(|| bare.strip_prefix("x-squid-error:"))?;
    let value = value.trim_matches([' ', '"', '*', '\r']);
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

/// Without the mark of a test's output and the tags at its start.
fn untagged(text: &str) -> &str {
    let mut bare = text.trim_start();
    bare = bare.strip_prefix("E  ").unwrap_or(bare).trim_start();
    while bare.starts_with('<') {
        let Some(end) = bare.find('>') else { break };
        bare = bare[end + 1..].trim_start();
    }
    bare
}

/// A sentence of Squid's error pages (errors/en, squid 5), with its tags or without.
fn sentence<'a>(line: &'a Line) -> Option<Words<'a>> {
    const SENTENCES: [(&str, Sign); 8] = [
        (
            "Server Failure: The name server was unable to process this query",
            Sign::NameServerFailed,
        ),
        ("Name Error: The domain name does not exist", Sign::NameNotFound),
        ("Refused: The name server refuses to perform the specified operation", Sign::NameRefused),
        ("Unable to determine IP address from host name", Sign::NameUnresolved),
        ("Zero Sized Reply", Sign::Closed),
        ("Failed to establish a secure connection to", Sign::TlsFailed),
        ("Unable to forward this request at this time", Sign::NoLiveUpstream),
        ("ERROR: The requested URL could not be retrieved", Sign::CallerSawError),
    ];
    let text = &*line.text;
    let bare = untagged(text);
    if let Some(rest) = bare.strip_prefix("The system returned:") {
        let words = untagged(rest);
        let code = words.strip_prefix('(')?.split_once(')')?.0;
        let sign = match code {
            "111" => Sign::ConnectRefused,
            "110" => Sign::ConnectTimedOut,
            "113" => Sign::HostUnreachable,
            "101" => Sign::NetworkUnreachable,
            "99" => Sign::NoLocalPort,
            "104" => Sign::Reset,
            _ => return None,
        };
        let end = words.find('<').unwrap_or(words.len());
        return Some((None, sign, words[..end].trim_end(), None));
    }
    let (words, sign) = SENTENCES.iter().find(|(it, _)| bare.starts_with(it))?;
    let words = &bare[..words.len()];
    let sign = match sign {
        // The next lines say what the name server did.
        Sign::NameUnresolved => {
            let below = line
                .following()
                .take(4)
                .any(|it| SENTENCES[..3].iter().any(|(words, _)| untagged(&it).starts_with(words)));
            if below {
                return None;
            }
            *sign
        }
        // The page in an error of a client's library: the client sent it to a proxy of its own.
        Sign::CallerSawError => {
            let tested = text.trim_start().starts_with("E  ");
            let raised = tested || line.preceding().take(8).any(|it| it.contains("Exception: "));
            if raised { Sign::ClientProxyFailed } else { *sign }
        }
        it => *it,
    };
    Some((None, sign, words, None))
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
        check("**X-Squid-Error: ERR_DNS_FAIL 0**", "Squid: NameUnresolved | ERR_DNS_FAIL 0");
        check_nothing("GET /X-Squid-Error: ERR_CONNECT_FAIL 111");
    }

    #[test]
    fn sentences_of_its_pages_are_read() {
        check(
            "<p>Unable to determine IP address from host name <q>app</q></p>",
            "Squid: NameUnresolved | Unable to determine IP address from host name",
        );
        check(
            "    Server Failure: The name server was unable to process this query.",
            "Squid: NameServerFailed | Server Failure: The name server was unable to process this query",
        );
        check(
            "<p>The system returned: <i>(111) Connection refused</i></p>",
            "Squid: ConnectRefused | (111) Connection refused",
        );
        check(
            "E           <title>ERROR: The requested URL could not be retrieved</title></output>",
            "Squid: ClientProxyFailed | ERROR: The requested URL could not be retrieved",
        );
        check_nothing("the page said Zero Sized Reply");
        check_nothing("GET /?q=Unable to determine IP address from host name HTTP/1.1");
    }
}
