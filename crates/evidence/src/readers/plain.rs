//! Text that no other reader takes: words that programs in any language share, at the start of a
//! line or of a message. Words in the middle of a sentence may be quoted, and are left.

use crate::address;
use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, number};
use crate::readers::raised::dependency;
use crate::readers::{pasted, phrases};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const TEXT: Reader = Reader {
    name: "plain text",
    product: Product::Unknown,
    hooks: &[
        "istening on ",
        "istening at ",
        "istening to ",
        "unning on ",
        "unning at ",
        "erver started on ",
        "pp started on ",
        "ddress already in use",
        "onnection refused",
        "ECONNREFUSED",
        "o space left on device",
        "oo many open files",
        "ead-only file system",
        // Those of faults in words that any program may use.
        "dial tcp",
        "dial unix ",
        "dial udp",
        "read tcp ",
        "write tcp ",
        "x509: ",
        "tls: ",
        "lookup ",
        "net/http: ",
        "http2: ",
        "http: server ",
        "malformed HTTP ",
        "context deadline exceeded",
        "stream error: stream ID ",
        "EOF",
        "TLS handshake error from ",
        "SSL_accept",
        ":SSL routines:",
        "igned certificate",
        "issuer certificate",
        "unable to verify ",
        "certificate has expired",
        "certificate is not yet valid",
        "ostname mismatch",
        "IP address mismatch",
        "invalid peer certificate: ",
        "certificate verify failed",
        "ertificate verification failed",
        "upstream",
        "ring-balancer",
        "name resolution failed",
        "no Route matched with those values",
        "no healthy backend",
        "no available backend",
        "backend connection refused",
        "worker_connections are not enough",
        "no resolver defined",
        "circuit breaker is open",
        "TIMEOUTconnect exceeded",
        "TIMEOUTidle exceeded",
        "rror obtaining Endpoints for Service",
        "does not have any active Endpoint",
        "invalid uwsgi request (current strsize",
        "onnection timed out",
        "peration timed out",
        "o route to host",
        "etwork is unreachable",
        "onnection reset by peer",
        "roken pipe",
        "annot assign requested address",
        "ame or service not known",
        "odename nor servname provided",
        "getaddrinfo E",
        "emporary failure in name resolution",
        "connect E",
    ],
    fits: |line| said(line).is_some(),
    read: |line, sink| {
        if let Some(event) = said(line) {
            sink.event(event);
        }
    },
    source: "words that programs in any language share; strerror(3) of glibc 2.36",
    example: "server is listening on port 3000",
};

/// Longer messages are prose or data.
const LONGEST: usize = 400;

fn said<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    let text = line.text.trim_end();
    let message = text.get(lead.inset..)?;
    if message.len() > LONGEST {
        return phrases::said(line);
    }
    let event = listening(text, message)
        .or_else(|| phrases::said(line))
        .or_else(|| fault(text, message).filter(|_| !lead.level.is_some_and(pasted::is_calm)))?;
    Some(event.at(lead.at).pid(lead.pid))
}

/// Words that may stand before: `server is `, `App is running, server is `, `🚀 Server ready, `.
fn is_introduction(text: &str) -> bool {
    const WORDS: [&str; 22] = [
        "",
        "server",
        "app",
        "application",
        "is",
        "now",
        "express",
        "http",
        "https",
        "the",
        "api",
        "listening",
        "running",
        "started",
        "web",
        "service",
        "node",
        "worker",
        "process",
        "ready",
        "and",
        "successfully",
    ];
    text.len() <= 60
        && text.split([' ', ',', ':', '!', '.', '-', '>']).all(|it| {
            let word = it.to_ascii_lowercase();
            WORDS.contains(&word.as_str()) || !it.is_ascii()
        })
}

const LISTENS: [&str; 8] = [
    "istening on ",
    "istening at ",
    "istening to ",
    "unning on ",
    "unning at ",
    "erver started on ",
    "pp started on ",
    "started on ",
];

/// `Server is listening on port 3000`, `running on http://0.0.0.0:8080`.
fn listening<'a>(text: &'a str, message: &'a str) -> Option<Event<'a>> {
    let (at, words) = LISTENS.iter().filter_map(|it| Some((message.find(it)?, *it))).min()?;
    let lead = message[..at].trim_end_matches(|it: char| it.is_ascii_alphabetic());
    if !is_introduction(lead) {
        return None;
    }
    let inset = text.len() - message.len();
    let from = at + words.len();
    let rest = message[from..].trim_start_matches("address ");
    let lowered = rest.get(..5).map(str::to_ascii_lowercase);
    let port = match lowered.as_deref() {
        Some("port ") | Some("port:") => Some(rest[5..].trim_start_matches([' ', ':'])),
        _ => rest.strip_prefix(':'),
    };
    let (upstream, end) = match port {
        Some(it) => {
            let port = number(it).filter(|it| (1..65536).contains(it))?;
            let digits = it.len() - it.trim_start_matches(|it: char| it.is_ascii_digit()).len();
            (format!("*:{port}"), text.len() - it.len() + digits)
        }
        None => {
            let word = rest.split([' ', ',', '(']).next()?.trim_end_matches(['.', '!', '/']);
            let scheme = word.starts_with("http://") || word.starts_with("https://");
            let port = address::port(address::authority(word)).is_some();
            let number = word.len() >= 2 && word.parse::<u16>().is_ok();
            let socket =
                word.starts_with("unix:") || word.starts_with('/') && word.ends_with(".sock");
            let upstream = match number {
                true => format!("*:{word}"),
                false => word.to_owned(),
            };
            (scheme || port || number || socket)
                .then_some((upstream, text.len() - rest.len() + word.len()))?
        }
    };
    let start = inset + lead.len();
    let span: Range<usize> = start..end;
    Some(Event::new(Product::Unknown, Sign::Listening, Trust::D, span).upstream(Some(upstream)))
}

const FAULTS: [(&str, Sign); 9] = [
    ("Address already in use", Sign::PortInUse),
    ("address already in use", Sign::PortInUse),
    ("Connection refused", Sign::ExternalFailed),
    ("connection refused", Sign::ExternalFailed),
    ("ECONNREFUSED", Sign::ExternalFailed),
    ("No space left on device", Sign::AppDiskFull),
    ("no space left on device", Sign::AppDiskFull),
    ("Too many open files", Sign::AppFdExhausted),
    ("Read-only file system", Sign::ReadOnlyFs),
];

/// An error of the system, at the end of what the program says it did: `bind(): Address already in
/// use`, `dial tcp 192.0.2.7:5432: connect: connection refused`.
fn fault<'a>(text: &'a str, message: &'a str) -> Option<Event<'a>> {
    let (at, words, sign) = FAULTS
        .iter()
        .filter_map(|(words, sign)| Some((message.find(words)?, *words, *sign)))
        .min_by_key(|it| it.0)?;
    let before = &message[..at];
    // A quote, a bracket of data or a sentence before it: somebody else's words.
    let quoted = before.contains(['"', '{', '<', '?']) || before.matches('\'').count() % 2 == 1;
    let ends = ["", ": ", ") ", "(", "] ", "- "]
        .iter()
        .any(|it| before.ends_with(it) && (!it.is_empty() || before.is_empty()));
    let numbered = before.trim_end().ends_with(|it: char| it.is_ascii_digit() || it == ':');
    if quoted || !(ends || numbered) {
        return None;
    }
    let start = text.len() - message.len() + at;
    let event = Event::new(Product::Unknown, sign, Trust::D, start..start + words.len());
    if sign != Sign::ExternalFailed {
        let address = last_address(before).filter(|_| sign == Sign::PortInUse);
        return Some(event.upstream(address));
    }
    // Without an address it says nothing of whom it could not reach.
    let after = &message[at + words.len()..];
    let upstream = last_address(before).or_else(|| last_address(after))?;
    let port = address::port(upstream);
    let name = address::host(upstream);
    let sign = port.and_then(dependency).or_else(|| named(name)).unwrap_or(sign);
    Some(Event { sign, ..event }.upstream(Some(upstream)))
}

/// What a host's name says that it is.
fn named(host: &str) -> Option<Sign> {
    let first = host.split(['.', '-', '_']).next()?;
    match first {
        "db" | "database" | "postgres" | "postgresql" | "mysql" | "mariadb" | "mongo"
        | "mongodb" => Some(Sign::DbRefused),
        "redis" | "cache" | "memcached" => Some(Sign::CacheDown),
        "rabbitmq" | "rabbit" | "kafka" | "broker" | "nats" => Some(Sign::BrokerDown),
        _ => None,
    }
}

/// The last `host:port` of a text, where it is a word.
fn last_address(text: &str) -> Option<&str> {
    text.split([' ', '(', ')', ',', '[', '\'', '='])
        .rev()
        .map(|it| it.trim_end_matches([':', '.']))
        .map(address::authority)
        .find(|it| {
            address::port(it).is_some_and(|it| it > 0) && !address::host(it).is_empty()
                || is_port_of_all(it)
        })
}

/// `:8080`, as Go writes it.
fn is_port_of_all(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok_and(|it| it > 0))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_program_says_where_it_listens() {
        for (line, want) in [
            ("server is listening on port 3000", "*:3000 | server is listening on port 3000"),
            (
                "App is running, server is listening on port 42014",
                "*:42014 | App is running, server is listening on port 42014",
            ),
            (
                "Server running at http://127.0.0.1:8080/",
                "http://127.0.0.1:8080 | Server running at http://127.0.0.1:8080",
            ),
            ("2026/11/20 15:16:30 listening on :8080", "*:8080 | listening on :8080"),
        ] {
            let (upstream, quote) = want.split_once(" | ").expect("two parts");
            let found = crate::testing::read(line);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(
                found[0].starts_with(&format!("the log: Listening upstream={upstream} |")),
                "{found:?}"
            );
            assert!(quote.ends_with(found[0].split_once(" | ").expect("a quote").1), "{found:?}");
        }
    }

    #[test]
    fn an_error_of_the_system_ends_what_was_done() {
        check(
            "ERROR:app:cannot reach orders:8080: Connection refused",
            "the log: ExternalFailed upstream=orders:8080 | Connection refused",
        );
        check("bind(): Address already in use", "the log: PortInUse | Address already in use");
        check(
            "write /data/x: no space left on device",
            "the log: AppDiskFull | no space left on device",
        );
    }

    #[test]
    fn quoted_words_and_prose_are_left() {
        check_nothing("the caller wrote \"x: Connection refused 192.0.2.7:5432\"");
        check_nothing("we saw Connection refused once");
        check_nothing("Connection refused");
        check_nothing("I was running on empty");
        check_nothing("192.0.2.1 \"GET /listening on port 3000 HTTP/1.1\" 200");
        check_nothing("see our guide to listening on port 3000");
    }
}
