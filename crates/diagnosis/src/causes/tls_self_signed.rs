//! The target vouches for itself, and nobody told the gateway to believe it.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `upstream SSL certificate verify error:
//! (18:self-signed certificate)`, or 19 where a self-signed root was sent along; Go, Caddy and
//! Traefik say `x509: certificate signed by unknown authority`.
//!
//! ## Why it happens
//! The certificate came out of `openssl req -x509`, is the one that an app or an appliance makes
//! for itself at its first start, or is the default that a server shows when its own was not found.
//!
//! ## How to tell
//! Subject and issuer of the presented certificate are equal.
//!
//! ## Fix
//! Give the gateway that very certificate as what to trust (`upstream.X.tls.ca`), fetched over a
//! way that you trust, or issue one from your own authority. Turning verification off would let
//! anybody on the way read and change everything.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use crate::tls_words;
use crate::{date, show};
use evidence::Sign;
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_self_signed",
    family: Family::F7,
    title: "The target's certificate is self-signed and not trusted",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::CertSelfSigned, 0.93),
            (Sign::CertUntrusted, 0.05),
            (Sign::CertRefused, 0.2),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate().filter(|it| it.fault == CertificateFault::SelfSigned)?;
    Some(Finding::new(
        0.9,
        format!(
            "the certificate of {}, presented for {}, is signed by itself and not among those \
             that the gateway trusts",
            show::text(&it.subject),
            show::text(&it.asked)
        ),
        format!("subject and issuer are the same; it is valid until {}", date::date(it.not_after)),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Copy the target's certificate from its own disk to the gateway and name the file \
             in {}",
            case.setting("tls.ca")
        )),
        Fix::new("Or issue a certificate for the target from an authority that you already trust"),
        Fix::run("See what the target presents", case.show_certificate()),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "the certificate of {} is signed by itself, and {} trusts no such certificate",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let name = tls_words::name(dossier).map_or_else(|| "NAME".to_owned(), |it| advice::word(&it));
    let mut now = vec![
        Step::run(
            "Save the certificate, and compare its fingerprint with the one on the upstream's host",
            format!(
                "{} 2>/dev/null | openssl x509 -out upstream-ca.pem; openssl x509 -in upstream-ca.pem -noout -fingerprint -sha256",
                tls_words::greet(dossier, "")
            ),
            Risk::None,
        )
        .at(advice::hop_host(dossier)),
    ];
    now.extend(tls_words::trust(
        dossier,
        "Trust exactly this certificate, once the fingerprints are the same",
    ));
    Cure {
        now,
        lasting: vec![Step::say(format!(
            "Issue {name} a certificate by an authority of your own (step-ca, cert-manager), and trust that authority"
        ))],
        verify: vec![
            tls_words::verified(dossier),
            advice::through(dossier, "an answer of the app"),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_certificate_that_vouches_for_itself() {
        check(
            "tls: self_signed | to=10.0.0.7:443",
            "tls_self_signed: the certificate of CN=app.internal, presented for app.internal, \
             is signed by itself and not among those that the gateway trusts",
        );
    }

    #[test]
    fn an_unknown_issuer_is_somebody_else() {
        check_not("tls: unknown_issuer | to=10.0.0.7:443", "tls_self_signed");
    }

    #[test]
    fn the_address_is_said() {
        let line = nginx(
            "upstream SSL certificate verify error: (18:self-signed certificate) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "tls_self_signed: the certificate of 203.0.113.98:443 is signed by itself, and nginx trusts no such certificate",
        );
        check_told(&report, &["+    proxy_ssl_trusted_certificate"]);
    }
}
