//! The app accepts requests and never answers: it is stuck.
//!
//! ## What you see
//! 504 on every path of one upstream, its health path included, until somebody restarts it. nginx
//! logs `upstream timed out (110: Connection timed out) while reading response header from
//! upstream`; Waitress `Task queue depth is N`, growing.
//!
//! ## Why it happens
//! All threads wait for each other or for one lock, an event loop is blocked by synchronous code,
//! or the process is stopped (SIGSTOP, a debugger, a dead disk). The kernel goes on accepting
//! connections for it, so that it looks alive.
//!
//! ## How to tell
//! Nothing on that upstream finishes, not even the health path. The process is in state `T` or
//! `D`, or takes no CPU at all, or exactly one core. If some requests do finish it is slow, not
//! stuck: `worker_pool_exhausted` or a slow dependency.
//!
//! ## Fix
//! Take the stacks first (`py-spy dump`, `jstack`, `gdb -p`), because a restart destroys them. Then
//! restart, and cure what they show.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::signs::{listener, waited_in_vain};
use crate::text::{DECIDES, Text, during};
use evidence::Sign;
use exchange::{BodyFault, ConnectFault, Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "process_hung",
    family: Family::F1,
    title: "The app is stuck: it accepts and never answers",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::SendTimedOut, 0.03),
            (Sign::HeadTimedOut, 0.02),
            (Sign::BodyStalled, 0.02),
        ],
        clues: &[during(Sign::Hung, DECIDES)],
        brings: &["response_header_timeout"],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        _ if waited_in_vain(case) => 0.15,
        Fault::Send(SendFault::TimedOut(_)) => 0.15,
        Fault::Head(HeadFault::Slow(_)) => 0.08,
        Fault::Body(BodyFault::Stalled(_)) => 0.1,
        Fault::Connect(ConnectFault::TimedOut(_)) if case.loopback() => 0.1,
        Fault::Connect(ConnectFault::BacklogFull) => 0.04,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may be stuck: {} accepts and says nothing", case.server(), case.dialled()),
        "a stuck process keeps its connections open and sends nothing",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Find the process behind the address", listener(case)),
        Fix::run(
            "See its state: T is stopped, D waits for a disk, R at 100 % is busy",
            "ps -o pid,stat,pcpu,wchan:32,comm -p PID",
        ),
        Fix::new("Take its stacks before you restart it: `py-spy dump --pid PID`, `jstack PID`"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn silence_may_be_a_stuck_process() {
        check_among("head: timed_out | fresh after=60s", "process_hung");
        check_among("send: timed_out | fresh", "process_hung");
    }

    #[test]
    fn a_stuck_process_closes_nothing() {
        check_not("head: closed | fresh after=9s", "process_hung");
    }
}
