//! The app behind the gateway answered 5xx, and the gateway passed that on unchanged.
//!
//! ## What you see
//! A 500, 502, 503 or 504 with a body that the gateway did not write. nginx has no line in its
//! error log for it and the same number in `$upstream_status`; HAProxy marks `----`; Envoy says
//! `via_upstream`.
//!
//! ## Why it happens
//! An exception in the app (500), an app that is overloaded or in maintenance (503), or another
//! proxy before the app, which has a failure of its own to tell (502, 504).
//!
//! ## How to tell
//! The answer came from there: its `Server` field and its body say who wrote it. The app's log has
//! the reason at that moment.
//!
//! ## Fix
//! What the app's log shows. The gateway has nothing to correct.

use crate::advice;
use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "upstream_own_5xx",
    family: Family::F15,
    title: "The upstream itself answered with an error",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::RelayedError, 0.6),
            (Sign::Answered500, 0.45),
            (Sign::Answered502, 0.05),
            (Sign::Answered503, 0.2),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(status) = case.subject else {
        return None;
    };
    let says = match status {
        502 | 504 => "a proxy before the app may have written it: apps rarely answer so",
        503 => "the app, or a proxy before it, says that it cannot serve now",
        _ => "a whole answer came from the upstream, so the way there is fine",
    };
    Some(Finding::new(
        0.6,
        format!("{} itself answered {status}, and the gateway passed it on", case.server()),
        says,
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Look in the log of {} at the time of this request: the reason stands there",
            case.server()
        )),
        Fix::run("Ask it without the gateway", format!("curl -v {}/PATH", case.url())),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let status = crate::signs_on_wire::status(dossier.incident);
    let hop = dossier.hop();
    Some(match status {
        Some(status) if dossier.sign() == Sign::RelayedError => {
            format!("{} answered {status} itself, and {hop} passed it on", dossier.server_at())
        }
        Some(status) => format!("{} answered {status} itself", dossier.server_at()),
        None => return None,
    })
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: advice::past(dossier, "the same status").into_iter().collect(),
        now: vec![
            Step::look(
                "Read what the app says at that second: nothing in the proxy is to be changed",
                platform::app_log(dossier),
            )
            .at(platform::host_of(dossier)),
            Step::say(
                "Correct what its last line names: an exception, a dependency that does not answer, or a mode of maintenance",
            ),
        ],
        verify: vec![advice::through(dossier, "200")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn an_app_that_fails() {
        check(
            "status: 503 | server=gunicorn",
            "upstream_own_5xx: gunicorn itself answered 503, and the gateway passed it on",
        );
    }

    #[test]
    fn an_answer_that_never_came_is_not_its_own() {
        check_not("head: closed | fresh server=gunicorn", "upstream_own_5xx");
    }
}
