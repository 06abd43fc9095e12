//! The proxy has used up the number of connections that its own setting allows.
//!
//! ## What you see
//! nginx logs at level alert `1024 worker_connections are not enough while connecting to upstream`
//! and answers 500, or closes new connections without an answer and without an access line. Before
//! that it warns `worker_connections are not enough, reusing connections`. HAProxy stops to accept
//! at `maxconn`, and clients wait.
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

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "proxy_connection_table_full",
    family: Family::F11,
    title: "The proxy has no connection slot left",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::ConnectionTableFull, 0.92)], ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
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
