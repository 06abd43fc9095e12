//! The gateway ran into a mistake of its own while it served the request; only this request was
//! lost.
//!
//! ## What you see
//! Status 500, made by the gateway, while other requests go on.
//!
//! ## Why it happens
//! A bug in Goodgate. It was caught before it could end the process.
//!
//! ## How to tell
//! The gateway's own messages (standard error) hold one that begins with `panicked at` at the time
//! of the request.
//!
//! ## Fix
//! Report it with that message, the version and the shape of the request. A newer version may have
//! it fixed.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_bug",
    family: Family::F11,
    title: "The gateway itself failed: a bug",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Bug = case.refusal()? else {
        return None;
    };
    Some(Finding::new(
        0.95,
        "the gateway failed because of a mistake of its own; neither the caller nor an upstream \
         is to blame",
        "the failure happened in the gateway's code, and only this request was lost",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the gateway's message about it",
            "journalctl -u goodgate | grep -A5 'panicked at'",
        ),
        Fix::new(format!(
            "Report it with that message, the output of `goodgate --version` and this id: {}",
            case.exchange.id
        )),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "Keep the record of that request",
            "goodgate why REQUEST_ID --share --format md > report.md",
        )],
        now: vec![Step::say("Report it with that file; it holds no secrets and no addresses")],
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_mistake_of_our_own() {
        check(
            "refused: bug",
            "gateway_bug: the gateway failed because of a mistake of its own; neither the \
             caller nor an upstream is to blame",
        );
    }

    #[test]
    fn a_stop_is_no_bug() {
        check_not("refused: draining", "gateway_bug");
    }
}
