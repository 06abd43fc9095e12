//! The app or its database has no space left on its disk.
//!
//! ## What you see
//! 500 on whatever writes, uploads first. The words are `OSError: [Errno 28] No space left on
//! device`, `ENOSPC: no space left on device, write`, `java.io.IOException: No space left on
//! device`; PostgreSQL `could not extend file "base/1/2": No space left on device` or `could not
//! write to file "pg_wal/xlogtemp.N"`, and then it stops; MySQL waits and logs `Disk is full
//! writing`.
//!
//! ## Why it happens
//! Logs, temporary files, uploads, a queue, old images and the database's write-ahead log grow
//! until a file system or its inodes are full. In Kubernetes the limit of `ephemeral-storage` may
//! be what is reached, and the pod is evicted.
//!
//! ## How to tell
//! `df -h` and `df -i` in the app's own mount namespace; also deleted files that a process still
//! holds. If a file system has become read-only, it is `read_only_fs`; in the proxy's log it is
//! `gateway_disk_full`.
//!
//! ## Fix
//! Free what may go, beginning with old logs and images; never the database's own files. Then
//! rotate, bound, and watch.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use crate::{platform, wording};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "app_disk_full",
    family: Family::F13,
    title: "The app's disk is full",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::AppDiskFull, DECIDES)],
        brings: &[
            "crash_at_start",
            "crash_loop",
            "unhandled_exception",
            "db_down",
            "db_failover",
            "upstream_own_5xx",
            "process_down",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See space and inodes where the app runs", "df -h; df -i"),
        Fix::run("See deleted files that are still held", "lsof -nP +L1 | sort -k7 -n | tail"),
        Fix::new("Free old logs and images, then rotate and bound what grew"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::AppDiskFull, When::Before)?;
    Some(format!(
        "no space is left on the disk of {}{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let free = "df -h; df -i";
    let clear = match platform::container(dossier) {
        true => (
            "Remove images and build layers that nothing uses",
            "docker image prune --all --filter until=168h",
            Risk::Data,
        ),
        false => {
            ("Shrink the journal, which may go", "sudo journalctl --vacuum-size=200M", Risk::Data)
        }
    };
    Cure {
        before: vec![Step::look(
            "See which file system is full, of bytes or of inodes, and by what",
            format!("{free}; sudo du -xh --max-depth=2 /var /tmp | sort -h | tail -n 20"),
        )],
        now: vec![
            Step::run(clear.0, clear.1, clear.2),
            Step::say(
                "Delete only what you know: never the database's own files (its `pg_wal`, its binary logs)",
            ),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(
            "Rotate logs, bound what is stored for uploads and temporary files, and watch what is free",
        )],
        verify: vec![Step::look("There is space again", free), wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn no_space_is_left() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nOSError: [Errno 28] No space left on device\n",
            )],
            "app_disk_full: no space is left on the disk of the app: OSError: [Errno 28] No space left on device\n\
             before: See which file system is full, of bytes or of inodes, and by what [df -h; df -i; sudo du -xh --max-depth=2 /var /tmp | sort -h | tail -n 20] checks\n\
             now: Shrink the journal, which may go [sudo journalctl --vacuum-size=200M] data\n\
             now: Delete only what you know: never the database's own files (its `pg_wal`, its binary logs)\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Rotate logs, bound what is stored for uploads and temporary files, and watch what is free\n\
             verify: There is space again [df -h; df -i] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
