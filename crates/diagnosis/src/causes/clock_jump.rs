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
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ClockJumped, When::During).into_iter().next()?;
    Some(match seen.run.opening.number {
        Some(by) if by != 0 => format!("the host's clock was set by {}", span(by.saturating_abs())),
        _ => "the host's clock was set by a large step".to_owned(),
    })
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See how far the clock is off, and who set it",
            "timedatectl; chronyc tracking; journalctl -u chronyd -u systemd-timesyncd -n 50",
        )],
        now: vec![Step::run(
            "Let the clock be kept by small corrections",
            "sudo timedatectl set-ntp true",
            Risk::None,
        )],
        lasting: vec![Step::say(
            "Start the app after the clock is right (`After=time-sync.target`), and let it measure durations with a monotonic clock",
        )],
        verify: vec![Step::look("See `System clock synchronized: yes`", "timedatectl")],
    }
}
