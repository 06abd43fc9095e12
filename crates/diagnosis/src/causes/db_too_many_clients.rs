//! The database has as many connections as it allows and refuses new ones.
//!
//! ## What you see
//! New requests fail at once with 500, those on open connections go on. PostgreSQL says `FATAL:
//! sorry, too many clients already` or `remaining connection slots are reserved for`; MySQL `ERROR
//! 1040 (HY000): Too many connections` or `User x already has more than 'max_user_connections'
//! active connections`; pgbouncer `no more connections allowed (max_client_conn)`.
//!
//! ## Why it happens
//! Pool size times workers times instances is above `max_connections`, often right after scaling
//! out or in a deploy, while old and new instances run side by side. Functions (Lambda) open one
//! each. Sessions left `idle in transaction` hold theirs.
//!
//! ## How to tell
//! The refusal comes from the database. If the words are those of the app's own pool, it is
//! `db_pool_exhausted`.
//!
//! ## Fix
//! Put a pooler (pgbouncer, RDS Proxy) in between, or make the pools smaller. Raise
//! `max_connections` only with the memory for it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "db_too_many_clients",
    family: Family::F13,
    title: "The database accepts no more connections",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::DbTooManyClients, DECIDES)],
        brings: &[
            "crash_at_start",
            "unhandled_exception",
            "upstream_own_5xx",
            "db_pool_exhausted",
            "response_header_timeout",
        ],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "On PostgreSQL, see who holds the connections",
            "psql -c \"select usename, application_name, client_addr, state, count(*) from \
             pg_stat_activity group by 1,2,3,4 order by 5 desc\"",
        ),
        Fix::run(
            "On MySQL",
            "mysql -e \"show status like 'Threads_connected'; show variables like \
             'max_connections'\"",
        ),
        Fix::new("Make the pools smaller, or put a pooler between the app and the database"),
    ]
}
