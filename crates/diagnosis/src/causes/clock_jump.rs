//! The clock of a machine was set forward or back by a large step.
//!
//! ## What you see
//! For a moment everything times out, tokens and certificates are not yet or no longer valid, and
//! lines of logs seem out of order. chronyd logs `Forward time jump detected!`, `Backward time jump
//! detected!` or `System clock wrong by 3600.1 seconds`; systemd-resolved `Clock change detected.
//! Flushing caches.`; the journal `Time jumped backwards, rotating.`
//!
//! ## Why it happens
//! A machine that was paused, moved or restored from a snapshot, a clock that nobody kept and that
//! is now corrected, or a change by hand. What measures time limits by the wall clock sees them all
//! pass at once.
//!
//! ## How to tell
//! The lines of time services at that second; times in logs of two machines that do not fit. If a
//! clock is wrong and stays so, certificates fail: `tls_clock_skew`.
//!
//! ## Fix
//! Run a time service that slews after the start (chrony, `makestep 1 3`), and let virtual machines
//! take the host's time. In code measure durations with the monotonic clock.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "clock_jump",
    family: Family::F14,
    title: "The machine's clock was set by a large step",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::ClockJumped, DECIDES)],
        brings: &["tls_clock_skew"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the step",
            format!(
                "journalctl {} --grep 'time jump|clock wrong|Clock change|jumped backwards'",
                window(case),
            ),
        ),
        Fix::run(
            "See how well the clock is kept",
            "chronyc tracking || timedatectl timesync-status",
        ),
        Fix::new(
            "Run a time service on every machine, and let it correct in small steps after the \
             start",
        ),
    ]
}
