//! The certificate is good, but not for the name that the gateway asked for.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `upstream SSL certificate does not match
//! "HOST"`, HAProxy `Server presented an SSL certificate different from the expected one`, Go
//! `x509: certificate is valid for A, not B`, Apache AH02411 at level info.
//!
//! ## Why it happens
//! The target is configured by an inner name or an address while its certificate carries the public
//! name; the server chose its default certificate because it got no name or an unknown one; or the
//! address belongs to another service by now.
//!
//! ## How to tell
//! Compare the names in the certificate with the one that was asked for, and repeat the handshake
//! with each of them as the server name.
//!
//! ## Fix
//! Ask for a name that the certificate has (`upstream.X.tls.server_name`), or issue the certificate
//! for the name in use.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::Text;
use crate::tls_words;
use evidence::Sign;
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_wrong_hostname",
    family: Family::F7,
    title: "The target's certificate is for another name",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::CertWrongName, 0.93), (Sign::CertRefused, 0.12)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate().filter(|it| it.fault == CertificateFault::WrongName)?;
    Some(Finding::new(
        0.8,
        format!(
            "the certificate of {} is not valid for {}, only for {}",
            show::text(&it.subject),
            show::text(&it.asked),
            show::names(&it.names)
        ),
        "the name that was asked for is not among the names in the certificate",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "If the target is the right one, ask for a name that its certificate has: {}",
            case.setting("tls.server_name")
        )),
        Fix::new("Or issue the target a certificate that holds the name in use"),
        Fix::run(
            "See which certificate the target presents for this name",
            case.show_certificate(),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let (at, hop) = (dossier.address(), dossier.hop());
    let detail =
        dossier.incident.detail.as_deref().filter(|_| dossier.sign() == Sign::CertWrongName);
    if let Some(names) = detail.and_then(|it| it.strip_prefix("x509: certificate is valid for ")) {
        return Some(format!("the certificate of {at} is valid for {names}"));
    }
    Some(match tls_words::name(dossier) {
        Some(name) => {
            format!("the certificate of {at} is not for {name}, the name that {hop} checks")
        }
        None => {
            format!("the certificate of {at} is for other names than the one that {hop} checks")
        }
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![tls_words::certificate(dossier, "See the names in the certificate (`X509v3 Subject Alternative Name`)")],
        now: tls_words::send_name(dossier, "Send and check a name that the certificate has, in place of NAME", "NAME"),
        lasting: vec![Step::say("Or issue the upstream a certificate that holds the name by which it is configured")],
        verify: vec![
            Step::look(
                "See `Verification: OK` for that name",
                format!(
                    "openssl s_client -connect {} -servername NAME -verify_hostname NAME </dev/null 2>&1 | grep Verif",
                    dossier.upstream().map_or_else(|| "HOST:443".to_owned(), advice::word)
                ),
            )
            .at(advice::hop_host(dossier)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_certificate_for_another_name() {
        check(
            "tls: wrong_name | to=10.0.0.7:443",
            "tls_wrong_hostname: the certificate of CN=app.internal is not valid for \
             app.internal, only for app.internal",
        );
    }

    #[test]
    fn an_expired_certificate_may_have_the_right_name() {
        check_not("tls: expired | to=10.0.0.7:443", "tls_wrong_hostname");
    }

    #[test]
    fn the_name_that_is_checked_is_said() {
        let line = nginx(
            "upstream SSL certificate does not match \"app.internal\" while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "tls_wrong_hostname: the certificate of 203.0.113.98:443 is not for app.internal, the name that nginx checks",
        );
        check_told(&report, &["+    proxy_ssl_server_name on;", "-servername app.internal"]);
    }
}
