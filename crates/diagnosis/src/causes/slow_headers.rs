//! The answer's head began in time and was not complete when the limit passed.
//!
//! ## What you see
//! 504 with some bytes of an answer received. Apache logs `AH10404: Error reading headers from
//! backend` and answers 502; others log the same line as for an answer that never began.
//!
//! ## Why it happens
//! The app or a proxy behind us writes its head piece by piece and waits in between: a script that
//! prints header lines as it works, a stop of the whole process in the middle, or a path that loses
//! packets.
//!
//! ## How to tell
//! Bytes came and stopped, before the empty line that ends a head. A head that is complete but huge
//! is `header_too_big`.
//!
//! ## Fix
//! Let the app write its head in one piece, when it knows all of it. If the pause is new, look for
//! what stood still at that time.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{Fault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "slow_headers",
    family: Family::F5,
    title: "The answer's head stopped before its end",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::HeadSlow, 0.9)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Head(HeadFault::Slow(limit)) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.65,
        format!(
            "{} sent {} bytes of an answer's head and did not complete it within {}",
            case.server(),
            case.received(),
            words(limit.value)
        ),
        format!("the head had begun and had no end when `{}` passed", limit.name),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let ask = match case.unix_path() {
        Some(path) => format!("curl -sv --unix-socket '{path}' http://localhost/ -o /dev/null"),
        None => format!("curl -sv http://{}/ -o /dev/null", case.dialled()),
    };
    vec![
        Fix::run("Watch the head come, to see after which line it stops", ask),
        Fix::new("Let the app write its head in one piece, once it knows all of it"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![Step::say(
            "Let the app write the head of its answer in one piece, when it knows all of it",
        )],
        lasting: Vec::new(),
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_head_without_an_end() {
        check(
            "head: slow | fresh received=40",
            "slow_headers: the upstream sent 40 bytes of an answer's head and did not complete \
             it within 60 s",
        );
    }

    #[test]
    fn a_head_that_never_began_is_another_matter() {
        check_not("head: timed_out | fresh", "slow_headers");
    }
}
