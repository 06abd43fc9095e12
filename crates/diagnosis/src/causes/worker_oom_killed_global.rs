//! The whole machine ran out of memory, and the kernel killed the worker to go on.
//!
//! ## What you see
//! 502s in the middle of requests, often after minutes in which everything on the machine was
//! slow. The kernel writes `oom-kill:constraint=CONSTRAINT_NONE,...,global_oom,...` and `Out of
//! memory: Killed process N (NAME) total-vm:...`; systemd-oomd `Killed /system.slice/... due to
//! memory pressure`.
//!
//! ## Why it happens
//! All processes together need more than there is. The kernel takes the largest one, which need
//! not be the one that grew.
//!
//! ## How to tell
//! The kernel line says `global_oom`, and not `CONSTRAINT_MEMCG` (that is
//! `worker_oom_killed_cgroup`). Its table lists every process with its `rss`: the biggest is where
//! to look.
//!
//! ## Fix
//! Give the biggest consumer a limit of its own (`MemoryMax=`), so that it alone pays; then give
//! the machine memory or move something off it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::{Loss, loss, window};
use crate::text::{DECIDES, HINTS, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "worker_oom_killed_global",
    family: Family::F1,
    title: "The kernel killed the worker because the machine ran out of memory",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Reset, 0.02), (Sign::Closed, 0.02)],
        clues: &[
            during(Sign::OomKilledGlobal, DECIDES),
            during(Sign::WorkerKilled, HINTS),
            during(Sign::ProcessKilled, HINTS),
        ],
        brings: &[
            "worker_crashed",
            "premature_close",
            "connection_reset",
            "process_down",
            "crash_loop",
            "db_down",
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match loss(case)? {
        Loss::AtWork(_) => 0.04,
        Loss::InAnswer => 0.02,
        Loss::OnReuse(_) | Loss::AtOnce | Loss::AtWatchdog(_) => return None,
    };
    Some(Finding::new(
        confidence,
        format!("the machine of {} may have run out of memory", case.dialled()),
        "a worker that the kernel kills ends in the middle of a request",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the kernel's own line about it",
            format!("journalctl -k {} --grep 'Out of memory|global_oom'", window(case)),
        ),
        Fix::run("See who has the memory", "ps -eo pid,rss,comm --sort=-rss | head"),
        Fix::new("Give the biggest consumer a limit of its own, `MemoryMax=` in its unit"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_worker_may_be_taken_while_it_works() {
        check_among("head: reset | fresh after=4s", "worker_oom_killed_global");
    }

    #[test]
    fn a_death_at_the_watchdog_is_the_watchdogs() {
        check_not("head: closed | fresh after=30s", "worker_oom_killed_global");
    }
}
