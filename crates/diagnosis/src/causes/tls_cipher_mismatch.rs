//! The target and the gateway have no cipher, curve or signature in common.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `sslv3 alert handshake failure:SSL alert number
//! 40`, Go `remote error: tls: handshake failure`. The `sslv3` in it is a name in OpenSSL, not the
//! version in use.
//!
//! ## Why it happens
//! An old server offers only ciphers without forward secrecy or certificates of a kind that the
//! gateway does not take, or a policy on it was made too strict.
//!
//! ## How to tell
//! Alert 40 is also what TLS 1.2 servers say to a client without a certificate, and what some say
//! to an unknown name. Offer the other side's ciphers one by one; if none helps, try with a name
//! and with a client certificate.
//!
//! ## Fix
//! Turn on a modern cipher on the target (ECDHE with AES-GCM or ChaCha20).

use crate::advice::{self, Hop};
use crate::alert;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::tls_words;
use evidence::{Sign, address};
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_cipher_mismatch",
    family: Family::F7,
    title: "The target and the gateway agree on no cipher",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::TlsCipher, 0.4), (Sign::TlsClosed, 0.07), (Sign::TlsFailed, 0.15)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let statement = match case.tls_fault()? {
        TlsFault::Alert(number) => {
            format!(
                "the target broke the handshake off with alert {number}, {}",
                alert::name(*number)
            )
        }
        TlsFault::Incompatible => "the target chose what the gateway does not have".to_owned(),
        TlsFault::Protocol => "the target broke the rules of the TLS handshake".to_owned(),
        TlsFault::Closed | TlsFault::Reset => {
            "the target may have ended the handshake for want of a common cipher".to_owned()
        }
        _ => return None,
    };
    let confidence = match case.tls_fault()? {
        TlsFault::Alert(71) => 0.9,
        TlsFault::Alert(40) => 0.45,
        // These say by themselves what was wrong, and it was no cipher.
        TlsFault::Alert(0 | 42..=46 | 48 | 49 | 70 | 86 | 90 | 112 | 116 | 120) => return None,
        TlsFault::Alert(80) => 0.15,
        TlsFault::Alert(_) | TlsFault::Incompatible | TlsFault::Protocol => 0.3,
        _ => 0.06,
    };
    Some(Finding::new(confidence, statement, "the handshake ended before anything was agreed on"))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what the target agrees on, if on anything",
            format!("{} </dev/null", case.handshake()),
        ),
        Fix::new("Turn on a modern cipher on the target: ECDHE with AES-GCM or ChaCha20-Poly1305"),
        Fix::new(
            "If the target's log asks for a client certificate or does not know the name, that is \
             the cause instead",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} and {} agreed on no cipher or curve", dossier.hop(), dossier.address()))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look("Repeat the handshake with the name: if it works, the name is what was missing (`tls_sni_rejected`)", tls_words::greet(dossier, ""))
                .at(advice::hop_host(dossier)),
            Step::look(
                "List what the upstream takes",
                format!("nmap --script ssl-enum-ciphers -p {} {}", dossier.port().unwrap_or(443), dossier.upstream().map_or_else(|| "HOST".to_owned(), |it| advice::word(address::host(it)))),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Offer a cipher that both sides have",
            &[
                (Hop::Nginx, "proxy_ssl_ciphers HIGH:!aNULL:!MD5;"),
                (Hop::Apache, "SSLProxyCipherSuite HIGH:!aNULL:!MD5"),
                (Hop::HaProxy, "ssl-default-server-ciphers HIGH:!aNULL:!MD5"),
            ],
        ),
        lasting: vec![Step::say("Let the upstream take ECDHE with AES-GCM or ChaCha20, and a certificate of 2048 bits RSA or P-256 at least")],
        verify: vec![
            Step::look("See the cipher that is agreed on", format!("{} 2>/dev/null | grep -i cipher", tls_words::greet(dossier, ""))).at(advice::hop_host(dossier)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn an_alert_of_the_handshake() {
        check(
            "tls: alert=40 | to=10.0.0.7:443",
            "tls_cipher_mismatch: the target broke the handshake off with alert 40, handshake \
             failure",
        );
    }

    #[test]
    fn security_that_is_too_weak() {
        check(
            "tls: alert=71 | to=10.0.0.7:443",
            "tls_cipher_mismatch: the target broke the handshake off with alert 71, \
             insufficient security",
        );
    }

    #[test]
    fn a_version_is_not_a_cipher() {
        check_not("tls: alert=70 | to=10.0.0.7:443", "tls_cipher_mismatch");
    }
}
