//! The target answered 101 (switching protocols) to a request that did not ask for it.
//!
//! ## What you see
//! Status 502. HAProxy marks `PH--`, Apache logs `Unexpected Upgrade: foo (expecting n/a)`, Go
//! `backend tried to switch protocol "foo" when "" was requested`. nginx 1.22 passed it on, and the
//! client hung.
//!
//! ## Why it happens
//! An app that treats every request to a path as a WebSocket handshake, or one that misreads the
//! request; `Upgrade` is a field for one hop and was rightly taken off by a gateway in between.
//!
//! ## How to tell
//! The same request by `curl`, without an `Upgrade` field, gets 101.
//!
//! ## Fix
//! Let the app check for `Upgrade` and `Connection: upgrade`, and answer 426 without them.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "unexpected_upgrade",
    family: Family::F8,
    title: "The target changed the protocol without being asked",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::UpgradeUnexpected, 0.93)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::UnaskedUpgrade = case.head_fault()? else {
        return None;
    };
    let server = case.server();
    Some(Finding::new(
        0.9,
        format!("{server} answered 101, switching protocols, to a request that did not ask for it"),
        "the request that was sent had no Upgrade field",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Let the app answer 426 to a request without `Upgrade`, and 101 only with it"),
        Fix::run(
            "See what the target says without the gateway",
            format!("curl -v {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} switched protocols (101) without being asked by {}",
        dossier.server_at(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(dossier, "See whether it answers 101 to a plain request")],
        vec![
            Step::say(
                "Let the app answer 101 only to a request that has `Upgrade` and `Connection: upgrade`",
            ),
            advice::set(
                dossier,
                "Where HTTP/2 is offered by `Upgrade: h2c`, take it away",
                &[
                    (Hop::Apache, "-Protocols h2 h2c http/1.1\nProtocols h2 http/1.1"),
                    (Hop::Nginx, "proxy_hide_header Upgrade;"),
                ],
            ),
        ],
        "See 200, no 101",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_change_that_nobody_asked_for() {
        check(
            "head: unasked_upgrade | server=uvicorn",
            "unexpected_upgrade: uvicorn answered 101, switching protocols, to a request that \
             did not ask for it",
        );
    }

    #[test]
    fn an_unreadable_status_is_something_else() {
        check_not("head: status_line | server=uvicorn", "unexpected_upgrade");
    }
}
