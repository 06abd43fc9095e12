//! The kernel killed the worker, because its container or unit reached its memory limit.
//!
//! ## What you see
//! 502s in the middle of requests, and the app's memory climbing to one value and falling. The
//! kernel writes `oom-kill:constraint=CONSTRAINT_MEMCG,...,task=NAME,pid=N` and `Memory cgroup out
//! of memory: Killed process N (NAME) total-vm:XkB, anon-rss:YkB`; systemd `A process of this unit
//! has been killed by the OOM killer.` and `Failed with result 'oom-kill'.`; Kubernetes
//! `OOMKilled` with exit code 137; Docker the events `oom` and `die` with `exitCode=137`.
//!
//! ## Why it happens
//! The processes of one cgroup together need more than `memory.max`: a leak, too many workers for
//! the limit, or one request that builds a large thing in memory.
//!
//! ## How to tell
//! `oom_kill` in the cgroup's `memory.events` has grown, and a kernel line names the pid at that
//! second. Gunicorn's `Worker (pid:N) was sent SIGKILL! Perhaps out of memory?` is no proof: it
//! says so after any SIGKILL, a `kill -9` by hand too.
//!
//! ## Fix
//! Find what grows before you raise the limit. Run fewer workers, bound the size of requests and
//! how many run at once, and recycle workers with `--max-requests` if the leak is not yours.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::{Loss, loss, window};
use crate::text::{DECIDES, HINTS, SPEAKS, Text, before, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "worker_oom_killed_cgroup",
    family: Family::F1,
    title: "The kernel killed the worker at its memory limit",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.06),
            (Sign::Closed, 0.06),
            (Sign::Disconnected, 0.05),
            (Sign::BodyCut, 0.03),
            (Sign::BodyReset, 0.04),
        ],
        clues: &[
            during(Sign::OomKilledCgroup, DECIDES),
            before(Sign::OomKilled, 6.5),
            during(Sign::WorkerKilled, SPEAKS),
            during(Sign::ProcessKilled, HINTS),
        ],
        brings: &[
            "worker_crashed",
            "premature_close",
            "connection_reset",
            "process_down",
            "crash_loop",
            "docker_restart",
        ],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match loss(case)? {
        Loss::AtWork(_) => 0.08,
        Loss::InAnswer => 0.05,
        Loss::AtWatchdog(_) => 0.03,
        Loss::OnReuse(_) | Loss::AtOnce => return None,
    };
    Some(Finding::new(
        confidence,
        format!("the worker of {} may have been killed at its own memory limit", case.server()),
        "a worker that is killed for its memory ends in the middle of a request",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the kernel's own line about it",
            format!("journalctl -k {} --grep 'oom-kill|Killed process'", window(case)),
        ),
        Fix::run(
            "Compare the limit of the app's unit with its peak",
            "systemctl show -p MemoryMax,MemoryPeak UNIT",
        ),
        Fix::new("Run fewer workers, or find what grows, before raising the limit"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_worker_may_be_killed_while_it_works() {
        check_among("head: closed | fresh after=4s", "worker_oom_killed_cgroup");
    }

    #[test]
    fn nothing_grows_within_a_millisecond() {
        check_not("head: closed | fresh after=1ms", "worker_oom_killed_cgroup");
    }
}
