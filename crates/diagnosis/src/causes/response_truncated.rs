//! The connection broke in the middle of the answer's body.
//!
//! ## What you see
//! Downloads and long answers end early, with a good status. nginx logs `upstream prematurely
//! closed connection while reading upstream` or `readv() failed (104: Connection reset by peer)
//! while reading upstream`; HAProxy `SD--`; Apache `(70008)Partial results are valid but processing
//! is incomplete: AH01110: error reading response`; Caddy `aborting with incomplete response`;
//! Envoy `upstream_reset_after_response_started`. All of them count it as 200.
//!
//! ## Why it happens
//! The head had been sent before the app failed: its worker died, its generator raised, a proxy
//! behind us gave up, or the network broke.
//!
//! ## How to tell
//! Compare what was declared with what came. FIN before the declared length is
//! `content_length_short`, FIN between two chunks `truncated_chunk`; this one is a reset or a
//! broken TLS session.
//!
//! ## Fix
//! Look in the app's log at that second for the exception or the death of a worker. Clients must
//! not take such an answer for whole: check its length, or resume it by `Range`.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, loss, window, worked};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{BodyFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "response_truncated",
    family: Family::F4,
    title: "The connection broke in the middle of the answer",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::BodyCut, 0.6),
            (Sign::BodyReset, 0.6),
            (Sign::ChunkCut, 0.05),
            (Sign::BodyShort, 0.1),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let how = match case.fault()? {
        Fault::Body(BodyFault::Reset) => "reset the connection",
        Fault::Body(BodyFault::StreamCut) => "closed the connection",
        Fault::Body(BodyFault::Tls) => "ended the TLS session without closing it",
        Fault::Body(BodyFault::Errno) => "lost the connection",
        _ => return None,
    };
    let at_watchdog = matches!(loss(case), Some(Loss::AtWatchdog(_)));
    Some(Finding::new(
        if at_watchdog { 0.2 } else { 0.55 },
        format!(
            "{} {how} in the middle of its answer, after {} bytes and {}",
            case.server(),
            case.received(),
            words(worked(case))
        ),
        "the head was good and the body never reached its end",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look in the app's log of that time for an exception or the death of a worker",
            format!("journalctl {}", window(case)),
        ),
        Fix::new(
            "Let clients treat the answer as failed: we ended it visibly, and did not pass it off \
             as whole",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let cut = match dossier.sign() {
        Sign::BodyReset => "reset",
        Sign::BodyCut | Sign::ChunkCut | Sign::BodyShort => "closed",
        _ => return None,
    };
    Some(format!(
        "{} {cut} the connection in the middle of its answer, so the client got a part of it",
        wording::app_at(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Look for an exception or the death of a worker at that second: that is what to cure",
        )],
        now: vec![wording::answers(dossier)],
        lasting: vec![
            Step::say(
                "Let the app collect what can fail before it sends the first byte, and log what \
                 fails after it",
            ),
            Step::say("Let clients compare the length with what they got, and resume by `Range`"),
        ],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_reset_within_the_body() {
        check(
            "body: reset | fresh received=4000 after=2s",
            "response_truncated: the upstream reset the connection in the middle of its answer, \
             after 4000 bytes and 2 s",
        );
    }

    #[test]
    fn at_the_watchdogs_time_it_was_the_watchdog() {
        check_among("body: reset | fresh received=4000 after=30s", "response_truncated");
    }

    #[test]
    fn a_short_body_has_a_name_of_its_own() {
        check_not("body: length_short=100 | fresh received=4000", "response_truncated");
        check_not("body: stalled | fresh received=4000", "response_truncated");
    }
}
