//! The proxy was reloaded or restarted, and its old process ended while requests were still on
//! their way.
//!
//! ## What you see
//! A burst of failures with each change of configuration or renewal of a certificate. HAProxy logs
//! `soft-stop running for too long, performing a hard-stop.`; nginx `signal process started`,
//! `gracefully shutting down`, and later the old workers end; a balancer before it shows 502 for
//! connections that it wanted to use again.
//!
//! ## Why it happens
//! On a reload the old process goes on until its requests are done, but not for ever:
//! `hard-stop-after` in HAProxy, `worker_shutdown_timeout` in nginx, the grace time of a container
//! (30 s in Kubernetes, 10 s in Docker). A restart in place of a reload waits for nothing.
//! WebSockets and downloads outlive any of them.
//!
//! ## How to tell
//! The failures lie at the end of the grace time after a reload, and hit long requests. Failures of
//! the app's own instances are `deploy_in_progress`; idle connections lost at that moment look like
//! `keepalive_race` to the hop before.
//!
//! ## Fix
//! Reload, do not restart. Collect changes instead of reloading for each. Give the grace time of
//! the container more than the proxy's own, and let clients of long connections come back by
//! themselves.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_reload_cut",
    family: Family::F11,
    title: "A reload of the proxy ended connections in use",
    side: Side::Gateway,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::ReloadCut, DECIDES)],
        brings: &["connection_reset", "premature_close"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for reloads at that time",
            format!(
                "journalctl {} --grep 'reload|soft-stop|hard-stop|shutting down|signal process \
                 started'",
                window(case),
            ),
        ),
        Fix::new("Use reload in place of restart, and change less often"),
        Fix::new("Give the process the time that its longest requests need before it is ended"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    dossier
        .saw(Sign::ReloadCut)
        .then(|| format!("a reload of {} ended connections that were in use", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![advice::reloaded(
            dossier,
            "Take configurations over by a reload that lets requests end, never by a restart",
        )],
        lasting: vec![
            advice::set(
                dossier,
                "Give requests that are on their way longer to end: until then old workers stay in memory",
                &[
                    (Hop::Nginx, "worker_shutdown_timeout 1h;"),
                    (Hop::HaProxy, "hard-stop-after 1h"),
                    (Hop::Apache, "GracefulShutdownTimeout 3600"),
                    (Hop::Caddy, "grace_period 1h"),
                ],
            ),
            Step::say("Collect changes, so that reloads are rare"),
        ],
        verify: vec![Step::look(
            "Reload while a long download runs: it ends with code 0",
            "curl -sS -o /dev/null http://SITE/PATH; echo $?",
        )],
        ..Cure::default()
    }
}
