//! nghttpx: its error log, which speaks of its backends only from level INFO on, save for failed
//! connections.
//!
//! `05/Nov/2016:10:19:20 +0000 PID411 [INFO] shrpx_x.cc:1127 [DCONN:0x7f11] MESSAGE`, and since 1.12
//! `2026-11-20T15:16:30.123Z 411 411 1a2b3c4d WARN (shrpx_x.cc:97) [DCONN:0x7f11] MESSAGE`. What
//! callers sent is logged on lines of its own, below `HTTP request headers. stream_id=`.

use crate::clock::{self, Stamp};
use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::node::parser_sign;
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "nghttpx error log",
    product: Product::Nghttpx,
    hooks: &["shrpx"],
    fits: |line| message(&line.text).is_some(),
    read: |line, sink| {
        let Some((at, words)) = message(&line.text) else { return };
        let Some(it) = said(words) else { return };
        sink.event(
            Event::new(Product::Nghttpx, it.sign, Trust::C, span_of(&line.text, it.words))
                .at(at)
                .upstream(it.upstream)
                .detail(it.detail),
        );
    },
    source: "https://github.com/nghttp2/nghttp2: src/shrpx_log.cc, src/shrpx_http_downstream_connection.cc, \
             src/shrpx_http2_session.cc, src/shrpx_connect_blocker.cc, src/shrpx_tls.cc",
    example: "05/Nov/2026:10:19:20 +0000 PID411 [INFO] shrpx_http_downstream_connection.cc:1127 \
              [DCONN:0x7f1101a2b340] HTTP parser failure: (HPE_INVALID_HEADER_TOKEN) invalid character in header",
};

/// The time, and the message behind file, line and object.
fn message(text: &str) -> Option<(Option<Stamp>, &str)> {
    const HEAD: usize = 200;
    let head = crate::scan::clip(text, HEAD);
    let file = head.find("shrpx")?;
    // Nothing of a caller stands before the file, but a time, numbers and the level.
    let levels = ["INFO", "NOTICE", "WARN", "ERROR", "FATAL", "PID"];
    let own = clock::iso(text).is_some() || clock::day_first(text).is_some();
    let bare = head[..file].trim_start_matches(['[', '(']);
    if !own && !bare.is_empty() && !levels.iter().any(|it| bare.starts_with(it)) {
        return None;
    }
    let (name, _) = text[file..].split_once(".cc:")?;
    if !name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_') {
        return None;
    }
    let rest = text[file + name.len() + 4..].trim_start_matches(|it: char| it.is_ascii_digit());
    let rest = rest.strip_prefix(')').unwrap_or(rest).strip_prefix(' ')?;
    let rest = match rest.strip_prefix('[').and_then(|it| it.split_once("] ")) {
        Some((object, after)) if object.contains(":0x") && !object.contains(' ') => after,
        _ => rest,
    };
    let at = clock::iso(text).or_else(|| clock::day_first(text)).map(|(at, _)| at);
    Some((at, rest.trim_end()))
}

struct Said<'a> {
    sign: Sign,
    words: &'a str,
    upstream: Option<&'a str>,
    detail: Option<&'a str>,
}

fn new<'a>(sign: Sign, words: &'a str) -> Said<'a> {
    Said { sign, words, upstream: None, detail: None }
}

fn said(text: &str) -> Option<Said<'_>> {
    if let Some(rest) = text.strip_prefix("HTTP parser failure: (") {
        let (code, _) = rest.split_once(')')?;
        return Some(Said { detail: Some(code), ..new(parser_sign(code)?, text) });
    }
    if text.starts_with("HTTP response ended prematurely") {
        return Some(new(Sign::HeadPartial, &text[.."HTTP response ended prematurely".len()]));
    }
    if let Some(failed) = failed(text) {
        return Some(failed);
    }
    if let Some(rest) = text.strip_prefix("Certificate verification failed: ") {
        let sign = match rest {
            "hostname does not match" => Sign::CertWrongName,
            _ => crate::readers::nginx::tls::reason_sign(&format!(
                "certificate verify failed ({rest}"
            ))?,
        };
        return Some(Said { detail: Some(rest), ..new(sign, text) });
    }
    const TABLE: [(&str, Sign); 12] = [
        ("Backend handshake failure", Sign::TlsFailed),
        ("SSL/TLS handshake timeout", Sign::TlsTimedOut),
        ("Connect time out", Sign::ConnectTimedOut),
        ("Could not connect ", Sign::ServerDown),
        ("Downstream connection was blocked by connect_blocker", Sign::NoLiveUpstream),
        ("Worker wide backend connection was blocked", Sign::NoLiveUpstream),
        ("No working downstream address found", Sign::NoLiveUpstream),
        ("Too large header header field size=", Sign::HeadTooBig),
        ("Too large header field size=", Sign::HeadTooBig),
        ("Too many header field num=", Sign::HeadTooBig),
        ("Socket connection failed", Sign::ConnectFailed),
        ("Downstream read timeout", Sign::HeadTimedOut),
    ];
    let (words, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    let backing_off = *sign != Sign::ServerDown || text.contains(" times in a row; sleep for ");
    let words = text[..words.len()].trim_end_matches([' ', '=']);
    backing_off.then(|| new(*sign, if *sign == Sign::ServerDown { text } else { words }))
}

/// `Backend connect failed; addr=127.0.0.1:3000: errno=111`, `connect() failed; addr=unix:/x, errno=2`.
fn failed(text: &str) -> Option<Said<'_>> {
    const HEADS: [&str; 6] = [
        "Backend connect failed; addr=",
        "Backend proxy connect failed; addr=",
        "connect() failed; ",
        "Backend proxy connect() failed; ",
        "socket() failed; ",
        "Backend proxy socket() failed; ",
    ];
    let head = HEADS.iter().find(|it| text.starts_with(**it))?;
    let code = number(&text[text.rfind("errno=")? + 6..]);
    let address = between(text, "addr=", ", errno=").or_else(|| between(text, "addr=", ": errno="));
    let unix = address.is_some_and(|it| it.starts_with("unix:") || it.starts_with('/'));
    let sign = match code? {
        111 | 61 if unix => Sign::SocketStale,
        2 if unix => Sign::SocketMissing,
        13 if unix => Sign::SocketDenied,
        11 if unix => Sign::SocketBacklogFull,
        111 | 61 => Sign::ConnectRefused,
        110 | 60 => Sign::ConnectTimedOut,
        113 | 65 => Sign::HostUnreachable,
        101 | 51 => Sign::NetworkUnreachable,
        13 => Sign::ConnectDenied,
        1 => Sign::ConnectNotPermitted,
        99 | 49 => Sign::NoLocalPort,
        23 | 24 => Sign::NoDescriptors,
        104 | 54 => Sign::Reset,
        _ if head.contains("socket()") => return None,
        _ => Sign::ConnectFailed,
    };
    Some(Said { upstream: address, ..new(sign, text) })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_parser_names_what_it_does_not_take() {
        for (words, sign) in [
            ("(HPE_INVALID_HEADER_TOKEN) invalid character in header", "HeaderBad"),
            ("(HPE_INVALID_CONSTANT) Expected HTTP/", "NotHttp"),
            ("(HPE_INVALID_CHUNK_SIZE) Invalid character in chunk size", "ChunkBad"),
            ("(HPE_INVALID_STATUS) Invalid status code", "StatusLineBad"),
        ] {
            let code = &words[1..words.find(')').expect("a code")];
            check(
                &format!(
                    "2026-11-20T15:16:30.123Z 411 412 1a2b3c4d INFO \
                     (shrpx_http_downstream_connection.cc:1423) [DCONN:0x55] HTTP parser failure: {words}"
                ),
                &format!("nghttpx: {sign} detail={code} | HTTP parser failure: {words}"),
            );
        }
    }

    #[test]
    fn a_failed_connection_names_the_address_and_the_number() {
        check(
            "2026-11-20T15:16:30.123Z 411 412 1a2b3c4d WARN (shrpx_http_downstream_connection.cc:1503) [DCONN:0x55d0] Backend connect failed; addr=192.0.2.7:3000: errno=111",
            "nghttpx: ConnectRefused upstream=192.0.2.7:3000 | Backend connect failed; addr=192.0.2.7:3000: errno=111",
        );
        check(
            "20/Nov/2026:15:16:30 +0000 PID411 [WARN] shrpx_http2_session.cc:300 [DHTTP2:0x55d0] connect() failed; addr=unix:/run/app.sock, errno=2",
            "nghttpx: SocketMissing upstream=unix:/run/app.sock | connect() failed; addr=unix:/run/app.sock, errno=2",
        );
        check(
            "20/Nov/2026:15:16:30 +0000 PID411 [ERROR] shrpx_tls.cc:1700 Certificate verification failed: hostname does not match",
            "nghttpx: CertWrongName detail=hostname does not match | Certificate verification failed: hostname does not match",
        );
        check(
            "20/Nov/2026:15:16:30 +0000 PID411 [WARN] shrpx_connect_blocker.cc:110 Could not connect 3 times in a row; sleep for 8.2 seconds",
            "nghttpx: ServerDown | Could not connect 3 times in a row; sleep for 8.2 seconds",
        );
    }

    #[test]
    fn other_lines_and_what_callers_sent_say_nothing() {
        check_nothing(
            "20/Nov/2026:15:16:30 +0000 PID411 [INFO] shrpx_http_downstream_connection.cc:97 [DCONN:0x55] Idle connection EOF",
        );
        check_nothing("user-agent: shrpx_x.cc:1 HTTP parser failure: (HPE_INVALID_STATUS) x\"");
        check_nothing("20/Nov/2026:15:16:30 +0000 PID411 [INFO] shrpx_é.cc:9 Connect time out");
        check_nothing("shrpx_x.cc:");
    }
}
