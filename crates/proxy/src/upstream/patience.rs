//! What an attempt waits for, and how long it may.

use super::{CONTINUE, Halt, TUNNEL, Turn};
use crate::timer::Alarm;
use exchange::{Fault, HeadFault, Limit, Refusal, SendFault, Stop};
use std::task::{Context, Poll, ready};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The upstream to take bytes.
    Take,
    /// `100 Continue`.
    Continue,
    /// The first byte, and then the rest, of the head.
    Answer,
    /// The client to go on with its body: its own limits hold, and the deadline.
    Client,
}

/// The limit that holds now.
pub(super) struct Patience<'a> {
    pub(super) turn: &'a Turn<'a>,
    alarm: &'a Alarm,
    limit: Option<(Waiting, Limit)>,
}

/// It is over.
pub(super) enum Rang {
    /// The upstream had its time to say `100 Continue`: the body goes without it.
    GoOn,
    Stop(Stop),
}

impl<'a> Patience<'a> {
    pub(super) fn new(turn: &'a Turn<'a>, alarm: &'a Alarm) -> Patience<'a> {
        Patience { turn, alarm, limit: None }
    }

    /// Sets the alarm for what is being waited for now; anew where that has gone on.
    pub(super) fn wait(&mut self, what: Waiting, again: bool) {
        if !again && self.limit.is_some_and(|(before, _)| before == what) {
            return;
        }
        let timeout = &self.turn.upstream.settings.timeout;
        let (at, limit) = match what {
            Waiting::Take => self.turn.limit("timeout.send", timeout.send),
            Waiting::Continue => self.turn.limit("100-continue", CONTINUE),
            Waiting::Answer => self.turn.first_byte(),
            Waiting::Client => self.turn.client(),
        };
        self.limit = Some((what, limit));
        self.alarm.set(at);
    }

    /// `began`: a part of the head has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, began: bool) -> Poll<Rang> {
        ready!(self.alarm.poll(cx));
        let Some((what, limit)) = self.limit else {
            return Poll::Pending;
        };
        Poll::Ready(Rang::Stop(Stop::Failed(match what {
            _ if limit == self.turn.total => Fault::Deadline(limit),
            Waiting::Continue => {
                self.limit = None;
                return Poll::Ready(Rang::GoOn);
            }
            Waiting::Take => Fault::Send(SendFault::TimedOut(limit)),
            Waiting::Client if limit.name == TUNNEL => {
                return Poll::Ready(Rang::Stop(Stop::Refused(Refusal::BodyTimeout)));
            }
            Waiting::Answer | Waiting::Client if began => Fault::Head(HeadFault::Slow(limit)),
            Waiting::Answer | Waiting::Client => Fault::Head(HeadFault::TimedOut(limit)),
        })))
    }

    /// The client's body ended early: without a reason of ours it has simply gone.
    pub(super) fn client_ended(&self) -> Halt {
        match self.turn.seat.link().body_refused() {
            Some(refusal) => Stop::Refused(refusal).into(),
            None => Halt::ClientGone,
        }
    }
}
