//! One request on an HTTP/2 connection to a target, to the head of its answer.

use super::multiplex::{Lease, Multiplexed, Seen, Under};
use super::patience::{Patience, Rang, Waiting};
use super::{Halt, Turn};
use crate::head::{AnswerFraming, Head, fits};
use crate::outbound::{Outbound, Pump, PumpFault, Pumped};
use crate::recorder::Recorder;
use crate::timer::Alarm;
use crate::tunnel::Upgrade;
use bytes::Bytes;
use config::Limits;
use exchange::{BodyFault, Fault, HeadFault, Http2, Limit, Phase, SendFault, Stop, TlsFault};
use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// An answer's body on its stream, and what is left to send.
pub(crate) struct Stream {
    pub(crate) recv: RecvStream,
    pub(crate) send: SendStream<Bytes>,
    pub(crate) lease: Lease,
    /// Data that was held back.
    pub(crate) held: VecDeque<Bytes>,
}

impl Stream {
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.iter().map(Bytes::len).sum()
    }
}

/// Sends the request and reads the head of its answer.
pub(crate) async fn converse(
    turn: &Turn<'_>,
    alarm: &Alarm,
    outbound: &mut Outbound,
    lease: Lease,
    record: &mut Recorder,
) -> Result<(Head, Stream), Halt> {
    outbound.pump.rewind();
    record.enter(Phase::SendHead);
    let asked = outbound.request(turn.target(), turn.host, &turn.origin, &turn.seat);
    let (mut request, bytes) = asked.map_err(Stop::Refused)?;
    if let Some(upgrade) = &outbound.upgrade {
        may_upgrade(turn, alarm, &lease).await?;
        as_connect(&mut request, upgrade);
    }
    let is_over = !outbound.pump.has_body() && outbound.upgrade.is_none();
    let (response, send) = match lease.send(request, is_over) {
        Ok(sent) => sent,
        Err(error) => return Err(failed(&error, lease.connection(), record)),
    };
    record.attempt_mut().sent = bytes;
    outbound.pump.head_is_given(bytes);
    let conversation = Conversation {
        patience: Patience::new(turn, alarm),
        pump: &mut outbound.pump,
        bodyless: outbound.method == Method::HEAD,
        response,
        send,
        takes_more: true,
        lease: &lease,
        record,
        interim: 0,
        sent_at: None,
    };
    let (mut head, recv, send) = conversation.head().await.inspect_err(|halt| {
        // How soon a caller gives up says nothing of the connection.
        if let Halt::Stop(Stop::Failed(fault)) = halt
            && !fault.limit().is_some_and(|it| it.is_callers())
        {
            lease.failed(fault);
        }
    })?;
    if let Some(upgrade) = outbound.upgrade.as_ref().filter(|_| (200..300).contains(&head.status)) {
        // What 101 is in HTTP/1.1 (RFC 8441 4).
        head.status = 101;
        head.upgrade = HeaderValue::from_bytes(&upgrade.protocol).ok();
        let accept = upgrade.accept_for(&outbound.headers);
        head.fields.extend(accept.map(|it| (header::SEC_WEBSOCKET_ACCEPT, it)));
    }
    Ok((head, Stream { recv, send, lease, held: VecDeque::new() }))
}

/// Waits for the first frame of the target, which says whether it takes extended CONNECT.
async fn may_upgrade(turn: &Turn<'_>, alarm: &Alarm, lease: &Lease) -> Result<(), Stop> {
    let seen = &lease.connection().seen;
    if !seen.has_spoken() && !seen.broken.get() {
        let timeout = &turn.upstream.settings.timeout;
        let (until, limit) = turn.limit("timeout.first_byte", timeout.first_byte);
        if alarm.until(until, seen.spoken.notified()).await.is_none() {
            let fault = turn.fired(limit, |it| Fault::Head(HeadFault::TimedOut(it)));
            lease.failed(&fault);
            return Err(Stop::Failed(fault));
        }
    }
    // Where it ended instead, sending says why.
    match lease.takes_upgrades() || !seen.has_spoken() {
        true => Ok(()),
        false => Err(Stop::Failed(Fault::Head(HeadFault::NoExtendedConnect))),
    }
}

/// The request as one for its stream to go on with another protocol (RFC 8441 4).
fn as_connect(request: &mut Request<()>, upgrade: &Upgrade) {
    *request.method_mut() = Method::CONNECT;
    let headers = request.headers_mut();
    headers.remove(header::SEC_WEBSOCKET_KEY);
    headers.remove(header::CONTENT_LENGTH);
    let protocol = String::from_utf8_lossy(&upgrade.protocol);
    request.extensions_mut().insert(Protocol::from(&*protocol));
}

struct Conversation<'a, 'b> {
    patience: Patience<'a>,
    pump: &'a mut Pump,
    bodyless: bool,
    response: ResponseFuture,
    send: SendStream<Bytes>,
    takes_more: bool,
    lease: &'a Lease,
    record: &'b mut Recorder,
    interim: usize,
    sent_at: Option<Instant>,
}

type Answer = (Head, RecvStream, SendStream<Bytes>);

impl Conversation<'_, '_> {
    async fn head(mut self) -> Result<Answer, Halt> {
        let outcome = poll_fn(|cx| self.poll(cx)).await;
        if outcome.is_err() {
            let attempt = self.record.attempt_mut();
            attempt.since_sent = self.sent_at.map(|it| it.elapsed().as_micros() as u64);
        }
        let (head, recv) = outcome?;
        Ok((head, recv, self.send))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Head, RecvStream), Halt>> {
        loop {
            self.write(cx)?;
            if self.interim(cx)? {
                // It may have let the body go.
                continue;
            }
            match Pin::new(&mut self.response).poll(cx) {
                Poll::Ready(Ok(response)) => return Poll::Ready(self.read(response)),
                Poll::Ready(Err(error)) => {
                    let connection = self.lease.connection();
                    return Poll::Ready(Err(failed(&error, connection, self.record)));
                }
                Poll::Pending => {}
            }
            match self.patience.poll(cx, false) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Rang::GoOn) => self.pump.waits = false,
                Poll::Ready(Rang::Stop(stop)) => {
                    return Poll::Ready(Err(stop.into()));
                }
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Halt> {
        if !self.takes_more || self.sent_at.is_some() {
            return Ok(());
        }
        let before = self.pump.sent;
        let pumped = self.pump.poll_stream(&mut self.send, cx);
        self.record.body_taken(self.pump.taken);
        self.record.attempt_mut().sent = self.pump.sent;
        if self.pump.has_body() {
            self.record.enter_once(Phase::SendBody);
        }
        match pumped {
            Ok(Pumped::All) => {
                self.record.enter_once(Phase::WaitFirstByte);
                self.sent_at = Some(Instant::now());
                self.patience.wait(Waiting::Answer, false);
            }
            Ok(Pumped::Upstream) => self.patience.wait(Waiting::Take, before < self.pump.sent),
            Ok(Pumped::Client) if self.pump.waits => self.patience.wait(Waiting::Continue, false),
            Ok(Pumped::Client) => self.patience.wait(Waiting::Client, before < self.pump.sent),
            // The stream is over, which the answer explains or its failure.
            Err(PumpFault::Upstream(_)) => {
                self.takes_more = false;
                self.patience.wait(Waiting::Answer, false);
            }
            Err(PumpFault::Client) => return Err(self.patience.client_ended()),
        }
        Ok(())
    }

    /// Whether an interim answer was read.
    fn interim(&mut self, cx: &mut Context<'_>) -> Result<bool, Halt> {
        let Poll::Ready(Some(Ok(_))) = self.response.poll_informational(cx) else {
            return Ok(false);
        };
        self.pump.waits = false;
        self.interim += 1;
        let most = self.patience.turn.limits.interim_responses;
        if most < self.interim {
            let limit = Limit { name: "limits.interim_responses", value: most as u64 };
            return Err(Stop::Failed(Fault::Head(HeadFault::TooManyInterim(limit))).into());
        }
        Ok(true)
    }

    fn read(&mut self, response: Response<RecvStream>) -> Result<(Head, RecvStream), Halt> {
        self.record.enter_once(Phase::ReadHead);
        let (parts, recv) = response.into_parts();
        let bytes = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let attempt = self.record.attempt_mut();
        attempt.received += 3 + bytes.sum::<usize>() as u64;
        attempt.http2 = Http2::Spoken;
        let status = parts.status.as_u16();
        let over = self.bodyless || recv.is_end_stream() || matches!(status, 204 | 304);
        let head = head(status, parts.headers, over, self.patience.turn.limits);
        let fault = |fault| Halt::from(Stop::Failed(Fault::Head(fault)));
        head.map(|head| (head, recv)).map_err(fault)
    }
}

/// A head of HTTP/2, read as one of HTTP/1 is: what belongs to a connection is h2's to refuse.
pub(crate) fn head(
    status: u16,
    mut fields: HeaderMap,
    over: bool,
    limits: &Limits,
) -> Result<Head, HeadFault> {
    fits(&fields, limits)?;
    // One number, to which h2 holds the target (RFC 9113 8.1.1): it takes none for 0, and the same
    // again.
    let number = |it: &HeaderValue| it.to_str().ok()?.parse::<u64>().ok();
    let length = fields.get(header::CONTENT_LENGTH).map(|it| number(it).unwrap_or(0));
    match length {
        // It has none (RFC 9110 8.6), and some callers would wait for it.
        Some(_) if status == 204 => drop(fields.remove(header::CONTENT_LENGTH)),
        Some(length) => drop(fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
        None => {}
    }
    fields.remove(header::TE);
    let body = match length {
        _ if over => AnswerFraming::None,
        Some(length) => AnswerFraming::Length(length),
        None => AnswerFraming::Close,
    };
    Ok(Head { len: 0, status, fields, body, keep_alive: true, idle_limit: None, upgrade: None })
}

/// Why there is no head, with what was seen under h2.
fn failed(error: &h2::Error, connection: &Multiplexed, record: &mut Recorder) -> Halt {
    let seen = &connection.seen;
    let attempt = record.attempt_mut();
    attempt.errno = seen.errno.get();
    if seen.has_spoken() {
        attempt.http2 = Http2::Spoken;
    }
    let fault = head_fault(error, &seen.under());
    if matches!(fault, Fault::Head(HeadFault::NotHttp | HeadFault::AnsweredHttp1)) {
        attempt.first_bytes = seen.first_bytes();
    }
    Stop::Failed(fault).into()
}

/// Why there is no head, by h2 and by what was seen under it.
pub(crate) fn head_fault(error: &h2::Error, seen: &Under) -> Fault {
    let code = error.reason().map_or(0, u32::from);
    if error.is_remote() && error.is_go_away() {
        return Fault::Head(HeadFault::GoAway(code));
    }
    if error.is_remote() && error.is_reset() {
        return Fault::Head(HeadFault::StreamReset(code));
    }
    if seen.flooded {
        return Fault::Head(HeadFault::Http2(Reason::ENHANCE_YOUR_CALM.into()));
    }
    if let Some(alert) = seen.alert {
        return Fault::Tls(TlsFault::LateAlert(alert));
    }
    if seen.first.starts_with(b"HTTP/") {
        return Fault::Head(HeadFault::AnsweredHttp1);
    }
    if !seen.began_well() {
        return Fault::Head(HeadFault::NotHttp);
    }
    match error.reason() {
        // h2 reads no further than some way above the limit.
        Some(_) if seen.large_head => Fault::Head(HeadFault::TooBig {
            limit: Limit { name: "limits.response_head", value: seen.head_limit as u64 },
            largest_field: None,
            largest_bytes: 0,
        }),
        // One stream's head broke the rules of RFC 9113 8.2 and 8.3.
        Some(_) if error.is_reset() => Fault::Head(HeadFault::FieldLine),
        Some(reason) => Fault::Head(HeadFault::Http2(reason.into())),
        None if seen.first.is_empty() && seen.met(Errno::PIPE) => Fault::Send(SendFault::Closed),
        None if seen.met(Errno::CONNRESET) => Fault::Head(HeadFault::Reset),
        None if seen.ended => Fault::Head(HeadFault::Closed),
        None => Fault::Head(HeadFault::Errno),
    }
}

/// Why a body ended before its stream did. `left` is what was declared and did not come.
pub(crate) fn body_fault(error: &h2::Error, seen: &Seen, left: Option<u64>) -> BodyFault {
    let code = error.reason().map_or(0, u32::from);
    match error.reason() {
        _ if seen.flooded.get() => BodyFault::Http2(Reason::ENHANCE_YOUR_CALM.into()),
        Some(_) if error.is_remote() => BodyFault::StreamReset(code),
        Some(_) => match left {
            // h2 holds the target to what it declared (RFC 9113 8.1.1).
            Some(left) if 0 < left && error.is_reset() => BodyFault::LengthShort { left },
            _ => BodyFault::Http2(code),
        },
        None if seen.alert.get().is_some() => BodyFault::Tls,
        None if seen.met(Errno::CONNRESET) => BodyFault::Reset,
        None if seen.ended.get() => ended(left),
        None => BodyFault::Errno,
    }
}

/// The end came where the body goes on.
pub(crate) fn ended(left: Option<u64>) -> BodyFault {
    match left {
        Some(left) if 0 < left => BodyFault::LengthShort { left },
        _ => BodyFault::StreamCut,
    }
}
