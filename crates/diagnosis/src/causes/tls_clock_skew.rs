//! The clock of the gateway's host is wrong, and so it takes a good certificate for an old or a
//! future one.
//!
//! ## What you see
//! The errors of `tls_cert_expired`, for several upstreams at the same moment, while other clients
//! are content with the same certificates.
//!
//! ## Why it happens
//! A machine without a battery clock or a virtual machine that was asleep starts with a wrong date,
//! and nothing sets it right: time synchronisation is off or cannot reach its servers.
//!
//! ## How to tell
//! Compare `date -u` on the gateway's host with the `Date` field of any answer from outside.
//!
//! ## Fix
//! Turn time synchronisation on, and let the gateway start after it.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use crate::tls_words;
use crate::{date, show};
use evidence::Sign;
use exchange::CertificateFault;

/// 2026-01-01: this program is younger than any earlier clock claims.
const YOUNGEST: i64 = 1_767_225_600;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_clock_skew",
    family: Family::F7,
    title: "The gateway's clock is wrong, so that good certificates look outdated",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::CertExpired, 0.03)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let it = case.certificate()?;
    let confidence = match it.fault {
        CertificateFault::NotYetValid if it.now < YOUNGEST => 0.9,
        CertificateFault::NotYetValid => 0.6,
        CertificateFault::Expired => 0.05,
        _ => return None,
    };
    let (valid, edge) = match it.fault {
        CertificateFault::Expired => ("ended", it.not_after),
        _ => ("begins", it.not_before),
    };
    Some(Finding::new(
        confidence,
        format!(
            "the gateway's clock, {}, may be wrong: the certificate of {}, presented for {}, \
             {valid} on {}",
            date::date(it.now),
            show::text(&it.subject),
            show::text(&it.asked),
            date::date(edge)
        ),
        "certificates are hardly ever put to use before they begin",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what time the gateway's host believes it is, and whether it is kept in step",
            "timedatectl",
        ),
        Fix::run("Set it right, and keep it right", "timedatectl set-ntp true"),
        Fix::run("If the clock is right, look at the certificate", case.show_certificate()),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "the clock of {}'s host is wrong, so that the certificate of {} seems out of date",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let host = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look(
                "Compare the clock with another one",
                "date -u; timedatectl; chronyc tracking",
            )
            .at(host.clone()),
        ],
        now: vec![
            Step::run(
                "Let the clock be set, and kept",
                "sudo timedatectl set-ntp true && sudo chronyc makestep",
                Risk::Restart,
            )
            .at(host.clone()),
        ],
        lasting: vec![Step::say("Let an alarm ring when the clock is off by more than a second")],
        verify: vec![
            Step::look("See `System clock synchronized: yes`", "timedatectl").at(host),
            tls_words::verified(dossier),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_listed, check_not};

    #[test]
    fn a_certificate_from_the_future() {
        check(
            "tls: not_yet_valid | to=10.0.0.7:443",
            "tls_clock_skew: the gateway's clock, 2026-02-02 02:40 UTC, may be wrong: the \
             certificate of CN=app.internal, presented for app.internal, begins on 2026-01-01 \
             00:00 UTC",
        );
    }

    #[test]
    fn an_old_certificate_may_be_a_fast_clock() {
        check_listed("tls: expired | to=10.0.0.7:443", "tls_clock_skew");
    }

    #[test]
    fn a_wrong_name_is_no_matter_of_time() {
        check_not("tls: wrong_name | to=10.0.0.7:443", "tls_clock_skew");
    }
}
