//! The app server replaced the worker on purpose, and this connection ended with it.
//!
//! ## What you see
//! Single 502s at regular counts of requests. Gunicorn logs `Autorestarting worker after current
//! request.`; Uvicorn `Maximum request limit of N exceeded. Terminating process.`; uWSGI `worker N
//! lifetime reached, it was running for T second(s)`.
//!
//! ## Why it happens
//! Workers are ended after `max_requests`, a lifetime or a size, to contain leaks. A server that
//! closes without announcing it (`Connection: close` on the last answer) surprises whoever reuses
//! the connection.
//!
//! ## How to tell
//! The failures are a constant number of requests apart, and the log shows the line above at that
//! second. Without a limit set it cannot be this.
//!
//! ## Fix
//! Keep two workers or more and spread their ends (`gunicorn --max-requests 1000
//! --max-requests-jitter 100`); prefer a server that announces its last answer.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::{Loss, YOUNG, loss, window};
use crate::text::{Text, during};
use evidence::Sign;

/// Limits on requests are hundreds or thousands, not fewer.
const MANY: u32 = 100;

pub(super) static CAUSE: Cause = Cause {
    id: "worker_recycled",
    family: Family::F1,
    title: "The app server replaced the worker on purpose",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Reset, 0.03), (Sign::Closed, 0.03)],
        clues: &[during(Sign::WorkerRecycled, 5.0)],
        brings: &["premature_close", "connection_reset"],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let ordinal = case.attempt()?.connection.as_ref().map_or(1, |it| it.ordinal);
    let confidence = match loss(case)? {
        Loss::OnReuse(idle) if idle < YOUNG && MANY <= ordinal => 0.25,
        Loss::OnReuse(idle) if idle < YOUNG => 0.1,
        Loss::OnReuse(_) | Loss::AtOnce => 0.03,
        Loss::AtWork(_) | Loss::AtWatchdog(_) | Loss::InAnswer => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may have replaced its worker after request {ordinal}", case.server()),
        "a worker that reached its planned end takes its connections with it",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the planned end of a worker",
            format!("journalctl {} --grep 'Autorestarting|request limit|lifetime'", window(case)),
        ),
        Fix::new(
            "Spread the ends of the workers and keep at least two: \
             `gunicorn --max-requests 1000 --max-requests-jitter 100`",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_busy_connection_may_end_with_its_worker() {
        check_among("head: closed | reused idle=3ms ordinal=1000", "worker_recycled");
    }

    #[test]
    fn a_worker_is_not_recycled_in_the_middle_of_its_work() {
        check_not("head: closed | reused idle=3ms ordinal=1000 after=9s", "worker_recycled");
    }
}
