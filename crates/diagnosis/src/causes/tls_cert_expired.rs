//! The certificate that the target presents has ended, or has not begun yet.
//!
//! ## What you see
//! Every request to the upstream fails from one minute to the next. nginx logs `upstream SSL
//! certificate verify error: (10:certificate has expired) while SSL handshaking to upstream` (9
//! where it is not yet valid); Go, Caddy and Traefik say `x509: certificate has expired or is not
//! yet valid: current time T is after E`; HAProxy answers 503 with `SC--` and only `certificate
//! verify failed`; Apache answers 500 and has the reason at level info, as AH02276.
//!
//! ## Why it happens
//! Nobody renewed it, or it was renewed on disk and the server was never told to read the file
//! again.
//!
//! ## How to tell
//! Compare the dates that the server presents now with those of the file on its disk. If the file
//! is newer, a reload is missing. If both look right, compare the clocks: `tls_clock_skew`.
//!
//! ## Fix
//! Renew the certificate and reload the server. Let the renewal do the reload, and watch the end
//! dates of upstream certificates, so that the next one is seen weeks before.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{HINTS, Text, When, before};
use crate::tls_words;
use crate::{date, show};
use evidence::Sign;
use exchange::CertificateFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_cert_expired",
    family: Family::F7,
    title: "The target's certificate is outside its dates",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::CertExpired, 0.92), (Sign::CertRefused, 0.15)],
        clues: &[before(Sign::CertNotAfter, HINTS)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate()?;
    let (subject, asked) = (show::text(&it.subject), show::text(&it.asked));
    let says = format!("the gateway's clock said {} when it looked", date::date(it.now));
    match it.fault {
        CertificateFault::Expired => Some(Finding::new(
            0.9,
            format!(
                "the certificate of {subject}, presented for {asked}, expired on {}, {} before \
                 this request",
                date::date(it.not_after),
                date::apart(it.now, it.not_after)
            ),
            says,
        )),
        CertificateFault::NotYetValid => Some(Finding::new(
            0.3,
            format!(
                "the certificate of {subject}, presented for {asked}, is valid only from {}, {} \
                 after this request",
                date::date(it.not_before),
                date::apart(it.now, it.not_before)
            ),
            says,
        )),
        _ => None,
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See the dates of what the target presents now", case.show_certificate()),
        Fix::new("Renew the certificate on the target, and let its server read it (a reload)"),
        Fix::run("If the dates look right, compare the clocks of both machines", "date -u"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let at = dossier.address();
    let hop = dossier.hop();
    let date = dossier
        .seen(Sign::CertNotAfter, When::Any)
        .first()
        .and_then(|it| it.detail().map(str::to_owned));
    Some(match date {
        Some(date) => format!(
            "the certificate of {at} is valid until {date}, and {hop} refused it as out of date"
        ),
        None => format!("the certificate of {at} is out of date for {hop}'s clock"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            tls_words::certificate(dossier, "See the dates of the certificate that is served"),
            Step::look("Rule out that the proxy's clock is wrong", "timedatectl").at(advice::hop_host(dossier)),
        ],
        now: vec![
            Step::run("Renew the certificate (certbot here; otherwise as it was issued)", "sudo certbot renew", Risk::None).at("the upstream's host"),
            Step::say("Reload the server that serves it: a renewed file alone changes nothing, since servers read certificates when they start").at("the upstream's host"),
        ],
        lasting: vec![Step::say("Let the renewal reload that server (`certbot renew --deploy-hook 'systemctl reload SERVER'`), and raise an alarm two weeks before `notAfter`")],
        verify: vec![tls_words::certificate(dossier, "See a `notAfter` in the future, over the wire"), tls_words::verified(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_certificate_that_has_ended() {
        check(
            "tls: expired | to=10.0.0.7:443",
            "tls_cert_expired: the certificate of CN=app.internal, presented for app.internal, \
             expired on 2026-02-01 00:00 UTC, 26 hours before this request",
        );
    }

    #[test]
    fn one_that_has_not_begun_may_be_wrong_itself() {
        check_among("tls: not_yet_valid | to=10.0.0.7:443", "tls_cert_expired");
    }

    #[test]
    fn a_wrong_name_is_no_matter_of_dates() {
        check_not("tls: wrong_name | to=10.0.0.7:443", "tls_cert_expired");
    }

    #[test]
    fn the_address_is_said() {
        let line = nginx(
            "upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream",
            "https://203.0.113.98:443/",
        );
        check_report(
            &[("error.log", &line)],
            "tls_cert_expired: the certificate of 203.0.113.98:443 is out of date for nginx's clock",
        );
    }
}
