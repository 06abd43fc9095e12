//! Error pages, as HTML or with the tags taken off. A page is nobody's log: it proves that a caller
//! saw an error, and often by whose hand.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, phrase, span_of};
use crate::readers::flat;
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const PAGE: Reader = Reader {
    name: "error page",
    product: Product::Page,
    hooks: &[
        "502 Bad Gateway",
        "503 Service",
        "504 Gateway",
        "500 Internal Server Error",
        "502 - ",
        "The server returned an invalid or incomplete response",
        "No server is available to handle this request",
        "The server didn't respond in time",
        "The proxy server received an invalid",
        "The gateway did not receive a timely response",
        "maintenance downtime or capacity problems",
        "Error reading from remote server",
        "Backend fetch failed",
        "The server encountered a temporary error",
        "HTTP Error 50",
        "Bad Gateway",
        "Gateway Time",
        "no available server",
    ],
    fits: |line| page(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = page(&line.text) else { return };
        let event = Event::new(Product::Page, it.sign, Trust::D, span_of(&line.text, it.words));
        sink.event(event.number(it.status).who(it.server));
    },
    source: "pages of nginx 1.22, Apache 2.4, HAProxy 2.6, Varnish 7, IIS 10, Google front ends",
    example: "<center><h1>502 Bad Gateway</h1></center>",
};

pub(in crate::readers) const SERVER: Reader = Reader {
    name: "signature of an error page",
    product: Product::Page,
    hooks: &[
        "<center>",
        "<address>",
        "Server at ",
        "Varnish cache server",
        "Microsoft-Azure-Application-Gateway",
        "nginx/",
    ],
    fits: |line| signature(&line.text).is_some(),
    read: |line, sink| {
        let Some(words) = signature(&line.text) else { return };
        let event = Event::new(Product::Page, Sign::ServerIs, Trust::D, span_of(&line.text, words));
        sink.event(event.who(Some(words)));
    },
    source: "pages of nginx 1.22, Apache 2.4, Varnish 7, Azure Application Gateway v2",
    example: "<hr><center>nginx/1.22.1</center>",
};

pub(in crate::readers) const PLAIN_TO_TLS: Reader = Reader {
    name: "answer of a TLS port to plain HTTP",
    product: Product::Page,
    hooks: PLAIN_REFUSALS,
    fits: |line| refusal(&line.text).is_some(),
    read: |line, sink| {
        let Some(words) = refusal(&line.text) else { return };
        let span = span_of(&line.text, words);
        sink.event(Event::new(Product::Page, Sign::PlainToTlsPort, Trust::D, span));
    },
    source: "Go: net/http/server.go; nginx: ngx_http_special_response.c; Apache: ssl_engine_io.c; \
             Tomcat: o.a.tomcat.util.net.TLSClientHelloExtractor",
    example: "Client sent an HTTP request to an HTTPS server.",
};

/// What TLS ports of Go, nginx, Apache and Tomcat answer, with status 400.
const PLAIN_REFUSALS: &[&str] = &[
    "Client sent an HTTP request to an HTTPS server",
    "The plain HTTP request was sent to HTTPS port",
    "You're speaking plain HTTP to an SSL-enabled server port",
    "This combination of host and port requires TLS",
];

/// One of these sentences, alone in its line.
fn refusal(text: &str) -> Option<&str> {
    let bare = untagged(text);
    let bare = bare.strip_prefix("400 ").unwrap_or(bare);
    let words = PLAIN_REFUSALS.iter().find(|it| bare.starts_with(**it))?;
    let rest = bare[words.len()..].trim_start_matches('.').trim();
    (rest.is_empty() || rest.starts_with('<')).then(|| &bare[..words.len()])
}

struct Page<'a> {
    sign: Sign,
    words: &'a str,
    status: Option<i64>,
    server: Option<&'static str>,
}

/// Sentences of one product each.
const SENTENCES: &[(&str, Option<i64>, &str)] = &[
    ("The server returned an invalid or incomplete response", Some(502), "HAProxy"),
    ("No server is available to handle this request", Some(503), "HAProxy"),
    ("The server didn't respond in time", Some(504), "HAProxy"),
    ("The proxy server received an invalid", Some(502), "Apache"),
    ("Reason: Error reading from remote server", Some(502), "Apache"),
    ("Reason: <strong>Error reading from remote server", Some(502), "Apache"),
    ("The server is temporarily unable to service your", Some(503), "Apache"),
    ("request due to maintenance downtime or capacity problems", Some(503), "Apache"),
    ("The gateway did not receive a timely response", Some(504), "Apache"),
    ("Error 503 Backend fetch failed", Some(503), "Varnish"),
    ("503 Backend fetch failed", Some(503), "Varnish"),
    (
        "The server encountered a temporary error and could not complete your request",
        None,
        "Google",
    ),
    ("502 - Web server received an invalid response while acting as a gateway", Some(502), "IIS"),
];

/// The titles that all of them share.
const TITLES: &[Phrase] = &[
    phrase("502 Bad Gateway", Sign::CallerSawError, Trust::D),
    phrase("502 Server Error", Sign::CallerSawError, Trust::D),
    phrase("502 Proxy Error", Sign::CallerSawError, Trust::D),
    phrase("503 Service Temporarily Unavailable", Sign::CallerSawError, Trust::D),
    phrase("503 Service Unavailable", Sign::CallerSawError, Trust::D),
    phrase("504 Gateway Time-out", Sign::CallerSawError, Trust::D),
    phrase("504 Gateway Timeout", Sign::CallerSawError, Trust::D),
    phrase("500 Internal Server Error", Sign::CallerSawError, Trust::D),
];

fn page(text: &str) -> Option<Page<'_>> {
    let bare = untagged(text);
    if let Some((words, status, server)) =
        SENTENCES.iter().find(|(words, ..)| bare.starts_with(words))
    {
        return Some(Page {
            sign: Sign::CallerSawError,
            words: &bare[..words.len()],
            status: *status,
            server: Some(server),
        });
    }
    if let Some(rest) = bare.strip_prefix("HTTP Error ") {
        let status = rest.get(..3).and_then(flat::status).filter(|it| 500 <= *it)?;
        let end = bare.find(['<', '\n']).unwrap_or(bare.len());
        let words = crate::scan::clip(&bare[..end], 80);
        return Some(Page {
            sign: Sign::CallerSawError,
            words,
            status: Some(i64::from(status)),
            server: Some("IIS"),
        });
    }
    // What Go's servers answer with, and Traefik where all servers of a service are down.
    if let Some((words, status)) =
        [("Bad Gateway", 502), ("Gateway Timeout", 504), ("no available server", 503)]
            .into_iter()
            .find(|(words, _)| text.trim() == *words)
    {
        return Some(Page {
            sign: Sign::CallerSawError,
            words: &bare[..words.len()],
            status: Some(status),
            server: None,
        });
    }
    let bare = bare.strip_prefix("Error ").unwrap_or(bare);
    let (_, span) =
        find(TITLES, crate::scan::clip(bare, 64)).filter(|(_, span)| span.start == 0)?;
    // A title ends there, or goes on in another tag.
    let after = bare[span.end..].trim_start();
    if !(after.is_empty() || after.starts_with(['<', '.', '|', '-', '\\', '"'])) {
        return None;
    }
    let words = &bare[span];
    let status = words.get(..3).and_then(flat::status).map(i64::from);
    Some(Page { sign: Sign::CallerSawError, words, status, server: None })
}

/// Without the tags at its start: `<html><head><title>502 …` is `502 …`.
fn untagged(text: &str) -> &str {
    let mut bare = text.trim_start_matches([' ', '\t', '"', '\'', '>', '\u{feff}']);
    while bare.starts_with('<') {
        let Some(end) = bare.find('>') else { break };
        bare = bare[end + 1..].trim_start();
    }
    bare
}

/// `nginx/1.22.1` between `<center>`, or Apache's and Varnish's lines below a page.
fn signature(text: &str) -> Option<&str> {
    let tagged = text.contains("<center>") || text.contains("<address>") || text.contains("<p>");
    let bare = untagged(text);
    let end = bare.find('<').unwrap_or(bare.len());
    let words = bare[..end].trim();
    if words.is_empty() || words.len() > 120 {
        return None;
    }
    if words.starts_with("Apache/") && words.contains(" Server at ") {
        return Some(&words[..words.find(" Server at ")?]);
    }
    if words == "Varnish cache server" || words.starts_with("Microsoft-Azure-Application-Gateway") {
        return Some(words);
    }
    let name = words.split(['/', ' ']).next()?;
    let server = matches!(name, "nginx" | "openresty" | "tengine" | "cloudflare" | "angie");
    // With the version alone, it has to be the whole line.
    let version = words.split_once('/').is_some_and(|(_, it)| {
        it.starts_with(|it: char| it.is_ascii_digit()) && it.split(' ').count() <= 2
    });
    let whole = words == name || version;
    (server && whole && (tagged || version)).then_some(words)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_tls_port_says_what_came() {
        for (line, words) in [
            (
                "Client sent an HTTP request to an HTTPS server.",
                "Client sent an HTTP request to an HTTPS server",
            ),
            (
                "<title>400 The plain HTTP request was sent to HTTPS port</title>",
                "The plain HTTP request was sent to HTTPS port",
            ),
            (
                "You're speaking plain HTTP to an SSL-enabled server port.<br />",
                "You're speaking plain HTTP to an SSL-enabled server port",
            ),
        ] {
            check(line, &format!("the error page: PlainToTlsPort | {words}"));
        }
        check_nothing("GET /Client sent an HTTP request to an HTTPS server. HTTP/1.1");
        check_nothing("Client sent an HTTP request to an HTTPS server, it says, but why");
    }

    #[test]
    fn pages_are_known_with_tags_and_without() {
        check(
            "<html><head><title>504 Gateway Time-out</title></head>",
            "the error page: CallerSawError number=504 | 504 Gateway Time-out",
        );
        check(
            "no available server",
            "the error page: CallerSawError number=503 | no available server",
        );
        check("502 Bad Gateway", "the error page: CallerSawError number=502 | 502 Bad Gateway");
        check(
            "The server returned an invalid or incomplete response.",
            "the error page: CallerSawError who=HAProxy number=502 | The server returned an invalid or \
             incomplete response",
        );
        for words in [
            "Client sent an HTTP request to an HTTPS server",
            "The plain HTTP request was sent to HTTPS port",
            "This combination of host and port requires TLS",
        ] {
            check(words, &format!("the error page: PlainToTlsPort | {words}"));
            check_nothing(&format!("it says {words}"));
        }
        check(
            "Error 503 Backend fetch failed",
            "the error page: CallerSawError who=Varnish number=503 | Error 503 Backend fetch failed",
        );
        check(
            "<hr><center>nginx/1.18.0 (Ubuntu)</center>",
            "the error page: ServerIs who=nginx/1.18.0 (Ubuntu) | nginx/1.18.0 (Ubuntu)",
        );
        check(
            "<address>Apache/2.4.41 (Ubuntu) Server at example.com Port 80</address>",
            "the error page: ServerIs who=Apache/2.4.41 (Ubuntu) | Apache/2.4.41 (Ubuntu)",
        );
    }

    #[test]
    fn prose_and_requests_are_no_pages() {
        check_nothing("502 Bad Gateway errors are hard to debug");
        check_nothing("nginx is running");
        check_nothing("GET /502 Bad Gateway 200");
    }
}
