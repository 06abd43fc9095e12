//! A gRPC call got an answer that is no gRPC: a page, a redirect, or plain HTTP.
//!
//! ## What you see
//! Clients show `UNAVAILABLE`, `UNKNOWN` or `UNIMPLEMENTED` with texts such as `unexpected HTTP
//! status code received from server: 502 (Bad Gateway)` or `transport: received unexpected
//! content-type "text/html"`. nginx logs `upstream sent no :status header` or `upstream sent
//! invalid :status`.
//!
//! ## Why it happens
//! The route led to a web app, a login page or a proxy's error page; or a proxy on the way drops
//! trailers, in which gRPC carries its status; or grpc-web was sent to a plain gRPC server.
//!
//! ## How to tell
//! The content type of the answer: anything but `application/grpc` did not come from a gRPC server.
//! A gRPC server that fails answers 200 with `grpc-status`. Raw bytes instead of frames are
//! `http2_to_http1`.
//!
//! ## Fix
//! Route the call (`/package.Service/Method`) to the gRPC port, over HTTP/2 on every hop and with
//! trailers. Let browsers use grpc-web through a translating proxy.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "grpc_mismatch",
    family: Family::F8,
    title: "The answer to a gRPC call is no gRPC",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[
            (Sign::StreamReset, 0.02),
            (Sign::NotHttp, 0.04),
            (Sign::Http2Bytes, 0.03),
            (Sign::Http1ToHttp2, 0.07),
            (Sign::Http2ToHttp1, 0.1),
            (Sign::GrpcMismatch, 0.88),
        ],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Look at the status and the content type of the answer: what wrote it, if not the gRPC \
             server",
        ),
        Fix::run(
            "Ask the server directly for what it serves",
            format!("grpcurl -plaintext {} list", case.endpoint()),
        ),
        Fix::new(
            "Match the route on the path `/package.Service/` and send it over HTTP/2 to the gRPC \
             port",
        ),
    ]
}
