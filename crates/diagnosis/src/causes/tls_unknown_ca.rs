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

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::show;
use crate::text::Text;
use evidence::Sign;
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
            (Sign::CertIncomplete, 0.09),
            (Sign::CertRefused, 0.45),
            (Sign::TlsClientCertRejected, 0.03),
            (Sign::TlsFailed, 0.15),
        ],
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

#[cfg(test)]
mod tests {
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
}
