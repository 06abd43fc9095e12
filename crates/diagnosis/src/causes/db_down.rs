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
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, before};
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
