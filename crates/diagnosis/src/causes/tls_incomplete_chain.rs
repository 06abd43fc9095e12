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

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::show;
use crate::text::Text;
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
        behind: &[(Sign::CertUntrusted, 0.05), (Sign::CertIncomplete, 0.86)],
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

#[cfg(test)]
mod tests {
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
}
