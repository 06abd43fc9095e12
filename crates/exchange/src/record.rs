//! The one record that everything else reads: log, metrics, diagnosis, answers.

use crate::{Attempt, ExchangeId, Fault, Heard, Micros, Phase, Phases, Refusal, TraceParent};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// One request and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    pub id: ExchangeId,
    /// Microseconds since 1970 at which the first byte of the request was there.
    pub began: Micros,
    /// Microseconds from then to the end of the answer.
    pub took: Micros,
    /// The trace this exchange belongs to, with our own span.
    #[serde(skip)]
    pub trace: Option<TraceParent>,
    pub client: Client,
    pub request: Request,
    pub route: Option<Arc<str>>,
    pub upstream: Option<Arc<str>>,
    /// Time in the phases before the first attempt; those of the attempts are theirs.
    pub phases: Phases,
    pub attempts: Vec<Attempt>,
    pub answer: Option<Answer>,
    pub end: End,
    /// Why there was no answer of an upstream, or why its answer was not whole.
    pub stop: Option<Stop>,
    /// The first candidate of the first look; absent where nothing failed.
    pub cause: Option<&'static str>,
    /// Whose side that cause lies on, a word of the report's `side`.
    pub side: Option<&'static str>,
    /// Failures that the caller did not see.
    pub prevented: Vec<Prevented>,
    /// Why it was not tried again, where that would have been right.
    pub unrepeated: Option<Unrepeated>,
    /// Microseconds after which the caller was told to fetch the answer later (202), where it was. The
    /// rest is about the answer that was kept for it.
    pub later: Option<Micros>,
    /// What the app had to do with it, where it is one that the gateway started.
    pub heard: Option<Box<Heard>>,
}

impl Exchange {
    /// One that has just begun.
    #[must_use]
    pub fn new(id: ExchangeId, began: Micros, client: Client, request: Request) -> Exchange {
        Exchange {
            id,
            began,
            took: 0,
            trace: None,
            client,
            request,
            route: None,
            upstream: None,
            phases: Phases::default(),
            attempts: Vec::new(),
            answer: None,
            end: End::Complete,
            stop: None,
            cause: None,
            side: None,
            prevented: Vec::new(),
            unrepeated: None,
            later: None,
            heard: None,
        }
    }

    /// The caller did not get a whole answer that an upstream or a route gave on purpose.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.stop.is_some()
    }

    /// Time in each phase over all attempts.
    #[must_use]
    pub fn all_phases(&self) -> Phases {
        let mut all = self.phases;
        for attempt in &self.attempts {
            all.absorb(&attempt.phases);
        }
        all
    }

    #[must_use]
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Where it stands or ended.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.attempts.last() {
            Some(it) => it.phase,
            None => self.phases.iter().last().map_or(Phase::Route, |(phase, _)| phase),
        }
    }
}

/// Who asked.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// The caller: the peer, or whom a trusted proxy named.
    pub ip: IpAddr,
    /// The other end of the connection.
    pub peer: IpAddr,
    pub port: u16,
    pub tls: bool,
    /// Which request on its connection this is, from 1.
    pub ordinal: u32,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Request {
    /// Empty where the head could not be read so far.
    pub method: Arc<str>,
    /// Lower-case, without port; empty where there was none.
    pub host: Box<str>,
    /// The path in normal form, without the query.
    pub path: Box<str>,
    /// `HTTP/2`, `HTTP/1.1` or `HTTP/1.0`.
    pub version: &'static str,
    /// What the caller sent as `X-Request-Id`.
    pub caller_id: Option<Box<str>>,
    /// What the caller's connection or stream was to go on with, where an upstream was asked for
    /// that: `websocket`.
    pub upgrade: Option<Box<str>>,
    pub head_bytes: u64,
    /// Body bytes that we read from the client.
    pub body_bytes: u64,
}

/// What the caller was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub status: u16,
    /// The status of a gRPC call, which its HTTP status does not tell.
    pub grpc_status: Option<u32>,
    pub made_by: Maker,
    /// Body bytes handed to the client's connection.
    pub body_bytes: u64,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    Upstream,
    /// A redirect or fixed answer of a route.
    Route,
    /// We, because of a [`Stop`].
    Gateway,
    /// An upstream, earlier: its answer was kept for when it fails.
    Kept,
}

/// How the exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The answer's last byte was handed over.
    Complete,
    /// The client left first, in this phase.
    ClientClosed(Phase),
    /// The answer's head was out when the attempt failed; the client's stream was ended visibly.
    Cut,
}

/// Why an exchange has no whole answer from an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// We said no.
    Refused(Refusal),
    /// Every attempt failed; this is how the last one did.
    Failed(Fault),
}

/// A failure that the caller did not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Prevented {
    /// The cause that it would have had.
    pub cause: &'static str,
    pub by: By,
}

/// Why a request that might have been tried again was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrepeated {
    /// Its body is larger than `retry.body`, or than there was memory for.
    Body,
    /// The upstream's `retry.budget` is used up.
    Budget,
    /// There were `retry.attempts`.
    Attempts,
    /// Not enough time was left.
    Time,
}

impl Unrepeated {
    pub const ALL: [Unrepeated; 4] =
        [Unrepeated::Body, Unrepeated::Budget, Unrepeated::Attempts, Unrepeated::Time];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unrepeated::Body => "body",
            Unrepeated::Budget => "budget",
            Unrepeated::Attempts => "attempts",
            Unrepeated::Time => "time",
        }
    }
}

/// What kept a failure from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Another try.
    Retry,
    /// The request waited until a target was back.
    Wait,
    /// An answer that was kept from before.
    Stale,
}

impl By {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            By::Retry => "retry",
            By::Wait => "wait",
            By::Stale => "stale",
        }
    }
}
