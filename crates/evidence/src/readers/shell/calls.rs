//! Calls by hand: `curl`, `wget`, `nc`, `telnet`, `ping`.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const CALLS: Reader = Reader {
    name: "curl, nc and ping",
    product: Product::Curl,
    hooks: &[
        "curl: (",
        "nc: connect to ",
        "Ncat: ",
        "Unable to connect to remote host",
        "Destination Host Unreachable",
        "... failed: ",
    ],
    fits: |line| line.ident.is_none() && found(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = found(&line.text) else { return };
        sink.event(
            Event::new(it.product, it.sign, Trust::C, span_of(&line.text, it.words))
                .upstream(it.upstream)
                .detail(it.detail)
                .number(it.number),
        );
    },
    source: "https://curl.se/libcurl/c/libcurl-errors.html; OpenBSD nc(1), Ncat, iputils ping(8)",
    example: "curl: (7) Failed to connect to 127.0.0.1 port 8000 after 0 ms: Connection refused",
};

struct Found<'a> {
    product: Product,
    sign: Sign,
    words: &'a str,
    upstream: Option<String>,
    detail: Option<&'a str>,
    number: Option<i64>,
}

fn found(text: &str) -> Option<Found<'_>> {
    let text = text.trim();
    curl(text).or_else(|| netcat(text)).or_else(|| ping(text)).or_else(|| fetched(text))
}

/// `curl: (7) Failed to connect to HOST port PORT after 0 ms: Connection refused`.
fn curl(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("curl: (")?;
    let (code, message) = rest.split_once(") ")?;
    let code: i64 = code.parse().ok()?;
    let sign = match code {
        56 if message.contains("from proxy after CONNECT") => Sign::ClientProxyFailed,
        28 => Sign::CallerTimedOut,
        22 if message.contains(" 50") => Sign::CallerSawError,
        5 | 6 | 7 | 16 | 35 | 51 | 52 | 55 | 56 | 58 | 60 | 92 | 97 => Sign::CallerFailed,
        _ => return None,
    };
    let host = between(message, "connect to ", " port ");
    let port = message.split(" port ").nth(1).and_then(number);
    let unresolved = message.strip_prefix("Could not resolve host: ");
    let upstream = match (host, port) {
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        _ => unresolved.map(str::to_owned),
    };
    let proxied = between(message, "Received HTTP code ", " from proxy");
    let status = message.rsplit(' ').next().filter(|_| code == 22).or(proxied).and_then(number);
    let why = message.rsplit_once(": ").map(|(_, it)| it);
    Some(Found {
        product: Product::Curl,
        sign,
        words: text,
        upstream,
        detail: why,
        number: Some(status.unwrap_or(code)),
    })
}

/// `nc: connect to 127.0.0.1 port 8000 (tcp) failed: Connection refused`, `Ncat: Connection
/// refused.`, `telnet: Unable to connect to remote host: Connection refused`.
fn netcat(text: &str) -> Option<Found<'_>> {
    let shell = |upstream, why: &'static str| {
        let sign = match why {
            "Connection timed out" | "Operation timed out" | "timed out" => Sign::CallerTimedOut,
            _ => Sign::CallerFailed,
        };
        Some(Found {
            product: Product::Shell,
            sign,
            words: text,
            upstream,
            detail: Some(why),
            number: None,
        })
    };
    const REASONS: [&str; 6] = [
        "Connection refused",
        "Connection timed out",
        "Operation timed out",
        "timed out",
        "No route to host",
        "Network is unreachable",
    ];
    let why = REASONS.into_iter().find(|it| text.trim_end_matches('.').ends_with(it))?;
    if let Some(rest) = text.strip_prefix("nc: connect to ") {
        let host = rest.split(' ').next()?;
        let port = between(rest, " port ", " ").and_then(number)?;
        return shell(Some(format!("{host}:{port}")), why);
    }
    let known =
        ["Ncat: ", "telnet: Unable to connect to remote host: ", "telnet: connect to address "];
    known.iter().any(|it| text.starts_with(it)).then(|| shell(None, why)).flatten()
}

/// `From 192.0.2.1 icmp_seq=1 Destination Host Unreachable`.
fn ping(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("From ")?;
    let (_, why) = rest.split_once(" Destination ").filter(|(it, _)| it.contains("icmp_seq="))?;
    let sign = match why.trim() {
        "Host Unreachable" => Sign::NeighbourLost,
        "Host Prohibited" | "Port Unreachable" => Sign::FirewallRejected,
        _ => return None,
    };
    let words = &text[text.len() - why.len() - "Destination ".len()..];
    Some(Found { product: Product::Shell, sign, words, upstream: None, detail: None, number: None })
}

/// `Connecting to 127.0.0.1:8000... failed: Connection refused.` (wget).
fn fetched(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("Connecting to ")?;
    let (target, why) = rest.split_once("... failed: ")?;
    let target = target.split(['|', ' ']).rfind(|it| it.contains(':') || it.contains('.'))?;
    Some(Found {
        product: Product::Shell,
        sign: Sign::CallerFailed,
        words: text,
        upstream: Some(target.trim_start_matches(':').to_owned()),
        detail: Some(why.trim_end_matches('.')),
        number: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn calls_by_hand_name_what_they_dialled() {
        check(
            "curl: (7) Failed to connect to 127.0.0.1 port 8000: Connection refused",
            "curl: CallerFailed upstream=127.0.0.1:8000 detail=Connection refused number=7 | curl: \
             (7) Failed to connect to 127.0.0.1 port 8000: Connection refused",
        );
        check(
            "curl: (6) Could not resolve host: shop.internal",
            "curl: CallerFailed upstream=shop.internal detail=shop.internal number=6 | curl: (6) \
             Could not resolve host: shop.internal",
        );
        check(
            "curl: (22) The requested URL returned error: 502",
            "curl: CallerSawError number=502 | curl: (22) The requested URL returned \
             error: 502",
        );
        check(
            "curl: (56) Received HTTP code 503 from proxy after CONNECT",
            "curl: ClientProxyFailed number=503 | curl: (56) Received HTTP code 503 from proxy \
             after CONNECT",
        );
        check(
            "nc: connect to 192.0.2.9 port 8000 (tcp) failed: Connection refused",
            "the shell: CallerFailed upstream=192.0.2.9:8000 detail=Connection refused | nc: \
             connect to 192.0.2.9 port 8000 (tcp) failed: Connection refused",
        );
        check(
            "Connecting to 127.0.0.1:8000... failed: Connection refused.",
            "the shell: CallerFailed upstream=127.0.0.1:8000 detail=Connection refused | \
             Connecting to 127.0.0.1:8000... failed: Connection refused.",
        );
        check(
            "From 192.0.2.1 icmp_seq=1 Destination Host Unreachable",
            "the shell: NeighbourLost | Destination Host Unreachable",
        );
    }

    #[test]
    fn sentences_about_calls_are_nothing() {
        check_nothing("I got curl: (7) Failed to connect to x port 1: refused");
        check_nothing("curl: (3) URL malformed");
        check_nothing("Connecting to the database... failed");
        check_nothing("From 192.0.2.1 Destination Host Unreachable");
    }
}
