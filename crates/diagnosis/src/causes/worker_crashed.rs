//! The process that was answering died in the middle of it.
//!
//! ## What you see
//! A 502 after a time that differs from one failure to the next. nginx logs `upstream prematurely
//! closed connection while reading response header from upstream` or `recv() failed (104:
//! Connection reset by peer)`. The app server tells more: Gunicorn `Worker (pid:N) was sent
//! SIGSEGV!`, Uvicorn `Child process [N] died`, uWSGI `DAMN ! worker 1 (pid: N) died, killed by
//! signal 11 :( trying respawn ...`, PHP-FPM `[pool www] child N exited on signal 11 (SIGSEGV)
//! after T seconds from start`, Apache `AH00052: child pid N exit signal Segmentation fault (11)`.
//! Hypercorn says nothing at all.
//!
//! ## Why it happens
//! A native extension faults, the code calls `exit`, or somebody sends the process a signal. The
//! kernel closes its connections: with FIN if everything had been read, with RST otherwise.
//!
//! ## How to tell
//! An exit code or signal of the worker within a second of the failure; a kernel line `segfault at
//! ... in LIBRARY`; an entry in `coredumpctl list`. The same URL each time means that a request
//! kills it. SIGKILL is somebody else's act: see `worker_oom_killed_cgroup` and
//! `worker_timeout_killed`.
//!
//! ## Fix
//! Take the stack from the core dump; upgrade or replace the library in which it faulted. Until
//! then turn the request that triggers it away at the gateway.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, YOUNG, loss, window, worked};
use crate::text::{DECIDES, HINTS, SPEAKS, Text, When, during};
use crate::{platform, wording};
use evidence::{Product, Sign};

pub(super) static CAUSE: Cause = Cause {
    id: "worker_crashed",
    family: Family::F1,
    title: "The worker died while it handled the request",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.2),
            (Sign::Closed, 0.2),
            (Sign::SendBroken, 0.12),
            (Sign::StreamReset, 0.03),
            (Sign::Disconnected, 0.18),
            (Sign::HeadPartial, 0.15),
            (Sign::BodyCut, 0.12),
            (Sign::BodyReset, 0.14),
            (Sign::ChunkCut, 0.1),
            (Sign::Answered502, 0.12),
        ],
        clues: &[
            during(Sign::WorkerSegfault, DECIDES),
            during(Sign::WorkerDied, 4.0),
            during(Sign::ProcessKilled, SPEAKS),
            during(Sign::ProcessExited, SPEAKS),
            during(Sign::WorkerBooted, 0.6),
            during(Sign::WorkerKilled, HINTS),
        ],
        brings: &["premature_close", "connection_reset", "response_truncated", "process_down"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match loss(case)? {
        Loss::OnReuse(idle) if idle < YOUNG => 0.2,
        Loss::OnReuse(_) => 0.04,
        Loss::AtOnce => 0.12,
        Loss::AtWork(_) | Loss::InAnswer => 0.2,
        Loss::AtWatchdog(_) => 0.08,
    };
    Some(Finding::new(
        confidence,
        format!("{} may have lost the worker that had this request", case.server()),
        format!(
            "a process that dies closes its connections; this one ended after {}",
            words(worked(case))
        ),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let window = window(case);
    vec![
        Fix::run(
            "Look for the death of a worker at that time",
            format!("journalctl {window} --grep 'died|SIG|segfault|exited'"),
        ),
        Fix::run("If there is a core dump, take its stack", format!("coredumpctl {window} list")),
        Fix::new("If it is the same request each time, turn that request away until it is cured"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let app = wording::app(dossier);
    if let Some(seen) = wording::first(dossier, Sign::WorkerSegfault, When::During) {
        let place = match (seen.key.product, seen.detail()) {
            (Product::Kernel, Some(it)) => format!(" in {}", wording::brief(it)),
            _ => String::new(),
        };
        return Some(format!(
            "{} died by a segmentation fault or an abort{place}",
            wording::who(dossier, &seen)
        ));
    }
    if let Some(seen) = wording::first(dossier, Sign::WorkerDied, When::During) {
        let pid = seen.run.opening.pid.map(|it| format!(" (pid {it})")).unwrap_or_default();
        return Some(format!(
            "a worker of {app}{pid} ended in the middle of the request{}",
            wording::because(&seen)
        ));
    }
    let killed = wording::first(dossier, Sign::ProcessKilled, When::During)
        .or_else(|| wording::first(dossier, Sign::WorkerKilled, When::During));
    if let Some(seen) = killed {
        let signal = seen.run.opening.number.unwrap_or(9);
        return Some(format!(
            "{} was killed by signal {signal} in the middle of the request",
            wording::who(dossier, &seen)
        ));
    }
    let seen = wording::first(dossier, Sign::ProcessExited, When::During)?;
    let code = seen.run.opening.number.map(|it| format!(" with exit code {it}"));
    let who = wording::who(dossier, &seen);
    Some(format!("{who} ended{} in the middle of the request", code.unwrap_or_default()))
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::WorkerSegfault, When::During);
    let library = seen.filter(|it| it.key.product == Product::Kernel);
    let library = library.and_then(|it| it.detail().map(wording::brief));
    let replace = match library {
        Some(it) => format!("Replace {it}: upgrade the package that brings it, or go back to the last that worked"),
        None => "Cure what the stack of the dead worker shows: mostly a native extension or a call of `exit`".to_owned(),
    };
    let route = dossier.incident.routes.len() == 1;
    let mut now = vec![Step::say(replace)];
    if route {
        now.push(
            Step::say(
                "All failures are of one route: turn it away at the proxy until it is cured, so \
                 that it takes no worker with it",
            )
            .hides(),
        );
    }
    Cure {
        before: vec![
            wording::read_log(
                dossier,
                "Keep the lines of that second: the last words of the worker",
            ),
            Step::look(
                "See whether there is a core dump",
                format!("coredumpctl {} list", platform::since(dossier)),
            ),
        ],
        now,
        lasting: vec![Step::say(
            "Keep core dumps (`coredumpctl`) or `python -X faulthandler` on, so that the next one \
             names its place",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, nginx};

    #[test]
    fn a_connection_that_ends_during_work_may_be_a_death() {
        check_among("head: closed | fresh after=1300ms", "worker_crashed");
        check_among("body: reset | fresh received=4000 after=2s", "worker_crashed");
    }

    #[test]
    fn silence_is_no_death() {
        check_not("head: timed_out | fresh", "worker_crashed");
        check_not("body: stalled | fresh received=4000", "worker_crashed");
    }

    #[test]
    fn a_faulting_library_is_named() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 web kernel: [101470.953911] python[22292]: segfault at 7 ip 0000000000000007 sp 00007fff1b640768 error 14 in _speedups.so[400000+2ba000]\n",
                ),
            ],
            "worker_crashed: python (pid 22292) died by a segmentation fault or an abort in _speedups.so\n\
             before: Keep the lines of that second: the last words of the worker [journalctl -u APP --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC'] checks\n\
             before: See whether there is a core dump [coredumpctl --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC' list] checks\n\
             now: Replace _speedups.so: upgrade the package that brings it, or go back to the last that worked\n\
             now: All failures are of one route: turn it away at the proxy until it is cured, so that it takes no worker with it hides\n\
             lasting: Keep core dumps (`coredumpctl`) or `python -X faulthandler` on, so that the next one names its place\n\
             verify: nginx logs no new failure of this kind [sudo tail -n 200 /var/log/nginx/error.log] checks",
        );
    }
}
