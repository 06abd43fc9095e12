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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, YOUNG, loss, window};
use crate::text::{Text, When, during};
use crate::wording;
use evidence::{Limit, Product, Sign};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    wording::first(dossier, Sign::WorkerRecycled, When::During)?;
    let after = match dossier.limit(Limit::RequestsPerWorker, |it| it.stack().runs_apps()) {
        Some((requests, _)) if requests > 0 => format!(" after {requests} requests"),
        _ => String::new(),
    };
    Some(format!(
        "{} replaced a worker{after}, and its open connections ended with it",
        wording::app(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let spread = match dossier.server_product() {
        Some(Product::Uwsgi) => "max-requests-delta = 100".to_owned(),
        _ => wording::recycling(dossier).trim_matches('`').to_owned(),
    };
    Cure {
        before: Vec::new(),
        now: vec![
            Step::say(format!(
                "Run two workers or more, and spread their ends at random: `{spread}`"
            )),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(
            "Find the leak that the replacement is there for, then let workers live longer",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, nginx};

    #[test]
    fn a_busy_connection_may_end_with_its_worker() {
        check_among("head: closed | reused idle=3ms ordinal=1000", "worker_recycled");
    }

    #[test]
    fn a_worker_is_not_recycled_in_the_middle_of_its_work() {
        check_not("head: closed | reused idle=3ms ordinal=1000 after=9s", "worker_recycled");
    }

    #[test]
    fn a_worker_was_replaced_on_purpose() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "app.log",
                    "[2026-11-20 15:16:30 +0000] [9] [INFO] Autorestarting worker after current request.\n",
                ),
            ],
            "worker_recycled: gunicorn replaced a worker, and its open connections ended with it\n\
             now: Run two workers or more, and spread their ends at random: `gunicorn --max-requests 1000 --max-requests-jitter 100`\n\
             now: Restart gunicorn with that [sudo systemctl restart gunicorn] restart\n\
             lasting: Find the leak that the replacement is there for, then let workers live longer\n\
             verify: nginx logs no new failure of this kind [sudo tail -n 200 /var/log/nginx/error.log] checks",
        );
    }
}
