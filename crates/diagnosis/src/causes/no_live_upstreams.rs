//! A proxy has marked every server of the group as failed, and answered without trying one.
//!
//! ## What you see
//! 502 or 503 at once. nginx logs `no live upstreams while connecting to upstream` with the name of
//! the group where an address would stand, and before it `upstream server temporarily disabled`;
//! HAProxy `backend X has no server available!` and 503 with `X/<NOSRV>` and `SC--`; Apache
//! `AH01170: balancer://b: All workers are in error state`; Envoy `UH` with `no_healthy_upstream`;
//! Caddy `no upstreams available`; Traefik `no available server`; Kong `failure to get a peer from
//! the ring-balancer`; Tyk `all hosts are down`.
//!
//! ## Why it happens
//! Earlier requests or health checks failed, and each failure took a server out for a while. nginx
//! takes one out after a single failure in 10 s (`max_fails=1`), unless the group has that server
//! only; a second entry marked `down` ends this exception.
//!
//! ## How to tell
//! This is an effect. The reason is the first failure before it, with an address. If the servers
//! answer when asked directly, look at the check: `health_check_wrong_path`,
//! `health_check_timeout`. If the list is empty and nothing ever failed, it is `endpoints_empty`.
//!
//! ## Fix
//! Find the first failure and cure that. Then make the group harder to empty: more failures before
//! a server goes (`max_fails=3 fail_timeout=10s`), backups, and a proxy that uses all of them when
//! all look bad (panic mode).

use crate::advice::{self, Hop};
use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{AGAINST, SPEAKS, Text, before, during};
use evidence::{Limit, Sign};

pub(super) static CAUSE: Cause = Cause {
    id: "no_live_upstreams",
    family: Family::F12,
    title: "The proxy has set all servers of the group aside",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NoLiveUpstream, 0.86), (Sign::Answered503, 0.12)],
        clues: &[
            during(Sign::NoLiveUpstream, SPEAKS),
            // Checks that failed are the reason; this is their effect.
            before(Sign::HealthConnectFailed, AGAINST),
            before(Sign::HealthTimedOut, AGAINST),
            before(Sign::HealthWrongAnswer, AGAINST),
            before(Sign::HealthWrongProtocol, AGAINST),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(status) = case.subject else {
        return None;
    };
    let confidence = match (case.server().to_ascii_lowercase().as_str(), status) {
        ("envoy" | "istio-envoy" | "caddy" | "kong" | "traefik", 503) => 0.2,
        ("nginx" | "openresty", 502) | ("apache", 503) => 0.15,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may have set aside all of the servers behind it", case.server()),
        format!("a proxy answered {status}, as it does without asking when none is left"),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Find the first failure before this line in the proxy's log: its address and its words \
             are the cause",
        ),
        Fix::run("Ask a server of the group directly", format!("curl -v {}/PATH", case.url())),
        Fix::new(
            "Let more than one failure pass before a server is set aside: `max_fails=3 \
             fail_timeout=10s` in nginx",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let group = dossier.upstream().map(|it| format!(" of {it}")).unwrap_or_default();
    let stack = dossier.incident.hop.stack();
    let set_aside = dossier
        .limit(Limit::SetAside, |it| it.stack() == stack)
        .map(|(value, _)| format!(" for {}", span(value)));
    Some(format!(
        "{} has set all servers{group} aside{} after their failures, and did not try one",
        dossier.hop(),
        set_aside.unwrap_or_default()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let first = match advice::proxy(dossier) {
        Hop::HaProxy => Step::look(
            "See the state of each server, and its last check",
            "echo 'show servers state; show stat' | sudo socat stdio /run/haproxy/admin.sock",
        ),
        Hop::Envoy => Step::look(
            "See which hosts are held for unhealthy, and why",
            "curl -s http://127.0.0.1:9901/clusters | grep -E 'health_flags|cx_connect_fail'",
        ),
        Hop::Istio => Step::look(
            "See which endpoints are held for unhealthy",
            "istioctl proxy-config endpoints POD.NAMESPACE --status unhealthy",
        ),
        Hop::IngressNginx => {
            Step::look("See which pods are ready", "kubectl get endpointslices,pods -A -o wide")
        }
        _ => Step::look(
            "Read what came before: the failures for which the servers were set aside say the reason",
            platform::log_of(dossier),
        ),
    };
    let mut now = vec![
        Step::run(
            "Bring the servers back: start those that are down",
            platform::restart(dossier),
            Risk::Restart,
        )
        .at(platform::host_of(dossier)),
    ];
    now.push(
        advice::set(
            dossier,
            "If they are up and single failures set them aside, be less strict: failures reach callers then, one at a time, in place of all",
            &[
                (Hop::Nginx, "server ADDRESS:PORT max_fails=5 fail_timeout=5s;"),
                (Hop::HaProxy, "default-server inter 2s fall 5 rise 2"),
                (Hop::Envoy, "outlier_detection: { consecutive_5xx: 20, max_ejection_percent: 50 }"),
                (Hop::Istio, "outlierDetection: { consecutive5xxErrors: 20, maxEjectionPercent: 50 }"),
            ],
        )
        .hides(),
    );
    Cure {
        before: vec![first.at(at)],
        now,
        lasting: vec![Step::say(
            "Have two servers at least, on two hosts, so that the loss of one is no outage",
        )],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check_among, check_not, explained};

    #[test]
    fn a_proxy_behind_us_that_answers_503_may_have_nobody_left() {
        check_among("status: 503 | fresh server=istio-envoy", "no_live_upstreams");
        check_among("status: 502 | fresh server=nginx/1.25", "no_live_upstreams");
    }

    #[test]
    fn an_app_has_no_group_to_set_aside() {
        check_not("status: 503 | fresh server=gunicorn", "no_live_upstreams");
        check_not("status: 500 | fresh server=nginx/1.25", "no_live_upstreams");
    }

    #[test]
    fn the_group_is_said() {
        let line = nginx("no live upstreams while connecting to upstream", "http://app/data");
        check_report(
            &[("error.log", &line)],
            "no_live_upstreams: nginx has set all servers of app aside after their failures, and did not try one",
        );
    }

    const GROUP: &str = "upstream app { server 192.0.2.10:8000; server 192.0.2.11:8000; }\n";

    fn failing(words: &str, second: usize, to: &str) -> String {
        format!(
            "2026/11/20 15:16:{second:02} [error] 7#7: *{second} {words} while connecting to upstream, client: 192.0.2.7, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://{to}/data\", host: \"api.example.com\"\n"
        )
    }

    #[test]
    fn the_first_failures_are_the_root() {
        let none = "no live upstreams";
        for (first, cause) in [
            ("connect() to 192.0.2.10:8000 failed (13: Permission denied)", "selinux_denied"),
            ("connect() failed (113: No route to host)", "host_down"),
        ] {
            let log: String = [
                failing(first, 1, "192.0.2.10:8000"),
                failing(first, 1, "192.0.2.11:8000"),
                failing(none, 2, "app"),
                failing(none, 3, "app"),
                failing(none, 4, "app"),
            ]
            .concat();
            let report = explained(&[("error.log", &log), ("nginx.conf", GROUP)]);
            assert_eq!(report.wire.as_deref(), Some("no_live_upstreams"));
            assert_eq!(report.candidates[0].cause, cause, "{:?}", report.candidates);
            assert!(report.candidates.iter().all(|it| it.cause != "no_live_upstreams"));
            assert!(report.path.len() >= 2, "{:?}", report.path);
        }
    }

    #[test]
    fn failures_of_another_group_are_not() {
        let log = [
            failing("connect() failed (111: Connection refused)", 1, "192.0.2.99:8000"),
            failing("no live upstreams", 2, "app"),
            failing("no live upstreams", 3, "app"),
        ]
        .concat();
        let report = explained(&[("error.log", &log), ("nginx.conf", GROUP)]);
        assert_eq!(report.cause, "no_live_upstreams", "{:?}", report.candidates);
    }

    #[test]
    fn failures_that_came_later_are_not() {
        let log = [
            failing("no live upstreams", 2, "app"),
            failing("no live upstreams", 3, "app"),
            failing("connect() failed (111: Connection refused)", 9, "192.0.2.10:8000"),
        ]
        .concat();
        let report = explained(&[("error.log", &log), ("nginx.conf", GROUP)]);
        assert_eq!(report.cause, "no_live_upstreams", "{:?}", report.candidates);
    }
}
