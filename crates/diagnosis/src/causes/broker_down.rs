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
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, before};
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
