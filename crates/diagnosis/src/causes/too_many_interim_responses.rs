//! The target sent more interim answers (status 1xx) than the gateway takes for one request.
//!
//! ## What you see
//! Status 502. Apache logs `Too many (N) interim responses from origin server`.
//!
//! ## Why it happens
//! An app sends `102 Processing` or `103 Early Hints` in a loop, as a sign of life or by mistake.
//!
//! ## How to tell
//! `curl -v` prints each of them before the final answer.
//!
//! ## Fix
//! Send at most a few, and the final answer after them. For long work accept the request with 202
//! and let the caller ask for the result.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "too_many_interim_responses",
    family: Family::F9,
    title: "The target sends interim answers without end",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::InterimsTooMany, 0.94)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::TooManyInterim(limit) = case.head_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!(
            "{} sent more than {} interim answers (1xx) and no final one",
            case.server(),
            limit.value
        ),
        format!("`{}` allows {}", limit.name, limit.value),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Let the app send its final answer after a few interim ones at most"),
        Fix::run(
            "See them without the gateway",
            format!("curl -sv -o /dev/null {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} sent more interim answers (1xx) than {} takes",
        dossier.server_at(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(dossier, "Count the answers 100, 102 and 103 before the last one")],
        vec![Step::say(
            "Let the app send 103 once, with all links in it, and no 102 as a sign of life: a stream or a status to poll says more",
        )],
        "See one interim answer at most",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn interim_answers_without_end() {
        check(
            "head: too_many_interim | server=app",
            "too_many_interim_responses: app sent more than 20 interim answers (1xx) and no \
             final one",
        );
    }

    #[test]
    fn too_many_fields_are_another_limit() {
        check_not("head: too_many_fields | server=app", "too_many_interim_responses");
    }
}
