//! The machine on which the app or the gateway runs was started again.
//!
//! ## What you see
//! Everything on it is gone for a minute or two: time limits at first, then refusals until the
//! services are up. `journalctl --list-boots` shows a new boot, the kernel begins with `Linux
//! version ...`, and before it either a shutdown in good order (`systemd-shutdown`, `Reached target
//! System Reboot`) or nothing at all.
//!
//! ## Why it happens
//! An update with an automatic restart, the provider's maintenance, a panic of the kernel, a
//! watchdog, or power.
//!
//! ## How to tell
//! The boot time lies within the failures: `uptime -s`. A last boot that ends in the middle of a
//! line was not planned. If the machine stayed up, look at its network: `host_down`.
//!
//! ## Fix
//! Have services start with the machine (`systemctl enable`) and in the right order, restart
//! machines one after another and drained before, and keep more than one.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "host_reboot",
    family: Family::F14,
    title: "The machine was started again",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::Rebooted, DECIDES)],
        brings: &["process_down"],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See when it was started, and how the boot before ended",
            "uptime -s; journalctl --list-boots; journalctl -b -1 -n 20",
        ),
        Fix::new("Let the services start with the machine: `systemctl enable UNIT`"),
        Fix::new("Restart machines one after another, and take each out of rotation before"),
    ]
}
