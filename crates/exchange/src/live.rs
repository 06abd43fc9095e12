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
    /// It is configured no longer, and goes with its last connection.
    pub leaves: bool,
    /// Connections to it that are open.
    pub open: usize,
    /// Of those, the ones that wait for a request.
    pub idle: usize,
    /// How long it keeps idle connections, in seconds, as far as it is known.
    pub idle_limit: Option<f64>,
}
