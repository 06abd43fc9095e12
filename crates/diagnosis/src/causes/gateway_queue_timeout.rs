//! The request waited inside a gateway for a free connection to the upstream, and the limit of that
//! wait ended it.
//!
//! ## What you see
//! 503 after a constant wait, without any attempt. HAProxy shows the flags `sQ--` with Tw equal to
//! `timeout queue` and -1 for the timers after it; Envoy sets `UO` with `overflow`; Apache logs
//! `AH00941: HTTP: failed to acquire connection for (host)`.
//!
//! ## Why it happens
//! Each server has a place for so many requests (`maxconn` in HAProxy, `max=` in Apache,
//! `max_pending_requests` in Envoy; Goodgate learns from latency how many a target works on at once), and
//! the rest waits before the gateway. When answers become
//! slower, the same traffic needs more places, the queue grows, and whoever waits longest is sent
//! away.
//!
//! ## How to tell
//! The time lies before the connect: a long Tw, and no Tc. In `upstream_connection_limit` nobody
//! waits, the request is refused at once; in `worker_pool_exhausted` the request is at the app and
//! waits there.
//!
//! ## Fix
//! Cure what made the answers slow. Then give the queue fewer requests (more servers) or more
//! places, but not more than the upstream can work on at once. A longer queue limit hides the
//! shortage: callers wait longer for the same 503.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::{Sign, Stack};
use exchange::{Phase, Refusal};

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_queue_timeout",
    family: Family::F2,
    title: "The request waited inside a gateway until its queue limit",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::QueueTimedOut, 0.84)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Overloaded = case.refusal()? else {
        return None;
    };
    let upstream = case.exchange.upstream.as_deref().unwrap_or("this route");
    let waited = case.exchange.phases.get(Phase::Queue);
    let because = match waited {
        Some(micros) => format!("the request waited {} ms for a free place", micros / 1_000),
        None => "the queue was too long for this request to be served in time".to_owned(),
    };
    Some(Finding::new(
        0.9,
        format!("every target of {upstream} has as many requests in hand as it works on at once"),
        because,
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "See whether answers have become slower since it began, and cure that first: it fills \
             any queue",
        ),
        Fix::new(
            "Add servers, or raise the places of each one (`maxconn`) up to what the app works on \
             at once",
        ),
        Fix::new(
            "Keep the queue short and answer 503 with `Retry-After`, so that callers give up early",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "requests waited inside {} for a free place at {} until its limit",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let places = match dossier.incident.hop.stack() {
        Stack::HaProxy => "`maxconn` of the `server` line",
        Stack::Apache => "`max=` of `ProxyPass`",
        Stack::Envoy => {
            "`max_requests` and `max_pending_requests` of the cluster's circuit breaker"
        }
        Stack::Nginx => "`max_conns` of the `server` line",
        _ => "the number of places at each server",
    };
    let queue = match dossier.incident.hop.stack() {
        Stack::HaProxy => Step::look(
            "See how many wait (`qcur`) and how many are served (`scur`)",
            "echo 'show stat' | sudo socat stdio /run/haproxy/admin.sock | cut -d, -f1-6,34",
        ),
        _ => wording::pace(dossier),
    };
    Cure {
        before: vec![queue],
        now: vec![
            Step::say("If answers became slower, cure that first: it fills any queue"),
            Step::say(format!(
                "Add servers, or raise {places}, but not above what the app works on at once"
            )),
            wording::reload(dossier),
        ],
        lasting: vec![Step::say(
            "Keep the queue short and answer 503 with `Retry-After`: a longer wait in it hides the \
             shortage and makes callers wait for the same 503",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_text};

    #[test]
    fn no_target_of_ours_had_a_place() {
        check(
            "refused: overloaded",
            "gateway_queue_timeout: every target of orders has as many requests in hand as it works on at once",
        );
    }

    #[test]
    fn the_queue_of_haproxy_was_too_long() {
        check_text(
            &[(
                "haproxy.log",
                "Nov 20 15:16:30 lb haproxy[12]: 192.0.2.7:51000 [20/Nov/2026:15:16:20.000] web app/s1 0/10000/-1/-1/10000 503 217 - - sQ-- 9/9/5/5/0 0/4 \"GET /data HTTP/1.1\"\n",
            )],
            "gateway_queue_timeout: requests waited inside HAProxy for a free place at app until its limit\n\
             before: See how many wait (`qcur`) and how many are served (`scur`) [echo 'show stat' | sudo socat stdio /run/haproxy/admin.sock | cut -d, -f1-6,34] checks\n\
             now: If answers became slower, cure that first: it fills any queue\n\
             now: Add servers, or raise `maxconn` of the `server` line, but not above what the app works on at once\n\
             now: Check the configuration of HAProxy and take it over [sudo sh -c 'haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy'] reload\n\
             lasting: Keep the queue short and answer 503 with `Retry-After`: a longer wait in it hides the shortage and makes callers wait for the same 503\n\
             verify: HAProxy logs no new failure of this kind [journalctl -u haproxy] checks",
        );
    }
}
