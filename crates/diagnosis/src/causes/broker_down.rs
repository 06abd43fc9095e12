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
            "broker_down: the app's message broker does not answer: kombu.exceptions.OperationalError: [Errno 111] Connection refused\n\
             before: See whether the broker can be reached from where the app runs [nc -vz -w 3 HOST 5672] checks\n\
             now: Start the broker [sudo systemctl start rabbitmq-server] restart\n\
             now: Or correct the address in the app's settings, if the broker is elsewhere\n\
             lasting: Let the app write what it has to send into its own database first (an outbox), so that no request waits for the broker\n\
             verify: the broker can be reached [nc -vz -w 3 HOST 5672] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
