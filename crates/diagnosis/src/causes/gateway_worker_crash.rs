//! A worker process of the proxy died, and every request that it held vanished with it.
//!
//! ## What you see
//! Many clients lose their connections in the same second, on all routes, and the access log has no
//! lines for them. nginx logs at level alert `worker process N exited on signal 11 (core dumped)`;
//! HAProxy `Current worker (N) exited with code 139 (Segmentation fault)`; Apache `AH00052: child
//! pid N exit signal Segmentation fault (11)`; the kernel `nginx[N]: segfault at ...`.
//!
//! ## Why it happens
//! A bug in the proxy or in a module that was loaded into it (Lua, a firewall, a tracer), a module
//! built for another version, broken memory, or a kill for memory (signal 9).
//!
//! ## How to tell
//! The process that died is the proxy's, at the time of the failures; upstreams saw their
//! connections end. If a worker of the app died, it is `worker_crashed`; signal 9 points to
//! `gateway_memory`.
//!
//! ## Fix
//! Take the core dump, update the proxy and its modules together, and leave out the module that was
//! added last. Signal 9: give it memory, or find what uses it.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_worker_crash",
    family: Family::F11,
    title: "A worker of the proxy itself crashed",
    side: Side::Gateway,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::ProxyWorkerCrashed, DECIDES)],
        brings: &["premature_close", "connection_reset"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the death of a worker",
            format!(
                "journalctl {} --grep 'exited on signal|exited with code|exit signal|segfault'",
                window(case),
            ),
        ),
        Fix::run("See the dump", "coredumpctl list --since today"),
        Fix::new(
            "Update the proxy and its modules together; leave out the one that was added last",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::ProxyWorkerCrashed, When::During).into_iter().next()?;
    let name = seen.key.product.name();
    Some(match seen.run.opening.number {
        Some(signal @ 1..=64) => {
            format!("a worker of {name} died by signal {signal}, and took its connections with it")
        }
        _ => format!("a worker of {name} died, and took its connections with it"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look(
                "Keep the core dump: it is what the authors need",
                "coredumpctl list; coredumpctl info",
            )
            .at(at.clone()),
            Step::look(
                "See the version and the modules that were loaded",
                advice::inside(
                    dossier,
                    match dossier.incident.hop.stack() {
                        Stack::Nginx => "nginx -V",
                        Stack::HaProxy => "haproxy -vv",
                        Stack::Envoy => "envoy --version",
                        _ => "PROXY --version",
                    },
                ),
            )
            .at(at.clone()),
        ],
        now: vec![
            Step::say(
                "Take out modules that are not of the proxy's own making, one at a time, beginning with the newest",
            ),
            Step::say(
                "Upgrade to the newest release of your branch, and give its authors the stack",
            ),
        ],
        verify: vec![Step::look("See no worker end by a signal", platform::log_of(dossier)).at(at)],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    #[test]
    fn the_signal_is_said() {
        let line = "2026/11/20 15:16:30 [alert] 1#1: worker process 12 exited on signal 11 (core dumped)\n";
        check_report(
            &[("error.log", line)],
            "gateway_worker_crash: a worker of nginx died by signal 11, and took its connections with it",
        );
    }
}
