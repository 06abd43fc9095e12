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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::{Limit, Sign};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbPoolExhausted, When::During)?;
    let size = match dossier.limit(Limit::DbPool, |_| true) {
        Some((size, _)) if size > 0 => format!(" of {size}"),
        _ => String::new(),
    };
    Some(format!(
        "all connections{size} of the app's database pool were in use{}",
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::DbPoolExhausted, When::During);
    let detail = seen.and_then(|it| it.detail().map(str::to_owned)).unwrap_or_default();
    let (size, leak) = if detail.contains("Hikari") {
        ("`maximumPoolSize`", "Turn on `leakDetectionThreshold`: it logs who keeps a connection")
    } else if detail.contains("QueuePool") {
        (
            "`pool_size` and `max_overflow`",
            "Close each session with its request (`with Session() as session`, `yield` in a FastAPI dependency)",
        )
    } else {
        (
            "the size of the pool",
            "Give each connection back in a `finally`, also when the request fails",
        )
    };
    Cure {
        before: vec![wording::sessions(wording::is_mysql(seen))],
        now: vec![
            Step::say(leak),
            Step::say("Make no call to another service within a transaction: it keeps the connection all the while"),
            Step::say(format!(
                "Raise {size} only if pool times processes stays below what the database takes: for \
                 a leak that hides it for a while"
            ))
            .hides(),
        ],
        lasting: vec![Step::say("Watch how long requests wait for a connection; a longer wait hides the shortage")],
        verify: vec![wording::read_log(dossier, "No request waits in vain for a connection any more")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_pool_was_used_up() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\nsqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00\n",
            )],
            "db_pool_exhausted: all connections of the app's database pool were in use: sqlalchemy.exc.TimeoutError: QueuePool limit\n\
             before: See who holds the connections: many that are idle within a transaction are a leak [psql -c \"select application_name, state, count(*), max(now() - state_change) from pg_stat_activity group by 1, 2 order by 3 desc\"] checks\n\
             now: Close each session with its request (`with Session() as session`, `yield` in a FastAPI dependency)\n\
             now: Make no call to another service within a transaction: it keeps the connection all the while\n\
             now: Raise `pool_size` and `max_overflow` only if pool times processes stays below what the database takes: for a leak that hides it for a while hides\n\
             lasting: Watch how long requests wait for a connection; a longer wait hides the shortage\n\
             verify: No request waits in vain for a connection any more [journalctl -u APP --since -1h] checks",
        );
    }
}
