//! How a gateway is now, for whoever watches it: values, taken at one moment.

use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Live {
    /// Clients are asked to leave.
    pub draining: bool,
    /// Where it listens.
    pub http: Vec<SocketAddr>,
    pub https: Option<SocketAddr>,
    /// HTTP/3 is spoken at the address of `https`.
    pub http3: bool,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub status: Option<SocketAddr>,
    /// Client connections that are open.
    pub connections: usize,
    pub targets: Vec<LiveTarget>,
}

/// One target of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveTarget {
    pub upstream: Arc<str>,
    pub target: Arc<str>,
    pub state: LiveState,
    /// Why it is out: `failures_in_a_row`, `errors`, `slow`, `retry_after` or `order`.
    pub why: Option<&'static str>,
    /// It is configured no longer, and goes with its last connection.
    pub leaves: bool,
    /// Requests that it has in hand.
    pub pending: usize,
    /// How many it may have in hand, where that is limited.
    pub most: Option<usize>,
    /// The mean time to the head of an answer over the last ten seconds, in seconds.
    pub latency: Option<f64>,
    /// Connections to it that are open.
    pub open: usize,
    /// Of those, the ones that wait for a request.
    pub idle: usize,
    /// How long it keeps idle connections, in seconds, as far as it is known.
    pub idle_limit: Option<f64>,
}

/// Whether a target gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveState {
    Healthy,
    /// It is back, and gets more and more of its part.
    Starting,
    /// It has just failed.
    Suspect,
    /// Taken out for a while by how it answered.
    Ejected,
    /// Checks say that it is ill.
    Unhealthy,
    /// It is to be left alone.
    Draining,
}

impl LiveState {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LiveState::Healthy => "healthy",
            LiveState::Starting => "starting",
            LiveState::Suspect => "suspect",
            LiveState::Ejected => "ejected",
            LiveState::Unhealthy => "unhealthy",
            LiveState::Draining => "draining",
        }
    }
}
