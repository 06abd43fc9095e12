//! The head of an answer, as `curl -i`, `curl -v` and developer tools show it.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::readers::flat;
use crate::sign::Sign;
use crate::trust::Trust;
use std::borrow::Cow;

pub(in crate::readers) const STATUS: Reader = Reader {
    name: "status line of an answer",
    product: Product::Curl,
    hooks: &["HTTP/1.", "HTTP/2 ", "HTTP/3 "],
    fits: |line| status(&line.text).is_some(),
    read: |line, sink| {
        let Some((status, words)) = status(&line.text) else { return };
        if words.starts_with("HTTP/1.") {
            framing(line, sink);
        }
        if status < 500 {
            return;
        }
        let span = span_of(&line.text, words);
        let event = Event::new(Product::Curl, Sign::CallerSawError, Trust::D, span);
        sink.event(event.number(Some(i64::from(status))).who(server(line)));
    },
    source: "RFC 9112 4; https://curl.se/docs/manpage.html#-v",
    example: "< HTTP/1.1 502 Bad Gateway",
};

pub(in crate::readers) const HEADER: Reader = Reader {
    name: "header of an answer",
    product: Product::Curl,
    hooks: &["erver: ", "erver:\"", "SERVER: ", "X-Squid-Error", "x-squid-error"],
    fits: |line| header(&line.text).is_some(),
    read: |line, sink| {
        let Some((name, value)) = header(&line.text) else { return };
        let span = span_of(&line.text, value);
        match name {
            "server" => {
                let event = Event::new(Product::Curl, Sign::ServerIs, Trust::D, span);
                sink.event(event.who(Some(value)));
            }
            _ => {
                let event = Event::new(Product::Squid, Sign::ClientProxyFailed, Trust::D, span);
                sink.event(event.detail(Some(value)));
            }
        }
    },
    source: "RFC 9110 10.2.4; https://wiki.squid-cache.org/SquidFaq/TroubleShooting",
    example: "< Server: nginx/1.22.1",
};

/// `< HTTP/1.1 502 Bad Gateway`, alone in its line: the status, and the words.
fn status(text: &str) -> Option<(u16, &str)> {
    let bare = text.trim();
    let bare = bare.strip_prefix("< ").unwrap_or(bare);
    let rest = bare.strip_prefix("HTTP/")?;
    let (version, rest) = rest.split_once(' ')?;
    if !matches!(version, "1.0" | "1.1" | "2" | "2.0" | "3") {
        return None;
    }
    let (number, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let plain = reason.len() < 60
        && reason.bytes().all(|it| it.is_ascii_alphabetic() || b" -'()".contains(&it));
    Some((flat::status(number).filter(|_| plain)?, bare))
}

/// Headers of one head that say twice, or in two ways, where the body ends: no proxy takes that.
fn framing(line: &Line, sink: &mut dyn Sink) {
    let (mut codings, mut length, mut lengths) = (0, None, 0);
    for below in line.below().take(60) {
        let bare = below.text.trim();
        let bare = bare.strip_prefix('<').map_or(bare, str::trim_start);
        let Some((name, value)) = bare.split_once(':') else { return };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            codings += 1;
        } else if name.eq_ignore_ascii_case("content-length")
            && let Ok(value) = value.parse::<u64>()
            // Twice the same is taken by most.
            && length.replace(value) != Some(value)
        {
            lengths += 1;
        } else {
            continue;
        }
        let sign = match (codings, lengths) {
            (2.., _) => Sign::CodingTwice,
            (_, 2..) => Sign::LengthTwice,
            (1, 1) => Sign::LengthAndChunked,
            _ => continue,
        };
        let span = span_of(&below.text, bare);
        return sink.event_below(&below, Event::new(Product::Curl, sign, Trust::D, span));
    }
}

/// The `Server` header among the next lines, up to the empty line.
fn server<'a>(line: &Line<'a>) -> Option<Cow<'a, str>> {
    let head = line.following().take(40).take_while(|it| !matches!(it.trim(), "" | "<"));
    let mut found = head.filter_map(|it| match header(&it) {
        Some(("server", value)) => Some(Cow::Owned(value.to_owned())),
        _ => None,
    });
    found.next()
}

/// `Server: nginx` at the start of a line, with what tools put in front.
fn header(text: &str) -> Option<(&'static str, &str)> {
    let bare = text.trim();
    let bare = bare.strip_prefix("< ").unwrap_or(bare);
    let (name, value) = bare.split_once(':')?;
    let value = value.trim().trim_matches('"');
    let name = match () {
        () if name.eq_ignore_ascii_case("server") => "server",
        () if name.eq_ignore_ascii_case("x-squid-error") => "x-squid-error",
        () => return None,
    };
    // The value of a header names products, and is no sentence.
    let product = value.starts_with(|it: char| it.is_ascii_alphabetic())
        && value.len() < 100
        && value.split(' ').count() <= 4
        && value.bytes().all(|it| it.is_ascii_graphic() || it == b' ')
        && !value.ends_with(['.', ',', '{']);
    let squid = name == "server" || value.starts_with("ERR_");
    (product && squid).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_head_that_frames_its_body_twice_is_told() {
        for (head, want) in [
            (
                "Transfer-Encoding: chunked\nServer: a\ntransfer-encoding: chunked",
                "CodingTwice | transfer-encoding: chunked",
            ),
            ("< Content-Length: 5\n< Content-Length: 6", "LengthTwice | Content-Length: 6"),
            (
                "Content-Length: 5\nTransfer-Encoding: chunked",
                "LengthAndChunked | Transfer-Encoding: chunked",
            ),
        ] {
            check(&format!("HTTP/1.1 200 OK\n{head}\n\nbody"), &format!("curl: {want}"));
        }
        check_nothing("HTTP/1.1 200 OK\nContent-Length: 5\n\nTransfer-Encoding: chunked");
        check_nothing("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nConnection: close\n\n");
    }

    #[test]
    fn a_failed_answer_names_its_server() {
        check(
            "HTTP/1.1 503 Service Unavailable\ncontent-length: 57\nserver: envoy\n\nx",
            "curl: CallerSawError who=envoy number=503 | HTTP/1.1 503 Service Unavailable",
        );
        check("HTTP/2 502", "curl: CallerSawError number=502 | HTTP/2 502");
        check("Server: awselb/2.0", "curl: ServerIs who=awselb/2.0 | awselb/2.0");
        check(
            "   X-Squid-Error:\"ERR_CONNECT_FAIL 111\"",
            "Squid: ClientProxyFailed detail=ERR_CONNECT_FAIL 111 | ERR_CONNECT_FAIL 111",
        );
    }

    #[test]
    fn a_head_that_says_its_length_twice_is_told() {
        check(
            "HTTP/1.1 200\ntransfer-encoding: chunked\nvary: Origin\nTransfer-Encoding: chunked\n\n395",
            "curl: CodingTwice | Transfer-Encoding: chunked",
        );
        check(
            "< HTTP/1.1 200 OK\n< Content-Length: 5\n< Transfer-Encoding: chunked\n<",
            "curl: LengthAndChunked | Transfer-Encoding: chunked",
        );
    }

    #[test]
    fn good_answers_and_prose_say_nothing() {
        check_nothing("< HTTP/1.1 200 OK");
        check_nothing("HTTP/1.1 200\ncontent-length: 5\ncontent-length: 5\n\nhello");
        check_nothing("HTTP/1.1 200\ncontent-length: 5\n\ntransfer-encoding: chunked\n");
        check_nothing("GET /HTTP/1.1 502 Bad Gateway");
        check_nothing("Server: the box that we bought last year, and moved.");
    }
}
