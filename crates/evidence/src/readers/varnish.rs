//! Varnish: varnishlog's records of fetches and of health, and the page that it answers with.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "varnishlog",
    product: Product::Varnish,
    hooks: &["FetchError", "Backend_health", "Backend fetch failed", "Child (", "VCL_Error"],
    fits: |line| record(&line.text).is_some(),
    read,
    source: "https://varnish-cache.org/tips/varnishlog/fetcherror.html; bin/varnishd/cache/cache_backend.c",
    example: "-   FetchError     backend boot.app: fail errno 111 (Connection refused)",
};

enum Record<'a> {
    Fetch(&'a str),
    Health(&'a str),
    Page(&'a str),
    Child(&'a str),
}

/// `-   FetchError     …`, `**  FetchError …`, `0 Backend_health - …`: a tag behind an id or marks.
fn record(text: &str) -> Option<Record<'_>> {
    let mut words = text.split_ascii_whitespace();
    let mut tag = words.next()?;
    let marks = |it: &str| it.bytes().all(|it| b"-*<>".contains(&it)) || it.parse::<u64>().is_ok();
    if marks(tag) {
        tag = words.next()?;
    }
    let rest = text[span_of(text, tag).end..].trim_start();
    match tag {
        "FetchError" => {
            // By transaction id, who asked stands between: `c` or `b`.
            let rest = rest.strip_prefix("b ").unwrap_or(rest);
            (!rest.is_empty()).then_some(Record::Fetch(rest))
        }
        "Backend_health" => {
            let rest = rest.strip_prefix("b ").unwrap_or(rest);
            Some(Record::Health(rest.trim_start_matches(['-', ' '])))
        }
        "Child" if rest.starts_with('(') => Some(Record::Child(text)),
        // Of the page: `Error 503 Backend fetch failed`.
        "Error" if text.starts_with("Error 503 Backend fetch failed") => Some(Record::Page(text)),
        "<h1>Error" | "<title>503" => {
            text.contains("503 Backend fetch failed").then_some(Record::Page(text))
        }
        _ => None,
    }
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(record) = record(&line.text) else { return };
    let event = |sign, trust, words: &str| {
        Event::new(Product::Varnish, sign, trust, span_of(&line.text, words))
    };
    match record {
        Record::Fetch(text) => {
            let Some((sign, words)) = fetch(text) else { return };
            sink.event(event(sign, Trust::C, words).upstream(backend(text)));
        }
        Record::Health(text) => {
            let Some((sign, words)) = health(text) else { return };
            sink.event(event(sign, Trust::C, words).who(text.split(' ').next()));
        }
        Record::Page(text) => {
            let at = text.find("503 Backend fetch failed").unwrap_or_default();
            let words = &text[at..at + "503 Backend fetch failed".len()];
            sink.event(event(Sign::Answered503, Trust::D, words).status(Some(503)));
        }
        Record::Child(text) => {
            let Some(at) = text.find(") died signal=") else { return };
            let code = number(&text[at + ") died signal=".len()..]);
            sink.event(
                event(Sign::ProxyWorkerCrashed, Trust::C, &text[..at + ") died".len()])
                    .number(code),
            );
        }
    }
}

/// `backend boot.app: …`, `Director boot.app …`.
fn backend(text: &str) -> Option<&str> {
    let rest = ["backend ", "Director ", "Backend "].iter().find_map(|it| text.strip_prefix(it))?;
    rest.split([' ', ':']).next().filter(|it| !it.is_empty())
}

fn fetch(text: &str) -> Option<(Sign, &str)> {
    const TABLE: [(&str, Sign); 14] = [
        ("http first read error: EOF", Sign::Closed),
        ("http first read error: first byte timeout", Sign::HeadTimedOut),
        ("http first read error: ", Sign::Disconnected),
        ("first byte timeout", Sign::HeadTimedOut),
        ("HTC timeout", Sign::HeadTimedOut),
        ("HTC eof", Sign::Closed),
        ("http read error: EOF", Sign::HeadPartial),
        ("between bytes timeout", Sign::HeadSlow),
        ("timeout", Sign::HeadSlow),
        ("http format error", Sign::ProtocolError),
        ("straight insufficient bytes", Sign::BodyShort),
        ("chunked ", Sign::ChunkCut),
        ("no backend connection", Sign::ConnectFailed),
        ("overflow", Sign::HeadTooBig),
    ];
    if let Some(at) = text.find(": fail errno ").filter(|_| backend(text).is_some()) {
        let code = number(&text[at + ": fail errno ".len()..]);
        return Some((errno(code), &text[at + 2..]));
    }
    for (words, sign) in [
        (": unhealthy", Sign::NoLiveUpstream),
        (": busy", Sign::ConnectionLimit),
        ("returned no backend", Sign::NoLiveUpstream),
    ] {
        if let Some(at) = text.find(words).filter(|_| backend(text).is_some()) {
            return Some((sign, text[at..at + words.len()].trim_start_matches([':', ' '])));
        }
    }
    let (words, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    Some((*sign, text[..words.len()].trim_end_matches([' ', ':'])))
}

fn errno(code: Option<i64>) -> Sign {
    match code {
        Some(111) => Sign::ConnectRefused,
        Some(110 | 115) => Sign::ConnectTimedOut,
        Some(113) => Sign::HostUnreachable,
        Some(101) => Sign::NetworkUnreachable,
        Some(13) => Sign::ConnectDenied,
        Some(99) => Sign::NoLocalPort,
        Some(2) => Sign::SocketMissing,
        Some(23 | 24) => Sign::NoDescriptors,
        _ => Sign::ConnectFailed,
    }
}

/// `boot.app Went sick ------- 0 3 8 0.0 0.0`, with what the answer was at the end.
fn health(text: &str) -> Option<(Sign, &str)> {
    const TABLE: [(&str, Sign); 3] = [
        ("Went sick", Sign::ServerDown),
        ("Still sick", Sign::HealthFailed),
        ("Back healthy", Sign::ServerUp),
    ];
    let (name, rest) = text.split_once(' ')?;
    let (words, sign) =
        TABLE.iter().find(|(it, _)| rest.starts_with(it)).filter(|_| !name.is_empty())?;
    Some((*sign, &rest[..words.len()]))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_fetch_that_failed_says_why() {
        for (text, want) in [
            (
                "backend boot.app: fail errno 111 (Connection refused)",
                "ConnectRefused upstream=boot.app | fail errno 111 (Connection refused)",
            ),
            ("backend boot.app: unhealthy", "NoLiveUpstream upstream=boot.app | unhealthy"),
            ("backend boot.app: busy", "ConnectionLimit upstream=boot.app | busy"),
            (
                "Director app returned no backend",
                "NoLiveUpstream upstream=app | returned no backend",
            ),
            ("http first read error: EOF", "Closed | http first read error: EOF"),
            ("first byte timeout", "HeadTimedOut | first byte timeout"),
            ("no backend connection", "ConnectFailed | no backend connection"),
        ] {
            check(&format!("-   FetchError     {text}"), &format!("Varnish: {want}"));
            check(&format!("   32770 FetchError     b {text}"), &format!("Varnish: {want}"));
        }
    }

    #[test]
    fn health_and_pages_are_read_and_urls_are_not() {
        check(
            "         0 Backend_health - boot.app Still sick 4---X-R- 0 3 8 0.0 0.0 HTTP/1.1 403 Forbidden",
            "Varnish: HealthFailed who=boot.app | Still sick",
        );
        check(
            "0 Backend_health - boot.app Went sick -------- 2 3 8 0.0 0.0",
            "Varnish: ServerDown who=boot.app | Went sick",
        );
        check_nothing("0 Backend_health - boot.app Still healthy 4---X-RH 8 3 8 0.0 0.0");
        check_nothing("-   BereqURL       /FetchError backend boot.app: fail errno 111");
        check_nothing("-   FetchError     ");
    }
}
