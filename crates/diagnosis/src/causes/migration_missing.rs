//! The database lacks a table or a column that this version of the app uses.
//!
//! ## What you see
//! 500 on some routes since a deploy. PostgreSQL says `relation "orders" does not exist` or `column
//! orders.note does not exist`; MySQL `Table 'shop.orders' doesn't exist` or `Unknown column 'note'
//! in 'field list'`; SQLite `no such table: orders` or `no such column: note`; Django warns at the
//! start `You have N unapplied migration(s).`; Rails `ActiveRecord::PendingMigrationError`.
//!
//! ## Why it happens
//! The migration did not run, failed half way, ran against another database or schema
//! (`search_path`), or was undone. Or the reverse: it ran first and took away what the old version
//! still uses.
//!
//! ## How to tell
//! The same statement fails each time, on all instances of that version. If only some instances
//! fail, two versions run side by side (`deploy_in_progress`); a value that is missing is
//! `secret_or_config_missing`.
//!
//! ## Fix
//! Run the migration, or go back to the version that fits. Change the schema in steps that both
//! versions bear: add, deploy, remove later.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "migration_missing",
    family: Family::F13,
    title: "The database lacks what the app expects",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::MigrationMissing, DECIDES)],
        brings: &["crash_at_start", "crash_loop", "unhandled_exception", "upstream_own_5xx"],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which migrations have run",
            "python manage.py showmigrations --plan || alembic current || rails db:migrate:status",
        ),
        Fix::new("Run the missing one, or go back to the version of the app that fits the schema"),
    ]
}
