//! The words of tools and browsers at the caller's side.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, number, phrase, span_of};
use crate::readers::flat;
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(in crate::readers) const CURL: Reader = Reader {
    name: "curl error",
    product: Product::Curl,
    hooks: &["curl: ("],
    fits: |line| {
        let text = line.text.trim_start();
        text.starts_with("curl: (")
            && !["ailed to connect to ", "ould not resolve host"].iter().any(|it| text.contains(it))
    },
    read: |line, sink| {
        let text = line.text.trim_start();
        let Some((sign, counted)) = curl(text) else { return };
        let event = Event::new(Product::Curl, sign, Trust::D, span_of(&line.text, text.trim_end()));
        sink.event(event.number(counted));
    },
    source: "https://curl.se/libcurl/c/libcurl-errors.html",
    example: "curl: (56) Received HTTP code 502 from proxy after CONNECT",
};

/// The loops of Istio's tasks: `curl -s -o /dev/null -w "sleep.foo to httpbin.bar: %{http_code}\n"`.
pub(in crate::readers) const LOOP: Reader = Reader {
    name: "status of a call between services",
    product: Product::Curl,
    hooks: &[": 502", ": 503", ": 504"],
    fits: |line| between_services(&line.text).is_some(),
    read: |line, sink| {
        let Some((status, to)) = between_services(&line.text) else { return };
        let text = line.text.trim();
        let words = &text[text.len() - 3..];
        let event =
            Event::new(Product::Curl, Sign::CallerSawError, Trust::D, span_of(&line.text, words));
        sink.event(event.number(Some(i64::from(status))).upstream(Some(to)));
    },
    source: "https://istio.io/latest/docs/tasks/security/authentication/authn-policy/",
    example: "curl.foo to httpbin.bar: 503",
};

fn between_services(text: &str) -> Option<(u16, &str)> {
    let (call, status) = text.trim().rsplit_once(": ")?;
    let status = flat::status(status).filter(|it| (502..505).contains(it))?;
    let (from, to) = call.split_once(" to ")?;
    let named = |it: &str| {
        !it.is_empty()
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._:/".contains(&it))
            && it.contains(['.', ':', '-'])
    };
    (named(from) && named(to)).then_some((status, to))
}

pub(in crate::readers) const WGET: Reader = Reader {
    name: "wget output",
    product: Product::Curl,
    hooks: &["wget: ", " ERROR 50", "awaiting response... 50"],
    fits: |line| wget(&line.text).is_some(),
    read: |line, sink| {
        let Some((status, span)) = wget(&line.text) else { return };
        let event = Event::new(Product::Curl, Sign::CallerSawError, Trust::D, span);
        sink.event(event.number(Some(i64::from(status))));
    },
    source: "GNU Wget 1.21 src/http.c; BusyBox networking/wget.c",
    example: "wget: server returned error: HTTP/1.1 502 Bad Gateway",
};

pub(in crate::readers) const BROWSER: Reader = Reader {
    name: "browser console",
    product: Product::Browser,
    hooks: &[
        "WebSocket connection to '",
        "the server responded with a status of ",
        "net::ERR_",
        "NS_ERROR_",
        "Unexpected server response: ",
        "websocket: bad handshake",
        "server rejected WebSocket connection: HTTP ",
        "Handshake status ",
    ],
    fits: |line| browser(&line.text).is_some(),
    read: |line, sink| {
        let Some((sign, span, status)) = browser(&line.text) else { return };
        let event = Event::new(Product::Browser, sign, Trust::D, span);
        sink.event(event.number(status));
    },
    source: "https://source.chromium.org/chromium/chromium/src/+/main:net/base/net_error_list.h",
    example: "WebSocket connection to 'wss://example.com/ws' failed: Error during WebSocket handshake: \
              Unexpected response code: 502",
};

/// A forward proxy between the caller and the server.
pub(in crate::readers) const PROXY: Reader = Reader {
    name: "forward proxy failure",
    product: Product::Curl,
    hooks: &[
        "from proxy after CONNECT",
        "Tunnel connection failed: ",
        "tunneling socket could not be established",
        "Cannot connect to proxy",
        "ProxyError(",
        "CONNECT tunnel failed",
        "Proxy CONNECT aborted",
        "Unable to connect to proxy",
    ],
    fits: |line| proxy(&line.text).is_some(),
    read: |line, sink| {
        let Some((span, status)) = proxy(&line.text) else { return };
        let event = Event::new(Product::Curl, Sign::ClientProxyFailed, Trust::D, span);
        sink.event(event.number(status));
    },
    source: "curl lib/cf-h1-proxy.c; CPython Lib/http/client.py; urllib3 exceptions; node tunnel-agent",
    example: "OSError: Tunnel connection failed: 502 Bad Gateway",
};

/// By curl's number.
fn curl(text: &str) -> Option<(Sign, Option<i64>)> {
    let code = number(text.strip_prefix("curl: (")?)?;
    let proxy =
        text.contains("from proxy") || text.contains("resolve proxy") || text.contains("CONNECT");
    let status = text.find("returned error: ").and_then(|at| number(&text[at + 16..]));
    let connect = between(text, "HTTP code ", " ").and_then(number);
    Some(match code {
        5 | 97 => (Sign::ClientProxyFailed, None),
        _ if proxy => (Sign::ClientProxyFailed, connect.or_else(|| last_number(text))),
        22 if status.is_some_and(|it| 500 <= it) => (Sign::CallerSawError, status),
        22 => return None,
        28 => (Sign::CallerTimedOut, None),
        6 | 7 | 16 | 18 | 35 | 52 | 55 | 56 | 58 | 60 | 92 => (Sign::CallerFailed, None),
        _ => return None,
    })
}

/// `CONNECT tunnel failed, response 502`.
fn last_number(text: &str) -> Option<i64> {
    number(text.trim_end().rsplit(' ').next()?)
}

fn wget(text: &str) -> Option<(u16, Range<usize>)> {
    let bare = text.trim();
    let failed = |it: &str| it.get(..3).and_then(flat::status).filter(|it| 500 <= *it);
    if let Some(rest) = bare.strip_prefix("wget: server returned error: HTTP/") {
        let status = failed(rest.split_once(' ')?.1)?;
        return Some((status, span_of(text, bare)));
    }
    if let Some(answer) = bare.strip_prefix("HTTP request sent, awaiting response... ") {
        return Some((failed(answer)?, span_of(text, answer)));
    }
    // `2026-11-20 15:16:30 ERROR 502: Bad Gateway.`
    let (_, end) = crate::clock::iso(bare)?;
    let error = bare[end..].strip_prefix(' ')?;
    let status = failed(error.strip_prefix("ERROR ")?)?;
    error.ends_with('.').then(|| (status, span_of(text, error)))
}

const NET: &[Phrase] = &[
    phrase("net::ERR_PROXY_CONNECTION_FAILED", Sign::ClientProxyFailed, Trust::D),
    phrase("net::ERR_TUNNEL_CONNECTION_FAILED", Sign::ClientProxyFailed, Trust::D),
    phrase("net::ERR_CONNECTION_TIMED_OUT", Sign::CallerTimedOut, Trust::D),
    phrase("net::ERR_TIMED_OUT", Sign::CallerTimedOut, Trust::D),
    phrase("net::ERR_CONNECTION_REFUSED", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_CONNECTION_RESET", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_CONNECTION_CLOSED", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_EMPTY_RESPONSE", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_NAME_NOT_RESOLVED", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_ADDRESS_UNREACHABLE", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_INCOMPLETE_CHUNKED_ENCODING", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_CONTENT_LENGTH_MISMATCH", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_HTTP2_PROTOCOL_ERROR", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_SSL_PROTOCOL_ERROR", Sign::CallerFailed, Trust::D),
    phrase("net::ERR_CERT_", Sign::CallerFailed, Trust::D),
];

fn browser(text: &str) -> Option<(Sign, Range<usize>, Option<i64>)> {
    let own = |before: &str| !before.contains('"');
    if let Some(at) = text.find("WebSocket connection to '").filter(|at| own(&text[..*at])) {
        // The URL in quotes is the page's.
        let rest = text[at..].split_once("' failed: ")?.1;
        let words = "Unexpected response code: ";
        let start = rest.find(words)?;
        let status = number(&rest[start + words.len()..])?;
        let end = start + words.len() + status.to_string().len();
        return Some((Sign::UpgradeRefused, span_of(text, rest.get(start..end)?), Some(status)));
    }
    if let Some(it) = library(text) {
        return Some(it);
    }
    let words = "Failed to load resource: the server responded with a status of ";
    if let Some(at) = text.find(words).filter(|at| own(&text[..*at])) {
        let rest = &text[at + words.len()..];
        let status = rest.get(..3).and_then(flat::status).filter(|it| 500 <= *it)?;
        let span = at + words.len() - "a status of ".len()..at + words.len() + 3;
        return Some((Sign::CallerSawError, span, Some(i64::from(status))));
    }
    let (found, span) = find(NET, text)?;
    let last = text[span.end..].trim();
    // It ends the line, but for the place in a script or a status after it.
    (own(&text[..span.start]) && last.len() < 80).then_some((found.sign, span, None))
}

/// Libraries of WebSocket clients: ws and wscat (Node), websockets and websocket-client (Python). A
/// refusal for who asks, or a path that is not there, is no lost upgrade.
fn library(text: &str) -> Option<(Sign, Range<usize>, Option<i64>)> {
    const WORDS: [&str; 3] = [
        "Unexpected server response: ",
        "server rejected WebSocket connection: HTTP ",
        "Handshake status ",
    ];
    let (at, words) = WORDS.iter().find_map(|it| Some((text.find(it)?, *it)))?;
    let before = text[..at].trim_end();
    let own = before.is_empty() || before.ends_with(':') && !before.contains(['"', '<', '?']);
    let rest = &text[at + words.len()..];
    let status = flat::status(rest.get(..3)?).map(i64::from)?;
    let lost = matches!(status, 200 | 400 | 426 | 500..);
    let sign = if status < 500 { Sign::UpgradeRefused } else { Sign::CallerSawError };
    (own && lost).then(|| (sign, at..at + words.len() + 3, Some(status)))
}

const PROXIES: &[&str] = &[
    "Tunnel connection failed: ",
    "tunneling socket could not be established",
    "Cannot connect to proxy",
    "Unable to connect to proxy",
    "CONNECT tunnel failed",
    "Proxy CONNECT aborted",
    "Received HTTP code ",
];

fn proxy(text: &str) -> Option<(Range<usize>, Option<i64>)> {
    let python =
        text.contains("ProxyError") || text.contains("OSError: ") || text.contains("URLError");
    let (at, words) = PROXIES.iter().find_map(|it| Some((text.find(it)?, *it)))?;
    let before = text[..at].trim_end();
    let starts = before.is_empty()
        || before.ends_with(':')
        || before.ends_with('*')
        || before.ends_with('(');
    if !(starts || python)
        || words.starts_with("Received") && !text.contains("from proxy after CONNECT")
    {
        return None;
    }
    let rest = &text[at + words.len()..];
    let digits = rest.find(|it: char| it.is_ascii_digit()).filter(|it| *it < 32);
    let status = digits.and_then(|at| number(&rest[at..]));
    let end = match status {
        Some(status) => at + words.len() + digits? + status.to_string().len(),
        None => at + words.len(),
    };
    (end <= text.len()).then_some((at..end, status))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn loops_over_services_tell_the_status() {
        check(
            "sleep.foo to httpbin.bar: 503",
            "curl: CallerSawError upstream=httpbin.bar number=503 | 503",
        );
        check_nothing("sleep.foo to httpbin.bar: 200");
        check_nothing("I want to sum up: 503");
    }

    #[test]
    fn curl_is_read_by_its_numbers() {
        check(
            "curl: (56) Received HTTP code 502 from proxy after CONNECT",
            "curl: ClientProxyFailed number=502 | curl: (56) Received HTTP code 502 from proxy after CONNECT",
        );
        check(
            "curl: (7) Failed to connect to example.com port 443: Connection refused",
            "curl: CallerFailed upstream=example.com:443 detail=Connection refused number=7 | curl: (7) Failed to connect to example.com port 443: Connection refused",
        );
        check(
            "curl: (22) The requested URL returned error: 503",
            "curl: CallerSawError number=503 | curl: (22) The requested URL returned error: 503",
        );
        check_nothing("curl: (22) The requested URL returned error: 404");
    }

    #[test]
    fn wget_and_browsers_are_read() {
        check(
            "2026-11-20 15:16:30 ERROR 502: Bad Gateway.",
            "curl: CallerSawError number=502 | ERROR 502: Bad Gateway.",
        );
        check(
            "WebSocket connection to 'ws://example.com/Unexpected response code: 1' failed: Unexpected \
             response code: 502",
            "the browser: UpgradeRefused number=502 | Unexpected response code: 502",
        );
        check(
            "Failed to load resource: the server responded with a status of 502 (Bad Gateway)",
            "the browser: CallerSawError number=502 | a status of 502",
        );
        check(
            "GET https://example.com/ net::ERR_TUNNEL_CONNECTION_FAILED",
            "the browser: ClientProxyFailed | net::ERR_TUNNEL_CONNECTION_FAILED",
        );
        check_nothing("\"GET /net::ERR_EMPTY_RESPONSE HTTP/1.1\" 200");
    }

    #[test]
    fn libraries_tell_how_an_upgrade_ended() {
        check(
            "error: Unexpected server response: 400",
            "the browser: UpgradeRefused number=400 | Unexpected server response: 400",
        );
        check(
            "error: Unexpected server response: 502",
            "the browser: CallerSawError number=502 | Unexpected server response: 502",
        );
        check_nothing("error: Unexpected server response: 401");
        check_nothing("GET /?q=Unexpected server response: 400");
    }

    #[test]
    fn forward_proxies_are_the_clients() {
        check(
            "requests.exceptions.ProxyError: HTTPSConnectionPool(host='example.com', port=443): Max retries \
             exceeded (Caused by ProxyError('Cannot connect to proxy.', OSError('Tunnel connection \
             failed: 403 Forbidden')))",
            "curl: ClientProxyFailed number=403 | Tunnel connection failed: 403",
        );
        check_nothing("GET /Tunnel connection failed: 502 200");
    }
}
