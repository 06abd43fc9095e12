//! A WebSocket or another tunnel was silent for longer than a limit on its way, and was closed.
//!
//! ## What you see
//! Connections break after always the same silence, such as 60 s, and clients see close code 1006.
//! nginx logs `upstream timed out (110: Connection timed out) while proxying upgraded connection`
//! and 101 in its access log; Apache `AH10225: Tunnel timed out`; HAProxy the flags `cD` or `sD` at
//! `timeout tunnel`; Envoy `stream_idle_timeout`.
//!
//! ## Why it happens
//! For a proxy a tunnel is a connection like any other: nginx applies `proxy_read_timeout` (60 s),
//! an AWS balancer its idle limit (60 s), a NAT some minutes. A chat in which nobody writes is
//! silence.
//!
//! ## How to tell
//! The age of the last byte at the close is constant and equals a limit of one hop; busy tunnels
//! live on. A server that restarts closes all at the same moment (`deploy_in_progress`).
//!
//! ## Fix
//! Send pings more often than the shortest limit on the way, every 20 to 30 s, from the server.
//! Where that cannot be, give tunnels a limit of their own (`timeout tunnel`, a
//! `proxy_read_timeout` for that location): a long one hides dead peers, so keep the pings. Clients
//! must connect again by themselves in any case.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::{Product, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "websocket_idle_timeout",
    family: Family::F5,
    title: "A quiet tunnel was closed at a read limit",
    side: Side::Gateway,
    retry: RetryClass::R4,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Let the server send WebSocket pings every 20 to 30 s, more often than the shortest \
             limit on the way",
        ),
        Fix::new(
            "Compare the silence before each close with the limits of every hop: read limit, \
             balancer, NAT",
        ),
        Fix::new("Let clients connect again by themselves, after a random wait"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = match dossier.incident.hop.stack() {
        Stack::Nginx => "`proxy_read_timeout 1h;` in the WebSocket's `location`",
        Stack::HaProxy => "`timeout tunnel 1h`",
        Stack::Envoy => "the route's `idle_timeout`",
        Stack::Apache => "`ProxyWebsocketIdleTimeout`",
        Stack::Aws => "the load balancer's idle timeout",
        _ => "the proxy's limit for tunnels",
    };
    let ping = match dossier.server_product() {
        Some(Product::Uvicorn | Product::FastApi) => {
            "Let the server ping every 20 s: `uvicorn --ws-ping-interval 20`"
        }
        Some(Product::Daphne) => "Let the server ping every 20 s: `daphne --ping-interval 20`",
        Some(Product::Hypercorn) => {
            "Let the server ping every 20 s: `websocket_ping_interval = 20` of Hypercorn"
        }
        _ => "Let the server send a ping every 20 to 30 s, below the shortest limit on the way",
    };
    Cure {
        before: Vec::new(),
        now: vec![
            Step::say(ping),
            wording::restarted(dossier),
            Step::say(format!("Where pings cannot be, set {limit}: it hides dead peers")).hides(),
        ],
        lasting: vec![Step::say(
            "Let clients connect again by themselves, after random and growing waits",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}
