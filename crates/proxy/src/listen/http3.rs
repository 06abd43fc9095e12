//! HTTP/3 from clients (RFC 9114): one task a connection, one a stream.
//!
//! On `quinn` for QUIC, with our own reading of frames and heads. The `h3` crate (0.0.8) takes a
//! body that is cut inside a DATA frame for whole and then panics, keeps a HEADERS frame of any
//! length in memory, takes repeated and late pseudo-header fields, and does not say when a client
//! has lost interest in an answer: each of these is ours to refuse, to limit or to record.

pub(crate) mod body;
mod fields;
mod frames;
pub(crate) mod fuzzing;
mod head;
pub(crate) mod quic;
mod tables;

use crate::contain::Made;
use crate::front::{HeadNote, Link};
use crate::inbound::Inbound;
use crate::listen::floods::Flood;
use crate::listen::streams::{Counted, Streams, remove_connection_fields};
use crate::pace::{Least, Pace};
use crate::reply::{AnswerBody, Reply};
use crate::seat::Seat;
use crate::serve::{begin, serve};
use crate::timer::Alarm;
use crate::upstream::body::Cut;
use crate::worker::Worker;
use body::Upload;
use bytes::{Buf, Bytes, BytesMut};
use exchange::Refusal;
use frames::{Fault, Frames, code, frame_head, kind, put_integer};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body::{Body, Frame};
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use std::cell::Cell;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How long a client that was told to leave may go on opening streams, at the most: what it sent
/// before it heard of it is to be served.
const LEAVING: Duration = Duration::from_secs(3);

/// A client may send the end of a request a packet later than its head. So long we wait for it
/// where a body would be a surprise, so that no request goes on with an empty one.
const END: Duration = Duration::from_millis(50);

/// The limits of the rates hold for any time of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// What SETTINGS may be as large as; all that are known need far less.
const SETTINGS: u64 = 1024;

/// The longest integer (RFC 9000 16).
const INTEGER: u64 = 8;

/// The largest number of a stream of a client (RFC 9114 5.2, RFC 9000 2.1).
const ALL_STREAMS: u64 = (1 << 62) - 4;

/// Kinds of streams of one direction (RFC 9114 6.2, RFC 9204 4.2).
mod aside {
    pub(super) const CONTROL: u64 = 0;
    pub(super) const PUSH: u64 = 1;
    pub(super) const ENCODER: u64 = 2;
    pub(super) const DECODER: u64 = 3;
}

/// Identifiers of settings (RFC 9114 7.2.4.1).
const MAX_FIELD_SECTION_SIZE: u64 = 6;

/// What the tasks of one connection know together.
pub(crate) struct Client {
    connection: Connection,
    worker: Rc<Worker>,
    streams: Rc<Streams>,
    since: Cell<Instant>,
    resets: Cell<usize>,
    controls: Cell<usize>,
    /// Which streams of one direction there are: each of the first four kinds may be there once.
    seen: Cell<[bool; 4]>,
}

impl Client {
    /// The client broke a rule: the connection ends.
    fn fail(&self, code: VarInt) {
        self.worker.plane.client_errors.fetch_add(1, Relaxed);
        self.connection.close(code, b"");
    }

    /// Counts a frame that carries nothing for a request.
    fn count_control(&self) {
        self.count(&self.controls, self.worker.limits().http3.controls, Flood::Controls);
    }

    /// Counts a request that was taken back.
    fn count_reset(&self) {
        self.count(&self.resets, self.worker.limits().http3.resets, Flood::Resets);
    }

    fn count(&self, counter: &Cell<usize>, most: usize, flood: Flood) {
        let now = Instant::now();
        if WINDOW <= now - self.since.get() {
            self.since.set(now);
            self.resets.set(0);
            self.controls.set(0);
        }
        counter.set(counter.get() + 1);
        if most < counter.get() && self.connection.close_reason().is_none() {
            self.worker.plane.http3_floods.count(flood);
            self.connection.close(code::EXCESSIVE_LOAD, b"");
        }
    }
}

/// One client's connection, from its handshake to its last stream.
pub(crate) async fn converse(worker: Rc<Worker>, connection: Connection) {
    let peer = connection.remote_address();
    let seat = Seat::new(worker.clone(), Link::new(), peer, true);
    let client = Rc::new(Client {
        connection,
        streams: Streams::new(),
        since: Cell::new(Instant::now()),
        resets: Cell::new(0),
        controls: Cell::new(0),
        seen: Cell::new([false; 4]),
        worker,
    });
    let patience = client.worker.bounds.head.get();
    let Ok(Some(control)) = tokio::time::timeout(patience, client.greet()).await else {
        return client.fail(code::EXCESSIVE_LOAD);
    };
    let alarm = client.worker.timer.alarm();
    let driven = Driven { client, seat, control, alarm, next: 0, leaving: Leaving::No };
    driven.run().await;
}

impl Client {
    /// Opens our control stream and sends our settings (RFC 9114 6.2.1). The dynamic table has no
    /// room unless something is said of it, and then QPACK needs no streams of ours.
    async fn greet(&self) -> Option<SendStream> {
        let mut control = self.connection.open_uni().await.ok()?;
        let mut settings = BytesMut::new();
        put_integer(&mut settings, MAX_FIELD_SECTION_SIZE);
        put_integer(&mut settings, self.worker.limits().request_head as u64);
        let mut first = BytesMut::new();
        put_integer(&mut first, aside::CONTROL);
        first.extend_from_slice(&frame_head(kind::SETTINGS, settings.len()));
        first.extend_from_slice(&settings);
        control.write_all(&first).await.ok()?;
        Some(control)
    }
}

/// How far a connection's end has come (RFC 9114 5.2).
#[derive(Clone, Copy)]
enum Leaving {
    No,
    /// The client knows that no more is to come; until then what comes all the same is served.
    Told(Instant),
    /// The client knows which stream was the last.
    Last(u64),
}

struct Driven {
    client: Rc<Client>,
    seat: Rc<Seat>,
    /// Ours, for GOAWAY.
    control: SendStream,
    alarm: Alarm,
    /// The number after the highest stream that a client opened.
    next: u64,
    leaving: Leaving,
}

impl Driven {
    async fn run(mut self) {
        let connection = self.client.connection.clone();
        loop {
            tokio::select! {
                accepted = connection.accept_bi() => match accepted {
                    Ok((send, recv)) => self.open(send, recv),
                    Err(error) => return self.ended(&error),
                },
                accepted = connection.accept_uni() => match accepted {
                    Ok(recv) => {
                        let client = self.client.clone();
                        tokio::task::spawn_local(async move { client.listen_aside(recv).await });
                    }
                    Err(error) => return self.ended(&error),
                },
                () = poll_fn(|cx| self.poll_due(cx)) => if self.leave().await.is_break() {
                    return connection.close(code::NO_ERROR, b"");
                },
            }
        }
    }

    fn ended(&self, error: &ConnectionError) {
        // What we ended ourselves was counted then; the rest are clients that left.
        if let ConnectionError::TransportError(_) | ConnectionError::CidsExhausted = error {
            self.client.worker.plane.client_errors.fetch_add(1, Relaxed);
        }
    }

    fn open(&mut self, send: SendStream, recv: RecvStream) {
        let id = VarInt::from(send.id()).into_inner();
        let mut answering = Answering::new(send);
        let mut recv = recv;
        if let Leaving::Last(last) = self.leaving
            && last <= id
        {
            // It may be asked for again elsewhere (RFC 9114 4.1.1).
            answering.reset(code::REQUEST_REJECTED);
            let _ = recv.stop(code::REQUEST_REJECTED);
            return;
        }
        self.next = self.next.max(id.saturating_add(4));
        let counted = Counted::new(&self.client.streams);
        let (client, seat) = (self.client.clone(), self.seat.of_stream());
        tokio::task::spawn_local(async move {
            stream(&client, seat, answering, recv).await;
            drop(counted);
        });
    }

    /// Ready when the next step of leaving is due.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Client { streams, worker, .. } = &*self.client;
        streams.waker.set(Some(cx.waker().clone()));
        let busy = 0 < streams.open.get();
        let now = Instant::now();
        let at = match self.leaving {
            Leaving::No if worker.is_draining() || !worker.speaks_http3() => Some(now),
            Leaving::No | Leaving::Last(_) if busy => None,
            Leaving::No => Some(streams.idle_since.get() + worker.bounds.idle.get()),
            Leaving::Told(until) => Some(until),
            Leaving::Last(_) => Some(now),
        };
        match at {
            Some(at) => self.alarm.set(at),
            None => self.alarm.clear(),
        }
        if at.is_some_and(|at| at <= now) {
            return Poll::Ready(());
        }
        self.alarm.poll(cx)
    }

    /// The next step of leaving; the last one ends the connection.
    async fn leave(&mut self) -> ControlFlow<()> {
        match self.leaving {
            Leaving::No => {
                self.go_away(ALL_STREAMS).await?;
                let there_and_back = self.client.connection.rtt() * 2;
                let until = (there_and_back + Duration::from_millis(50)).min(LEAVING);
                self.leaving = Leaving::Told(Instant::now() + until);
            }
            Leaving::Told(_) => {
                self.go_away(self.next).await?;
                self.leaving = Leaving::Last(self.next);
            }
            Leaving::Last(_) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    async fn go_away(&mut self, id: u64) -> ControlFlow<()> {
        let mut last = BytesMut::new();
        put_integer(&mut last, id);
        let frame = [&frame_head(kind::GOAWAY, last.len())[..], &last].concat();
        // A client that has no room for so little is not waited for.
        match tokio::time::timeout(LEAVING, self.control.write_all(&frame)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

impl Client {
    /// A stream of one direction: the client's control stream, or one that needs no answer.
    async fn listen_aside(&self, recv: RecvStream) {
        let mut frames = Frames::new(recv);
        // What comes out of order is kept for it, so it is not waited for without end.
        let limit = Instant::now() + self.worker.bounds.head.get();
        let alarm = self.worker.timer.alarm();
        let kind = alarm.until(limit, poll_fn(|cx| frames.poll_integer(cx))).await;
        let kind = match kind {
            Some(Ok(Some(kind))) => kind,
            // It may end before it says what it is (RFC 9114 6.2), but not for ever.
            Some(_) => return self.count_control(),
            None => return self.fail(code::STREAM_CREATION_ERROR),
        };
        match kind {
            aside::CONTROL | aside::ENCODER | aside::DECODER => {
                let mut seen = self.seen.get();
                if std::mem::replace(&mut seen[kind as usize], true) {
                    return self.fail(code::STREAM_CREATION_ERROR);
                }
                self.seen.set(seen);
                let fault = match kind {
                    aside::CONTROL => self.listen_to_control(&mut frames).await,
                    aside::ENCODER => {
                        let code = code::ENCODER_STREAM_ERROR;
                        self.listen_to_qpack(&mut frames, fields::keeps_no_table, code).await
                    }
                    _ => {
                        let mut decoder = fields::Decoder::default();
                        let good = |it: &[u8]| decoder.acknowledges_nothing(it);
                        self.listen_to_qpack(&mut frames, good, code::DECODER_STREAM_ERROR).await
                    }
                };
                match fault {
                    Fault::Connection(code) => self.fail(code),
                    // It was reset, unless the connection is over.
                    Fault::Gone if self.connection.close_reason().is_none() => {
                        self.fail(code::CLOSED_CRITICAL_STREAM);
                    }
                    Fault::Gone => {}
                }
            }
            // Only servers push.
            aside::PUSH => self.fail(code::STREAM_CREATION_ERROR),
            _ => {
                self.count_control();
                let _ = frames.source().stop(code::STREAM_CREATION_ERROR);
            }
        }
    }

    /// Why it ended; it never should (RFC 9204 4.2). Little may be said without a table.
    async fn listen_to_qpack(
        &self,
        frames: &mut Frames<RecvStream>,
        mut good: impl FnMut(&[u8]) -> bool,
        broken: VarInt,
    ) -> Fault {
        loop {
            match poll_fn(|cx| frames.poll_bytes(cx)).await {
                Ok(Some(bytes)) if good(&bytes) => self.count_control(),
                Ok(Some(_)) => return Fault::Connection(broken),
                Ok(None) => return Fault::Connection(code::CLOSED_CRITICAL_STREAM),
                Err(fault) => return fault,
            }
        }
    }

    /// Why it ended; it never should (RFC 9114 6.2.1).
    async fn listen_to_control(&self, frames: &mut Frames<RecvStream>) -> Fault {
        let mut greeted = false;
        let mut ids = Ids::default();
        loop {
            let frame = match poll_fn(|cx| frames.poll_frame(cx)).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Fault::Connection(code::CLOSED_CRITICAL_STREAM),
                Err(fault) => return fault,
            };
            let code = match frame.kind {
                kind::SETTINGS if greeted => code::FRAME_UNEXPECTED,
                kind::SETTINGS if SETTINGS < frame.length => code::EXCESSIVE_LOAD,
                kind::SETTINGS => {
                    greeted = true;
                    match poll_fn(|cx| frames.poll_whole(cx)).await {
                        Ok(settings) if are_settings(&settings) => continue,
                        Ok(_) => code::SETTINGS_ERROR,
                        Err(fault) => return fault,
                    }
                }
                _ if !greeted => code::MISSING_SETTINGS,
                kind::GOAWAY | kind::MAX_PUSH_ID | kind::CANCEL_PUSH => {
                    self.count_control();
                    if INTEGER < frame.length {
                        return Fault::Connection(code::FRAME_ERROR);
                    }
                    match poll_fn(|cx| frames.poll_whole(cx)).await {
                        Err(fault) => return fault,
                        Ok(payload) => match ids.take(frame.kind, &payload) {
                            Ok(()) => continue,
                            Err(code) => code,
                        },
                    }
                }
                known if kind::is_known(known) => code::FRAME_UNEXPECTED,
                _ => {
                    self.count_control();
                    continue;
                }
            };
            return Fault::Connection(code);
        }
    }
}

/// What a client said of pushes: that we never push does not let it say anything.
#[derive(Default)]
struct Ids {
    /// The last that it takes, before it leaves.
    goaway: Option<u64>,
    /// The highest that it allows.
    most: Option<u64>,
}

impl Ids {
    fn take(&mut self, kind: u64, mut payload: &[u8]) -> Result<(), VarInt> {
        let id = frames::integer(&mut payload).filter(|_| payload.is_empty());
        let id = id.ok_or(code::FRAME_ERROR)?;
        let kept = match kind {
            // It never grows (RFC 9114 5.2).
            kind::GOAWAY => self.goaway.replace(id).is_none_or(|it| id <= it),
            // It never shrinks (RFC 9114 7.2.7).
            kind::MAX_PUSH_ID => self.most.replace(id).is_none_or(|it| it <= id),
            // None that is cancelled was promised (RFC 9114 7.2.3).
            _ => false,
        };
        kept.then_some(()).ok_or(code::ID_ERROR)
    }
}

/// Pairs of integers, none of which is a setting of HTTP/2 alone (RFC 9114 7.2.4.1).
fn are_settings(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let id = frames::integer(&mut bytes);
        let value = frames::integer(&mut bytes);
        if value.is_none() || id.is_none_or(|it| matches!(it, 0 | 2..=5)) {
            return false;
        }
    }
    true
}

/// One request and its answer.
async fn stream(client: &Rc<Client>, seat: Rc<Seat>, mut answering: Answering, recv: RecvStream) {
    let worker = client.worker.clone();
    let stalled = worker.timer.alarm();
    let mut frames = Frames::new(recv);
    let limit = Instant::now() + worker.bounds.head.get();
    let asked = stalled.until(limit, asked(client, &mut frames)).await;
    let asked = match asked {
        Some(Ok(asked)) => asked,
        Some(Err(fault)) => {
            match fault {
                Fault::Connection(code) => client.fail(code),
                Fault::Gone => client.count_reset(),
            }
            return answering.reset(code::REQUEST_INCOMPLETE);
        }
        // Where nothing has come there is nothing to answer.
        None if frames.began.is_none() => return answering.reset(code::REQUEST_INCOMPLETE),
        None => head::unread(Refusal::HeadTimeout, frames.bytes),
    };
    let head::Asked { parts, refused, bytes } = asked;
    let began = frames.began.unwrap_or_else(Instant::now);
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
    let expects = parts.headers.get(header::EXPECT);
    let expects = expects.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let mut upload = Upload::new(frames, client.clone(), length, seat.link());
    let wanted = upload.wanted.clone();
    if refused.is_none() {
        look_ahead(&mut upload, &parts.method, length.is_some(), &stalled).await;
    }
    seat.link().note(HeadNote { began, bytes, refused });
    let begun = begin(&seat, Request::from_parts(parts, Inbound::Http3(Box::new(upload))));
    let mut gone = pin!(answering.gone());
    let mut making = pin!(None);
    let mut serving = begun.serving(|begun| {
        making.set(Some(serve(begun)));
        Made(making.as_mut())
    });
    let mut waits = expects;
    let reply = poll_fn(|cx| {
        if let Poll::Ready(Ok(reply)) = Pin::new(&mut serving).poll(cx) {
            return Poll::Ready(Some(reply));
        }
        if waits && wanted.get() {
            waits = false;
            let status = StatusCode::CONTINUE;
            answering.put(kind::HEADERS, fields::head(status.as_str(), &HeaderMap::new()));
        }
        // Where it fails the client left, which is seen next.
        let _ = answering.poll_left(cx);
        gone.as_mut().poll(cx).map(|()| None)
    });
    // A client that stops its stream is one that left: dropping what serves it records it so.
    let Some(reply) = reply.await else {
        client.count_reset();
        return answering.reset(code::REQUEST_CANCELLED);
    };
    let least = worker.bounds.least();
    let patience = least.over;
    let pace = Pace::default();
    let streams = &client.streams;
    let mut handing = Handing { answering, gone, stalled: &stalled, least, pace, streams };
    match handing.hand_over(reply).await {
        Ok(()) => {
            // The end of the connection would take from the client what it has not yet. All of it
            // is within its windows: it comes, or the connection is found dead. A client that is
            // there and never says that it came has no more time than an idle one from then on.
            let limit = Instant::now() + patience;
            let _ = stalled.until(limit, handing.gone.as_mut()).await;
        }
        Err(code) => {
            if code == code::INTERNAL_ERROR {
                handing.let_arrive(client).await;
            }
            handing.answering.reset(code);
        }
    }
}

/// The head of the request, read or refused.
async fn asked(client: &Client, frames: &mut Frames<RecvStream>) -> Result<head::Asked, Fault> {
    let limits = client.worker.limits();
    loop {
        let frame = match poll_fn(|cx| frames.poll_frame(cx)).await? {
            Some(frame) => frame,
            None => return Err(Fault::Gone),
        };
        match frame.kind {
            // Compressed it may be smaller than its fields, never larger.
            kind::HEADERS if (limits.request_head as u64) < frame.length => {
                return Ok(head::unread(Refusal::HeadTooLarge, frames.bytes));
            }
            kind::HEADERS => {
                let section = poll_fn(|cx| frames.poll_whole(cx)).await?;
                let asked = head::read(&section, &limits);
                return asked.map_err(|_| Fault::Connection(code::DECOMPRESSION_FAILED));
            }
            known if kind::is_known(known) => {
                return Err(Fault::Connection(code::FRAME_UNEXPECTED));
            }
            _ => client.count_control(),
        }
    }
}

/// Looks whether a body follows; where none is to be expected, for a while.
async fn look_ahead(upload: &mut Upload, method: &Method, told: bool, alarm: &Alarm) {
    let bodiless = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    if bodiless && !told {
        let _ = alarm.until(Instant::now() + END, poll_fn(|cx| upload.poll_ahead(cx))).await;
    } else {
        poll_fn(|cx| {
            let _ = upload.poll_ahead(cx);
            Poll::Ready(())
        })
        .await;
    }
}

/// The stream of an answer, which never looks whole by being dropped.
struct Answering {
    stream: SendStream,
    /// The head and the payload of a frame, as far as they wait for the client's window.
    left: [Bytes; 2],
    finished: bool,
}

impl Answering {
    fn new(stream: SendStream) -> Answering {
        Answering { stream, left: Default::default(), finished: false }
    }

    /// Ready when the client wants no more of the answer, has all of it, or is gone.
    fn gone(&self) -> impl Future<Output = ()> + use<> {
        let stopped = self.stream.stopped();
        async move { drop(stopped.await) }
    }

    /// The next frame; nothing is left of the one before.
    fn put(&mut self, kind: u64, payload: Bytes) {
        self.left = [frame_head(kind, payload.len()), payload];
    }

    fn has_left(&self) -> bool {
        self.left.iter().any(Buf::has_remaining)
    }

    fn bytes_left(&self) -> usize {
        self.left.iter().map(Bytes::len).sum()
    }

    /// Sends what the client's window takes of it. Ready with each part that has gone, and where
    /// nothing is left.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), VarInt>> {
        if !self.has_left() {
            return Poll::Ready(Ok(()));
        }
        // It keeps nothing between two polls, so that a new one may be asked each time.
        let written = ready!(pin!(self.stream.write_chunks(&mut self.left)).poll(cx));
        Poll::Ready(written.map(|_| ()).map_err(|_| code::REQUEST_CANCELLED))
    }

    fn finish(&mut self) -> Result<(), VarInt> {
        self.finished = true;
        self.stream.finish().map_err(|_| code::REQUEST_CANCELLED)
    }

    fn reset(&mut self, code: VarInt) {
        // It fails where that was done before.
        let _ = self.stream.reset(code);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.finished {
            self.reset(code::INTERNAL_ERROR);
        }
    }
}

/// An answer on its way into a stream.
struct Handing<'a, G> {
    answering: Answering,
    gone: Pin<&'a mut G>,
    stalled: &'a Alarm,
    /// How long the client may take nothing, and how slowly the rest.
    least: Least,
    pace: Pace,
    streams: &'a Streams,
}

impl<G: Future<Output = ()>> Handing<'_, G> {
    /// To the end of the answer, or why the stream must not look whole.
    async fn hand_over(&mut self, reply: Reply) -> Result<(), VarInt> {
        let (mut parts, mut body) = reply.into_parts();
        remove_connection_fields(&mut parts.headers);
        self.send(kind::HEADERS, fields::head(parts.status.as_str(), &parts.headers)).await?;
        loop {
            match poll_fn(|cx| self.poll_body(&mut body, cx)).await? {
                None => break,
                Some(frame) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => self.send(kind::DATA, data).await?,
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        remove_connection_fields(&mut trailers);
                        self.send(kind::HEADERS, fields::trailers(&trailers)).await?;
                        break;
                    }
                },
            }
        }
        self.answering.finish()
    }

    fn poll_body(
        &mut self,
        body: &mut AnswerBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, VarInt>> {
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Ok(Some(frame))),
            // The upstream's answer broke off.
            Poll::Ready(Some(Err(Cut))) => Poll::Ready(Err(code::INTERNAL_ERROR)),
            Poll::Pending => {
                // Meanwhile the client may lose interest.
                ready!(self.gone.as_mut().poll(cx));
                Poll::Ready(Err(code::REQUEST_CANCELLED))
            }
        }
    }

    /// One frame, as fast as the client's window takes it.
    async fn send(&mut self, kind: u64, payload: Bytes) -> Result<(), VarInt> {
        // Of an interim answer.
        poll_fn(|cx| self.poll_send(cx)).await?;
        self.answering.put(kind, payload);
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Until nothing is left, or the client has taken nothing for too long.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), VarInt>> {
        while self.answering.has_left() {
            let before = self.answering.bytes_left();
            match self.answering.poll_left(cx) {
                Poll::Ready(taken) => {
                    let amount = before - self.answering.bytes_left();
                    let among = self.streams.open.get();
                    let kept = self.pace.is_kept(amount, among, self.least, self.stalled);
                    self.stalled.clear();
                    taken?;
                    if !kept {
                        return Poll::Ready(Err(code::REQUEST_CANCELLED));
                    }
                }
                Poll::Pending => {
                    self.stalled.set_if_clear(self.least.over);
                    self.pace.wait(self.stalled);
                    ready!(self.stalled.poll(cx));
                    return Poll::Ready(Err(code::REQUEST_CANCELLED));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A reset throws away what is still on its way (RFC 9000 3.1), even a head. The client still
    /// listens: it gets what came before the answer broke off, as far as that is quick.
    async fn let_arrive(&mut self, client: &Client) {
        let time = (client.connection.rtt() * 2 + Duration::from_millis(20)).min(LEAVING);
        let _ = self.stalled.until(Instant::now() + time, self.gone.as_mut()).await;
    }
}
