//! The app itself answered 503, because it already had as many requests as it allows.
//!
//! ## What you see
//! 503 within milliseconds under load, and none when it is quiet. Uvicorn logs `WARNING:  Exceeded
//! concurrency limit.` and the 503 in its access lines; Go's `http.TimeoutHandler` and many
//! limiters in apps answer the same way. Proxies log nothing, because for them it is an answer like
//! any other (`via_upstream` in Envoy, `----` in HAProxy).
//!
//! ## Why it happens
//! A limit that somebody set (`uvicorn --limit-concurrency`, a semaphore, a bulkhead) was reached.
//! That is better than waiting, but the limit may be too low, or the work too slow.
//!
//! ## How to tell
//! The answer has the app's own fields and body, comes fast, and only above a certain number of
//! requests at once. A 503 after a long wait is not a limit.
//!
//! ## Fix
//! Find out whether requests have become slower: then cure that. Otherwise raise the limit as far
//! as memory and database connections allow, or run more instances.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::{Limit, Product, Sign};
use exchange::Phase;

/// A limit answers at once.
const FAST: u64 = 100_000;

pub(super) static CAUSE: Cause = Cause {
    id: "app_concurrency_limit",
    family: Family::F2,
    title: "The app turned the request away at its own limit",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::RelayedError, 0.02)],
        clues: &[during(Sign::AppConcurrencyLimit, DECIDES)],
        brings: &["upstream_own_5xx"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(503) = case.subject else {
        return None;
    };
    let waited = case.attempt()?.phases.get(Phase::WaitFirstByte).unwrap_or(0);
    Some(Finding::new(
        if waited < FAST { 0.15 } else { 0.04 },
        format!("{} may have reached the number of requests that it allows at once", case.server()),
        "an app at its own limit answers 503 by itself, and fast",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Look in the app's log for its limit: `Exceeded concurrency limit.` in Uvicorn"),
        Fix::new("If requests became slower, cure that first: it fills any limit"),
        Fix::new(
            "Else raise `uvicorn --limit-concurrency` as far as memory and database connections \
             allow, or run more instances",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::AppConcurrencyLimit, When::During)?;
    let limit = dossier.limit(Limit::Concurrency, |it| it.stack().runs_apps()).map(|(it, _)| it);
    let limit = match seen.run.opening.number.or(limit) {
        Some(limit) if limit > 0 => format!(" of {limit}"),
        _ => String::new(),
    };
    Some(format!(
        "{} refused requests because its limit{limit} of requests at once was reached",
        wording::app(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let option = match dossier.server_product() {
        Some(Product::Uvicorn | Product::FastApi) => "`uvicorn --limit-concurrency`",
        _ => "the app's limit",
    };
    Cure {
        before: vec![wording::pace(dossier)],
        now: vec![
            Step::say("If requests became slower, cure that first: slow ones fill any limit"),
            Step::say(format!(
                "Else run more instances, or raise {option} as far as memory and database \
                 connections go"
            )),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(
            "Keep a limit, let the 503 carry `Retry-After`, and let callers wait as long as it says",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_not, check_text, ranked};

    #[test]
    fn a_fast_503_may_be_a_limit() {
        let candidates = ranked("status: 503 | fresh server=uvicorn");
        assert!(candidates.contains(&"app_concurrency_limit"), "{candidates:?}");
    }

    #[test]
    fn a_500_is_no_limit() {
        check_not("status: 500 | fresh server=uvicorn", "app_concurrency_limit");
    }

    #[test]
    fn uvicorn_refuses_more() {
        check_text(
            &[
                (
                    "/var/log/nginx/access.log",
                    "192.0.2.7 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" 503 197 \"-\" \"curl/8.5.0\"\n",
                ),
                (
                    "app.log",
                    "WARNING:  Exceeded concurrency limit.\nINFO:     192.0.2.7:51000 - \"GET /data HTTP/1.1\" 503 Service Unavailable\n",
                ),
            ],
            "app_concurrency_limit: uvicorn refused requests because its limit of requests at once was reached\n\
             before: See whether answers take longer than they did before [curl -sS -o /dev/null -w '%{http_code} %{time_starttransfer}s\\n\
             ' URL] checks\n\
             now: If requests became slower, cure that first: slow ones fill any limit\n\
             now: Else run more instances, or raise `uvicorn --limit-concurrency` as far as memory and database connections go\n\
             now: Restart uvicorn with that [sudo systemctl restart uvicorn] restart\n\
             lasting: Keep a limit, let the 503 carry `Retry-After`, and let callers wait as long as it says\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
