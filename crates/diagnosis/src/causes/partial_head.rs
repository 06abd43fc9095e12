//! The target began its answer and hung up before the end of the headers.
//!
//! ## What you see
//! 502 (500 behind Go's rule), `SH--` in HAProxy, `upstream prematurely closed connection while
//! reading response header from upstream` in nginx, which says the same where not one byte came.
//!
//! ## Why it happens
//! The process died while it wrote the head, a script ended after printing half of its header, or
//! an app closes the connection itself. That part of a head had come excludes a race for an idle
//! connection.
//!
//! ## How to tell
//! The app's log at that moment; the bytes that did come show how far it got.
//!
//! ## Fix
//! What its log shows: find out why the process ended.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::{head, show};
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "partial_head",
    family: Family::F9,
    title: "The connection ended inside the head of the answer",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::HeadPartial, 0.6)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let (HeadFault::Closed | HeadFault::Reset) = case.head_fault()? else {
        return None;
    };
    let received = case.received();
    let line = head::first_line(case.first_bytes());
    let began = match line {
        [] => String::new(),
        _ => format!(", which began with {}", show::bytes(line)),
    };
    (received > 0).then(|| {
        Finding::new(
            0.5,
            format!(
                "{} hung up after {received} bytes of the head of its answer{began}",
                case.server()
            ),
            "an answer had begun, so the request had been read",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Look in the log of {} at this moment for what ended the process",
            case.server()
        )),
        Fix::run(
            "See whether it happens without the gateway too",
            format!("curl -v {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} began the head of its answer and closed the connection inside of it",
        dossier.server_at()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![
            Step::look("See whether a worker ended at that second", platform::app_log(dossier))
                .at(platform::host_of(dossier)),
        ],
        vec![Step::say(
            "If one did, that is what to correct; else let the app write the head at once, and end it with an empty line",
        )],
        "See a head that ends with an empty line",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn half_a_head() {
        check(
            "head: closed | fresh server=app received=20",
            "partial_head: app hung up after 20 bytes of the head of its answer",
        );
    }

    #[test]
    fn no_byte_is_no_head() {
        check_not("head: closed | fresh server=app", "partial_head");
    }
}
