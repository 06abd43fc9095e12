//! The proxy has used up the number of connections that its own setting allows.
//!
//! ## What you see
//! nginx logs at level alert `1024 worker_connections are not enough while connecting to upstream`
//! and answers 500, or closes new connections without an answer and without an access line. Before
//! that it warns `worker_connections are not enough, reusing connections`. HAProxy stops to accept
//! at `maxconn`, and clients wait. Goodgate answers 503 on connections beyond `limits.connections`
//! and closes them.
//!
//! ## Why it happens
//! Each request through a proxy holds two connections, the client's and the upstream's; idle and
//! slow clients and WebSockets hold theirs for long. The default of nginx is 512 for each worker,
//! in packages often 768 or 1024. A slow upstream multiplies what is open.
//!
//! ## How to tell
//! The number in the line is the setting. If the system's limit was reached instead, the errno is
//! 24 (`gateway_fd_exhausted`). The upstreams are idle, and the access log shows less traffic than
//! there is.
//!
//! ## Fix
//! See first why so many are open: slow answers, or idle clients with a long keep-alive. Then raise
//! `worker_connections` together with `worker_rlimit_nofile`.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::{Limit, Sign};
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "proxy_connection_table_full",
    family: Family::F11,
    title: "The proxy has no connection slot left",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::ConnectionTableFull, 0.92)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Crowded = case.refusal()? else {
        return None;
    };
    Some(Finding::new(
        0.95,
        "as many connections of clients are open as the gateway allows",
        "`limits.connections` of the gateway is reached; no upstream was asked",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    if case.refusal().is_some() {
        return vec![
            Fix::run(
                "See who holds connections",
                "ss -Htn state established | awk '{print $4}' | sed 's/:[0-9]*$//' | sort | uniq -c | sort -rn | head",
            ),
            Fix::new("Let one address have only so many: `limits.connections_per_address`"),
            Fix::new(
                "Raise `limits.connections`, and `LimitNOFILE` of the service to more than twice that",
            ),
        ];
    }
    vec![
        Fix::run(
            "See the setting and what is open now",
            "nginx -T 2>/dev/null | grep -nE 'worker_(connections|processes|rlimit_nofile)'; ss -s",
        ),
        Fix::new("Cure slow answers first: each one holds two connections"),
        Fix::new(
            "Then raise `worker_connections`, and `worker_rlimit_nofile` to at least twice that",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    let number = dossier.incident.number.filter(|_| dossier.sign() == Sign::ConnectionTableFull);
    Some(match number {
        Some(count) => {
            format!("all {count} connections that a worker of {hop} may have are in use")
        }
        None => format!("{hop} has no connection slot left"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let old =
        advice::old(dossier, Limit::Connections).filter(|_| advice::proxy(dossier) == Hop::Nginx);
    let text = "Give each worker more connections: two for each request that is proxied";
    let mut now = vec![match old {
        Some((file, old)) => Step::diff(
            text,
            file,
            format!("-    {};\n+    worker_connections 8192;", old.trim_end_matches(';')),
            Risk::Reload,
        )
        .at(at.clone()),
        None => advice::set(
            dossier,
            text,
            &[
                (
                    Hop::Nginx,
                    "worker_rlimit_nofile 65535;\nevents {\n    worker_connections 8192;\n}",
                ),
                (Hop::IngressNginx, "max-worker-connections: \"16384\""),
                (Hop::HaProxy, "maxconn 20000"),
                (Hop::Apache, "ServerLimit 32\nMaxRequestWorkers 800"),
            ],
        ),
    }];
    now.extend(advice::apply(dossier));
    Cure {
        before: vec![
            Step::look("See what takes them: one caller, idle connections, or the proxy calling itself", "ss -tan | awk 'NR>1{print $1, $5}' | sed 's/:[0-9]*$//' | sort | uniq -c | sort -rn | head").at(at.clone()),
        ],
        now,
        lasting: vec![Step::say("If the app is slow, requests pile up here: a faster app needs fewer connections, and a limit for each caller keeps one from taking all")],
        verify: vec![Step::look("See the warning gone", platform::log_of(dossier)).at(at)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told};
    use crate::testing::{check, check_not};

    #[test]
    fn our_own_limit() {
        check(
            "refused: crowded",
            "proxy_connection_table_full: as many connections of clients are open as the gateway \
             allows",
        );
    }

    #[test]
    fn connections_to_a_target_are_another_limit() {
        check_not("refused: connection_limit", "proxy_connection_table_full");
    }

    #[test]
    fn the_number_is_said() {
        let line = "2026/11/20 15:16:30 [alert] 12#12: *5 1024 worker_connections are not enough while connecting to upstream, client: 192.0.2.1, server: example.com, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"example.com\"\n";
        let report = check_report(
            &[("error.log", line)],
            "proxy_connection_table_full: all 1024 connections that a worker of nginx may have are in use",
        );
        check_told(&report, &["worker_connections 8192;"]);
    }
}
