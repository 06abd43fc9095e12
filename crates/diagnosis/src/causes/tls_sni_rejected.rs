//! The target serves several names over TLS, and the one that the gateway asked for is none of
//! them.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `tlsv1 unrecognized name:SSL alert number 112`
//! at level crit, Go `remote error: tls: unrecognized name`. Other servers end the connection, send
//! alert 80 (internal error), or present the certificate of somebody else.
//!
//! ## Why it happens
//! The gateway asks for the target's host as configured, such as an inner name or nothing at all
//! for an address, while the server knows its public name only. nginx sends no name unless
//! `proxy_ssl_server_name on` is set.
//!
//! ## How to tell
//! The handshake succeeds with the public name and fails with the one in use.
//!
//! ## Fix
//! Set `upstream.X.tls.server_name` to the name that the server has.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Cite, Dossier};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::{Claim, SPEAKS, Text};
use crate::tls_words;
use evidence::{Kind, Scheme, Sign, Stack, What, address};
use exchange::{CertificateFault, TlsFault};

pub(super) static CAUSE: Cause = Cause {
    id: "tls_sni_rejected",
    family: Family::F7,
    title: "The target does not know the name that it was asked for",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::CertWrongName, 0.02),
            (Sign::TlsCipher, 0.33),
            (Sign::TlsNameRejected, 0.94),
            (Sign::TlsClosed, 0.27),
            (Sign::TlsFailed, 0.2),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let wrong_name = case.certificate().is_some_and(|it| it.fault == CertificateFault::WrongName);
    let (confidence, how) = match case.tls_fault()? {
        TlsFault::Alert(112) => (0.95, "alert 112, unrecognized name"),
        TlsFault::Alert(80) => (0.5, "alert 80, with which some servers refuse unknown names"),
        TlsFault::Alert(40) => (0.15, "alert 40, which may mean an unknown name"),
        TlsFault::Closed => (0.15, "closing the connection"),
        TlsFault::Reset => (0.12, "resetting the connection"),
        _ if wrong_name => (0.1, "the certificate of another name"),
        _ => return None,
    };
    let asked = case.certificate().map(|it| show::text(&it.asked));
    let asked = asked.unwrap_or_else(|| case.host().to_owned());
    Some(Finding::new(
        confidence,
        format!("the target does not serve {asked} over TLS: it answered with {how}"),
        "the name that a client sends decides which certificate a server uses",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Ask for the name that the server knows: {}",
            case.setting("tls.server_name")
        )),
        Fix::run("See what this name gets", format!("{} </dev/null", case.handshake())),
        Fix::run(
            "And what the server does without a name",
            format!("openssl s_client -connect {} -noservername </dev/null", case.endpoint()),
        ),
    ]
}

/// No server name is sent, or the name of an address.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = Vec::new();
    let unnamed = dossier.settings(|it| match &it.what {
        What::SendsName { name: None } => Some(()),
        _ => None,
    });
    if let Some(((), cite)) = unnamed.into_iter().next() {
        claims.push(Claim::new(SPEAKS, "no server name is sent", vec![cite]));
    }
    if let Some(cite) = named(dossier) {
        claims.push(Claim::new(-0.7, "a server name is sent", vec![cite]));
        return claims;
    }
    let bare =
        dossier.dials().into_iter().find(|it| it.scheme == Scheme::Https && address::is_ip(it.to));
    if let Some(it) = bare.filter(|_| {
        dossier.sign().kind() != Kind::Wire
            || crate::signs_on_wire::wire(dossier.sign()).is_some_and(|it| it.starts_with("tls_"))
    }) {
        claims.push(Claim::new(
            SPEAKS,
            "a bare address is no server name: none is sent",
            vec![it.cite],
        ));
    }
    claims
}

/// The setting by which the proxy sends a server name, whatever it dials. nginx sends none unless
/// that is on.
fn named(dossier: &Dossier) -> Option<Cite> {
    let stack = dossier.incident.hop.stack();
    let sends = dossier.settings(|it| match &it.what {
        What::SendsName { name: Some(name) } if it.product.stack() == stack => Some(name.as_str()),
        _ => None,
    });
    let on = |name: &str| stack != Stack::Nginx || name == "on";
    sends.into_iter().find(|(name, _)| on(name)).map(|(_, cite)| cite)
}

fn says(dossier: &Dossier) -> Option<String> {
    let (at, hop) = (dossier.address(), dossier.hop());
    Some(match tls_words::sends_none(dossier) {
        true => format!(
            "{hop} sends no server name by itself, and {at} does not complete a handshake without one"
        ),
        false => format!("{at} does not know the server name that {hop} sent"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let known = tls_words::name(dossier);
    let shown = known.clone().unwrap_or_else(|| "NAME".to_owned());
    let nginx = match &known {
        // The name in `proxy_pass` is sent where nothing else is said.
        Some(name) => format!("proxy_ssl_server_name on;\nproxy_ssl_name {name};"),
        None => "proxy_ssl_server_name on;".to_owned(),
    };
    let now = match advice::proxy(dossier) {
        Hop::Nginx => advice::change(dossier, "Send the server name", &[(Hop::Nginx, &nginx)]),
        _ => tls_words::send_name(dossier, "Send the server name that the upstream serves", &shown),
    };
    Cure {
        before: vec![
            Step::look(
                "See that the handshake completes with the name",
                tls_words::greet(dossier, ""),
            )
            .at(advice::hop_host(dossier)),
        ],
        now,
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
    use crate::testing::{check, check_listed, check_not};

    #[test]
    fn a_name_that_the_server_refuses() {
        check(
            "tls: alert=112 | to=10.0.0.7:443 target=https://app.internal",
            "tls_sni_rejected: the target does not serve app.internal over TLS: it answered \
             with alert 112, unrecognized name",
        );
    }

    #[test]
    fn an_internal_error_is_often_a_missing_certificate() {
        check(
            "tls: alert=80 | to=10.0.0.7:443 target=https://app.internal",
            "tls_sni_rejected: the target does not serve app.internal over TLS: it answered \
             with alert 80, with which some servers refuse unknown names",
        );
    }

    #[test]
    fn a_default_certificate_may_be_the_answer_to_an_unknown_name() {
        check_listed("tls: wrong_name | to=10.0.0.7:443", "tls_sni_rejected");
    }

    #[test]
    fn an_expired_certificate_is_for_the_right_name() {
        check_not("tls: expired | to=10.0.0.7:443", "tls_sni_rejected");
    }

    #[test]
    fn an_alert_112() {
        let line = nginx(
            "SSL_do_handshake() failed (SSL: error:0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "tls_sni_rejected: nginx sends no server name by itself, and 203.0.113.98:443 does not complete a handshake without one",
        );
        check_told(&report, &["+    proxy_ssl_server_name on;"]);
    }
}
