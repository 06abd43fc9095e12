//! What one line says.

use crate::clock::Stamp;
use crate::line::Below;
use crate::product::Product;
use crate::sign::Sign;
use crate::trust::Trust;
use std::borrow::Cow;
use std::ops::Range;

/// One observation, borrowed from the line that holds it.
///
/// `route`, `client` and `request_id` are what a caller sent or could choose: they join and count,
/// and are never evidence. Everything else must come from words of the component itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    pub sign: Sign,
    pub trust: Trust,
    pub product: Product,
    /// The decisive words: bytes of the line's text, as short as they can be.
    pub span: Range<usize>,
    /// The line's own time; else the time that a layer around it gives is taken.
    pub at: Option<Stamp>,
    /// What was dialled, as written: an address, a URL, a socket's path or a group's name.
    /// For `Listening`, the address that is listened on.
    pub upstream: Option<Cow<'a, str>>,
    /// Whom it concerns: a unit, container, pod, server, target group, process name.
    pub who: Option<Cow<'a, str>>,
    /// What a sentence needs besides: `ModuleNotFoundError: No module named 'flask'`, a host name,
    /// a path, a reason.
    pub detail: Option<Cow<'a, str>>,
    /// A limit, an exit code, a signal, a status of a check, a length: what the sign counts.
    /// Durations are in milliseconds.
    pub number: Option<i64>,
    /// The status that the client got from this hop, where the line says it.
    pub status: Option<u16>,
    pub pid: Option<u32>,
    pub route: Option<Cow<'a, str>>,
    pub client: Option<Cow<'a, str>>,
    pub request_id: Option<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    #[must_use]
    pub fn new(product: Product, sign: Sign, trust: Trust, span: Range<usize>) -> Event<'a> {
        Event {
            sign,
            trust,
            product,
            span,
            at: None,
            upstream: None,
            who: None,
            detail: None,
            number: None,
            status: None,
            pid: None,
            route: None,
            client: None,
            request_id: None,
        }
    }

    #[must_use]
    pub fn at(self, at: Option<Stamp>) -> Event<'a> {
        Event { at, ..self }
    }

    #[must_use]
    pub fn upstream(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { upstream: it.map(Into::into), ..self }
    }

    #[must_use]
    pub fn who(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { who: it.map(Into::into), ..self }
    }

    #[must_use]
    pub fn detail(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { detail: it.map(Into::into), ..self }
    }

    #[must_use]
    pub fn number(self, number: Option<i64>) -> Event<'a> {
        Event { number, ..self }
    }

    #[must_use]
    pub fn status(self, status: Option<u16>) -> Event<'a> {
        Event { status, ..self }
    }

    #[must_use]
    pub fn pid(self, pid: Option<u32>) -> Event<'a> {
        Event { pid, ..self }
    }

    #[must_use]
    pub fn route(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { route: it.map(Into::into), ..self }
    }

    #[must_use]
    pub fn client(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { client: it.map(Into::into), ..self }
    }

    #[must_use]
    pub fn request_id(self, it: Option<impl Into<Cow<'a, str>>>) -> Event<'a> {
        Event { request_id: it.map(Into::into), ..self }
    }
}

/// A request of an access log that did not fail, for counting shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    pub at: Option<Stamp>,
    pub status: u16,
}

/// Where readers put what they find.
pub trait Sink {
    fn event(&mut self, event: Event<'_>);

    /// One request of an access log, failed or not. Readers of access lines call it for each.
    fn served(&mut self, served: Served);

    /// One whose decisive words stand in a line after the one that is read; the span is of that
    /// line's text.
    fn event_below(&mut self, below: &Below<'_>, event: Event<'_>);

    /// The lines up to this one belong to the one that is read, and are not read by themselves.
    fn taken(&mut self, last: &Below<'_>);
}
