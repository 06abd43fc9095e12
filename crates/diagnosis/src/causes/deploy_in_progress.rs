//! The old instances are going, and the new ones are not in rotation yet.
//!
//! ## What you see
//! A burst of 502 or 503 with each release, on all routes of one upstream. Kubernetes records
//! `Killing` (`Stopping container x`) just before; nginx logs refusals by an address that no longer
//! exists; an AWS balancer answers 502 when a deregistration delay ends within a request.
//!
//! ## Why it happens
//! An instance gets SIGTERM and stops to listen at once, while the list of targets learns of it a
//! moment later. Or all old instances end before the first new one is ready.
//!
//! ## How to tell
//! The failures begin at the second of a deploy and end with it; the address that failed is not in
//! the current list of targets.
//!
//! ## Fix
//! Fail readiness first, wait some seconds (`preStop` with `sleep 5`), then stop to listen, then
//! drain what is open. Never take all away at once (`maxUnavailable: 0`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Cite, Dossier};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, loss, window};
use crate::text::{AGAINST, Claim, SPEAKS, Text, When, before, during};
use crate::{platform, wording};
use evidence::{Product, Sign};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "deploy_in_progress",
    family: Family::F1,
    title: "A deploy is replacing the instances",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.008),
            (Sign::ConnectFailed, 0.03),
            (Sign::Reset, 0.05),
            (Sign::Closed, 0.06),
            (Sign::SendBroken, 0.03),
            (Sign::Disconnected, 0.06),
            (Sign::NoLiveUpstream, 0.005),
        ],
        clues: &[
            during(Sign::ShuttingDown, 5.0),
            during(Sign::PodKilling, 5.0),
            during(Sign::ContainerRestarted, SPEAKS),
            during(Sign::ProcessStopped, SPEAKS),
            before(Sign::BootFailed, AGAINST),
        ],
        brings: &[
            "process_down",
            "premature_close",
            "connection_reset",
            "endpoints_empty",
            "no_live_upstreams",
        ],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        Fault::Connect(
            ConnectFault::Refused | ConnectFault::SocketMissing | ConnectFault::SocketStale,
        ) => 0.02,
        // A stopping server resets what waits in its queue.
        _ if loss(case)? == Loss::AtOnce => 0.06,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may just have been stopped by a deploy", case.dialled()),
        "an instance that is stopped refuses or drops whoever still comes",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See whether something was stopped or started at that time",
            format!("journalctl {} --grep 'Stopp|Start|SIGTERM|Shutting down'", window(case)),
        ),
        Fix::new(
            "Fail readiness first, wait some seconds, then stop to listen and drain; keep an old \
             instance until a new one is ready",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let signs =
        [Sign::PodKilling, Sign::ShuttingDown, Sign::ProcessStopped, Sign::ContainerRestarted];
    let seen = signs.into_iter().find_map(|it| wording::first(dossier, it, When::During))?;
    let who = wording::who(dossier, &seen);
    let told = match seen.key.sign {
        Sign::ContainerRestarted => "was started again",
        Sign::ProcessStopped => "was stopped",
        _ => "was told to end",
    };
    Some(format!("{who} {told} while {} still sent it requests", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    let now = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => Step::look(
            "See whether the rollout ends by itself",
            format!("kubectl rollout status {}", platform::deployment(dossier)),
        ),
        _ => Step::look("See whether the new instance is up", platform::state(dossier)),
    };
    let lasting = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => vec![
            Step::say(
                "Let a pod leave the endpoints before it stops to listen: a `preStop` hook with \
                 `sleep 5`, and a `terminationGracePeriodSeconds` above the longest request",
            ),
            Step::say("Never take all away at once: `maxUnavailable: 0` and a readiness probe"),
        ],
        (_, true) => vec![Step::say(
            "Start the new container beside the old one, let the proxy change over when it is \
             healthy, then stop the old one with a `stop_grace_period` above the longest request",
        )],
        _ => {
            let reload = match dossier.server_product() {
                Some(Product::Gunicorn) => "reload Gunicorn (`kill -HUP`), which keeps its socket",
                Some(Product::Puma) => "restart Puma in phases (`pumactl phased-restart`)",
                Some(Product::Uwsgi) => "reload uWSGI in turn (`touch-chain-reload`)",
                Some(Product::PhpFpm | Product::Php) => "reload php-fpm (`systemctl reload`)",
                _ => "let systemd hold the socket (socket activation)",
            };
            vec![Step::say(format!("Instead of stopping and starting, {reload}"))]
        }
    };
    Cure {
        before: Vec::new(),
        now: vec![now],
        lasting,
        verify: vec![Step::look(
            "Send requests through the next deploy: none fails",
            "while sleep 0.2; do curl -s -o /dev/null -w '%{http_code}\\n' URL; done | sort | uniq -c",
        )],
    }
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = Vec::new();
    // What was cut by the stop itself was, whatever came after it.
    let cut = matches!(
        dossier.sign(),
        Sign::Closed | Sign::Reset | Sign::SendBroken | Sign::Disconnected
    );
    let stayed = |it: &Cite| it.sign == Some(Sign::ProcessStopped) || !cut;
    if let Some(stopped) = dossier.stayed_down().filter(stayed) {
        let says = "it was stopped, and nothing was started in its place";
        claims.push(Claim::new(-4.5, says, vec![stopped]));
    }
    claims
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check_among, check_not, check_text, nginx, nginx_to};

    #[test]
    fn an_instance_that_stops_refuses_or_drops() {
        check_among("connect: refused | to=10.0.0.7:8000", "deploy_in_progress");
        check_among("head: reset | fresh after=1ms", "deploy_in_progress");
    }

    #[test]
    fn an_instance_that_worked_on_it_was_not_being_stopped() {
        check_not("head: closed | fresh after=3s", "deploy_in_progress");
    }

    #[test]
    fn a_container_was_told_to_end() {
        check_text(
            &[
                ("error.log", &nginx_to("app:8000", CLOSED)),
                (
                    "events",
                    "2026-11-20T15:16:29.000000000Z container kill 0123456789ab (signal=15, image=shop, name=web)\n",
                ),
            ],
            "deploy_in_progress: web was told to end while nginx still sent it requests\n\
             now: See whether the new instance is up [docker compose ps -a app] checks\n\
             lasting: Start the new container beside the old one, let the proxy change over when it is healthy, then stop the old one with a `stop_grace_period` above the longest request\n\
             verify: Send requests through the next deploy: none fails [while sleep 0.2; do curl -s -o /dev/null -w '%{http_code}\\n\
             ' URL; done | sort | uniq -c] checks",
        );
    }

    #[test]
    fn gunicorn_was_told_to_end() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                ("app.log", "[2026-11-20 15:16:30 +0000] [7] [INFO] Handling signal: term\n"),
            ],
            "deploy_in_progress: gunicorn (pid 7) was told to end while nginx still sent it requests\n\
             now: See whether the new instance is up [systemctl status gunicorn] checks\n\
             lasting: Instead of stopping and starting, reload Gunicorn (`kill -HUP`), which keeps its socket\n\
             verify: Send requests through the next deploy: none fails [while sleep 0.2; do curl -s -o /dev/null -w '%{http_code}\\n\
             ' URL; done | sort | uniq -c] checks",
        );
    }
}
