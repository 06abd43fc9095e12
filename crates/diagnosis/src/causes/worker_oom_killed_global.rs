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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{Loss, loss, window};
use crate::text::{DECIDES, HINTS, Text, When, during};
use crate::{platform, wording};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::OomKilledGlobal, When::During)?;
    Some(format!(
        "the kernel killed {} because the whole host had no memory left",
        wording::who(dossier, &seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let kernel =
        format!("sudo journalctl -k {} | grep -iE 'oom|killed process'", platform::since(dossier));
    let unit = platform::unit(dossier);
    let bound = match platform::kubernetes(dossier) {
        true => Step::say(
            "Give each container of that node `resources.requests.memory` as large as it is in \
             use, and limits: then the node is not overbooked",
        ),
        false => Step::run(
            "Give the biggest consumer a limit of its own, so that it alone pays for its growth, \
             naming its unit",
            "sudo systemctl set-property UNIT MemoryMax=1G",
            Risk::Restart,
        ),
    };
    Cure {
        before: vec![Step::look(
            "Keep the kernel's table: the largest `rss` is where to look, not always the victim",
            kernel,
        )],
        now: vec![
            Step::look("See who has the memory", "ps -eo pid,rss,comm --sort=-rss | head"),
            bound,
            Step::run(
                format!("Start {} again if nothing did", wording::app(dossier)),
                platform::start(dossier),
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say(match unit == "APP" {
            true => "Move something off that host, or give it memory; swap alone turns the kill \
                     into slowness"
                .to_owned(),
            false => format!(
                "Move something off the host of {unit}, or give it memory; swap alone turns the \
                 kill into slowness"
            ),
        })],
        verify: vec![Step::look("Memory is left under load", "free -m")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, nginx};

    #[test]
    fn a_worker_may_be_taken_while_it_works() {
        check_among("head: reset | fresh after=4s", "worker_oom_killed_global");
    }

    #[test]
    fn a_death_at_the_watchdog_is_the_watchdogs() {
        check_not("head: closed | fresh after=30s", "worker_oom_killed_global");
    }

    #[test]
    fn the_host_had_no_memory_left() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 web kernel: [345.678901] Out of memory: Killed process 77 (gunicorn) total-vm:1kB, anon-rss:1kB\n",
                ),
            ],
            "worker_oom_killed_global: the kernel killed gunicorn (pid 77) because the whole host had no memory left\n\
             before: Keep the kernel's table: the largest `rss` is where to look, not always the victim [sudo journalctl -k --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC' | grep -iE 'oom|killed process'] checks\n\
             now: See who has the memory [ps -eo pid,rss,comm --sort=-rss | head] checks\n\
             now: Give the biggest consumer a limit of its own, so that it alone pays for its growth, naming its unit [sudo systemctl set-property UNIT MemoryMax=1G] restart\n\
             now: Start the app again if nothing did [sudo systemctl start APP] restart\n\
             lasting: Move something off that host, or give it memory; swap alone turns the kill into slowness\n\
             verify: Memory is left under load [free -m] checks",
        );
    }
}
