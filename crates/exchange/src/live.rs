//! How a gateway is now, for whoever watches it: values, taken at one moment.

use crate::Micros;
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
    pub upstreams: Vec<LiveUpstream>,
}

/// One upstream, by its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveUpstream {
    pub name: Arc<str>,
    /// It is taken for broken, since most of its last tries failed: nothing is tried again.
    pub broken: bool,
    /// Requests that wait while all targets have as many in hand as they can.
    pub queued: usize,
    /// Requests that wait for a target to be there again.
    pub awaiting: usize,
    /// How many have waited in the queue so far, and how many were refused for it.
    pub waited: u64,
    pub refused: u64,
    /// How many have waited for a target to be there again.
    pub awaited: u64,
    /// Tries that were not made again, since the budget did not allow it.
    pub retries_denied: u64,
    pub targets: Vec<LiveTarget>,
}

/// One target of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveTarget {
    pub target: Arc<str>,
    pub state: LiveState,
    /// Why it gets no requests: `failures_in_a_row`, `errors`, `slow` or `retry_after`, `checks` by those of
    /// its health, `order`, or `announced` where it has said so itself.
    pub why: Option<&'static str>,
    /// Until when, in microseconds since 1970, where that is known.
    pub until: Option<Micros>,
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
    /// Where it is asked whether it is well.
    pub health: Option<LiveHealth>,
}

/// What the questions after a target's health have found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveHealth {
    /// It is taken for well, as it is until it was asked.
    pub well: bool,
    /// Since when, in microseconds since 1970.
    pub since: Micros,
    pub last: LiveCheck,
    /// How many answers in a row were as good or as bad as the last one.
    pub in_a_row: u64,
    /// It is not taken out for the check, which asks for the wrong thing: requests are answered well
    /// meanwhile. See `goodgate explain health_check_wrong_path`.
    pub wrong_path: bool,
    /// The latest changes of the verdict, oldest first.
    pub turns: Vec<LiveTurn>,
    /// How often the questions came out so: `good`, or the word for a fault.
    pub outcomes: Vec<(&'static str, u64)>,
}

/// One question after a target's health.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveCheck {
    /// When it was over, in microseconds since 1970.
    pub at: Micros,
    /// Until it was decided.
    pub took: Micros,
    /// The word for what was wrong, absent where it was good.
    pub fault: Option<&'static str>,
    /// The status that was wrong: of HTTP, or of gRPC.
    pub status: Option<u32>,
    /// What the system said, where it said anything.
    pub errno: Option<i32>,
}

/// A target became well or ill by the questions after its health.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveTurn {
    /// In microseconds since 1970.
    pub at: Micros,
    pub well: bool,
    /// The word for what was wrong with the last question, where it became ill.
    pub fault: Option<&'static str>,
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
    pub const ALL: [LiveState; 6] = [
        LiveState::Healthy,
        LiveState::Starting,
        LiveState::Suspect,
        LiveState::Ejected,
        LiveState::Unhealthy,
        LiveState::Draining,
    ];

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
