//! An app that the gateway started itself: what it said and what became of it.

use crate::Micros;
use serde::Serialize;
use std::sync::Arc;

/// One line of its output, as it came out of the pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// When we read it, in microseconds since 1970.
    pub at: Micros,
    /// The first process of the group that said it.
    pub pid: u32,
    pub line: Arc<str>,
}

/// Something that happened to it, as its supervisor saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Microseconds since 1970.
    pub at: Micros,
    /// The process that was started: the first of its group.
    pub pid: u32,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Started,
    /// One of its processes accepts connections at this address.
    Listening(Arc<str>),
    Ended(Ending),
    /// The kernel killed a process of our own cgroup, because its memory was used up. Which one the
    /// counter does not say.
    OutOfMemory,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Code(i32),
    Signal(i32),
}

/// What the app that failed a request had to do with it: the part of a record that comes from
/// outside of the exchange.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heard {
    /// The id of the cause that its words and its end speak for.
    pub cause: &'static str,
    /// Between 0 and 1.
    pub confidence: f32,
    /// One sentence without a full stop.
    pub statement: Box<str>,
    /// At least one.
    pub quotes: Vec<Quote>,
    /// What to do; empty where the cause itself knows best.
    pub steps: Vec<Step>,
}

/// Its exact words, or what its supervisor saw, and why they matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// `gunicorn, process 4242`.
    pub source: Box<str>,
    pub quote: Box<str>,
    pub says: Box<str>,
}

/// One thing to do, with a command that does it or checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub text: Box<str>,
    pub run: Option<Box<str>>,
}
