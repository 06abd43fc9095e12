//! What whoever runs a gateway may tell it to do with a target.

use crate::LiveState;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// An order about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// `None` is every upstream that has the target.
    pub upstream: Option<String>,
    pub target: String,
    pub treatment: Treatment,
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// No new requests while another target is there; what is in flight ends. `false` takes it back.
    Drain(bool),
    /// The same for so long, and then one request finds out how it is.
    Eject(Duration),
    /// As if nothing had been seen of it: its health, what was learned of its limits, and the breaker of
    /// its upstream.
    Reset,
    /// Its ejection is over, if the next request says so.
    Trial,
}

/// What an order did with one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obeyed {
    pub upstream: Arc<str>,
    pub target: Arc<str>,
    /// How it is now.
    pub state: LiveState,
    /// No other target of the upstream takes requests: it gets them all the same.
    pub last: bool,
    /// Requests that it has in hand.
    pub pending: usize,
}
