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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    dossier
        .seen(Sign::Rebooted, When::Before)
        .first()
        .map(|_| "the host was started again, and the app was not up yet, or not at all".to_owned())
}

fn cure(dossier: &Dossier) -> Cure {
    let program = platform::program(dossier);
    let container = platform::container(dossier);
    let enable = match container {
        true => Step::diff(
            "Let the containers start with the host",
            Some("compose.yaml".to_owned()),
            "+    restart: unless-stopped",
            Risk::Restart,
        ),
        false => Step::run(
            "Let the app start with the host, now and from now on",
            format!("sudo systemctl enable --now {program}"),
            Risk::None,
        ),
    };
    Cure {
        before: vec![Step::look(
            "See who asked for it, or whether the host crashed",
            "last -x reboot shutdown | head; journalctl -b -1 -n 50",
        )],
        now: vec![enable.at("the app's host")],
        lasting: vec![Step::say("Take the host out of the balancer before a planned restart")],
        verify: vec![
            match container {
                true => Step::look("See the containers run", "docker compose ps"),
                false => Step::look(
                    "See `enabled` and `active`",
                    format!("systemctl is-enabled {program}; systemctl is-active {program}"),
                ),
            }
            .at("the app's host"),
        ],
    }
}
