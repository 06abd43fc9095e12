//! The target sends its own certificate, but not the one between it and the root.
//!
//! ## What you see
//! The gateway fails while a browser is content, for browsers remember or fetch missing
//! intermediates and gateways do not. nginx logs `upstream SSL certificate verify error: (21:unable
//! to verify the first certificate)`; Go says the same as for an unknown authority.
//!
//! ## Why it happens
//! The server was given `cert.pem` where it needs `fullchain.pem`: its certificate followed by all
//! intermediates, without the root.
//!
//! ## How to tell
//! The handshake shows one certificate (`Certificate chain` has entry 0 only), and its issuer is
//! not a root.
//!
//! ## Fix
//! Install the full chain on the target. As a stopgap the intermediate may stand in
//! `upstream.X.tls.ca`.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::show;
use crate::text::Text;
use crate::tls_words;
use evidence::Sign;
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_incomplete_chain",
    family: Family::F7,
    title: "The target does not send its intermediate certificate",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::CertUntrusted, 0.05), (Sign::CertIncomplete, 0.83)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate()?;
    let confidence = match it.fault {
        CertificateFault::IncompleteChain => 0.7,
        CertificateFault::UnknownIssuer if it.chain == 1 => 0.2,
        CertificateFault::UnknownIssuer => 0.05,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!(
            "the target presented the certificate of {} for {} without the intermediate \
             certificate of {} that would link it to a root",
            show::text(&it.subject),
            show::text(&it.asked),
            show::text(&it.issuer)
        ),
        format!("certificates presented: {}", it.chain),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Install the full chain on the target (`fullchain.pem`: its certificate, then every \
             intermediate) and reload its server",
        ),
        Fix::run(
            "Count the certificates that the target presents",
            format!("{} -showcerts </dev/null", case.handshake()),
        ),
        Fix::new(format!("Until then, put the intermediate into {}", case.setting("tls.ca"))),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} sends its own certificate without those between it and the root, so that {} cannot verify it",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look(
                "Count the certificates that it sends: one alone is not enough, unless a root signed it",
                format!("{} 2>/dev/null | grep -c 'BEGIN CERTIFICATE'", tls_words::greet(dossier, " -showcerts")),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: vec![
            Step::run(
                "On the upstream, serve the whole chain: its own certificate first, then the intermediates (with certbot that is `fullchain.pem`)",
                "cat cert.pem intermediate.pem > fullchain.pem",
                Risk::None,
            )
            .at("the upstream's host"),
            Step::say("Name that file as the certificate there, and reload that server").at("the upstream's host"),
        ],
        lasting: tls_words::trust(dossier, "Where the upstream cannot be changed, give the proxy the intermediate certificate beside the root"),
        verify: vec![tls_words::verified(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn an_intermediate_that_was_not_sent() {
        check(
            "tls: incomplete_chain | to=10.0.0.7:443",
            "tls_incomplete_chain: the target presented the certificate of CN=app.internal for \
             app.internal without the intermediate certificate of CN=Example CA that would link \
             it to a root",
        );
    }

    #[test]
    fn a_lone_certificate_of_an_unknown_issuer_may_lack_its_chain() {
        check_among("tls: unknown_issuer | to=10.0.0.7:443", "tls_incomplete_chain");
    }

    #[test]
    fn a_self_signed_certificate_has_no_chain() {
        check_not("tls: self_signed | to=10.0.0.7:443", "tls_incomplete_chain");
    }

    #[test]
    fn the_address_is_said() {
        let line = nginx(
            "upstream SSL certificate verify error: (21:unable to verify the first certificate) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_incomplete_chain: 203.0.113.98:443 sends its own certificate without those between it and the root, so that nginx cannot verify it",
        );
    }
}
