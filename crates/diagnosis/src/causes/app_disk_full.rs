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
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
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
