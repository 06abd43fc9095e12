//! What a running gateway can be asked by its control socket, and what it answers.

use crate::takeover::Inheritance;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::future::pending;
use tokio::sync::{mpsc, oneshot};

/// Orders that wait for the loop that obeys them.
const WAITING: usize = 16;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Status,
    /// How all upstreams are, or the one of this name.
    Upstreams(Option<String>),
    /// About a target.
    Target(exchange::Order),
    Reload,
    /// `false` takes it back.
    Drain(bool),
    Stop {
        now: bool,
    },
    /// Another process wants to serve instead, and needs what only one can have.
    Bequeath,
    /// It serves.
    HandedOver {
        to: u32,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Reply {
    Said(Value),
    Bequeathed(Inheritance),
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// What is the matter, over several lines where there are several complaints.
    pub(crate) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// The kinds of refusals, each with its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NotFound,
    Method,
    TooLarge,
    TooSlow,
    BadRequest,
    NotAllowed,
    Upgrade,
    /// The configuration cannot be used; what ran goes on.
    Configuration,
    /// Not in the state that the gateway is in.
    State,
    Failed,
}

impl Kind {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::NotAllowed => StatusCode::FORBIDDEN,
            Kind::Upgrade => StatusCode::UPGRADE_REQUIRED,
            Kind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::State => StatusCode::CONFLICT,
            Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Refusal {
    pub(crate) fn new(kind: Kind, error: impl Into<String>) -> Refusal {
        Refusal { kind, error: error.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Refusal {
        Refusal { hint: Some(hint.into()), ..self }
    }
}

/// An order, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) order: Order,
    answer: oneshot::Sender<Result<Reply, Refusal>>,
}

impl Asked {
    pub(crate) fn answer(self, answer: Result<Reply, Refusal>) {
        // Whoever asked may have left.
        let _ = self.answer.send(answer);
    }

    pub(crate) fn say(self, answer: Result<Value, Refusal>) {
        self.answer(answer.map(Reply::Said));
    }
}

/// The side that gives orders.
#[derive(Clone)]
pub(crate) struct Desk(mpsc::Sender<Asked>);

impl Desk {
    pub(crate) async fn ask(&self, order: Order) -> Result<Reply, Refusal> {
        let gone = || Refusal::new(Kind::Failed, "the gateway has ended");
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { order, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// The side that obeys.
pub(crate) struct Orders(Option<mpsc::Receiver<Asked>>);

impl Orders {
    /// Of a gateway that nobody can give orders.
    pub(crate) fn none() -> Orders {
        Orders(None)
    }

    pub(crate) fn channel() -> (Desk, Orders) {
        let (send, receive) = mpsc::channel(WAITING);
        (Desk(send), Orders(Some(receive)))
    }

    /// The next one; waits for ever where none can come.
    pub(crate) async fn next(&mut self) -> Asked {
        let next = match &mut self.0 {
            Some(orders) => orders.recv().await,
            None => None,
        };
        match next {
            Some(it) => it,
            None => pending().await,
        }
    }
}
