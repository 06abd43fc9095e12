//! The app starts, dies and is started again, over and over.
//!
//! ## What you see
//! Requests are refused most of the time, with short spells in which some succeed. systemd writes
//! `Scheduled restart job, restart counter is at N.` and at last `Start request repeated too
//! quickly.` with `Failed with result 'start-limit-hit'.`; Kubernetes shows `CrashLoopBackOff` and
//! `Back-off restarting failed container`; uWSGI `worker respawning too fast !!!`; PHP-FPM `failed
//! processes threshold (N in M sec) is reached, initiating reload`.
//!
//! ## Why it happens
//! Something makes the app exit soon after each start (see `crash_at_start`, or a liveness check
//! that is too strict), and a supervisor starts it again, waiting longer each time.
//!
//! ## How to tell
//! The restart counter of the unit, container or pod grows within ten minutes. The same exit code
//! each time points to the app; changing ones point to its surroundings.
//!
//! ## Fix
//! Cure what ends it: the first error after each start. A higher restart limit only makes the same
//! crash happen more often.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{HINTS, Text, When, before};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "crash_loop",
    family: Family::F1,
    title: "The app dies and is restarted over and over",
    side: Side::App,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.007),
            (Sign::SocketStale, 0.01),
            (Sign::Closed, 0.005),
            (Sign::NoEndpoints, 0.005),
        ],
        clues: &[before(Sign::CrashLooping, 5.5), before(Sign::ProcessExited, HINTS)],
        brings: &["process_down", "endpoints_empty", "no_live_upstreams", "k8s_readiness_failing"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused | ConnectFault::SocketStale) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.03,
        format!("the app behind {} may be between two of its restarts", case.dialled()),
        "an app that restarts again and again refuses whoever comes between two runs",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See whether its restart counter grows, naming the app's unit",
            "systemctl show -p NRestarts,ExecMainStatus,Result UNIT",
        ),
        Fix::run(
            "Or, for a pod, read what the run before this one said",
            "kubectl logs --previous POD",
        ),
        Fix::new("Cure the first error after a start; more restarts cure nothing"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::CrashLooping, When::Before)?;
    let times = match seen.run.opening.number {
        Some(times) if times > 1 => format!(", {times} times so far"),
        _ => String::new(),
    };
    Some(format!("{} keeps dying and is started again{times}", wording::who(dossier, &seen)))
}

fn cure(dossier: &Dossier) -> Cure {
    let again = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (false, false) if !platform::heroku(dossier) => {
            let unit = platform::unit(dossier);
            format!("sudo systemctl reset-failed {unit} && sudo systemctl start {unit}")
        }
        _ => platform::restart(dossier),
    };
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Read the first error after a start: it is the same each time if the app itself fails",
        )],
        now: vec![
            Step::say("Cure that error, or go back to the version that started"),
            Step::run("Start it again without waiting for the supervisor", again, Risk::Restart),
        ],
        lasting: vec![Step::say(
            "Keep the limit of restarts as it is: a higher one makes the same crash happen more often",
        )],
        verify: vec![Step::look(
            "The number of restarts no longer grows",
            platform::state(dossier),
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_refusal_may_lie_between_two_runs() {
        check_among("connect: refused | to=127.0.0.1:8000", "crash_loop");
        check_among("connect: socket_stale | to=unix:/run/app.sock", "crash_loop");
    }

    #[test]
    fn a_listener_that_is_full_is_running() {
        check_not("connect: backlog_full | to=unix:/run/app.sock", "crash_loop");
    }
}
