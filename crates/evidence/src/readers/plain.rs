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
        "error trying to connect: ",
        "client error (",
        "error sending request",
        "tcp connect error: ",
        "dns error: failed to lookup",
        "received corrupt message of type InvalidContentType",
        "received fatal alert: ",
        "connection closed before message completed",
        "invalid HTTP status-code parsed",
        "message head is too large",
        "502 Bad Gateway",
        "Unexpected HTTP/1.x request",
        "received bogus greeting from client",
        "HTTP/2 client preface string missing",
        "First received frame was not SETTINGS",
        "Trying to connect an http1.x server",
        "failed to parse domain: ",
        "websocket: ",
        "WebSocket protocol violation: ",
        "Handshake failed due to invalid ",
        "Failed to upgrade to WebSocket",
        "No WebSocket UPGRADE hdr",
        "exceptions.InvalidUpgrade",
        "503 Service ",
        "504 Gateway Time",
        "ECONNRESET",
        "ETIMEDOUT",
        "EHOSTUNREACH",
        "ENOTFOUND",
        "write EPIPE",
        "socket hang up",
        "an't assign requested address",
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
        "FATAL:  ",
        "FATAL: ",
        "password authentication failed for user",
        "sorry, too many clients already",
        "remaining connection slots are reserved",
        "Access denied for user '",
        "SQLSTATE[",
        "Can't connect to MySQL server on ",
        "Can't connect to local MySQL server",
        "MySQL server has gone away",
        "Could not connect to Redis at ",
        "NOAUTH Authentication required",
        "WRONGPASS ",
        "ACCESS_REFUSED - Login was refused",
        "onnection to server at \"",
        "tarted at ",
        "ervice on port",
        "erver on port",
        "ccepting connections ",
        "ound to ",
        "serving on ",
        "Serving on ",
        "erving HTTP on ",
        "vailable at ",
        "vailable on ",
        "istening: ",
        "istening port",
        "unning in ",
        "unning on: ",
        "on port",
        "tarted on ",
        "isten on ",
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
        .or_else(|| database(text, message))
        .or_else(|| phrases::said(line))
        .or_else(|| {
            let calm = lead.level.is_some_and(pasted::is_calm) || pasted::begins_calm(text);
            fault(text, message).filter(|_| !calm)
        })?;
    Some(event.at(lead.at).pid(lead.pid))
}

/// Words that may stand before: `server is `, `App is running, server is `, `🚀 Server ready, `.
fn is_introduction(text: &str) -> bool {
    const WORDS: &[&str] = &[
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
        "backend",
        "frontend",
        "client",
        "server's",
        "site",
        "webserver",
        "dev",
        "development",
        "production",
        "local",
        "starting",
        "up",
        "your",
        "has",
        "been",
        "serving",
        "available",
        "proxy",
        "grpc",
        "rest",
        "daemon",
        "instance",
    ];
    text.len() <= 60
        && text.split([' ', ',', ':', '!', '.', '-', '>']).all(|it| {
            let word = it.to_ascii_lowercase();
            WORDS.contains(&word.as_str()) || !it.is_ascii()
        })
}

const LISTENS: &[&str] = &[
    "istening on ",
    "istening at ",
    "istening to ",
    "unning on ",
    "unning at ",
    "erver started on ",
    "pp started on ",
    "started on ",
    "started at ",
    "istening on: ",
    "istening at: ",
    "istening port ",
    "istening port: ",
    "unning on: ",
    "unning at: ",
    "serving on ",
    "Serving on ",
    "erving HTTP on ",
    "vailable at ",
    "vailable on ",
    "erver on port ",
    "tarting server on ",
    "ound to ",
    "ccepting connections at ",
    "ccepting connections on ",
    "unning server on ",
    "isten on ",
    "erver up on ",
];

/// `Orders-api is`: one word that a program calls itself by, before those of an introduction.
fn is_name(lead: &str) -> bool {
    let Some((name, rest)) = lead.split_once(' ') else { return false };
    let letter = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
    name.bytes().all(letter) && is_introduction(rest)
}

/// `Server is listening on port 3000`, `running on http://0.0.0.0:8080`.
fn listening<'a>(text: &'a str, message: &'a str) -> Option<Event<'a>> {
    let (at, words) = LISTENS
        .iter()
        .filter_map(|it| Some((message.find(it)?, *it)))
        .min_by_key(|(at, words)| (*at, std::cmp::Reverse(words.len())))?;
    // `server on port 3000`: the port is what the words end with.
    let words = words.strip_suffix("port ").unwrap_or(words);
    let lead = message[..at].trim_end_matches(|it: char| it.is_ascii_alphabetic());
    if !is_introduction(lead) && !is_name(lead) {
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
            // `0.0.0.0 port 8000`, as Python's http.server writes it.
            let apart = rest[word.len()..].strip_prefix(" port ").and_then(crate::reader::number);
            if let Some(port) = apart.filter(|it| (1..65536).contains(it)) {
                let end = text.len() - rest.len() + word.len() + " port ".len();
                let digits = text[end..].bytes().take_while(u8::is_ascii_digit).count();
                let event = Event::new(
                    Product::Unknown,
                    Sign::Listening,
                    Trust::D,
                    inset + lead.len()..end + digits,
                );
                return Some(event.upstream(Some(format!("{word}:{port}"))));
            }
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
    // A name of its own is one only where nothing follows the address.
    if !is_introduction(lead) && !text[end..].trim_matches(['/', '.', '!', ' ']).is_empty() {
        return None;
    }
    Some(Event::new(Product::Unknown, Sign::Listening, Trust::D, span).upstream(Some(upstream)))
}

/// What clients of databases, caches and brokers write, after what a program says it did: the words
/// of the server, which an app has no reason to say of itself.
fn database<'a>(text: &'a str, message: &'a str) -> Option<Event<'a>> {
    const SAID: &[(&str, Sign)] = &[
        ("password authentication failed for user", Sign::DbAuthFailed),
        ("no pg_hba.conf entry for host", Sign::DbAuthFailed),
        ("sorry, too many clients already", Sign::DbTooManyClients),
        ("remaining connection slots are reserved", Sign::DbTooManyClients),
        ("too many connections for role", Sign::DbTooManyClients),
        ("too many connections for database", Sign::DbTooManyClients),
        ("the database system is starting up", Sign::DbFailover),
        ("the database system is shutting down", Sign::DbFailover),
        ("the database system is in recovery mode", Sign::DbFailover),
        ("Access denied for user '", Sign::DbAuthFailed),
        ("SQLSTATE[HY000] [1045]", Sign::DbAuthFailed),
        ("SQLSTATE[HY000] [1040]", Sign::DbTooManyClients),
        ("SQLSTATE[08004] [1040]", Sign::DbTooManyClients),
        ("SQLSTATE[HY000] [2002] php_network_getaddresses", Sign::DbNameUnknown),
        ("SQLSTATE[HY000] [2002]", Sign::DbRefused),
        ("SQLSTATE[HY000] [2003]", Sign::DbRefused),
        ("SQLSTATE[HY000]: General error: 2006", Sign::DbFailover),
        ("SQLSTATE[08006] [7]", Sign::DbRefused),
        ("Can't connect to MySQL server on ", Sign::DbRefused),
        ("Can't connect to local MySQL server", Sign::DbRefused),
        ("MySQL server has gone away", Sign::DbFailover),
        ("Could not connect to Redis at ", Sign::CacheDown),
        ("NOAUTH Authentication required", Sign::DbAuthFailed),
        ("WRONGPASS invalid username-password pair", Sign::DbAuthFailed),
        ("ACCESS_REFUSED - Login was refused", Sign::DbAuthFailed),
        ("onnection to server at \"", Sign::DbRefused),
    ];
    let (at, words, sign) = SAID
        .iter()
        .filter_map(|(words, sign)| Some((message.find(words)?, *words, *sign)))
        .min_by_key(|it| it.0)?;
    let before = &message[..at];
    let quoted = before.contains(['"', '{', '<', '?', '`'])
        || before.matches('\'').count() % 2 == 1
        || before.contains("HTTP/");
    let ends = before.is_empty()
        || ["FATAL: ", "ERROR: ", ": ", "] ", ") ", "- "].iter().any(|it| before.ends_with(it))
        || before.ends_with("FATAL:  ")
        || before.ends_with('(')
        || matches!(before, "c" | "C")
        || before.ends_with(": c");
    // Alone, words of a server may be anybody's; a client names what it did, or the server's level.
    let named = !before.is_empty() || words.starts_with("SQLSTATE") || words.contains("connect");
    if quoted || !ends || !named || before.len() > 160 {
        return None;
    }
    let start = text.len() - message.len() + at;
    let end = start + words.trim_end_matches(['\'', '"', ' ']).len();
    Some(Event::new(Product::Unknown, sign, Trust::D, start..end))
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
            ("Orders-api is running on port 1400", "*:1400 | running on port 1400"),
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
    fn many_words_say_that_something_listens() {
        for (line, upstream) in [
            ("Server started on port 8080", "*:8080"),
            ("Starting server on 0.0.0.0:8080", "0.0.0.0:8080"),
            ("Serving HTTP on 0.0.0.0 port 8000", "0.0.0.0:8000"),
            ("Backend server is running on: http://localhost:4000", "http://localhost:4000"),
            ("Web server available at http://0.0.0.0:8080/", "http://0.0.0.0:8080"),
            ("listening port: 3000", "*:3000"),
            ("Server on port 3000", "*:3000"),
            ("API server started at http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("listening on *:3000", "*:3000"),
        ] {
            let found = crate::testing::read(line).join("; ");
            assert!(found.contains(&format!("Listening upstream={upstream} |")), "{line}: {found}");
        }
        check_nothing("The job was started at 10:30:05");
        check_nothing("available at the front desk");
        check_nothing("started on 2026-11-20");
    }

    #[test]
    fn clients_of_databases_quote_the_server() {
        for (line, want) in [
            (
                "Database connection failure: FATAL:  password authentication failed for user \"shop\"",
                "DbAuthFailed | password authentication failed for user",
            ),
            (
                "psql: error: connection to server at \"db\" (192.0.2.7), port 5432 failed: timeout",
                "DbRefused | onnection to server at",
            ),
            (
                "ERROR 1045 (28000): Access denied for user 'shop'@'192.0.2.1' (using password: YES)",
                "DbAuthFailed | Access denied for user",
            ),
            (
                "Could not connect to Redis at cache:6379: Connection refused",
                "CacheDown | Could not connect to Redis at",
            ),
        ] {
            check(line, &format!("the log: {want}"));
        }
        check_nothing("sorry, too many clients already");
        check_nothing("GET /?q=FATAL:  password authentication failed for user HTTP/1.1");
        check_nothing("the caller sent \"FATAL:  password authentication failed for user\"");
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
