//! cloudflared, the end of a Cloudflare tunnel, and the error pages of Cloudflare.

use super::flat::Flat;
use super::{go, logfmt};
use crate::clock::{self, Stamp};
use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const TUNNEL: Reader = Reader {
    name: "cloudflared log",
    product: Product::Cloudflared,
    hooks: &[
        "Unable to reach the origin service",
        " Proxying to ingress ",
        "rror proxying request to origin: ",
        "originService=",
        "connIndex=",
        "\"originService\"",
    ],
    fits: |line| entry(&line.text).is_some() || is_tunnel(&line.text),
    read: |line, sink| {
        let Some(it) = entry(&line.text) else { return };
        let Some(fault) = go::fault(it.error) else { return };
        let inset = span_of(&line.text, it.error).start;
        let upstream = fault.upstream.or(it.origin);
        sink.event(fault.event(Product::Cloudflared, Trust::C, inset).at(it.at).upstream(upstream));
    },
    source: "https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/; \
             cloudflared/proxy/proxy.go 2024.1",
    example: "2026-11-20T15:16:30Z ERR  error=\"Unable to reach the origin service. The service may be \
              down or it may not be responding to traffic from cloudflared: dial tcp 127.0.0.1:8000: \
              connect: connection refused\" connIndex=0 event=1 ingressRule=0 \
              originService=http://localhost:8000",
};

pub(super) const PAGE: Reader = Reader {
    name: "Cloudflare error page",
    product: Product::Cloudflare,
    hooks: &[
        "Error code 5",
        " | 5",
        "error code: 5",
        "Error code: 5",
        "Error: 5",
        "rror code: 10",
        "Error 10",
        "Error 5",
        "HTTP ERROR 5",
    ],
    fits: |line| page(&line.text).is_some(),
    read: |line, sink| {
        let Some((code, sign, span)) = page(&line.text) else { return };
        let event = Event::new(Product::Cloudflare, sign, Trust::D, span);
        sink.event(event.number(Some(code)).detail(Some(meaning(code))));
    },
    source: "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/\
             cloudflare-5xx-errors/",
    example: "Error 521: Web server is down",
};

struct Entry<'a> {
    at: Option<Stamp>,
    error: &'a str,
    origin: Option<&'a str>,
}

const ORIGIN: &str = "Unable to reach the origin service";

fn entry(text: &str) -> Option<Entry<'_>> {
    if text.starts_with('{') {
        let flat = Flat::of(text)?;
        let error = flat.any(&["error", "message"]).filter(|it| it.starts_with(ORIGIN))?;
        let origin = flat.text("originService");
        return Some(Entry { at: flat.time(&["time"]), error: after_origin(error), origin });
    }
    // v3 of its log, or a piece of it; before 2021 it wrote `time="…" level=error msg="…"`.
    let at = clock::iso(text).map(|(it, _)| it);
    if let Some(error) = of_2021(text) {
        return Some(Entry { at, error, origin: None });
    }
    let legacy = logfmt::value(text, "time").filter(|_| text.starts_with("time="));
    let at = at.or_else(|| legacy.and_then(clock::any));
    let error = match text.starts_with(ORIGIN) {
        true => text,
        false => logfmt::value(text, "error").or_else(|| logfmt::value(text, "msg"))?,
    };
    if !error.starts_with(ORIGIN) {
        return None;
    }
    let origin = logfmt::value(text, "originService").filter(|_| !text.starts_with(ORIGIN));
    Some(Entry { at, error: after_origin(error), origin })
}

/// Releases of 2021: `ERR CF-RAY: … Proxying to ingress 0 error: Error proxying request to origin:
/// ERROR`.
fn of_2021(text: &str) -> Option<&str> {
    let (_, end) = clock::iso(text)?;
    let rest = text[end..].trim_start().strip_prefix("ERR ")?.trim_start();
    let rest = match rest.strip_prefix("CF-RAY: ") {
        Some(after) => after.split_once(' ')?.1.trim_start(),
        None => rest,
    };
    let rest = match rest.strip_prefix("Proxying to ingress ") {
        Some(after) => {
            let (number, error) = after.split_once(" error: ")?;
            number.bytes().all(|it| it.is_ascii_digit()).then_some(error)?
        }
        None => rest,
    };
    const HEADS: [&str; 3] = [
        "Error proxying request to origin: ",
        "error proxying request to origin: ",
        "Unable to reach the origin service. ",
    ];
    let error = HEADS.iter().find_map(|it| rest.strip_prefix(it))?;
    Some(error.split_once("traffic from cloudflared: ").map_or(error, |(_, it)| it))
}

/// `2026-11-20T15:16:30Z INF Registered tunnel connection connIndex=0 …`: nothing that failed.
fn is_tunnel(text: &str) -> bool {
    let Some((_, end)) = clock::iso(text) else { return false };
    let levels = [" INF ", " WRN ", " ERR ", " DBG "];
    let rest = &text[end..];
    levels.iter().any(|it| rest.starts_with(it))
        && [" connIndex=", " originService=", " cfRay="].iter().any(|it| rest.contains(it))
}

/// `Unable to reach the origin service. The service may be down or …: ERROR`.
fn after_origin(error: &str) -> &str {
    let after = error.split_once("traffic from cloudflared: ").or_else(|| error.split_once(": "));
    after.map_or(error, |(_, it)| it)
}

/// `Error 521: …`, `Error code 521`, `error code: 521`, at the start of a line or of its text.
fn page(text: &str) -> Option<(i64, Sign, Range<usize>)> {
    let starts =
        ["Error code: ", "Error code ", "error code: ", "Error ", "HTTP ERROR ", "Error: "];
    let trimmed = text.trim();
    let tagged = trimmed.starts_with('<');
    // In a page, the words stand between tags, or after the name of the site in its title.
    let inside = [">Error code ", ">Error "].iter().find_map(|it| Some(trimmed.find(it)? + 1));
    let titled = trimmed.starts_with("<title>").then(|| trimmed.find(" | 5").map(|at| at + 3));
    if let Some(at) = titled.flatten() {
        let body = &trimmed[at..];
        let code = number(body).filter(|it| body[it.to_string().len()..].starts_with(": "));
        let code = code.and_then(|it| Some((it, sign(it)?)));
        return code.map(|(code, sign)| (code, sign, span_of(text, &body[..3])));
    }
    let body = match inside.filter(|_| tagged) {
        Some(at) => &trimmed[at..],
        None => trimmed.trim_start_matches('#').trim_start(),
    };
    let start = starts.iter().find(|it| body.starts_with(**it))?;
    let code = number(&body[start.len()..])?;
    let end = start.len() + code.to_string().len();
    let after = body.get(end..)?;
    // A number of their own; 520 to 530 and 1033 are nobody else's.
    let whole = !after.starts_with(|it: char| it.is_alphanumeric());
    let sign = sign(code).filter(|_| whole)?;
    Some((code, sign, span_of(text, &body[..end])))
}

fn sign(code: i64) -> Option<Sign> {
    Some(match code {
        520 | 527 | 530 => Sign::CallerSawError,
        521 => Sign::ConnectRefused,
        522 => Sign::ConnectTimedOut,
        523 => Sign::HostUnreachable,
        524 => Sign::HeadTimedOut,
        525 => Sign::TlsFailed,
        526 => Sign::CertRefused,
        1016 => Sign::NameUnresolved,
        1033 => Sign::NoEndpoints,
        _ => return None,
    })
}

/// In Cloudflare's words.
fn meaning(code: i64) -> &'static str {
    match code {
        520 => "the origin returned an unknown error",
        521 => "the origin refused the connection",
        522 => "the connection to the origin timed out",
        523 => "the origin is unreachable",
        524 => "the origin did not answer in time",
        525 => "the TLS handshake with the origin failed",
        526 => "the certificate of the origin is not valid",
        527 | 530 => "the origin cannot be reached",
        1016 => "the name of the origin does not resolve",
        _ => "no tunnel is connected",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_tunnel_names_origin_and_error() {
        check(
            "2026-11-20T15:16:30Z ERR  error=\"Unable to reach the origin service. The service may be \
             down or it may not be responding to traffic from cloudflared: x509: certificate is valid \
             for 127.0.0.1, not 192.0.2.2\" cfRay=7d0c-LHR originService=https://192.0.2.2:8080",
            "cloudflared: CertWrongName upstream=https://192.0.2.2:8080 detail=x509: certificate is \
             valid for 127.0.0.1, not 192.0.2.2 | x509: certificate is valid for 127.0.0.1, not 192.0.2.2",
        );
        check_nothing("2026-11-20T15:16:30Z INF Retrying connection in up to 16s connIndex=3");
    }

    #[test]
    fn pages_are_told_by_their_numbers() {
        check(
            "error code: 522",
            "Cloudflare: ConnectTimedOut detail=the connection to the origin timed out number=522 | \
             error code: 522",
        );
        check(
            "<title>Error 1033</title>",
            "Cloudflare: NoEndpoints detail=no tunnel is connected number=1033 | Error 1033",
        );
        check(
            "<span>Web server is down</span><span class=\"code-label\">Error code 521</span>",
            "Cloudflare: ConnectRefused detail=the origin refused the connection number=521 | Error code \
             521",
        );
        check(
            "<title>example.com | 524: A timeout occurred</title>",
            "Cloudflare: HeadTimedOut detail=the origin did not answer in time number=524 | 524",
        );
        check_nothing("Error 5210 in billing");
        check_nothing("Error 418: teapot");
    }
}
