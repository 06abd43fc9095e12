//! The file system to which the app writes is mounted read-only.
//!
//! ## What you see
//! 500 on whatever writes. The words are `OSError: [Errno 30] Read-only file system: '/data/x'`,
//! `EROFS: read-only file system`, `java.nio.file.ReadOnlyFileSystemException`. The kernel may have
//! logged before `EXT4-fs error (device sda1)` and `Remounting filesystem read-only`, or `XFS
//! (sda1): ... Shutting down filesystem`.
//!
//! ## Why it happens
//! The kernel takes write access away after an error of the disk. Or it is meant so:
//! `readOnlyRootFilesystem: true`, a container with `--read-only`, a systemd unit with
//! `ProtectSystem=strict`, a volume that another node holds.
//!
//! ## How to tell
//! Did it once work, and does the kernel's log show an error: then the disk is failing. Did it
//! begin with a deploy: then it is a setting. `Permission denied` is about owner and mode, `No
//! space left` is `app_disk_full`.
//!
//! ## Fix
//! Disk: save the data, check the file system unmounted, replace the volume. Setting: give the app
//! a writable place (`emptyDir`, a tmpfs at /tmp, `ReadWritePaths=`) and leave the rest read-only.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, SPEAKS, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "read_only_fs",
    family: Family::F13,
    title: "The app's file system is read-only",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::ReadOnlyFs, DECIDES), before(Sign::DiskFault, SPEAKS)],
        brings: &["crash_at_start", "crash_loop", "unhandled_exception", "upstream_own_5xx"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See how it is mounted", "findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS"),
        Fix::run(
            "See whether the kernel did that",
            format!("journalctl -k {} --grep 'EXT4-fs|XFS|I/O error|read-only'", window(case)),
        ),
        Fix::new(
            "After an error of the disk: save the data and check it; otherwise give the app one \
             writable place",
        ),
    ]
}
