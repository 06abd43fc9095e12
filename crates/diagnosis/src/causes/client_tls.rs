//! The TLS handshake between the caller and the gateway failed, so that there was no request.
//!
//! ## What you see
//! The caller sees an error of TLS and no status. nginx logs at level info `SSL_do_handshake()
//! failed (SSL: error:0A000416:SSL routines::sslv3 alert certificate unknown:SSL alert number 46)
//! while SSL handshaking` or `no shared cipher`, `unsupported protocol`; HAProxy `frt/f1: SSL
//! handshake failure` or `Connection error during SSL handshake`; Go `http: TLS handshake error
//! from 192.0.2.1:5000: remote error: tls: unknown certificate`.
//!
//! ## Why it happens
//! The caller does not trust the gateway's certificate (a private CA, a missing intermediate,
//! expired), asks for a name that it has no certificate for, speaks only old versions, or is a
//! scanner or a health check that opens a port and hangs up.
//!
//! ## How to tell
//! It is between the caller and us: no upstream is named. Alerts 42, 46 and 48 come from a caller
//! that does not accept our certificate. From one address in short intervals: a check. The same
//! words with `upstream` in the line are about the other side, such as `tls_unknown_ca`; TLS spoken
//! to a plain port is `malformed_request`.
//!
//! ## Fix
//! Serve the whole chain, renew in time, and have a certificate for each name. Old clients need an
//! update; do not allow old versions for them. Ignore scanners.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;

pub(super) static CAUSE: Cause = Cause {
    id: "client_tls",
    family: Family::F15,
    title: "The caller's TLS handshake with the gateway failed",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what callers are shown",
            "openssl s_client -connect GATEWAY:443 -servername NAME </dev/null | openssl x509 \
             -noout -subject -issuer -dates",
        ),
        Fix::new("Serve the certificate with its intermediates, for every name that callers use"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what this side shows",
            "openssl s_client -connect SITE:443 -servername SITE </dev/null",
        )],
        now: vec![
            Step::say(
                "Serve the whole chain (`fullchain.pem`), for the name that callers use, and renew it in time",
            ),
            advice::set(
                dossier,
                "Speak TLS 1.2 and 1.3",
                &[
                    (Hop::Nginx, "ssl_protocols TLSv1.2 TLSv1.3;"),
                    (Hop::HaProxy, "ssl-default-bind-options ssl-min-ver TLSv1.2"),
                    (Hop::Apache, "SSLProtocol -all +TLSv1.2 +TLSv1.3"),
                ],
            ),
        ],
        verify: vec![Step::look(
            "See the handshake complete",
            "curl -sS -o /dev/null -w '%{ssl_verify_result}\\n' https://SITE/",
        )],
        ..Cure::default()
    }
}
