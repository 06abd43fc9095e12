//! The gateway dials an address over TLS, and the certificate there is valid for names only.
//!
//! ## What you see
//! Every request fails in the handshake. Go says `x509: cannot validate certificate for IP because
//! it doesn't contain any IP SANs`; nginx says the same as for a wrong name.
//!
//! ## Why it happens
//! `https://10.0.0.7` in the configuration asks for a certificate that is valid for the address
//! 10.0.0.7. Such certificates exist, but few servers have one; an address in the common name does
//! not count.
//!
//! ## How to tell
//! The list of alternative names holds no `IP Address` entry.
//!
//! ## Fix
//! Set `upstream.X.tls.server_name` to a name in the certificate; the address stays what is
//! dialled. Or use the name in the target.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::Text;
use crate::tls_words;
use evidence::{Sign, address};
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_ip_without_san",
    family: Family::F7,
    title: "The target is called by address, and its certificate holds names only",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::CertNoIpSan, 0.94)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate().filter(|it| it.fault == CertificateFault::AddressWithoutSan)?;
    Some(Finding::new(
        0.9,
        format!(
            "the target was asked for as {}, and its certificate {} is valid for no address, \
             only for {}",
            show::text(&it.asked),
            show::text(&it.subject),
            show::names(&it.names)
        ),
        "an address was asked for, and the certificate's alternative names hold none",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Say which name the certificate must have: {}; the address stays what is dialled",
            case.setting("tls.server_name")
        )),
        Fix::new(format!(
            "Or write the name instead of the address in {}",
            case.setting("targets")
        )),
        Fix::run("See what the target presents", case.show_certificate()),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let host = address::host(dossier.upstream()?);
    Some(format!(
        "{} dials the bare address {host}, and the certificate there holds names only",
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![tls_words::certificate(
            dossier,
            "See the names in the certificate (`X509v3 Subject Alternative Name`)",
        )],
        now: tls_words::send_name(
            dossier,
            "Send and check a name that the certificate has, in place of NAME",
            "NAME",
        ),
        lasting: vec![Step::say(
            "Or issue a certificate with the address in it (`subjectAltName = IP:ADDRESS`)",
        )],
        verify: vec![
            tls_words::verified(dossier),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn an_address_and_a_certificate_for_names() {
        check(
            "tls: address_without_san | to=10.0.0.7:443",
            "tls_ip_without_san: the target was asked for as app.internal, and its certificate \
             CN=app.internal is valid for no address, only for app.internal",
        );
    }

    #[test]
    fn a_wrong_name_is_a_name() {
        check_not("tls: wrong_name | to=10.0.0.7:443", "tls_ip_without_san");
    }

    #[test]
    fn the_address_is_said() {
        let line = nginx(
            "upstream SSL certificate does not match \"203.0.113.98\" while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_ip_without_san: nginx dials the bare address 203.0.113.98, and the certificate there holds names only",
        );
    }
}
