//! The TLS handshake was good, but the two sides agreed on no application protocol, or not on the
//! one that the gateway goes on to speak.
//!
//! ## What you see
//! Requests fail right after the handshake. Apache logs at level info `AH10273: SSL Proxy: Peer did
//! not select any of our ALPN protocols [h2].`; Go `http2: unexpected ALPN protocol ""; want "h2"`;
//! gRPC clients `cannot check peer: missing selected ALPN property`; where the server insists, the
//! handshake ends with alert 120, no application protocol.
//!
//! ## Why it happens
//! The list of protocols is part of the handshake (ALPN). A TLS proxy before the app that offers
//! only http/1.1, an old library without ALPN, or a gateway that offers `h2` alone leaves no common
//! one.
//!
//! ## How to tell
//! `openssl s_client -alpn h2` prints `ALPN protocol: h2` or `No ALPN negotiated`. Without TLS the
//! same mistake is `http2_to_http1` or `http1_to_http2`.
//!
//! ## Fix
//! Enable HTTP/2 in whatever ends TLS before the app, or let the gateway offer http/1.1. gRPC needs
//! `h2` on every hop.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "alpn_mismatch",
    family: Family::F8,
    title: "The two sides agreed on no protocol over TLS",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::AlpnMismatch, 0.93)], ..Text::NONE },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what the server chooses",
            format!("{} -alpn h2,http/1.1 </dev/null", case.handshake()),
        ),
        Fix::new(
            "Enable HTTP/2 where TLS ends before the app, or let the gateway offer `http/1.1` too",
        ),
    ]
}
