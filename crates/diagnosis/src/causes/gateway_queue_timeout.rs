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
//! `max_pending_requests` in Envoy), and the rest waits before the gateway. When answers become
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
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_queue_timeout",
    family: Family::F2,
    title: "The request waited inside a gateway until its queue limit",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::QueueTimedOut, 0.84)], ..Text::NONE },
};

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
