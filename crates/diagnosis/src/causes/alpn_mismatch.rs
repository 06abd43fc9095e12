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

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::tls_words;
use evidence::Sign;
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "alpn_mismatch",
    family: Family::F8,
    title: "The two sides agreed on no protocol over TLS",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::AlpnMismatch, 0.93)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let (statement, says) = match case.tls_fault()? {
        TlsFault::NoHttp2 => (
            format!("{} did not choose HTTP/2, which is all that it was offered", case.dialled()),
            "the handshake was good, and agreed on no protocol (ALPN)",
        ),
        TlsFault::Alert(120) if case.http2() => (
            format!("{} takes none of the protocols that it was offered", case.dialled()),
            "alert 120, no application protocol, ended the handshake",
        ),
        _ => return None,
    };
    Some(Finding::new(0.9, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what the server chooses",
            format!("{} -alpn h2,http/1.1 </dev/null", case.handshake()),
        ),
        Fix::new(
            "Enable HTTP/2 where TLS ends before the app, or let the gateway offer `http/1.1` too \
             (`protocol = \"auto\"`)",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} and {} agreed on no protocol over TLS (ALPN)",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look(
                "See which protocol the upstream takes",
                format!(
                    "{} 2>/dev/null | grep ALPN",
                    tls_words::greet(dossier, " -alpn h2,http/1.1")
                ),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Offer the protocol that the upstream takes",
            &[
                (Hop::HaProxy, "server APP ADDRESS:443 ssl alpn h2,http/1.1"),
                (Hop::Envoy, "common_tls_context: { alpn_protocols: [h2, http/1.1] }"),
                (Hop::Caddy, "transport http { versions 1.1 2 }"),
                (Hop::Traefik, "serversTransports: { app: { disableHTTP2: true } }"),
            ],
        ),
        lasting: vec![Step::say("Let the upstream offer both `h2` and `http/1.1`")],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn an_alert_120() {
        let line = nginx(
            "SSL_do_handshake() failed (SSL: error:0A000460:SSL routines::tlsv1 alert no application protocol:SSL alert number 120) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "alpn_mismatch: nginx and 203.0.113.98:443 agreed on no protocol over TLS (ALPN)",
        );
    }

    #[test]
    fn an_offer_that_was_not_taken() {
        check(
            "tls: no_http2 | http2 to=10.0.0.7:443 target=https://app.internal",
            "alpn_mismatch: 10.0.0.7:443 did not choose HTTP/2, which is all that it was offered",
        );
        check(
            "tls: alert=120 | http2 to=10.0.0.7:443 target=https://app.internal",
            "alpn_mismatch: 10.0.0.7:443 takes none of the protocols that it was offered",
        );
        check_not("tls: alert=120 | to=10.0.0.7:443", "alpn_mismatch");
    }
}
