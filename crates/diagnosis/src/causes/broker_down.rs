//! The app's message broker does not answer, and requests that send a message fail or wait.
//!
//! ## What you see
//! 500 or 504 on the routes that write. Kafka clients log `LEADER_NOT_AVAILABLE`, `Broker may not
//! be available`, `Connection to node -1 could not be established` or `Expiring N record(s) for
//! topic-0: 120000 ms has passed since batch creation`; RabbitMQ clients `AMQPConnectionError`,
//! `ConnectionRefusedError`, or block because of `connection.blocked` (memory or disk alarm);
//! Celery `[Errno 111] Connection refused` with `Trying again in N seconds`.
//!
//! ## Why it happens
//! The broker is stopped, has no leader for a partition, has an alarm and takes no messages, or
//! advertises an address that the app cannot reach (`advertised.listeners`).
//!
//! ## How to tell
//! Reading routes work. The broker's log tells an alarm or an election from a stop. If its name
//! does not resolve, it is `dependency_dns`.
//!
//! ## Fix
//! Bring it back, or free its disk. Let the app write what it has to send into its own database
//! first (an outbox), so that a request does not wait for the broker.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, before};
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "broker_down",
    family: Family::F13,
    title: "The app's message broker does not answer",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::BrokerDown, DECIDES)],
        brings: &[
            "crash_at_start",
            "unhandled_exception",
            "response_header_timeout",
            "upstream_own_5xx",
            "crash_loop",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the client's words in the app's log",
            format!("journalctl {} --grep 'LEADER_NOT_AVAILABLE|AMQP|Broker|kafka'", window(case),),
        ),
        Fix::run("On RabbitMQ, see alarms", "rabbitmq-diagnostics check_local_alarms"),
        Fix::new("Take the broker out of the way of the request: store first, send after"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::BrokerDown, When::Before)?;
    Some(format!(
        "the app's message broker{} does not answer{}",
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let mut cure = wording::dependency(dossier, Sign::BrokerDown, "the broker", 5672);
    cure.lasting = vec![Step::say(
        "Let the app write what it has to send into its own database first (an outbox), so that no \
         request waits for the broker",
    )];
    cure
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_broker_does_not_answer() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nkombu.exceptions.OperationalError: [Errno 111] Connection refused\n",
            )],
            "response_header_timeout: either Python at 127.0.0.1:8000 did not begin its answer within nginx's limit; nginx answers 504 then, so another status was made by another hop, or the app's message broker does not answer: kombu.exceptions.OperationalError: [Errno 111] Connection refused, or all workers of the app are busy (nginx to 127.0.0.1:8000)\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo py-spy dump --pid PID] checks\n\
             now: Give the call in which the time goes (a query, another service, a lock) a limit of its own, well below the proxy's, and answer without it\n\
             now: Only if the work is meant to take that long: raise `proxy_read_timeout` of nginx for that route alone; it hides slowness, and keeps workers and callers busy for longer hides\n\
             lasting: Work that takes long for good reason belongs in a queue: answer 202 and let the caller ask for the result\n\
             verify: It begins to answer within the limit, past the proxy [curl -s -o /dev/null -w '%{http_code} %{time_starttransfer}s\\n\
             ' http://127.0.0.1:8000/] checks",
        );
    }
}
