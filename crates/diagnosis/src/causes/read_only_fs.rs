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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::window;
use crate::text::{DECIDES, SPEAKS, Text, When, before};
use crate::{platform, wording};
use evidence::{Sign, Stack};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::ReadOnlyFs, When::Before)?;
    Some(match (seen.key.product.stack(), seen.detail()) {
        (Stack::Kernel, Some(disk)) => {
            format!(
                "the kernel made the file system of {} read-only after an error",
                wording::brief(disk)
            )
        }
        _ => format!(
            "the file system of {} is read-only{}",
            wording::app(dossier),
            wording::because(&seen)
        ),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let kernel = wording::first(dossier, Sign::ReadOnlyFs, When::Before)
        .is_some_and(|it| it.key.product.stack() == Stack::Kernel);
    if kernel {
        return Cure {
            before: vec![
                Step::look(
                    "Read what the kernel met on that disk",
                    "sudo dmesg -T | grep -iE 'I/O error|EXT4-fs|XFS|remount'",
                ),
                Step::say("Save the data from it before anything else").at("the app's host"),
            ],
            now: vec![Step::run(
                "Check the file system unmounted, from a rescue system",
                "sudo fsck -f DEVICE",
                Risk::Data,
            )],
            lasting: vec![Step::say(
                "Replace a disk or volume that reports errors; mounting it again as it is only hides them",
            )],
            verify: vec![Step::look("It is mounted `rw`", "findmnt -o TARGET,SOURCE,OPTIONS")],
        };
    }
    let place = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => {
            "Mount an `emptyDir` where the app writes, and leave `readOnlyRootFilesystem: true`"
                .to_owned()
        }
        (_, true) => {
            "Give the service a `tmpfs` or a volume where it writes, and leave the rest `read_only`"
                .to_owned()
        }
        _ => format!(
            "Name the directory in `ReadWritePaths=` of {}, and leave the rest read-only",
            platform::declaration(dossier)
        ),
    };
    Cure {
        before: vec![Step::look(
            "See what is mounted read-only",
            platform::inside(dossier, "findmnt -o TARGET,OPTIONS"),
        )],
        now: vec![Step::say(place), wording::restarted(dossier)],
        lasting: Vec::new(),
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_text, nginx};

    #[test]
    fn the_kernel_mounted_it_anew() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "kern.log",
                    "Nov 20 15:16:00 web kernel: [12.345678] EXT4-fs (sda1): Remounting filesystem read-only\n",
                ),
                (
                    "app.log",
                    "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nOSError: [Errno 30] Read-only file system: '/srv/cache'\n",
                ),
            ],
            "read_only_fs: the kernel made the file system of sda1 read-only after an error\n\
             before: Read what the kernel met on that disk [sudo dmesg -T | grep -iE 'I/O error|EXT4-fs|XFS|remount'] checks\n\
             before: Save the data from it before anything else\n\
             now: Check the file system unmounted, from a rescue system [sudo fsck -f DEVICE] data\n\
             lasting: Replace a disk or volume that reports errors; mounting it again as it is only hides them\n\
             verify: It is mounted `rw` [findmnt -o TARGET,SOURCE,OPTIONS] checks",
        );
    }
}
