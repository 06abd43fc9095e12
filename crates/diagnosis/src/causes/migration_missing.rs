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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use crate::{platform, wording};
use evidence::{Product, Sign};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::MigrationMissing, When::Before)?;
    Some(format!(
        "the database lacks a table or column that {} uses{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let detail = wording::first(dossier, Sign::MigrationMissing, When::Before)
        .and_then(|it| it.detail().map(str::to_owned))
        .unwrap_or_default();
    let (show, migrate) = if dossier.read(Product::Django) || detail.contains("django") {
        ("python manage.py showmigrations", "python manage.py migrate")
    } else if dossier.read(Product::Ruby)
        || dossier.read(Product::Puma)
        || detail.contains("PendingMigration")
    {
        ("bin/rails db:migrate:status", "bin/rails db:migrate")
    } else if detail.contains("psycopg")
        || detail.contains("sqlalchemy")
        || dossier.read(Product::Flask)
    {
        ("alembic current", "alembic upgrade head")
    } else {
        ("MIGRATE status", "MIGRATE up")
    };
    Cure {
        before: vec![
            Step::look("See which migrations are missing", platform::inside(dossier, show)),
            Step::say("Save the database before a migration that changes or drops what is there"),
        ],
        now: vec![Step::run(
            "Run them; or go back to the version of the app that fits the database",
            platform::inside(dossier, migrate),
            Risk::Data,
        )],
        lasting: vec![Step::say(
            "Let the deploy migrate before it starts the new version, and change the schema in steps \
             that both versions bear: add, deploy, remove later",
        )],
        verify: vec![
            Step::look("None is missing", platform::inside(dossier, show)),
            wording::through(dossier),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_table_is_missing() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\ndjango.db.utils.ProgrammingError: relation \"shop_order\" does not exist\n",
            )],
            "migration_missing: the database lacks a table or column that the app uses: django.db.utils.ProgrammingError: relation \"shop_order\" does not exist\n\
             before: See which migrations are missing [python manage.py showmigrations] checks\n\
             before: Save the database before a migration that changes or drops what is there\n\
             now: Run them; or go back to the version of the app that fits the database [python manage.py migrate] data\n\
             lasting: Let the deploy migrate before it starts the new version, and change the schema in steps that both versions bear: add, deploy, remove later\n\
             verify: None is missing [python manage.py showmigrations] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
