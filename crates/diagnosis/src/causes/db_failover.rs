//! The database is starting, stopping or changing its primary, or the app talks to a copy that only
//! reads.
//!
//! ## What you see
//! Errors for seconds to minutes, on writes only or on all. PostgreSQL says `FATAL:  the database
//! system is starting up`, `the database system is shutting down`, `terminating connection due to
//! administrator command`, `cannot execute INSERT in a read-only transaction`; MySQL `MySQL server
//! has gone away`, `Lost connection to MySQL server during query`, `The MySQL server is running
//! with the --read-only option`; MongoDB `NotWritablePrimary`; Redis `READONLY You can't write
//! against a read only replica.`
//!
//! ## Why it happens
//! A failover, a restart or an upgrade moved the writer. Pools keep connections to the old one, and
//! names are cached by the runtime for longer than the switch takes.
//!
//! ## How to tell
//! It ends by itself with the switch, except where the app keeps the old address. Reads work and
//! writes fail: the app talks to a replica. Refusals that last are `db_down`.
//!
//! ## Fix
//! Let the pool test connections before use and drop them after such an error, and let names expire
//! (the JVM keeps them for ever under a security manager). Use the writer's endpoint, or
//! `target_session_attrs=read-write`. Repeat only what may happen twice.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "db_failover",
    family: Family::F13,
    title: "The database is starting, switching over or read-only",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::DbFailover, DECIDES)],
        brings: &[
            "unhandled_exception",
            "crash_at_start",
            "upstream_own_5xx",
            "db_down",
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
            "Ask the database for its role",
            "psql -h DB_HOST -c 'select pg_is_in_recovery()'",
        ),
        Fix::new("Let the pool drop a connection after such an error and ask for the name anew"),
        Fix::new("Point the app at the endpoint of the writer"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbFailover, When::During)?;
    Some(format!(
        "the database{} was starting, stopping or read-only{}",
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See which role the database has now: `t` is a replica, which takes no writes",
            "psql -c \"select pg_is_in_recovery()\"",
        )],
        now: vec![
            Step::say(
                "If it is a replica, let the app connect to the writer: the writer's endpoint, or `target_session_attrs=read-write`",
            ),
            Step::run(
                "If the app still holds connections of before, restart it",
                platform::restart(dossier),
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say(
            "Let the pool test connections before use (`pool_pre_ping`, `testOnBorrow`) and drop \
             them after such an error; let names expire",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_database_was_starting() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\npsycopg2.OperationalError: FATAL:  the database system is starting up\n",
            )],
            "db_failover: the database was starting, stopping or read-only: psycopg2.OperationalError: FATAL: the database system is\n\
             before: See which role the database has now: `t` is a replica, which takes no writes [psql -c \"select pg_is_in_recovery()\"] checks\n\
             now: If it is a replica, let the app connect to the writer: the writer's endpoint, or `target_session_attrs=read-write`\n\
             now: If the app still holds connections of before, restart it [sudo systemctl restart APP] restart\n\
             lasting: Let the pool test connections before use (`pool_pre_ping`, `testOnBorrow`) and drop them after such an error; let names expire\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
