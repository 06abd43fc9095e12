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
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
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

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

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
}
