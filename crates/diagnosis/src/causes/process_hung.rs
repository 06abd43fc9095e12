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
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{listener, waited_in_vain};
use crate::text::{DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::{Sign, Stack};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::Hung, When::During)?;
    let long = match seen.run.opening.number {
        Some(time) if time > 0 => format!(" for more than {}", span(time)),
        _ => String::new(),
    };
    Some(match seen.key.product.stack() {
        Stack::Kernel => {
            format!(
                "{} was blocked in the kernel{long}, mostly by a disk or a mount",
                wording::who(dossier, &seen)
            )
        }
        _ => format!("{} lived and gave no sign{long}", wording::who(dossier, &seen)),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let kernel = wording::first(dossier, Sign::Hung, When::During)
        .is_some_and(|it| it.key.product.stack() == Stack::Kernel);
    let mut now = Vec::new();
    if kernel {
        now.push(Step::look(
            "Find the disk or network mount that does not answer: a restart does not free who waits for it",
            "dmesg -T | grep -iE 'blocked for more|I/O error|not responding'; findmnt -t nfs,nfs4",
        ));
    }
    now.push(
        Step::run(
            format!("Restart {}", wording::app(dossier)),
            platform::restart(dossier),
            Risk::Restart,
        )
        .hides(),
    );
    let watch = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => {
            "Give the container a `livenessProbe` on a path that touches nothing else, so that a hung one is replaced"
        }
        (_, true) => "Give the service a `healthcheck`, and something that restarts who fails it",
        _ => {
            "Let systemd watch over it (`WatchdogSec=` with `sd_notify`), so that a hung one is replaced"
        }
    };
    Cure {
        before: vec![wording::stacks(dossier)],
        now,
        lasting: vec![
            Step::say("Cure what the stack shows: a lock, a call without a limit, an endless loop"),
            Step::say(watch).hides(),
        ],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WAITED, check_among, check_not, check_text, nginx};

    #[test]
    fn silence_may_be_a_stuck_process() {
        check_among("head: timed_out | fresh after=60s", "process_hung");
        check_among("send: timed_out | fresh", "process_hung");
    }

    #[test]
    fn a_stuck_process_closes_nothing() {
        check_not("head: closed | fresh after=9s", "process_hung");
    }

    #[test]
    fn the_kernel_saw_it_blocked() {
        check_text(
            &[
                ("error.log", &nginx(WAITED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 web kernel: [345.678901] INFO: task gunicorn:1492 blocked for more than 120 seconds.\n",
                ),
            ],
            "process_hung: gunicorn (pid 1492) was blocked in the kernel for more than 2 min, mostly by a disk or a mount\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo cat /proc/PID/stack] checks\n\
             now: Find the disk or network mount that does not answer: a restart does not free who waits for it [dmesg -T | grep -iE 'blocked for more|I/O error|not responding'; findmnt -t nfs,nfs4] checks\n\
             now: Restart the app [sudo systemctl restart APP] restart hides\n\
             lasting: Cure what the stack shows: a lock, a call without a limit, an endless loop\n\
             lasting: Let systemd watch over it (`WatchdogSec=` with `sd_notify`), so that a hung one is replaced hides\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }
}
