//! A gateway spoke HTTP/2 or gRPC to a server that understands HTTP/1 only.
//!
//! ## What you see
//! Every request fails at once. nginx logs `upstream sent too large http2 frame: 4740180`, which is
//! the letters HTT read as a length; Go `http2: frame too large, note that the frame header looked
//! like an HTTP/1.1 header`; Gunicorn and others log an invalid request line that begins with `PRI
//! * HTTP/2.0`.
//!
//! ## Why it happens
//! `grpc_pass`, h2c (`h2c://`, `proto h2`, `appProtocol: kubernetes.io/h2c`) or an HTTP/2 setting
//! points at a port that serves plain HTTP/1. Often the gRPC server listens on another port than
//! the web one.
//!
//! ## How to tell
//! `curl --http1.1` gets an answer from the port and `curl --http2-prior-knowledge` gets none. The
//! reverse is `http1_to_http2`; over TLS the two sides mostly notice it in the handshake, see
//! `alpn_mismatch`.
//!
//! ## Fix
//! Speak HTTP/1 to that port, or point at the port that speaks HTTP/2.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "http2_to_http1",
    family: Family::F8,
    title: "A gateway spoke HTTP/2 to a server that knows HTTP/1 only",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[
            (Sign::Http2ToHttp1, 0.85),
            (Sign::GrpcMismatch, 0.05),
            (Sign::ProtocolError, 0.12),
        ],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which of the two the port understands",
            format!("curl -v --http2-prior-knowledge http://{}/", case.endpoint()),
        ),
        Fix::new(
            "Take HTTP/2 off the gateway's setting for this upstream, or give it the port of the \
             gRPC server",
        ),
    ]
}
