//! The gateway already has as many connections to the upstream as its own limit allows.
//!
//! ## What you see
//! 503 at once, while the requests that got through are slow. Envoy sets the flag `UO` (its
//! defaults are 1024 connections and 1024 pending requests); nginx with `max_conns` logs `no live
//! upstreams while connecting to upstream` and answers 502; HAProxy shows `sQ--`.
//!
//! ## Why it happens
//! Each request holds a connection until its answer is complete. When answers become slower, the
//! same traffic needs more of them, and the limit ends that.
//!
//! ## How to tell
//! The gateway says so itself: no attempt was made. See whether the answers of that upstream have
//! become slower at the same time, which is the usual reason.
//!
//! ## Fix
//! Cure the slowness first. Then more targets, or a higher `pool.connections`, but not above what
//! the upstream can work on at once: more than that only waits there instead of here.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::{Limit, Sign, Stack};
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "upstream_connection_limit",
    family: Family::F2,
    title: "The limit of connections to the upstream is reached",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::QueueTimedOut, 0.06),
            (Sign::ConnectionLimit, 0.9),
            (Sign::Answered503, 0.05),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::ConnectionLimit = case.refusal()? else {
        return None;
    };
    let upstream = case.exchange.upstream.as_deref().unwrap_or("this route");
    Some(Finding::new(
        0.9,
        format!("every target of {upstream} has as many connections as `pool.connections` allows"),
        "we made no attempt, because our own limit was reached",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("See whether this upstream answers more slowly than before, and cure that first"),
        Fix::new("Add targets, if it works at its full rate"),
        Fix::new(
            "Raise `pool.connections` of this upstream, but not above what it can work on at \
             once: beyond that the surplus only waits there, unseen",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    let stack = dossier.incident.hop.stack();
    let limit = match dossier.limit(Limit::Concurrency, |it| it.stack() == stack) {
        Some((limit, _)) if limit > 0 => format!(" of {limit}"),
        _ => String::new(),
    };
    Some(format!(
        "{hop} refused requests by its own limit{limit} of connections to {}, without trying",
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = match dossier.incident.hop.stack() {
        Stack::Nginx => "`max_conns` of the `server` line",
        Stack::Envoy => {
            "`max_connections`, `max_pending_requests` and `max_requests` of the cluster's circuit breaker (Istio: `connectionPool` of the DestinationRule)"
        }
        Stack::HaProxy => "`maxconn` of the `server` line",
        Stack::Apache => "`max=` of `ProxyPass`",
        Stack::Ours => "`pool.connections` of the upstream",
        _ => "the proxy's limit of connections",
    };
    Cure {
        before: vec![wording::pace(dossier)],
        now: vec![
            Step::say(
                "If the upstream answers more slowly than before, cure that first: each request then holds its connection for longer",
            ),
            Step::say(format!(
                "Else add servers, or raise {limit}, but not above what the app works on at once"
            )),
            wording::reload(dossier),
        ],
        lasting: vec![Step::say(
            "Watch the share of the limit that is in use, and let the refusals carry `Retry-After`",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not, check_text};

    #[test]
    fn our_own_limit_is_certain() {
        check(
            "refused: connection_limit",
            "upstream_connection_limit: every target of orders has as many connections as \
             `pool.connections` allows",
        );
    }

    #[test]
    fn another_refusal_is_another_matter() {
        check_not("refused: draining", "upstream_connection_limit");
    }

    #[test]
    fn envoy_has_no_room_for_more() {
        check_text(
            &[(
                "envoy.log",
                "[2026-11-20T15:16:30.000Z] \"GET /data HTTP/1.1\" 503 UO 0 81 0 - \"-\" \"curl/8.5.0\" \"1\" \"api.example.com\" \"-\"\n",
            )],
            "upstream_connection_limit: Envoy refused requests by its own limit of connections to the upstream, without trying\n\
             before: See whether answers take longer than they did before [curl -sS -o /dev/null -w '%{http_code} %{time_starttransfer}s\\n\
             ' URL] checks\n\
             now: If the upstream answers more slowly than before, cure that first: each request then holds its connection for longer\n\
             now: Else add servers, or raise `max_connections`, `max_pending_requests` and `max_requests` of the cluster's circuit breaker (Istio: `connectionPool` of the DestinationRule), but not above what the app works on at once\n\
             now: Let Envoy read its file again, where no control plane hands it over [sudo systemctl restart envoy] restart\n\
             lasting: Watch the share of the limit that is in use, and let the refusals carry `Retry-After`\n\
             verify: Envoy logs no new failure of this kind [kubectl logs POD -c istio-proxy] checks",
        );
    }
}
