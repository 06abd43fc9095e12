//! The target's certificate was issued by an authority that the gateway does not know.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `upstream SSL certificate verify error:
//! (20:unable to get local issuer certificate)`; Go, Caddy and Traefik say `x509: certificate
//! signed by unknown authority`; HAProxy only `certificate verify failed`.
//!
//! ## Why it happens
//! A private authority (of a company, a cluster or a service mesh) signed it and its root was never
//! given to the gateway, the file of roots is outdated or missing in a slim container, or a proxy
//! on the way replaces certificates by its own.
//!
//! ## How to tell
//! Look at the issuer. If it is yours, its root is missing here. If it is a public one, look for a
//! missing intermediate (`tls_incomplete_chain`). If it is a name of a firewall product, something
//! intercepts the connection.
//!
//! ## Fix
//! Name the authority's root file in `upstream.X.tls.ca`. Turning verification off would let
//! anybody on the way read and change everything.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::{Claim, Text};
use crate::tls_words;
use evidence::{Sign, What};
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_unknown_ca",
    family: Family::F7,
    title: "The target's certificate comes from an authority that the gateway does not trust",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectFailed, 0.02),
            (Sign::CertSelfSigned, 0.03),
            (Sign::CertUntrusted, 0.87),
            (Sign::CertIncomplete, 0.12),
            (Sign::CertRefused, 0.45),
            (Sign::TlsClientCertRejected, 0.03),
            (Sign::TlsFailed, 0.15),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate()?;
    let (subject, asked) = (show::text(&it.subject), show::text(&it.asked));
    let untrusted = || {
        format!(
            "the certificate of {subject}, presented for {asked}, was issued by {}, whom the \
             gateway does not trust",
            show::text(&it.issuer)
        )
    };
    let says = match it.chain {
        1 => "one certificate was presented, and no trusted one signed it".to_owned(),
        all => format!("{all} certificates were presented, and none leads to a trusted one"),
    };
    match it.fault {
        CertificateFault::UnknownIssuer if it.chain == 1 => {
            Some(Finding::new(0.7, untrusted(), says))
        }
        CertificateFault::UnknownIssuer => Some(Finding::new(0.85, untrusted(), says)),
        CertificateFault::IncompleteChain => Some(Finding::new(0.2, untrusted(), says)),
        CertificateFault::Invalid => Some(Finding::new(
            0.5,
            format!(
                "the certificate of {subject}, presented for {asked}, cannot be trusted: it is \
                 unreadable, not meant for servers, or its signature is wrong"
            ),
            "its dates and its name were not even looked at",
        )),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Name the file with the root of that authority in {}",
            case.setting("tls.ca")
        )),
        Fix::run(
            "See every certificate that the target presents, and who issued it",
            format!("{} -showcerts </dev/null", case.handshake()),
        ),
    ]
}

/// A file of its own says whom the proxy trusts: an authority that is not in it is unknown, and the
/// error for one certificate alone (21 of OpenSSL) is the same as for a chain that lacks its middle.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let stack = dossier.incident.hop.stack();
    if dossier.sign() != Sign::CertIncomplete {
        return Vec::new();
    }
    let trusts = dossier.settings(|it| match &it.what {
        What::Trusts { .. } if it.product.stack() == stack => Some(()),
        _ => None,
    });
    let claim =
        |((), cite)| Claim::new(2.0, "only the authorities in this file are trusted", vec![cite]);
    trusts.into_iter().take(1).map(claim).collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let file = dossier.settings(|it| match &it.what {
        What::Trusts { file } if it.product.stack() == dossier.incident.hop.stack() => {
            Some(file.as_str())
        }
        _ => None,
    });
    let (at, hop) = (dossier.address(), dossier.hop());
    Some(match file.first() {
        Some((file, _)) => format!(
            "the certificate of {at} comes from an issuer that is not in {file}, the file that {hop} trusts"
        ),
        None => format!("the certificate of {at} comes from an issuer that {hop} does not trust"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![tls_words::certificate(dossier, "See who issued the certificate")],
        now: tls_words::trust(
            dossier,
            "Give the proxy the certificate of that issuer, from whoever runs it: not from the connection",
        ),
        lasting: vec![Step::say(
            "Keep the old issuer in that file beside the new one whenever it changes, until all servers have new certificates",
        )],
        verify: vec![
            Step::look(
                "See the handshake verified with that file",
                format!(
                    "{} 2>&1 | grep Verif",
                    tls_words::greet(dossier, " -CAfile /etc/nginx/upstream-ca.pem")
                ),
            )
            .at(advice::hop_host(dossier)),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn an_authority_that_nobody_named() {
        check(
            "tls: unknown_issuer | to=10.0.0.7:443",
            "tls_unknown_ca: the certificate of CN=app.internal, presented for app.internal, \
             was issued by CN=Example CA, whom the gateway does not trust",
        );
    }

    #[test]
    fn a_certificate_that_cannot_be_used_at_all() {
        check(
            "tls: invalid | to=10.0.0.7:443",
            "tls_unknown_ca: the certificate of CN=app.internal, presented for app.internal, \
             cannot be trusted: it is unreadable, not meant for servers, or its signature is \
             wrong",
        );
    }

    #[test]
    fn an_incomplete_chain_may_be_a_missing_root() {
        check_among("tls: incomplete_chain | to=10.0.0.7:443", "tls_unknown_ca");
    }

    #[test]
    fn an_expired_certificate_has_a_known_issuer() {
        check_not("tls: expired | to=10.0.0.7:443", "tls_unknown_ca");
    }

    #[test]
    fn the_address_is_said() {
        let line = nginx(
            "upstream SSL certificate verify error: (20:unable to get local issuer certificate) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_unknown_ca: the certificate of 203.0.113.98:443 comes from an issuer that nginx does not trust",
        );
    }
}
