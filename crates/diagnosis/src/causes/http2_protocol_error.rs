//! The upstream broke the rules of HTTP/2, and the gateway ended the connection or the stream.
//!
//! ## What you see
//! 502, or an answer that breaks off. The gateway's log says `http2_error` with the code that it sent
//! to the upstream: FRAME_SIZE_ERROR, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, or
//! ENHANCE_YOUR_CALM for a flood of frames that carry nothing. Envoy has `http2.rx_messaging_error`
//! and `protocol_error`; Go `http2: Transport received unexpected frame`.
//!
//! ## Why it happens
//! A server or library with a defect, often of its own making or in an early version; something
//! between the two that cuts or mixes bytes; pings without a pause.
//!
//! ## How to tell
//! The code that we sent, and whether it is always the same route. A port that speaks something else
//! altogether is `wrong_protocol_service` or `http2_to_http1`; a stream that the upstream itself
//! ended is `http2_stream_reset`; a field that cannot be read is `invalid_header_line`.
//!
//! ## Fix
//! Update the server or its HTTP/2 library. Until then speak HTTP/1.1 to it: `protocol = "http1"`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::http2;
use crate::look::Fix;
use crate::text::Text;
use exchange::{BodyFault, Fault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "http2_protocol_error",
    family: Family::F9,
    title: "The upstream broke the rules of HTTP/2",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text::NONE,
};

fn look(case: &Case) -> Option<Finding> {
    let (code, when) = match case.fault()? {
        Fault::Head(HeadFault::Http2(code)) => (*code, "before an answer began"),
        Fault::Body(BodyFault::Http2(code)) => (*code, "in the middle of its answer"),
        _ => return None,
    };
    Some(Finding::new(
        0.9,
        format!("{} broke the rules of HTTP/2 {when}: {}", case.server(), http2::code(code)),
        "this is the code with which the gateway ended it (RFC 9113 7)",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let scheme = if case.plain() { "http" } else { "https" };
    vec![
        Fix::run(
            "See what another client makes of it",
            format!("curl -v --http2-prior-knowledge {scheme}://{}/", case.endpoint()),
        ),
        Fix::new("Update the server or its HTTP/2 library"),
        Fix::new("Until then speak HTTP/1.1 to it: `protocol = \"http1\"` on the upstream"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn the_code_is_named() {
        check(
            "head: http2=6 | http2 fresh server=hypercorn",
            "http2_protocol_error: hypercorn broke the rules of HTTP/2 before an answer began: \
             FRAME_SIZE_ERROR",
        );
        check(
            "body: http2=11 | http2 fresh received=90",
            "http2_protocol_error: the upstream broke the rules of HTTP/2 in the middle of its \
             answer: ENHANCE_YOUR_CALM",
        );
    }

    #[test]
    fn what_the_upstream_ends_itself_is_another() {
        check_not("head: stream_reset=1 | http2", "http2_protocol_error");
        check_not("head: field_line | http2", "http2_protocol_error");
    }
}
