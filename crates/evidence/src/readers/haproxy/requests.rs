//! `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ----
//! 1/1/1/1/0 0/0 {1wt.eu} {} "GET / HTTP/1.1"`: how the session ended stands in four letters.

use super::message;
use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::readers::nginx::tls;
use crate::sign::{Kind, Sign};
use crate::trust::Trust;

pub(in crate::readers) const REQUESTS: Reader = Reader {
    name: "HAProxy log of requests",
    product: Product::HaProxy,
    hooks: &[],
    fits: |line| session(message(&line.text)).is_some(),
    read: |line, sink| {
        if let Some(it) = session(message(&line.text)) {
            it.tell(&line.text, sink);
        }
    },
    source: "HAProxy configuration manual, chapter 8 (logging), 8.2 and 8.5; HAProxy 2.6.12",
    example: "192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 0/0/-1/-1/3004 503 217 - \
              - SC-- 1/1/1/1/3 0/0 \"GET /index.html HTTP/1.1\"",
};

struct Session<'a> {
    at: Stamp,
    client: &'a str,
    frontend: &'a str,
    backend: &'a str,
    server: &'a str,
    /// `backend/server`.
    target: &'a str,
    /// In ms: `TR/Tw/Tc/Tr/Ta`, or `Tw/Tc/Tt` of TCP. -1 is what did not happen.
    timers: [i64; 5],
    /// Empty for TCP.
    status: &'a str,
    ended: &'a str,
    connections: &'a str,
    request: &'a str,
    /// What the owner logs behind the request.
    behind: &'a str,
}

fn session(text: &str) -> Option<Session<'_>> {
    let (client, rest) = text.split_once(" [")?;
    let (_, port) = client.rsplit_once(':')?;
    if client.contains(' ') || port.is_empty() || !port.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let (at, end) = clock::day_first(rest)?;
    let rest = rest[end..].strip_prefix("] ")?;
    let (frontend, rest) = rest.split_once(' ')?;
    let (target, rest) = rest.split_once(' ')?;
    let (backend, server) = target.split_once('/')?;
    let (times, rest) = rest.split_once(' ')?;
    let (timers, tcp) = timers(times)?;
    let mut words = rest.split(' ');
    let status = if tcp { "" } else { words.next()? };
    if !tcp && status != "-1" && (status.len() != 3 || status.parse::<u16>().is_err()) {
        return None;
    }
    let bytes = words.next()?;
    if bytes.trim_start_matches('+').parse::<u64>().is_err() {
        return None;
    }
    if !tcp {
        words.next()?;
        words.next()?;
    }
    let ended = words.next()?;
    let connections = words.next()?;
    let known = ended.len() == if tcp { 2 } else { 4 } && connections.matches('/').count() == 4;
    if !known || !ended.bytes().all(|it| it.is_ascii_alphabetic() || it == b'-') {
        return None;
    }
    let rest = &text[span_of(text, connections).end..];
    let (request, behind) = match rest.split_once(" \"") {
        // HAProxy writes a quote inside of a request as `#22`.
        Some((_, rest)) => rest.split_once('"').unwrap_or((rest, "")),
        None => ("", ""),
    };
    Some(Session {
        at,
        client: client.rsplit_once(':').map_or(client, |(it, _)| it),
        frontend: frontend.trim_end_matches('~'),
        backend,
        server,
        target,
        timers,
        status,
        ended,
        connections,
        request,
        behind,
    })
}

/// The times, and whether they are those of TCP.
fn timers(text: &str) -> Option<([i64; 5], bool)> {
    let mut timers = [0; 5];
    let mut count = 0;
    for part in text.split('/') {
        *timers.get_mut(count)? = part.trim_start_matches('+').parse().ok()?;
        count += 1;
    }
    match count {
        5 => Some((timers, false)),
        // Tw/Tc/Tt: there is no request and no answer to wait for.
        3 => Some(([0, timers[0], timers[1], -1, timers[2]], true)),
        _ => None,
    }
}

impl Session<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let status = self.status.parse::<u16>().ok();
        if let Some(status) = status {
            sink.served(Served { at: Some(self.at), status });
        }
        let Some(found) = self.found(status) else { return };
        let about_client = found.sign.kind() == Kind::Client;
        let named = (!about_client && !self.target.is_empty()).then_some(self.target);
        sink.event(
            Event::new(Product::HaProxy, found.sign, found.trust, span_of(text, found.words))
                .at(Some(self.at))
                .status(status)
                .upstream(named)
                .number(found.number)
                .route(self.request.split(' ').nth(1).filter(|it| !it.is_empty()))
                .client(Some(self.client)),
        );
    }

    fn found(&self, status: Option<u16>) -> Option<Found<'_>> {
        let by_end = |sign| Found::new(sign, self.ended);
        let (how, phase) = self.letters();
        let failed = matches!(status, Some(500 | 502..=504));
        if how == b'-' {
            return self.ordinary(status);
        }
        let found = match (how, phase) {
            (b'C', _) => by_end(Sign::ClientClosed),
            (b'c', _) => by_end(Sign::ClientSlow),
            (b'S' | b's', b'Q') | (_, b'Q') => by_end(Sign::QueueTimedOut).number(self.timers[1]),
            (b'S' | b's', b'C') if self.server == "<NOSRV>" => by_end(self.nowhere()),
            (b'S', b'C') => self.told_behind().unwrap_or_else(|| by_end(Sign::ConnectFailed)),
            (b's', b'C') => {
                let found = self.told_behind().unwrap_or_else(|| by_end(Sign::ConnectTimedOut));
                found.number(self.since(2))
            }
            (b'S', b'H') => by_end(Sign::Closed),
            (b'S', b'D' | b'L') => by_end(Sign::BodyCut),
            (b's', b'H') => by_end(Sign::HeadTimedOut).number(self.since(3)),
            (b's', b'D' | b'L') => by_end(Sign::BodyStalled),
            (b's', b'R') => by_end(Sign::SendTimedOut),
            (b'P', b'H' | b'D') => by_end(Sign::ProtocolError),
            (b'P', b'C') => by_end(Sign::ConnectionTableFull),
            (b'P' | b'L', _) if !failed => return self.refused(status),
            // Memory, sockets or source ports: the error log says which.
            (b'R', b'C') => by_end(Sign::NoLocalPort).trust(Trust::D),
            (b'R', _) => by_end(Sign::MemoryOut).trust(Trust::D),
            (b'D' | b'U' | b'K', b'D' | b'L') => by_end(Sign::BodyCut),
            (b'D' | b'U' | b'K', _) => by_end(Sign::Disconnected),
            _ => Found::new(answered(status)?, self.status),
        };
        Some(found)
    }

    fn letters(&self) -> (u8, u8) {
        let bytes = self.ended.as_bytes();
        (bytes.first().copied().unwrap_or(b'-'), bytes.get(1).copied().unwrap_or(b'-'))
    }

    /// A session that ended as it should: the answer is the server's own.
    fn ordinary(&self, status: Option<u16>) -> Option<Found<'_>> {
        match status {
            Some(500 | 502..=504) if self.server.starts_with('<') => {
                Some(Found::new(answered(status)?, self.status))
            }
            Some(500 | 502..=504) => Some(Found::new(Sign::RelayedError, self.status)),
            Some(100..=499) => {
                let retries = self.connections.rsplit('/').next().unwrap_or_default();
                let count = retries.trim_start_matches('+').parse().ok().filter(|it| *it > 0)?;
                Some(Found::new(Sign::ConnectFailed, self.connections).number(Some(count)))
            }
            _ => None,
        }
    }

    /// A frontend that leads nowhere, or a backend without a server that is up.
    fn nowhere(&self) -> Sign {
        match self.backend == self.frontend {
            true => Sign::NoCluster,
            false => Sign::NoLiveUpstream,
        }
    }

    fn refused(&self, status: Option<u16>) -> Option<Found<'_>> {
        let sign = match status? {
            401 | 403 | 407 => Sign::AuthDenied,
            429 => Sign::RateLimited,
            413 => Sign::ClientBodyTooLarge,
            414 | 431 => Sign::ClientHeaderTooLarge,
            _ => return None,
        };
        Some(Found::new(sign, self.ended))
    }

    /// How long the phase took that did not end: all the time but that of the phases before.
    fn since(&self, phase: usize) -> Option<i64> {
        let before: i64 = self.timers[..phase].iter().map(|it| (*it).clamp(0, i64::MAX / 8)).sum();
        self.timers[4].checked_sub(before).filter(|it| *it >= 0)
    }

    /// `%[bc_err_str]` and `%[ssl_bc_err_str]`, which some let it log behind the request.
    fn told_behind(&self) -> Option<Found<'_>> {
        const SAID: [(&str, Sign); 10] = [
            (
                "Server presented an SSL certificate different from the expected one",
                Sign::CertWrongName,
            ),
            ("Timeout during SSL handshake", Sign::TlsTimedOut),
            ("Connection closed during SSL handshake", Sign::TlsClosed),
            ("ECONNREFUSED returned by OS", Sign::ConnectRefused),
            ("ETIMEDOUT returned by OS", Sign::ConnectTimedOut),
            ("EHOSTUNREACH returned by OS", Sign::HostUnreachable),
            ("ENETUNREACH returned by OS", Sign::NetworkUnreachable),
            ("ECONNRESET returned by OS", Sign::Reset),
            ("ENOENT returned by OS", Sign::SocketMissing),
            ("EACCES returned by OS", Sign::ConnectDenied),
        ];
        if let Some(at) = self.behind.find("error:") {
            let words = self.behind[at..].split(['"', '}', ')']).next().unwrap_or_default();
            let words = words.trim_end();
            let sign = tls::reason_sign(words)?;
            return Some(Found::new(sign, words).number(tls::alert(words)));
        }
        let known = |text: &str| self.behind.find(text).map(|at| &self.behind[at..at + text.len()]);
        if let Some((sign, words)) = SAID.iter().find_map(|(text, it)| Some((*it, known(text)?))) {
            return Some(Found::new(sign, words));
        }
        // It says so of a full unix socket as well.
        let words = known("Out of local source ports on the system")?;
        Some(Found::new(Sign::NoLocalPort, words).trust(Trust::D))
    }
}

fn answered(status: Option<u16>) -> Option<Sign> {
    Some(match status? {
        500 => Sign::Answered500,
        502 => Sign::Answered502,
        503 => Sign::Answered503,
        504 => Sign::Answered504,
        _ => return None,
    })
}

struct Found<'a> {
    sign: Sign,
    trust: Trust,
    words: &'a str,
    number: Option<i64>,
}

impl<'a> Found<'a> {
    fn new(sign: Sign, words: &'a str) -> Found<'a> {
        Found { sign, trust: Trust::C, words, number: None }
    }

    fn trust(self, trust: Trust) -> Found<'a> {
        Found { trust, ..self }
    }

    fn number(self, number: impl Into<Option<i64>>) -> Found<'a> {
        Found { number: number.into().filter(|it| *it >= 0).or(self.number), ..self }
    }
}
