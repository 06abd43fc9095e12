//! The gateway showed its certificate, and the target did not accept it.
//!
//! ## What you see
//! nginx logs alert 42, 44, 45, 46 or 48; Go `remote error: tls: bad certificate`. With TLS 1.3 the
//! refusal comes after the handshake, as an alert or a bare reset.
//!
//! ## Why it happens
//! The client certificate expired, was issued by another authority than the target expects (alert
//! 48), was revoked (44), lacks the usage `TLS Web Client Authentication`, or its name is not on
//! the target's list (49).
//!
//! ## How to tell
//! The log of the target says why. The dates and the issuer of the gateway's certificate can be
//! compared with what the target asks for.
//!
//! ## Fix
//! Renew the certificate, or have it issued by the authority that the target names.

use crate::advice;
use crate::alert;
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{Claim, SPEAKS, Text};
use crate::tls_words;
use evidence::Sign;
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_client_cert_rejected",
    family: Family::F7,
    title: "The target refuses the gateway's client certificate",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::TlsClientCertRejected, 0.88), (Sign::TlsCipher, 0.01)],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let sent = case.client_certificate_sent();
    let (alert, confidence) = match case.tls_fault() {
        Some(TlsFault::Alert(alert @ 42)) => (*alert, 0.6),
        Some(TlsFault::Alert(alert @ (43..=46 | 48 | 49))) => (*alert, 0.9),
        Some(TlsFault::LateAlert(_)) if sent == Some(false) => return None,
        Some(TlsFault::LateAlert(alert @ 0..116)) if sent == Some(true) => (*alert, 0.9),
        Some(TlsFault::LateAlert(alert @ 0..116)) if !case.client_certificate_unasked() => {
            (*alert, 0.6)
        }
        Some(_) => return None,
        None => return silently(case),
    };
    Some(Finding::new(
        confidence,
        format!(
            "the target refused the gateway's client certificate with alert {alert}, {}",
            alert::name(alert)
        ),
        "an alert about a certificate, from the target, can only mean the gateway's",
    ))
}

/// TLS 1.3 servers may reset before their alert is read.
fn silently(case: &Case) -> Option<Finding> {
    let after = case.hung_up().filter(|_| case.client_certificate_sent() == Some(true))?;
    Some(Finding::new(
        if case.turned_away() { 0.5 } else { 0.05 },
        format!(
            "the target asked for a client certificate, got the gateway's, and ended the \
             connection {} later without an answer",
            words(after)
        ),
        "TLS 1.3 refuses a client certificate only after the handshake",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the dates and the issuer of the gateway's client certificate",
            "openssl x509 -in CLIENT.pem -noout -dates -subject -issuer -purpose",
        ),
        Fix::run(
            "See which authorities the target accepts",
            format!("{} </dev/null | grep -A9 'Acceptable client'", case.handshake()),
        ),
        Fix::new("Look in the target's log: it says there why the certificate did not pass"),
    ]
}

/// The listener demands a certificate, and the proxy shows one.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let Some((demand, _, Some(shown))) = dossier.demands_certificate() else { return Vec::new() };
    let says = "what listens there checks the certificate that the proxy shows";
    vec![Claim::new(SPEAKS, says, vec![demand, shown])]
}

fn says(dossier: &Dossier) -> Option<String> {
    let detail = dossier
        .incident
        .detail
        .as_deref()
        .filter(|_| dossier.sign() == Sign::TlsClientCertRejected);
    let (at, hop) = (dossier.address(), dossier.hop());
    Some(match detail {
        Some(detail) if detail.contains("alert") => {
            format!("{at} refused {hop}'s client certificate ({detail})")
        }
        _ => format!("{at} refused {hop}'s client certificate"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look("See the dates, the issuer and the use of the proxy's certificate: it must be for clients (`TLS Web Client Authentication`)", "openssl x509 -in client.pem -noout -subject -issuer -dates -ext extendedKeyUsage")
                .at(advice::hop_host(dossier)),
            Step::look(
                "Compare with the authorities that the upstream takes",
                format!("{} 2>/dev/null | grep -A5 'Acceptable client'", tls_words::greet(dossier, "")),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: tls_words::client_certificate(dossier, "Give the proxy a certificate of such an authority, with its intermediates behind it"),
        lasting: vec![Step::say("Or add the issuer of the proxy's certificate to those that the upstream takes, and reload the upstream")],
        verify: vec![
            Step::look("See the handshake complete with it", tls_words::greet(dossier, " -cert client.pem -key client.key")).at(advice::hop_host(dossier)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_listed, check_not};

    #[test]
    fn an_unknown_authority() {
        check(
            "tls: alert=48 | to=10.0.0.7:443",
            "tls_client_cert_rejected: the target refused the gateway's client certificate with \
             alert 48, unknown ca",
        );
    }

    #[test]
    fn a_late_refusal() {
        check(
            "tls: late_alert=45 | tls=sent",
            "tls_client_cert_rejected: the target refused the gateway's client certificate with \
             alert 45, certificate expired",
        );
    }

    #[test]
    fn a_late_refusal_without_a_word() {
        check_listed("head: reset | fresh tls=sent after=3ms", "tls_client_cert_rejected");
    }

    #[test]
    fn a_certificate_that_was_never_sent_cannot_be_refused() {
        check_not("tls: late_alert=42 | tls=asked", "tls_client_cert_rejected");
    }

    #[test]
    fn an_alert_48() {
        let line = nginx(
            "SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_client_cert_rejected: 203.0.113.98:443 refused nginx's client certificate (tlsv1 alert unknown ca)",
        );
    }
}
