//! A database query takes too long, or waits for a lock that another session holds.
//!
//! ## What you see
//! 504 or long waits on some routes. PostgreSQL logs `canceling statement due to statement
//! timeout`, `canceling statement due to lock timeout`, `deadlock detected`, `process N still
//! waiting for ShareLock on transaction M after 1000.1 ms`, or `duration: N ms` for slow
//! statements; MySQL `Lock wait timeout exceeded; try restarting transaction`; SQLite `database is
//! locked`.
//!
//! ## Why it happens
//! A missing index, a table that grew, a plan that changed after statistics did, a migration that
//! locks a table, a transaction left open, or a backup at that time.
//!
//! ## How to tell
//! Time goes into the database: its list of active sessions shows the query and what it waits for.
//! Routes without it are fast. If queries are fast and connections are missing, it is
//! `db_pool_exhausted`.
//!
//! ## Fix
//! End the session that blocks the others if that is safe, then add the index or split the work.
//! Let migrations take their locks with `lock_timeout`. Give statements a limit below the
//! request's, so that one slow query does not hold a worker.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "db_slow_or_locked",
    family: Family::F13,
    title: "A database query is too slow or waits for a lock",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.008)],
        clues: &[during(Sign::DbSlow, DECIDES)],
        brings: &[
            "response_header_timeout",
            "unhandled_exception",
            "worker_timeout_killed",
            "worker_pool_exhausted",
            "upstream_own_5xx",
            "db_pool_exhausted",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "On PostgreSQL, see who waits for whom",
            "psql -c \"select pid, pg_blocking_pids(pid), wait_event_type, now() - query_start, \
             left(query, 80) from pg_stat_activity where state <> 'idle' order by 4 desc\"",
        ),
        Fix::run(
            "On MySQL",
            "mysql -e 'show full processlist; select * from sys.innodb_lock_waits'",
        ),
        Fix::new(
            "Cure the query or end the session that blocks, and give statements a limit below the \
             request's",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbSlow, When::During)?;
    Some(format!("a database query was too slow or waited for a lock{}", wording::because(&seen)))
}

fn cure(dossier: &Dossier) -> Cure {
    let mysql = wording::is_mysql(wording::first(dossier, Sign::DbSlow, When::During));
    let (look, end) = match mysql {
        true => ("mysql -e \"select * from sys.innodb_lock_waits\\G\"", "mysql -e \"kill ID\""),
        false => (
            "psql -c \"select pid, pg_blocking_pids(pid), state, now() - query_start as since, left(query, 80) from pg_stat_activity where state <> 'idle' order by since desc\"",
            "psql -c \"select pg_terminate_backend(PID)\"",
        ),
    };
    Cure {
        before: vec![Step::look("See which session blocks the others, and what it does", look)],
        now: vec![Step::run(
            "End the session that blocks, if what it has done may be lost",
            end,
            Risk::Data,
        )],
        lasting: vec![
            Step::say(
                "Add the index that the slow query lacks (`explain (analyze, buffers)`), or split the work",
            ),
            Step::say(
                "Give statements and locks limits below the request's: `statement_timeout`, and `lock_timeout` for migrations",
            ),
        ],
        verify: vec![Step::look("Nothing waits for long any more", look)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn a_lock_was_waited_for() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\npsycopg2.errors.LockNotAvailable: canceling statement due to lock timeout\n",
            )],
            "db_slow_or_locked: a database query was too slow or waited for a lock: psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout\n\
             before: See which session blocks the others, and what it does [psql -c \"select pid, pg_blocking_pids(pid), state, now() - query_start as since, left(query, 80) from pg_stat_activity where state <> 'idle' order by since desc\"] checks\n\
             now: End the session that blocks, if what it has done may be lost [psql -c \"select pg_terminate_backend(PID)\"] data\n\
             lasting: Add the index that the slow query lacks (`explain (analyze, buffers)`), or split the work\n\
             lasting: Give statements and locks limits below the request's: `statement_timeout`, and `lock_timeout` for migrations\n\
             verify: Nothing waits for long any more [psql -c \"select pid, pg_blocking_pids(pid), state, now() - query_start as since, left(query, 80) from pg_stat_activity where state <> 'idle' order by since desc\"] checks",
        );
    }
}
