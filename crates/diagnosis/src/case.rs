//! What the engine is given to judge.

mod faults;
mod place;

use exchange::{Answer, Attempt, End, Exchange, Fault, Maker, Micros, Phase, Refusal, Stop};

/// One exchange that did not go well, and the questions that causes ask of it.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub exchange: &'a Exchange,
    pub subject: Subject<'a>,
}

/// What about the exchange is to be explained.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// We answered it without an upstream.
    Refused(Refusal),
    /// The last attempt failed.
    Failed(&'a Fault),
    /// The client left in this phase.
    ClientClosed(Phase),
    /// The upstream itself answered with this 5xx.
    UpstreamStatus(u16),
    /// It was asked for a WebSocket, and answered with this as a server does that cannot switch.
    NotSwitched(u16),
}

impl<'a> Case<'a> {
    /// `None` where there is nothing to explain.
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Option<Case<'a>> {
        let subject = match (&exchange.stop, exchange.end) {
            (Some(Stop::Refused(refusal)), _) => Subject::Refused(*refusal),
            (Some(Stop::Failed(fault)), _) => Subject::Failed(fault),
            (None, End::ClientClosed(phase)) => Subject::ClientClosed(phase),
            (None, _) => match &exchange.answer {
                Some(it) if cannot_switch(exchange, it) => Subject::NotSwitched(it.status),
                Some(it) if it.made_by == Maker::Upstream && it.status >= 500 => {
                    Subject::UpstreamStatus(it.status)
                }
                Some(it) if it.made_by == Maker::Kept => return None,
                _ => Subject::Failed(exchange.last_attempt()?.fault.as_ref()?),
            },
        };
        Some(Case { exchange, subject })
    }

    /// The fault to explain, where there is one.
    #[must_use]
    pub fn fault(&self) -> Option<&'a Fault> {
        match self.subject {
            Subject::Failed(fault) => Some(fault),
            _ => None,
        }
    }

    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self.subject {
            Subject::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The attempt that decided: the last one.
    #[must_use]
    pub fn attempt(&self) -> Option<&'a Attempt> {
        self.exchange.attempts.last()
    }

    /// The address that was dialled, else the target as configured, for sentences.
    #[must_use]
    pub fn dialled(&self) -> String {
        match self.attempt() {
            Some(Attempt { address: Some(address), .. }) => address.to_string(),
            Some(attempt) => attempt.target.to_string(),
            None => "the upstream".to_owned(),
        }
    }

    /// Who stands at the other end, for sentences: the server's own name if it ever said one
    /// (`gunicorn`, `uvicorn`), else `the upstream`.
    #[must_use]
    pub fn server(&self) -> String {
        let server = self.attempt().and_then(|it| it.server.as_deref());
        let word = server.and_then(|it| it.split(['/', ' ']).next()).filter(|it| !it.is_empty());
        word.unwrap_or("the upstream").to_owned()
    }

    /// The port that was dialled, where there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.attempt()?.address.as_ref()? {
            exchange::Address::Inet(address) => Some(address.port()),
            exchange::Address::Unix(_) => None,
        }
    }

    #[must_use]
    pub fn unix_path(&self) -> Option<&'a str> {
        match self.attempt()?.address.as_ref()? {
            exchange::Address::Inet(_) => None,
            exchange::Address::Unix(path) => Some(path),
        }
    }

    /// The dialled address is this machine's loopback.
    #[must_use]
    pub fn loopback(&self) -> bool {
        matches!(self.attempt().and_then(|it| it.address.as_ref()),
            Some(exchange::Address::Inet(address)) if address.ip().is_loopback())
    }

    #[must_use]
    pub fn reused(&self) -> bool {
        self.attempt().is_some_and(Attempt::reused)
    }

    /// How long the connection had been idle when it was reused.
    #[must_use]
    pub fn idle_for(&self) -> Option<Micros> {
        let connection = self.attempt()?.connection.as_ref()?;
        (connection.ordinal > 1).then_some(connection.idle_for)
    }

    /// Bytes of an answer that came before the fault.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.attempt().map_or(0, |it| it.received)
    }

    /// The first bytes of an answer that was no HTTP.
    #[must_use]
    pub fn first_bytes(&self) -> &'a [u8] {
        self.attempt().map_or(&[], |it| &it.first_bytes)
    }

    /// The request's method may safely happen twice (RFC 9110 9.2.2).
    #[must_use]
    pub fn idempotent(&self) -> bool {
        matches!(
            &*self.exchange.request.method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        )
    }
}

/// An answer that is no decision about a WebSocket, but ignorance of it. Who redirects, asks for a
/// login, forbids or fails has an own reason for that. Other protocols than WebSocket are offers,
/// which a server may ignore (RFC 9110 7.8).
fn cannot_switch(exchange: &Exchange, answer: &Answer) -> bool {
    let asked = exchange.request.upgrade.as_deref();
    answer.made_by == Maker::Upstream
        && asked.is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
        && matches!(answer.status, 200..300 | 400 | 404 | 405 | 426 | 501)
        // Over HTTP/2 an agreement has this status too.
        && exchange.last_attempt().and_then(|it| it.status) == Some(answer.status)
}

/// A duration for people: `0.2 ms`, `31 ms`, `2.5 s`, `4 min`.
#[must_use]
pub(crate) fn words(micros: Micros) -> String {
    match micros {
        0..1_000 => format!("{:.1} ms", micros as f64 / 1e3),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..120_000_000 => format!("{:.1} s", micros as f64 / 1e6).replace(".0 s", " s"),
        _ => format!("{} min", micros / 60_000_000),
    }
}
