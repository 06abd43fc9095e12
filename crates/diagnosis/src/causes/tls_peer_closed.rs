//! The target hung up in the middle of the TLS handshake, without saying why.
//!
//! ## What you see
//! nginx logs `peer closed connection in SSL handshake`, HAProxy `SSL handshake failure`, Go `EOF`,
//! or each of them a reset.
//!
//! ## Why it happens
//! Many servers hang up where they should send an alert: on a name that they do not serve, on a
//! client that they will not have, when overloaded or stopping, or because they do not speak TLS at
//! all. A filter for addresses in front of the server does the same.
//!
//! ## How to tell
//! Try with another name, another version, from another address, and once as a plain request: the
//! one that changes the outcome is the reason. The log of the target may have a line for it.
//!
//! ## Fix
//! What the trial shows. If it happens now and then only, look at the load and at restarts of the
//! target.

use crate::advice;
use crate::alert;
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::tls_words;
use evidence::Sign;
use exchange::{Phase, TlsFault};

pub(super) static CAUSE: Cause = Cause {
    id: "tls_peer_closed",
    family: Family::F7,
    title: "The target ended the connection during the TLS handshake",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::TlsClosed, 0.4), (Sign::TlsFailed, 0.05)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let how = match case.tls_fault()? {
        TlsFault::Closed | TlsFault::Alert(0 | 90) => "closed",
        TlsFault::Reset => "reset",
        TlsFault::LateAlert(alert) if case.client_certificate_unasked() => {
            return Some(after_handshake(case, *alert));
        }
        _ => return None,
    };
    let after = case.attempt()?.phases.get(Phase::Tls).unwrap_or(0);
    Some(Finding::new(
        0.35,
        format!(
            "{} {how} the connection {} into the TLS handshake, without saying why",
            case.dialled(),
            words(after)
        ),
        "the connection stood, and ended before the handshake did",
    ))
}

fn after_handshake(case: &Case, alert: u8) -> Finding {
    Finding::new(
        0.35,
        format!(
            "{} ended the connection after the TLS handshake with alert {alert}, {}",
            case.dialled(),
            alert::name(alert)
        ),
        "no client certificate had been asked for, so it was not for want of one",
    )
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Repeat the handshake by hand", format!("{} </dev/null", case.handshake())),
        Fix::run(
            "See whether the port speaks plain HTTP",
            format!("curl -v http://{}/", case.endpoint()),
        ),
        Fix::new("Look in the target's log at this moment: it may say why it hung up"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} hung up on {} during the TLS handshake, without an alert",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![
            Step::look(
                "Repeat the handshake with the server name: if it completes, the name was missing",
                tls_words::greet(dossier, ""),
            )
            .at(advice::hop_host(dossier)),
            Step::look(
                "See what the upstream's own log says at that second",
                platform::app_log(dossier),
            )
            .at("the upstream's host"),
            Step::say(
                "If neither tells: something between that inspects TLS, or a limit of connections at the upstream, hangs up without a word",
            ),
        ],
        lasting: match tls_words::name(dossier) {
            Some(name) if tls_words::sends_none(dossier) => {
                tls_words::send_name(dossier, "Send the server name", &name)
            }
            _ => Vec::new(),
        },
        verify: vec![tls_words::verified(dossier)],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_target_that_hangs_up() {
        check(
            "tls: closed | to=10.0.0.7:443 after=3ms",
            "tls_peer_closed: 10.0.0.7:443 closed the connection 3 ms into the TLS handshake, \
             without saying why",
        );
    }

    #[test]
    fn a_target_that_resets() {
        check(
            "tls: reset | to=10.0.0.7:443 after=3ms",
            "tls_peer_closed: 10.0.0.7:443 reset the connection 3 ms into the TLS handshake, \
             without saying why",
        );
    }

    #[test]
    fn an_alert_after_the_handshake() {
        check(
            "tls: late_alert=80 | to=10.0.0.7:443 tls",
            "tls_peer_closed: 10.0.0.7:443 ended the connection after the TLS handshake with \
             alert 80, internal error",
        );
    }

    #[test]
    fn a_certificate_fault_is_ours_to_tell() {
        check_not("tls: expired | to=10.0.0.7:443", "tls_peer_closed");
    }
}
