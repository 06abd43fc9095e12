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

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![wording::sessions()],
        now: vec![
            Step::run(
                "End sessions that do nothing within a transaction, to let the app in again",
                "psql -c \"select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and state_change < now() - interval '5 minutes'\"",
                Risk::Data,
            )
            .hides(),
            Step::say("Make the pools smaller: pool size times processes times instances must stay below `max_connections`"),
        ],
        lasting: vec![Step::say(
            "Put a pooler in between (pgbouncer in transaction mode, RDS Proxy); raise \
             `max_connections` only with the memory for it",
        )],
        verify: vec![Step::look(
            "Connections stay below the limit",
            "psql -c \"select count(*), current_setting('max_connections') from pg_stat_activity\"",
        )],
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
            "response_header_timeout: either Python at 127.0.0.1:8000 did not begin its answer within nginx's limit; nginx answers 504 then, so another status was made by another hop, or the database accepts no more connections: psycopg2.OperationalError: FATAL: sorry, too many clients already, or all workers of the app are busy (nginx to 127.0.0.1:8000)\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo py-spy dump --pid PID] checks\n\
             now: Give the call in which the time goes (a query, another service, a lock) a limit of its own, well below the proxy's, and answer without it\n\
             now: Only if the work is meant to take that long: raise `proxy_read_timeout` of nginx for that route alone; it hides slowness, and keeps workers and callers busy for longer hides\n\
             lasting: Work that takes long for good reason belongs in a queue: answer 202 and let the caller ask for the result\n\
             verify: It begins to answer within the limit, past the proxy [curl -s -o /dev/null -w '%{http_code} %{time_starttransfer}s\\n\
             ' http://127.0.0.1:8000/] checks",
        );
    }
}
