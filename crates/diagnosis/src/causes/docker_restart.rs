//! The container ended or was replaced, and Docker started it again.
//!
//! ## What you see
//! 502 for seconds, once or again and again. `docker events` shows `die` with an `exitCode`, then
//! `start`; `health_status: unhealthy`; `docker ps` says `Restarting (1) 5 seconds ago` or `Up 3
//! seconds`. Traefik takes it out of its list, nginx dials an old address.
//!
//! ## Why it happens
//! The process ended and a restart policy acted; somebody ran `docker compose up -d` or an updater
//! pulled an image; the host's Docker was restarted. Docker itself does not restart a container for
//! being unhealthy, Swarm and others do.
//!
//! ## How to tell
//! The exit code: 137 is a SIGKILL (memory, if `OOMKilled` is true, or a stop that took longer than
//! 10 s), 143 a plain stop, 139 a crash, 126 or 127 a command that cannot be run, 1 or others the
//! app's own. Then see `worker_oom_killed_cgroup`, `crash_loop`, `deploy_in_progress`. With a new
//! address it becomes `dns_stale_ip`.
//!
//! ## Fix
//! Cure the exit. For a deploy start the new container before the old one ends, and let the gateway
//! ask for the name anew.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, RULES_OUT, SPEAKS, Text, When, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "docker_restart",
    family: Family::F14,
    title: "Docker restarted the container, or found it unhealthy",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.002)],
        clues: &[during(Sign::ContainerRestarted, 4.0), during(Sign::ContainerUnhealthy, SPEAKS)],
        brings: &["process_down"],
        reason,
        says,
        cure,
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See how it ended",
            "docker inspect -f '{{.Name}} {{.State.ExitCode}} oom={{.State.OOMKilled}} \
             restarts={{.RestartCount}} {{.State.FinishedAt}}' CONTAINER",
        ),
        Fix::run(
            "See what happened in the last hour",
            "docker events --since 1h --until 0s --filter type=container",
        ),
        Fix::new(
            "Cure what the exit code says; for a deploy start the new one before the old one ends",
        ),
    ]
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    match dossier.dials_loopback() {
        true => vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())],
        false => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ContainerRestarted, When::During);
    let ill = dossier.seen(Sign::ContainerUnhealthy, When::During);
    let who = |it: &crate::dossier::Seen| it.key.who.clone().or_else(|| it.key.service.clone());
    if let Some(it) = seen.first() {
        return Some(match who(it) {
            Some(who) => {
                format!("the container {who} was started again, and answered nobody meanwhile")
            }
            None => "a container was started again, and answered nobody meanwhile".to_owned(),
        });
    }
    Some(format!("the container {} fails its health check", who(ill.first()?)?))
}

fn cure(dossier: &Dossier) -> Cure {
    let service = platform::service(dossier);
    Cure {
        before: vec![Step::look(
            "See who started it again, with which exit code, and whether for memory",
            format!(
                "docker events --since 1h --until 0s --filter type=container; docker inspect --format '{{{{.State.ExitCode}}}} {{{{.State.OOMKilled}}}} {{{{.RestartCount}}}}' $(docker compose ps -aq {service})"
            ),
        )],
        now: vec![
            Step::look("Read its last lines before the end", platform::app_log(dossier)),
            Step::diff(
                "Let others wait until it is ready, and let it come back by itself",
                Some("compose.yaml".to_owned()),
                "+    restart: unless-stopped\n+    healthcheck:\n+      test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:PORT/healthz\"]\n+      start_period: 30s",
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::say(
            "Run two containers of it, and start the new one before the old one ends",
        )],
        verify: vec![
            Step::look("See `Up` and `healthy`", "docker compose ps"),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}
