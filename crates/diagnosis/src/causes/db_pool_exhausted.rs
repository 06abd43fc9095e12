//! All connections of the app's own database pool are in use, and requests wait for one until they
//! fail.
//!
//! ## What you see
//! Requests fail or hang for a constant time. HikariCP logs `HikariPool-1 - Connection is not
//! available, request timed out after 30000ms (total=10, active=10, idle=0, waiting=25)`;
//! SQLAlchemy `QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00`;
//! node-postgres `timeout exceeded when trying to connect`; Django and others wait without a word;
//! Npgsql `The connection pool has been exhausted`.
//!
//! ## Why it happens
//! Each request holds a connection for too long: a slow query, a call to another service within a
//! transaction, a connection that is never given back (a leak), or more threads than connections.
//!
//! ## How to tell
//! The database itself is calm and has room. Active equals total, and waiting grows. If it refuses
//! new connections, it is `db_too_many_clients`; if its queries wait, `db_slow_or_locked` is behind
//! this.
//!
//! ## Fix
//! Find who holds the connections: leak detection (`leakDetectionThreshold`), calls to others
//! within a transaction. Make them short. Then size the pool so that pool times instances stays
//! below what the database takes. A longer wait for a connection hides the shortage.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "db_pool_exhausted",
    family: Family::F13,
    title: "The app's pool of database connections is used up",
    side: Side::App,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.004)],
        clues: &[during(Sign::DbPoolExhausted, DECIDES)],
        brings: &[
            "response_header_timeout",
            "unhandled_exception",
            "upstream_own_5xx",
            "worker_pool_exhausted",
        ],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the pool's words in the app's log",
            format!(
                "journalctl {} --grep 'Connection is not available|QueuePool limit|pool'",
                window(case),
            ),
        ),
        Fix::run(
            "On PostgreSQL, see what the connections do",
            "psql -c \"select state, count(*), max(now() - state_change) from pg_stat_activity \
             group by 1\"",
        ),
        Fix::new(
            "Give connections back early: no calls to other services within a transaction, and \
             look for leaks",
        ),
        Fix::new(
            "Then size the pool: its size times the instances must stay below the database's limit",
        ),
    ]
}
