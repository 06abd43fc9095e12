//! The target asks the gateway for a certificate of its own, and the gateway has none to show.
//!
//! ## What you see
//! With TLS 1.2 the handshake fails with `SSL alert number 40`. With TLS 1.3 it succeeds, and the
//! connection dies after the request was sent: `tlsv13 alert certificate required` in HAProxy,
//! `remote error: tls: certificate required` in Go, sometimes only `connection reset by peer` or
//! `upstream prematurely closed connection`, which looks like a crash.
//!
//! ## Why it happens
//! The target verifies its clients (mutual TLS). In TLS 1.3 a client is done before the server has
//! judged its certificate, so the refusal comes late.
//!
//! ## How to tell
//! The handshake held a request for a certificate (`Acceptable client certificate CA names` in the
//! output of `openssl s_client`), none was sent, and a fresh connection ended before the first byte
//! of an answer.
//!
//! ## Fix
//! Give the gateway a certificate that the target's authority has signed. Whether the target may be
//! reached without one is for its owner to say.

use crate::advice;
use crate::alert;
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{AGAINST, Claim, Text};
use crate::tls_words;
use evidence::Sign;
use exchange::TlsFault;

/// The refusal comes a round trip after our certificate would have.
const PROMPT: u64 = 2_000_000;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_client_cert_required",
    family: Family::F7,
    title: "The target wants a client certificate",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::TlsCipher, 0.15),
            (Sign::TlsFailed, 0.03),
            (Sign::Answered502, 0.003),
            (Sign::TlsClientCertRequired, 0.93),
            (Sign::TlsClientCertRejected, 0.03),
            (Sign::Reset, 0.005),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let asked_in_vain = case.client_certificate_sent() == Some(false);
    if let Some(fault) = case.tls_fault() {
        let (confidence, alert) = alert(fault, asked_in_vain)?;
        let statement = format!(
            "the target requires a client certificate and the gateway has none to show: it sent \
             alert {alert}, {}",
            alert::name(alert)
        );
        return Some(Finding::new(
            confidence,
            statement,
            "the target refused the gateway as a client",
        ));
    }
    let after = case.hung_up().filter(|_| asked_in_vain)?;
    Some(Finding::new(
        if after <= PROMPT { 0.8 } else { 0.2 },
        format!(
            "the target asked for a client certificate, the gateway sent none, and the connection \
             ended {} later without an answer",
            words(after)
        ),
        "TLS 1.3 refuses a missing client certificate only after the handshake",
    ))
}

fn alert(fault: &TlsFault, asked_in_vain: bool) -> Option<(f32, u8)> {
    match fault {
        TlsFault::Alert(116) | TlsFault::LateAlert(116) => Some((0.95, 116)),
        TlsFault::LateAlert(alert) if asked_in_vain => Some((0.85, *alert)),
        TlsFault::Alert(42) => Some((0.3, 42)),
        TlsFault::Alert(40) => Some((0.2, 40)),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Give the gateway a client certificate and its key in {}, signed by an authority that \
             the target accepts",
            case.setting("tls")
        )),
        Fix::run(
            "See which authorities the target accepts",
            format!("{} </dev/null | grep -A9 'Acceptable client'", case.handshake()),
        ),
    ]
}

/// The listener's own setting demands a certificate, and the proxy has none to show.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    match dossier.demands_certificate() {
        Some((demand, dial, None)) => vec![Claim::new(
            6.5,
            "what listens there demands a certificate of its clients, and the proxy has none",
            vec![demand, dial],
        )],
        Some((_, _, Some(shown))) => {
            vec![Claim::new(AGAINST, "the proxy has a certificate to show", vec![shown])]
        }
        None => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} wants a certificate of its client, and {} sent none",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look(
                "See which authorities the upstream takes client certificates from",
                format!(
                    "{} 2>/dev/null | grep -A5 'Acceptable client'",
                    tls_words::greet(dossier, "")
                ),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: tls_words::client_certificate(
            dossier,
            "Give the proxy a certificate of one of these, and its key",
        ),
        lasting: vec![Step::say(
            "Renew it as you renew the servers' certificates, and watch its `notAfter`",
        )],
        verify: vec![
            Step::look(
                "See the handshake complete with it",
                tls_words::greet(dossier, " -cert client.pem -key client.key"),
            )
            .at(advice::hop_host(dossier)),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_listed, check_not};

    #[test]
    fn a_missing_certificate_is_refused_late() {
        check(
            "tls: late_alert=116 | tls=asked",
            "tls_client_cert_required: the target requires a client certificate and the gateway \
             has none to show: it sent alert 116, certificate required",
        );
    }

    #[test]
    fn it_looks_like_a_crash_after_connecting() {
        check(
            "head: reset | fresh tls=asked after=3ms",
            "tls_client_cert_required: the target asked for a client certificate, the gateway \
             sent none, and the connection ended 3 ms later without an answer",
        );
    }

    #[test]
    fn a_handshake_failure_may_be_a_missing_certificate() {
        check_listed("tls: alert=40 | to=10.0.0.7:443", "tls_client_cert_required");
    }

    #[test]
    fn a_connection_that_nobody_asked_for_a_certificate() {
        check_not("head: reset | fresh tls after=3ms", "tls_client_cert_required");
    }

    #[test]
    fn a_reused_connection_was_accepted_before() {
        check_not("head: reset | reused tls=asked idle=5s", "tls_client_cert_required");
    }

    #[test]
    fn an_alert_116() {
        let line = nginx(
            "SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:SSL alert number 116) while reading response header from upstream",
            "https://203.0.113.98:443/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "tls_client_cert_required: 203.0.113.98:443 wants a certificate of its client, and nginx sent none",
        );
        check_told(&report, &["+    proxy_ssl_certificate "]);
    }
}
