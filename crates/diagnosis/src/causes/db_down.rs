//! The app cannot open a connection to its database.
//!
//! ## What you see
//! 500 or 503 from the app on every route that needs data, or 504 where it keeps trying. libpq logs
//! `connection to server at "db" (192.0.2.7), port 5432 failed: Connection refused` (before version
//! 14 `could not connect to server: Connection refused`); MySQL clients `Can't connect to MySQL
//! server on 'db' (111)`; MongoDB `MongoServerSelectionError`; Oracle `ORA-12541`; a JDBC pool
//! `Communications link failure` or `Connection to db:5432 refused`. A wrong password reads
//! `password authentication failed for user` or `Access denied for user`.
//!
//! ## Why it happens
//! The database is stopped, was moved, is out of disk, or has another address, port or password
//! than the app was given; a security group or network policy changed.
//!
//! ## How to tell
//! Routes without data work. The words say what failed: a refusal, a name (`dependency_dns`), a
//! time limit (a firewall), or credentials (`secret_or_config_missing`). If it answers and has no
//! room, it is `db_too_many_clients`; if it starts or is read-only, `db_failover`.
//!
//! ## Fix
//! Start or find the database, and correct the address that the app uses. Let the app answer 503
//! with `Retry-After` in the meantime, and connect again by itself.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::signs::window;
use crate::text::{DECIDES, Text, When, before};
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "db_down",
    family: Family::F13,
    title: "The app cannot reach its database",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::RelayedError, 0.01)],
        clues: &[before(Sign::DbRefused, DECIDES)],
        brings: &[
            "crash_at_start",
            "crash_loop",
            "unhandled_exception",
            "response_header_timeout",
            "startup_not_ready",
            "upstream_own_5xx",
            "k8s_readiness_failing",
            "health_check_wrong_path",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the words in the app's log",
            format!(
                "journalctl {} --grep 'Connection refused|connect to|server selection|ORA-'",
                window(case),
            ),
        ),
        Fix::run(
            "From the app's host or container, see whether the port answers",
            "pg_isready -h DB_HOST -p 5432; mysqladmin -h DB_HOST ping",
        ),
        Fix::new(
            "Start the database or correct its address, then see that the app connects again \
             without a restart",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbRefused, When::Before)?;
    Some(format!(
        "{} could not connect to its database{}{}",
        wording::app(dossier),
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    wording::dependency(dossier, Sign::DbRefused, "the database", 5432)
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_database_is_started_where_it_listens() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1\npsycopg2.OperationalError: connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n",
            )],
            "db_down: the app could not connect to its database 127.0.0.1:5432: psycopg2.OperationalError: connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n\
             before: See whether the database can be reached from where the app runs [nc -vz -w 3 127.0.0.1 5432] checks\n\
             now: Start the database [sudo systemctl start postgresql] restart\n\
             now: Or correct the address in the app's settings, if the database is elsewhere\n\
             lasting: Let the app connect again by itself, and answer 503 with `Retry-After` until it can\n\
             verify: the database can be reached [nc -vz -w 3 127.0.0.1 5432] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
