//! The target speaks only versions of TLS that the gateway does not, or the reverse.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `tlsv1 alert protocol version:SSL alert number
//! 70`, Go `remote error: tls: protocol version not supported`.
//!
//! ## Why it happens
//! An old server ends at TLS 1.0 or 1.1, which this gateway does not speak, or a strict one begins
//! at TLS 1.3.
//!
//! ## How to tell
//! Offer one version at a time: the one that works shows what the target has.
//!
//! ## Fix
//! Let the target speak TLS 1.2 or 1.3. Versions before 1.2 are broken (RFC 8996), and no setting
//! brings them back here.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::tls_words;
use evidence::{Sign, What};
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_version_mismatch",
    family: Family::F7,
    title: "The target and the gateway share no TLS version",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::TlsVersion, 0.93),
            (Sign::TlsCipher, 0.08),
            (Sign::TlsClosed, 0.07),
            (Sign::TlsFailed, 0.2),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let alert = |number: u8| {
        format!("the target refused every TLS version that the gateway offers (alert {number})")
    };
    let chosen = "the target and the gateway have no TLS version in common".to_owned();
    let (confidence, statement) = match case.tls_fault()? {
        TlsFault::Alert(number @ (70 | 86)) => (0.95, alert(*number)),
        TlsFault::Alert(40) => (0.1, chosen),
        TlsFault::Incompatible => (0.6, chosen),
        TlsFault::Protocol => (0.15, chosen),
        TlsFault::Closed | TlsFault::Reset => (0.06, chosen),
        _ => return None,
    };
    Some(Finding::new(confidence, statement, "the gateway offered TLS 1.2 and TLS 1.3"))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See whether the target speaks TLS 1.2",
            format!("{} -tls1_2 </dev/null", case.handshake()),
        ),
        Fix::run("And TLS 1.3", format!("{} -tls1_3 </dev/null", case.handshake())),
        Fix::new("Turn on TLS 1.2 or 1.3 on the target, which may need a newer TLS library there"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let offers = dossier.settings(|it| match &it.what {
        What::TlsVersions { versions } if it.product.stack() == dossier.incident.hop.stack() => {
            Some(versions.as_str())
        }
        _ => None,
    });
    let (at, hop) = (dossier.address(), dossier.hop());
    Some(match offers.first() {
        Some((versions, _)) => format!("{hop} offers {versions}, and {at} speaks none of them"),
        None => format!("{hop} and {at} share no version of TLS"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let greet = |version: &str| tls_words::greet(dossier, version);
    Cure {
        before: vec![
            Step::look(
                "See which versions the upstream speaks",
                format!("{}; {}", greet(" -tls1_2"), greet(" -tls1_3")),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Let both sides speak TLS 1.2 and 1.3",
            &[
                (Hop::Nginx, "proxy_ssl_protocols TLSv1.2 TLSv1.3;"),
                (
                    Hop::IngressNginx,
                    "nginx.ingress.kubernetes.io/proxy-ssl-protocols: \"TLSv1.2 TLSv1.3\"",
                ),
                (Hop::Apache, "SSLProxyProtocol -all +TLSv1.2 +TLSv1.3"),
                (Hop::HaProxy, "server APP ADDRESS:443 ssl ssl-min-ver TLSv1.2"),
                (
                    Hop::Envoy,
                    "tls_params: { tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3 }",
                ),
                (Hop::Traefik, "serversTransports: { app: { minVersion: VersionTLS12 } }"),
                (Hop::Caddy, "tls { protocols tls1.2 tls1.3 }"),
            ],
        ),
        lasting: vec![Step::say(
            "Upgrade an upstream that speaks 1.0 or 1.1 only: both are broken, and current libraries refuse them",
        )],
        verify: vec![
            Step::look(
                "See the version that is agreed on",
                format!("{} 2>/dev/null | grep -E 'Protocol|New,'", greet("")),
            )
            .at(advice::hop_host(dossier)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_version_that_was_refused() {
        check(
            "tls: alert=70 | to=10.0.0.7:443",
            "tls_version_mismatch: the target refused every TLS version that the gateway offers \
             (alert 70)",
        );
    }

    #[test]
    fn a_choice_that_we_do_not_have() {
        check(
            "tls: incompatible | to=10.0.0.7:443",
            "tls_version_mismatch: the target and the gateway have no TLS version in common",
        );
    }

    #[test]
    fn an_unknown_name_is_no_version() {
        check_not("tls: alert=112 | to=10.0.0.7:443", "tls_version_mismatch");
    }

    #[test]
    fn an_alert_70() {
        let line = nginx(
            "SSL_do_handshake() failed (SSL: error:0A00042E:SSL routines::tlsv1 alert protocol version:SSL alert number 70) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_version_mismatch: nginx and 203.0.113.98:443 share no version of TLS",
        );
    }
}
