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

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::text::{Claim, RULES_OUT, SPEAKS, Text, during};
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
        ..Text::NONE
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
