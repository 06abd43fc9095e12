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
use crate::look::Fix;
use crate::signs::{listener, waited_in_vain};
use crate::text::{DECIDES, Text, during};
use evidence::Sign;
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
            (Sign::Answered504, 0.06),
        ],
        clues: &[during(Sign::PoolExhausted, DECIDES)],
        brings: &[
            "response_header_timeout",
            "unix_backlog_full",
            "accept_backlog_full",
            "gateway_queue_timeout",
        ],
        ..Text::NONE
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

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_wait_in_vain_may_be_a_wait_for_a_worker() {
        check_among("head: timed_out | fresh after=60s", "worker_pool_exhausted");
        check_among("refused: connection_limit", "worker_pool_exhausted");
    }

    #[test]
    fn an_answer_that_stalls_has_a_worker() {
        check_not("body: stalled | fresh received=400", "worker_pool_exhausted");
    }
}
