//! The caller's request breaks HTTP in a way that two readers may understand differently, so it was
//! refused.
//!
//! ## What you see
//! Status 400, made by the gateway at once; no upstream was asked, and the connection is closed.
//! nginx writes `client sent invalid request`, HAProxy marks `PR--`, Node `Parse Error`.
//!
//! ## Why it happens
//! A hand-written client, `https` spoken to a plain port or the reverse, a proxy before this one
//! that repairs or breaks requests, or somebody who looks for gaps between readers (request
//! smuggling).
//!
//! ## How to tell
//! The verdict names the rule that was broken. Other gateways repair such requests silently; what
//! they guess is not always what the app behind guesses.
//!
//! ## Fix
//! Send what the verdict says instead.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::{Malformed, Refusal};

pub(super) static CAUSE: Cause = Cause {
    id: "malformed_request",
    family: Family::F15,
    title: "The request cannot be read without guessing",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Malformed(how) = case.refusal()? else {
        return None;
    };
    let (wrong, _) = wording(how);
    Some(Finding::new(
        0.95,
        format!("the request cannot be read: {wrong}"),
        "it was refused before anything was done with it",
    ))
}

/// What is wrong, and what to send instead.
fn wording(how: Malformed) -> (&'static str, &'static str) {
    match how {
        Malformed::RequestLine => (
            "its first line is not method, target and version",
            "Begin with `METHOD SP TARGET SP HTTP/1.1`, with single spaces",
        ),
        Malformed::Version => {
            ("its version is neither HTTP/1.1 nor HTTP/1.0", "Say `HTTP/1.1` in the first line")
        }
        Malformed::TlsToPlainPort => (
            "it is a TLS handshake, and this port speaks plain HTTP",
            "Use `http://` for this port, or the port of `listen.https` for `https://`",
        ),
        Malformed::Http2Preface => (
            "it begins as HTTP/2, which this listener does not speak",
            "Use HTTP/1.1 here (`curl --http1.1`), without prior knowledge of HTTP/2",
        ),
        Malformed::BareLineEnd => (
            "a line ends in LF without CR, or a CR stands alone",
            "End every line of the head with CR LF",
        ),
        Malformed::FieldLine => (
            "a header line has no colon, a space before it, or a name with forbidden characters",
            "Write each header as `Name: value`, without a space before the colon",
        ),
        Malformed::ObsoleteFold => (
            "a header continues on the next line, which HTTP/1.1 gave up",
            "Put each header on one line",
        ),
        Malformed::ControlCharacter => (
            "a header or the target holds a control character",
            "Encode the value (percent or Base64) before it becomes a header or a path",
        ),
        Malformed::HostMissing => {
            ("it is HTTP/1.1 without a Host header", "Send `Host` with the name that the URL has")
        }
        Malformed::HostRepeated => ("it has more than one Host header", "Send `Host` once"),
        Malformed::HostInvalid => (
            "its Host header is not a host with an optional port",
            "Send `Host: name` or `Host: name:port`, without scheme and path",
        ),
        Malformed::HostMismatch => (
            "its Host header differs from the host in its target",
            "Let `Host` repeat the host of the absolute URL in the first line",
        ),
        Malformed::LengthAndCoding => (
            "it has Content-Length and Transfer-Encoding, which contradict each other",
            "Send one of them: `Content-Length` for a body of known size, else \
             `Transfer-Encoding: chunked`",
        ),
        Malformed::LengthRepeated => (
            "it has more than one Content-Length header",
            "Send `Content-Length` once; often a library sets it and the caller too",
        ),
        Malformed::LengthInvalid => (
            "its Content-Length is not a number that fits",
            "Send the number of bytes of the encoded body, in digits alone",
        ),
        Malformed::CodingUnknown => (
            "its Transfer-Encoding is something other than chunked",
            "Say `Transfer-Encoding: chunked` alone; a compressed body is `Content-Encoding: gzip`",
        ),
        Malformed::Chunk => (
            "a chunk of its body is not framed as HTTP says",
            "Let the HTTP library frame the body, instead of writing chunks by hand",
        ),
        Malformed::Target => (
            "its path is not valid: a broken percent sequence, or a form that its method may not \
             have",
            "Encode the path: a percent sign itself is `%25`, a space `%20`",
        ),
        Malformed::PathAmbiguous => (
            "its path holds an encoded slash, a backslash or a zero byte, or leaves the root",
            "Send the path without `%2F`, `%5C`, `%00` and `\\`; a route whose app needs them may \
             say `raw_path = true`",
        ),
        Malformed::Protocol => (
            "its stream is to go on with a protocol that nobody here is asked for",
            "Ask for `websocket`, on a path that a route sends to an upstream",
        ),
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    match case.refusal() {
        Some(Refusal::Malformed(how)) => vec![Fix::new(wording(how).1)],
        _ => Vec::new(),
    }
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what is sent, byte for byte",
            "curl -sS --trace-ascii - -o /dev/null http://SITE/PATH",
        )],
        now: vec![Step::say(
            "Correct the caller: one request line, one Host, headers as `Name: value`, and a body as long as it says; a TLS greeting on a plain port is the wrong scheme",
        )],
        verify: vec![Step::look(
            "See an answer other than 400",
            "curl -sS -o /dev/null -w '%{http_code}\\n' http://SITE/PATH",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn two_framings_at_once() {
        check(
            "refused: malformed",
            "malformed_request: the request cannot be read: it has Content-Length and \
             Transfer-Encoding, which contradict each other",
        );
    }

    #[test]
    fn https_to_a_plain_port() {
        check(
            "refused: tls_to_plain_port",
            "malformed_request: the request cannot be read: it is a TLS handshake, and this \
             port speaks plain HTTP",
        );
    }

    #[test]
    fn a_missing_host() {
        check(
            "refused: host_missing",
            "malformed_request: the request cannot be read: it is HTTP/1.1 without a Host header",
        );
    }

    #[test]
    fn a_large_head_can_be_read() {
        check_not("refused: head_too_large", "malformed_request");
    }
}
