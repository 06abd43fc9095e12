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
use crate::dossier::{Dossier, Seen};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, loss, window};
use crate::text::{Claim, DECIDES, HINTS, SPEAKS, Text, When, before, during};
use crate::{platform, wording};
use evidence::{Limit, Product, Sign};

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
        reason,
        says,
        cure,
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

/// Lambda kills a runtime for its memory; what takes too long it ends with other words.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let killed = dossier.seen(Sign::ProcessKilled, When::During).into_iter();
    let ours = |it: &Seen| it.key.product == Product::AwsLambda && it.run.opening.number == Some(9);
    let says = "Lambda kills a function that needs more than its memory";
    let claim = killed.filter(ours).take(1).map(|it| Claim::new(5.0, says, vec![it.cite()]));
    claim.collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let limit = match dossier.limit(Limit::Memory, |_| true) {
        Some((bytes, _)) if bytes > 0 => format!(" of {}", wording::size(bytes)),
        _ => String::new(),
    };
    if let Some(seen) = wording::first(dossier, Sign::OomKilledCgroup, When::During) {
        let group = seen.detail().map(|it| format!(" {}", wording::brief(it))).unwrap_or_default();
        return Some(format!(
            "the kernel killed {}: its cgroup{group} reached the memory limit{limit}",
            wording::who(dossier, &seen)
        ));
    }
    let seen = wording::first(dossier, Sign::OomKilled, When::Before)?;
    Some(format!(
        "{} was killed for memory by {}: it reached its limit{limit}",
        wording::who(dossier, &seen),
        seen.key.product.name()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let kernel =
        format!("sudo journalctl -k {} | grep -iE 'oom|killed process'", platform::since(dossier));
    let (limit, events) = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => ("`resources.limits.memory`".to_owned(), platform::state(dossier)),
        (_, true) => ("`mem_limit`".to_owned(), "docker stats --no-stream".to_owned()),
        _ if platform::heroku(dossier) => (
            "the memory of the dyno (`heroku ps:type`)".to_owned(),
            "heroku logs --num 1500 --app APP".to_owned(),
        ),
        _ => {
            let unit = platform::unit(dossier);
            let run = format!("systemctl show -p MemoryMax,MemoryPeak,MemoryCurrent {unit}");
            (format!("`MemoryMax=` in {}", platform::declaration(dossier)), run)
        }
    };
    let first = match platform::heroku(dossier) {
        true => Step::look("See how far above its quota the dyno was", events.clone()),
        false => Step::look("Keep the kernel's table: it lists the memory of each process", kernel),
    };
    Cure {
        before: vec![first],
        now: vec![
            Step::say(format!(
                "Lower {} until their memory together fits under the limit",
                wording::workers(dossier)
            )),
            wording::restarted(dossier),
            Step::say(format!(
                "Or raise {limit}, if there is memory: that hides a leak until it reaches the new limit",
            ))
            .hides(),
        ],
        lasting: vec![
            Step::say(format!(
                "Replace workers before they grow, with {}: that contains a leak, and hides it",
                wording::recycling(dossier)
            ))
            .hides(),
            Step::say("Bound what one request may load: the size of bodies, of results and of files"),
        ],
        verify: vec![Step::look("Its memory stays below the limit under load", events)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, explained, nginx};

    #[test]
    fn a_worker_may_be_killed_while_it_works() {
        check_among("head: closed | fresh after=4s", "worker_oom_killed_cgroup");
    }

    #[test]
    fn nothing_grows_within_a_millisecond() {
        check_not("head: closed | fresh after=1ms", "worker_oom_killed_cgroup");
    }

    #[test]
    fn the_victim_and_its_cgroup_are_named() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 web kernel: [12345.678901] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/web.service,task_memcg=/system.slice/web.service,task=gunicorn,pid=1492,uid=33\n",
                ),
            ],
            "worker_oom_killed_cgroup: the kernel killed gunicorn (pid 1492): its cgroup /system.slice/web.service reached the memory limit\n\
             before: Keep the kernel's table: it lists the memory of each process [sudo journalctl -k --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC' | grep -iE 'oom|killed process'] checks\n\
             now: Lower the number of workers until their memory together fits under the limit\n\
             now: Restart the app with that [sudo systemctl restart web.service] restart\n\
             now: Or raise `MemoryMax=` in the unit web.service, if there is memory: that hides a leak until it reaches the new limit hides\n\
             lasting: Replace workers before they grow, with `gunicorn --max-requests 1000 --max-requests-jitter 100`: that contains a leak, and hides it hides\n\
             lasting: Bound what one request may load: the size of bodies, of results and of files\n\
             verify: Its memory stays below the limit under load [systemctl show -p MemoryMax,MemoryPeak,MemoryCurrent web.service] checks",
        );
    }

    #[test]
    fn a_dyno_has_a_quota() {
        check_text(
            &[(
                "heroku",
                "2026-11-20T15:16:29.000000+00:00 heroku[web.1]: Error R15 (Memory quota vastly exceeded)\n2026-11-20T15:16:30.000000+00:00 heroku[router]: at=error code=H13 desc=\"Connection closed without response\" method=GET path=\"/data\" host=api.example.com request_id=1 fwd=\"192.0.2.7\" dyno=web.1 connect=1ms service=20ms status=503 bytes=0\n",
            )],
            "worker_oom_killed_cgroup: web.1 was killed for memory by Heroku: it reached its limit\n\
             before: See how far above its quota the dyno was [heroku logs --num 1500 --app APP] checks\n\
             now: Lower the number of workers until their memory together fits under the limit\n\
             now: Restart the app with that [heroku ps:restart --app APP] restart\n\
             now: Or raise the memory of the dyno (`heroku ps:type`), if there is memory: that hides a leak until it reaches the new limit hides\n\
             lasting: Replace workers before they grow, with `gunicorn --max-requests 1000 --max-requests-jitter 100`: that contains a leak, and hides it hides\n\
             lasting: Bound what one request may load: the size of bodies, of results and of files\n\
             verify: Its memory stays below the limit under load [heroku logs --num 1500 --app APP] checks",
        );
    }

    #[test]
    fn lambda_kills_for_memory() {
        let line = "RequestId: b5b3a1f0-1111-4222-8333-444455556666 Error: Runtime exited with error: signal: killed\n";
        let report = explained(&[("function.log", line)]);
        assert_eq!(report.cause, "worker_oom_killed_cgroup");
    }
}
