//! All workers of the app are busy, so new requests wait until somebody gives up.
//!
//! ## What you see
//! Everything gets slower together, then 504. PHP-FPM logs `[pool www] server reached
//! pm.max_children setting (N), consider raising it`; Apache `AH00484: server reached
//! MaxRequestWorkers setting`; Waitress `Task queue depth is N`; uWSGI `[DANGER] async queue is
//! full !!!`. Gunicorn says nothing.
//!
//! ## Why it happens
//! Workers needed are rate times duration: 50 requests a second of 0.4 s each keep 20 workers busy.
//! When a dependency slows down to 2 s, the same traffic needs 100.
//!
//! ## How to tell
//! The wait for the first byte grows while the time that the app itself measures stays flat. All
//! workers are busy, mostly in the same call.
//!
//! ## Fix
//! Make the slow call faster or give it a limit. Have at least rate times duration workers, and
//! let the gateway allow no more at once than there are (`pool.connections`), so that the surplus
//! is told soon and not after a minute.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{listener, waited_in_vain};
use crate::text::{Claim, DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::{Limit, Product, Sign};
use exchange::{ConnectFault, Fault, Refusal, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "worker_pool_exhausted",
    family: Family::F2,
    title: "All workers of the app are busy",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::SocketBacklogFull, 0.05),
            (Sign::SendTimedOut, 0.03),
            (Sign::HeadTimedOut, 0.025),
            (Sign::QueueTimedOut, 0.04),
            (Sign::ConnectionTableFull, 0.02),
            (Sign::Answered504, 0.06),
        ],
        clues: &[during(Sign::PoolExhausted, DECIDES)],
        brings: &[
            "response_header_timeout",
            "unix_backlog_full",
            "accept_backlog_full",
            "gateway_queue_timeout",
            "proxy_connection_table_full",
        ],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match (case.refusal(), case.fault()) {
        (Some(Refusal::ConnectionLimit), _) => 0.05,
        (_, Some(Fault::Connect(ConnectFault::BacklogFull))) => 0.05,
        (_, Some(Fault::Connect(ConnectFault::TimedOut(_)))) if case.loopback() => 0.08,
        (_, Some(Fault::Send(SendFault::TimedOut(_)))) => 0.1,
        _ if waited_in_vain(case) => 0.12,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("all workers of {} may be busy with other requests", case.server()),
        "a request that no worker takes waits in a queue of the system, without a sign",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See how many connections wait to be taken (`Recv-Q`)", listener(case)),
        Fix::new("Find the call in which the workers wait, and give it a limit of its own"),
        Fix::new(
            "Have at least as many workers as requests a second times seconds a request, and set \
             `pool.connections` of this upstream to that number",
        ),
    ]
}

/// A proxy whose own connections ran out, while requests waited for an app that did not take them:
/// each of those held one.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if dossier.sign() != Sign::ConnectionTableFull {
        return Vec::new();
    }
    let waits = [Sign::SocketBacklogFull, Sign::HeadTimedOut, Sign::SendTimedOut];
    let seen = waits.into_iter().find_map(|it| dossier.seen(it, When::During).into_iter().next());
    let says = "requests that waited for busy workers held the connections";
    seen.map(|it| Claim::new(4.0, says, vec![it.cite()])).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::PoolExhausted, When::During)?;
    let count = match dossier.limit(Limit::Workers, |it| it.stack().runs_apps()) {
        Some((count, _)) if count > 0 => format!("all {count} workers"),
        _ => "all workers".to_owned(),
    };
    let more = wording::because(&seen);
    Some(format!(
        "{count} of {} were busy, and requests waited for one{more}",
        wording::app(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let waits = match dossier.server_product() {
        Some(Product::Gunicorn) => {
            "If they wait rather than compute, run threads: `gunicorn --worker-class gthread \
             --threads 8`"
                .to_owned()
        }
        _ => format!(
            "Raise {} to requests a second times seconds a request, as far as memory and database \
             connections go",
            wording::workers(dossier)
        ),
    };
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![Step::say(waits), wording::restarted(dossier)],
        lasting: vec![
            Step::say(
                "Give the call in which they wait a limit of its own, well below the proxy's",
            ),
            Step::say(
                "Let the proxy send no more at once than there are workers, and answer 503 with \
                 `Retry-After` above that",
            ),
        ],
        verify: vec![
            Step::look(
                "No connection waits to be taken (`Recv-Q` is 0) under load",
                platform::inside(dossier, "ss -ltn"),
            ),
            wording::answers(dossier),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WAITED, check_among, check_not, check_text, explained, nginx, nginx_to};

    #[test]
    fn a_wait_in_vain_may_be_a_wait_for_a_worker() {
        check_among("head: timed_out | fresh after=60s", "worker_pool_exhausted");
        check_among("refused: connection_limit", "worker_pool_exhausted");
    }

    #[test]
    fn an_answer_that_stalls_has_a_worker() {
        check_not("body: stalled | fresh received=400", "worker_pool_exhausted");
    }

    #[test]
    fn php_fpm_has_no_child_left() {
        check_text(
            &[
                ("error.log", &nginx(WAITED)),
                (
                    "php-fpm.log",
                    "[20-Nov-2026 15:16:30] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it\n",
                ),
            ],
            "worker_pool_exhausted: all workers of php-fpm were busy, and requests waited for one\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo tail -n 100 /var/log/php-fpm/slow.log] checks\n\
             now: Raise `pm.max_children` of php-fpm to requests a second times seconds a request, as far as memory and database connections go\n\
             now: Restart php-fpm with that [sudo systemctl restart php-fpm] restart\n\
             lasting: Give the call in which they wait a limit of its own, well below the proxy's\n\
             lasting: Let the proxy send no more at once than there are workers, and answer 503 with `Retry-After` above that\n\
             verify: No connection waits to be taken (`Recv-Q` is 0) under load [ss -ltn] checks\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }

    #[test]
    fn a_full_connection_table_beside_a_full_queue_may_be_either() {
        let line = |says: &str| nginx_to("unix:/run/app.sock:", says);
        let full = line("128 worker_connections are not enough while connecting to upstream");
        let queue = line(
            "connect() to unix:/run/app.sock failed (11: Resource temporarily unavailable) while connecting to upstream",
        );
        let alone = explained(&[("error.log", &full)]);
        assert_eq!(alone.cause, "proxy_connection_table_full");
        let report = explained(&[("error.log", &format!("{full}{full}{queue}"))]);
        assert!(report.confidence < 0.9, "{:?}", report.candidates);
    }
}
