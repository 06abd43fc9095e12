//! The app's CPU quota is used up, and the kernel holds it still for parts of each second.
//!
//! ## What you see
//! Slow answers and 504 under load, while the machine looks idle. Latencies come in steps of 100
//! ms, the period of the quota. No log has a line about it.
//!
//! ## Why it happens
//! A container with a limit of, say, half a CPU may run for 50 ms of each 100. A runtime that
//! starts a thread for each core of the machine uses that up at once, and then all of it stands
//! still, garbage collector included.
//!
//! ## How to tell
//! `nr_throttled` and `throttled_usec` in the cgroup's `cpu.stat` grow while it is slow.
//!
//! ## Fix
//! Fewer threads (`GOMAXPROCS`, `-XX:ActiveProcessorCount`, workers of Gunicorn), or a higher
//! quota. Requests for CPU without a limit keep the share without the standstill.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::waited_in_vain;
use crate::text::{DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{BodyFault, Fault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "cpu_throttled",
    family: Family::F2,
    title: "The app's CPU quota is used up",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.004)],
        clues: &[during(Sign::CpuThrottled, DECIDES)],
        brings: &["response_header_timeout"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let (Fault::Head(HeadFault::TimedOut(_) | HeadFault::Slow(_))
    | Fault::Body(BodyFault::Stalled(_))
    | Fault::Deadline(_)) = case.fault()?
    else {
        return None;
    };
    let answering = matches!(case.fault()?, Fault::Head(HeadFault::Slow(_)) | Fault::Body(_));
    (answering || waited_in_vain(case)).then(|| {
        Finding::new(
            0.04,
            format!("{} may be held back by its CPU quota", case.server()),
            "a process without CPU time answers late or in pieces",
        )
    })
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See whether the app's cgroup was throttled",
            "grep -H throttled /sys/fs/cgroup/system.slice/*.service/cpu.stat",
        ),
        Fix::new("Run fewer threads or workers than its quota has CPUs, or raise the quota"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::CpuThrottled, When::During)?;
    Some(format!(
        "{} stood still because its CPU limit was used up{}",
        wording::who(dossier, &seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let (limit, stat) = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => (
            "`resources.limits.cpu` (and leave `requests.cpu` at the usual load)".to_owned(),
            platform::inside(dossier, "cat /sys/fs/cgroup/cpu.stat"),
        ),
        (_, true) => (
            "`cpus` of the service".to_owned(),
            platform::inside(dossier, "cat /sys/fs/cgroup/cpu.stat"),
        ),
        _ => {
            let unit = platform::unit(dossier);
            (
                format!("`CPUQuota=` in {}", platform::declaration(dossier)),
                format!("cat /sys/fs/cgroup/system.slice/{unit}/cpu.stat"),
            )
        }
    };
    Cure {
        before: vec![Step::look("See that `nr_throttled` grows while it is slow", stat.clone())],
        now: vec![
            Step::say(format!(
                "Raise {limit}, or take the limit away where requests keep its share"
            )),
            wording::restarted(dossier),
        ],
        lasting: vec![Step::say(format!(
            "Run no more threads than the limit has CPUs: {}, `GOMAXPROCS`, `-XX:ActiveProcessorCount`",
            wording::workers(dossier)
        ))],
        verify: vec![Step::look("`nr_throttled` no longer grows", stat)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn lateness_may_be_a_lack_of_cpu() {
        check_among("head: timed_out | fresh after=60s", "cpu_throttled");
    }

    #[test]
    fn the_kernel_of_a_starved_app_still_accepts() {
        check_not("connect: timed_out | to=10.0.0.7:8000", "cpu_throttled");
        check_not("deadline | phase=connect", "cpu_throttled");
    }
}
