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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbTooManyClients, When::During)?;
    Some(format!(
        "the database{} accepts no more connections{}",
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let mysql = wording::is_mysql(wording::first(dossier, Sign::DbTooManyClients, When::During));
    let (end, count) = match mysql {
        true => (
            "mysql -e \"kill ID\"",
            "mysql -e \"show status like 'Threads_connected'; show variables like 'max_connections'\"",
        ),
        false => (
            "psql -c \"select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and state_change < now() - interval '5 minutes'\"",
            "psql -c \"select count(*), current_setting('max_connections') from pg_stat_activity\"",
        ),
    };
    Cure {
        before: vec![wording::sessions(mysql)],
        now: vec![
            Step::run(
                "End sessions that do nothing within a transaction, to let the app in again",
                end,
                Risk::Data,
            )
            .hides(),
            Step::say(
                "Make the pools smaller: pool size times processes times instances must stay below `max_connections`",
            ),
        ],
        lasting: vec![Step::say(
            "Put a pooler in between (pgbouncer in transaction mode, RDS Proxy); raise \
             `max_connections` only with the memory for it",
        )],
        verify: vec![Step::look("Connections stay below the limit", count)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_database_takes_no_more() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\npsycopg2.OperationalError: FATAL:  sorry, too many clients already\n",
            )],
            "db_too_many_clients: the database accepts no more connections: psycopg2.OperationalError: FATAL: sorry, too many clients already\n\
             before: See who holds the connections: many that are idle within a transaction are a leak [psql -c \"select application_name, state, count(*), max(now() - state_change) from pg_stat_activity group by 1, 2 order by 3 desc\"] checks\n\
             now: End sessions that do nothing within a transaction, to let the app in again [psql -c \"select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and state_change < now() - interval '5 minutes'\"] data hides\n\
             now: Make the pools smaller: pool size times processes times instances must stay below `max_connections`\n\
             lasting: Put a pooler in between (pgbouncer in transaction mode, RDS Proxy); raise `max_connections` only with the memory for it\n\
             verify: Connections stay below the limit [psql -c \"select count(*), current_setting('max_connections') from pg_stat_activity\"] checks",
        );
    }

    #[test]
    fn mysql_has_its_own_words() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\npymysql.err.OperationalError: (1040, 'Too many connections')\n",
            )],
            "db_too_many_clients: the database accepts no more connections: pymysql.err.OperationalError: (1040, 'Too many connections\n\
             before: See who holds the connections: many that are idle within a transaction are a leak [mysql -e \"select user, command, count(*), max(time) from information_schema.processlist group by 1, 2\"] checks\n\
             now: End sessions that do nothing within a transaction, to let the app in again [mysql -e \"kill ID\"] data hides\n\
             now: Make the pools smaller: pool size times processes times instances must stay below `max_connections`\n\
             lasting: Put a pooler in between (pgbouncer in transaction mode, RDS Proxy); raise `max_connections` only with the memory for it\n\
             verify: Connections stay below the limit [mysql -e \"show status like 'Threads_connected'; show variables like 'max_connections'\"] checks",
        );
    }
}
