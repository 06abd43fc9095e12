//! The app server's own watchdog killed the worker, because it took too long.
//!
//! ## What you see
//! Slow requests fail with 502 after always the same time, 30 s with Gunicorn's default. Gunicorn
//! logs `[CRITICAL] WORKER TIMEOUT (pid:N)`; uWSGI `*** HARAKIRI ON WORKER N (pid: P, try: T,
//! graceful: yes|no) ***`; PHP-FPM `[pool www] child N, script 'X' (request: "GET /y") execution
//! timed out (T sec), terminating`. Gunicorn 27 answers such a request with 500 and logs `Error
//! handling request GET /slow`; earlier ones just close the connection.
//!
//! ## Why it happens
//! A worker that does not report for a while is taken for dead. A synchronous worker cannot report
//! while it waits for a slow query or a call to another service, so the request dies with it.
//!
//! ## How to tell
//! The time at which the connection ended equals the limit of the app server, to within the
//! second in which its master looks. A crash (`worker_crashed`) has no favourite time.
//!
//! ## Fix
//! Find the slow call and give it a limit of its own below the worker's. Move long work out of the
//! request. Raise `--timeout` only after that, and stay below the gateway's: a higher one hides
//! the slow call and lets a hung worker block for longer.

use crate::case::{Case, Subject, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{GUNICORN, Loss, loss, watchdog, window, worked};
use crate::text::{Claim, DECIDES, HINTS, SPEAKS, Text, When, during};
use crate::wording;
use evidence::{Limit, Product, Sign};
use exchange::{Micros, Phase};

/// Work shorter than this is no watchdog's business.
const SHORTEST: Micros = 1_000_000;

pub(super) static CAUSE: Cause = Cause {
    id: "worker_timeout_killed",
    family: Family::F1,
    title: "The app server killed the worker because it took too long",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.09),
            (Sign::Closed, 0.11),
            (Sign::SendBroken, 0.05),
            (Sign::HeadTimedOut, 0.003),
            (Sign::Disconnected, 0.08),
            (Sign::HeadPartial, 0.05),
            (Sign::BodyCut, 0.06),
            (Sign::BodyReset, 0.06),
            (Sign::Answered502, 0.06),
        ],
        clues: &[during(Sign::WorkerTimedOut, DECIDES)],
        brings: &[
            "worker_crashed",
            "worker_oom_killed_cgroup",
            "premature_close",
            "connection_reset",
            "unhandled_exception",
        ],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    if let Subject::UpstreamStatus(500) = case.subject {
        return answered_500(case);
    }
    let worked = worked(case);
    match loss(case)? {
        Loss::AtWatchdog(GUNICORN) => Some(Finding::new(
            0.65,
            format!(
                "{} killed the worker after {}, the usual limit for one request",
                case.server(),
                words(GUNICORN)
            ),
            format!("the connection ended after {}, when app servers end slow work", words(worked)),
        )),
        Loss::AtWatchdog(limit) => Some(Finding::new(
            0.45,
            format!(
                "{} seems to have killed the worker at a limit of {}",
                case.server(),
                words(limit)
            ),
            format!("the connection ended after {}, a time that is set as a limit", words(worked)),
        )),
        Loss::AtWork(_) | Loss::InAnswer if SHORTEST <= worked => Some(Finding::new(
            0.1,
            format!("{} may have killed the worker after {}", case.server(), words(worked)),
            "an app server ends workers that take too long; the time fits no common limit",
        )),
        _ => None,
    }
}

/// Gunicorn since 27 still answers for the worker that it stops.
fn answered_500(case: &Case) -> Option<Finding> {
    let waited = case.attempt()?.phases.get(Phase::WaitFirstByte)?;
    let limit = watchdog(waited)?;
    let gunicorn = case.server() == "gunicorn";
    Some(Finding::new(
        if gunicorn { 0.7 } else { 0.3 },
        format!("{} stopped the worker after {} and answered 500", case.server(), words(limit)),
        format!("the answer came after {}, which is a known worker timeout", words(waited)),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the watchdog's line",
            format!("journalctl {} --grep 'WORKER TIMEOUT|HARAKIRI|timed out'", window(case)),
        ),
        Fix::new("Find the slow call in that request, and give it a limit of its own"),
        Fix::new(
            "If the work is meant to take that long, move it out of the request, or raise \
             `gunicorn --timeout` for these routes: that hides a slow call and lets a hung \
             worker block for longer",
        ),
    ]
}

/// Limits that app servers are commonly given, in milliseconds.
const LIMITS: [i64; 6] = [15_000, 20_000, 25_000, 30_000, 60_000, 120_000];

/// How long the app had the request before it hung up; whether the proxy had given up before.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let Some(worked) = dossier.incident.number else { return Vec::new() };
    match dossier.sign() {
        Sign::Closed | Sign::Reset | Sign::Disconnected => {
            let fits = LIMITS.iter().any(|it| (*it..=it + 1_300).contains(&worked));
            let says = format!("the app hung up {} after it got the request", span(worked));
            let weight = if fits { SPEAKS } else { HINTS };
            let long = worked * 1_000 >= i64::try_from(SHORTEST).unwrap_or(i64::MAX);
            long.then(|| Claim::new(weight, says, Vec::new())).into_iter().collect()
        }
        Sign::HeadTimedOut => {
            let killed = wording::first(dossier, Sign::WorkerTimedOut, When::During);
            let later = killed.and_then(|it| Some((it.run.opening.number?, it.cite())));
            let later = later.filter(|(limit, _)| worked + LATER <= *limit);
            let says = "the proxy had given up before the worker was killed";
            later.map(|(_, cite)| Claim::new(AFTER_ALL, says, vec![cite])).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// By so much a limit is longer than another, in milliseconds.
const LATER: i64 = 500;
/// What a kill weighs that came after the answer: as little as it can have brought it about.
const AFTER_ALL: f32 = -9.0;

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::WorkerTimedOut, When::During)?;
    let limit = dossier.limit(Limit::Worker, |it| it.stack().runs_apps()).map(|(it, _)| it);
    let after = match seen.run.opening.number.or(limit) {
        Some(limit) if limit > 0 => format!(" after {}", span(limit)),
        _ => String::new(),
    };
    let pid = seen.run.opening.pid.map(|it| format!(" (pid {it})")).unwrap_or_default();
    Some(format!(
        "{} killed its worker{pid} because the request held it for too long{after}",
        wording::app(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = wording::worker_limit(dossier);
    let mut now = vec![wording::stacks(dossier)];
    now.push(Step::say(
        "Give the call that it waits in a limit of its own, well below the worker's, and answer \
         without it",
    ));
    now.push(
        Step::say(format!(
            "Only if the work is meant to take that long: raise {limit}, but stay below {} of {}; \
             it hides the slow call and lets a hung worker block for longer",
            wording::read_limit(dossier),
            dossier.hop()
        ))
        .hides(),
    );
    let lasting = match dossier.server_product() {
        Some(Product::Gunicorn) => {
            "Run workers that can wait (`gunicorn --worker-class gthread --threads 8`), so that one \
             slow request holds a thread and not a worker; move long work to a queue"
        }
        _ => "Move long work out of the request: answer 202 and let a queue do it",
    };
    Cure {
        before: Vec::new(),
        now,
        lasting: vec![Step::say(lasting)],
        verify: vec![wording::read_log(dossier, "No worker is killed any more")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check, check_among, check_not, check_text, nginx};

    #[test]
    fn thirty_seconds_are_gunicorns() {
        check(
            "head: closed | fresh after=30400ms | server=gunicorn",
            "worker_timeout_killed: gunicorn killed the worker after 30 s, the usual limit \
             for one request",
        );
    }

    #[test]
    fn a_reused_connection_that_worked_so_long_did_not_race() {
        check(
            "head: reset | reused idle=5s after=60s",
            "worker_timeout_killed: the upstream seems to have killed the worker at a limit of \
             60 s",
        );
    }

    #[test]
    fn a_500_at_that_time_is_the_newer_gunicorn() {
        check(
            "status: 500 | phase=wait_first_byte after=30s | server=gunicorn",
            "worker_timeout_killed: gunicorn stopped the worker after 30 s and answered 500",
        );
        check_not("status: 500 | phase=wait_first_byte after=2s", "worker_timeout_killed");
    }

    #[test]
    fn another_time_is_a_possibility_only() {
        check_among("head: closed | fresh after=17s", "worker_timeout_killed");
        check_not("head: closed | fresh after=300ms", "worker_timeout_killed");
    }

    #[test]
    fn gunicorn_killed_its_worker() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                ("app.log", "[2026-11-20 15:16:30 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)\n"),
            ],
            "worker_timeout_killed: gunicorn killed its worker (pid 9) because the request held it for too long\n\
             now: Take the stack of a worker while it hangs: the top call is where the time goes [sudo py-spy dump --pid PID] checks\n\
             now: Give the call that it waits in a limit of its own, well below the worker's, and answer without it\n\
             now: Only if the work is meant to take that long: raise `gunicorn --timeout`, but stay below `proxy_read_timeout` of nginx; it hides the slow call and lets a hung worker block for longer hides\n\
             lasting: Run workers that can wait (`gunicorn --worker-class gthread --threads 8`), so that one slow request holds a thread and not a worker; move long work to a queue\n\
             verify: No worker is killed any more [journalctl -u gunicorn --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC'] checks",
        );
    }
}
