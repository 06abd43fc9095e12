//! HTTP/2 from clients (RFC 9113): one task a connection, one a stream.
//!
//! On `h2` itself instead of hyper's server: a client that stops taking one answer must neither
//! hold the others back nor stay for ever, and floods are to be seen and counted.

use crate::contain::Made;
use crate::front::{Front, HeadNote, Refused};
use crate::inbound::{Inbound, Terms};
use crate::listen::floods::{Flood, Guarded};
use crate::listen::streams::{Counted, Streams, join_cookies, refusal, remove_connection_fields};
use crate::listen::{ClientIo, connect};
use crate::outbound::expects_continue;
use crate::pace::{Least, Pace};
use crate::reply::{AnswerBody, Reply};
use crate::seat::Seat;
use crate::serve::{begin, serve};
use crate::stream_io::StreamIo;
use crate::timer::Alarm;
use crate::upstream::body::Cut;
use crate::worker::Worker;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// What a client may send of one body before it is taken. The connection's window is as many times
/// as large as there may be streams, so that one body that nobody takes holds back no other.
const WINDOW: u32 = 128 * 1024;

/// What waits of one answer for the client's socket, whatever window the client allows. The most is
/// as many times that as there may be streams.
const SEND_BUFFER: usize = 64 * 1024;

/// How long a client may take to leave after it was told to and has got everything.
const LEAVING: Duration = Duration::from_secs(3);

/// How long a client may take to end a request of which it has sent every byte.
const END: Duration = Duration::from_secs(1);

impl Streams {
    /// Until what is queued by now has gone: a reset throws away what it finds in the queue, even a
    /// head (h2 clears it). `patience` ends it where the client takes nothing.
    async fn drained(&self, send: &mut SendStream<Bytes>, patience: Duration, alarm: &Alarm) {
        let before = self.passes.get();
        alarm.set(Instant::now() + patience);
        poll_fn(|cx| {
            let passed = before < self.passes.get() || send.poll_reset(cx).is_ready();
            if passed || alarm.poll(cx).is_ready() {
                self.forget(cx.waker());
                return Poll::Ready(());
            }
            self.wait(cx.waker());
            self.wake();
            Poll::Pending
        })
        .await;
    }
}

/// One client's connection, from its preface to its last stream.
pub(crate) async fn converse(seat: Rc<Seat>, front: Front<ClientIo>) {
    let worker = seat.worker.clone();
    let limits = worker.limits();
    let flood = Rc::new(Cell::new(None));
    let blocked = Rc::new(Cell::new(false));
    let io = Guarded::new(front, &limits.http2, flood.clone(), blocked.clone());
    let streams = u32::try_from(limits.http2.streams).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(streams)
        // What is taken back before we came to it; our own limit of the rate comes first.
        .max_pending_accept_reset_streams(limits.http2.resets.saturating_mul(4))
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(limits.request_head).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.saturating_mul(streams).min(i32::MAX as u32));
    let patience = worker.bounds.head.get();
    let shaken = Box::pin(tokio::time::timeout(patience, builder.handshake(io))).await;
    let Ok(Ok(connection)) = shaken else {
        worker.plane.client_errors.fetch_add(1, Relaxed);
        return;
    };
    let mut driven = Driven {
        alarm: worker.timer.alarm(),
        leaving: None,
        has_waited: false,
        streams: Streams::new(),
        connection,
        blocked,
        flood,
        flooded: false,
        seat,
    };
    driven.run().await;
}

struct Driven {
    connection: Connection<Guarded<Front<ClientIo>>, Bytes>,
    streams: Rc<Streams>,
    /// The client's socket takes no more at the moment.
    blocked: Rc<Cell<bool>>,
    alarm: Alarm,
    /// When we give up waiting for a client that was told to leave.
    leaving: Option<Instant>,
    /// Something waited for the client's socket when we looked last.
    has_waited: bool,
    flood: Rc<Cell<Option<Flood>>>,
    /// It was counted, and the client told.
    flooded: bool,
    seat: Rc<Seat>,
}

impl Driven {
    async fn run(&mut self) {
        let worker = self.seat.worker.clone();
        while let Some(accepted) = poll_fn(|cx| self.poll(&worker, cx)).await {
            match accepted {
                Ok((request, respond)) => {
                    let counted = Counted::new(&self.streams);
                    let seat = self.seat.of_stream();
                    let streams = self.streams.clone();
                    tokio::task::spawn_local(async move {
                        stream(seat, request, respond, &streams).await;
                        drop(counted);
                    });
                }
                Err(error) => {
                    worker.plane.client_errors.fetch_add(1, Relaxed);
                    if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && !self.flooded {
                        worker.plane.floods.count(Flood::Bounds);
                    }
                    return;
                }
            }
        }
    }

    /// The next stream; `None` when the connection is over.
    #[expect(clippy::type_complexity, reason = "h2's own pair, inside what poll and h2 wrap it in")]
    fn poll(
        &mut self,
        worker: &Worker,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Request<RecvStream>, SendResponse<Bytes>), h2::Error>>> {
        loop {
            if let Poll::Ready(accepted) = self.connection.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
            if !self.blocked.get() {
                self.streams.passed();
            }
            if let Some(flood) = self.flood.get().filter(|_| !self.flooded) {
                self.flooded = true;
                worker.plane.floods.count(flood);
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            self.streams.waker.set(Some(cx.waker().clone()));
            let busy = 0 < self.streams.open.get();
            let now = Instant::now();
            let waits = self.blocked.get();
            if let Some(leaving) = &mut self.leaving {
                let since =
                    if waits || self.has_waited { now } else { self.streams.idle_since.get() };
                *leaving = (*leaving).max(since + LEAVING);
            }
            self.has_waited = waits;
            let at = match self.leaving {
                // What is in flight is given its time, and so is what was answered and has not gone
                // yet; the deadline of stopping cuts it, and a client that takes nothing is given up.
                Some(at) if !busy && !waits => Some(at),
                Some(_) => None,
                None if worker.is_draining() => Some(now),
                None if busy => None,
                None => Some(worker.bounds.idle_until(self.streams.idle_since.get())),
            };
            match at {
                Some(at) => self.alarm.set(at),
                None => self.alarm.clear(),
            }
            let due = at.is_some_and(|at| at <= now);
            if !due && self.alarm.poll(cx).is_pending() {
                return Poll::Pending;
            }
            match self.leaving {
                // Two steps (RFC 9113 6.8): first that no more is to come, then what was the last.
                None => {
                    self.connection.graceful_shutdown();
                    self.leaving = Some(now + LEAVING);
                }
                Some(_) => return Poll::Ready(None),
            }
        }
    }
}

/// One request and its answer.
async fn stream(
    seat: Rc<Seat>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    streams: &Rc<Streams>,
) {
    let limits = seat.worker.limits();
    let patience = seat.worker.bounds.body.get();
    let least = seat.worker.bounds.least();
    let (mut parts, recv) = request.into_parts();
    let refusal = refusal(&parts, &limits);
    let is_refused = refusal.is_some();
    let refused = refusal.map(|refusal| Refused {
        refusal,
        method: parts.method.as_str().to_owned(),
        target: parts.uri.path().chars().take(256).collect(),
    });
    let bytes = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let bytes = bytes.sum::<usize>() + parts.uri.path().len() + parts.method.as_str().len();
    seat.link().note(HeadNote { began: Instant::now(), bytes, refused });
    join_cookies(&mut parts.headers);
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
    let alarm = seat.worker.timer.alarm();
    let protocol = parts.extensions.remove::<Protocol>().filter(|_| !is_refused);
    let (body, recv) = match protocol {
        Some(protocol) => {
            connect::as_upgrade(&mut parts, protocol.as_ref(), seat.worker.random());
            (Inbound::Tunnel, Some(recv))
        }
        None => {
            let terms = Terms { least, streams: streams.clone() };
            (Inbound::http2(recv, length, alarm, terms, seat.link()), None)
        }
    };
    let mut waits = expects_continue(&parts.headers);
    let begun = begin(&seat, Request::from_parts(parts, body));
    let mut making = pin!(None);
    let mut serving = begun.serving(|begun| {
        making.set(Some(serve(begun)));
        Made(making.as_mut())
    });
    let reply = poll_fn(|cx| match Pin::new(&mut serving).poll(cx) {
        Poll::Ready(Ok(reply)) => Poll::Ready(Some(reply)),
        Poll::Pending => {
            if waits && seat.link().body_asked.get() {
                waits = false;
                let mut interim = Response::new(());
                *interim.status_mut() = StatusCode::CONTINUE;
                // An error is a client that left, which is seen next.
                let _ = respond.send_informational(interim);
            }
            respond.poll_reset(cx).map(|_| None)
        }
    });
    // A client that resets its stream is one that left: dropping what serves it records it so.
    let Some(reply) = reply.await else {
        return;
    };
    if let (Some(tunnel), Some(recv)) = (seat.link().tunnel.take(), recv) {
        let (head, _) = head_and_body(reply);
        // An error here is a client that left; so it is recorded where the tunnel is dropped.
        if let Ok(send) = respond.send_response(head, false) {
            let stalled = seat.worker.timer.alarm();
            tunnel.join(StreamIo::new(send, recv).patient(stalled, patience)).await;
        }
        return;
    }
    let stalled = seat.worker.timer.alarm();
    hand_over(reply, &mut respond, streams, &stalled, least).await;
    if let Some(recv) = seat.link().tail.take() {
        ended(recv, &stalled).await;
    }
}

/// Until the client has ended its request, of which it has sent every byte. Our letting go of the
/// stream resets it (RFC 9113 8.1), and clients that are about to write the end fail upon that,
/// with the whole answer in their hands.
async fn ended(mut recv: RecvStream, alarm: &Alarm) {
    alarm.set(Instant::now() + END);
    poll_fn(|cx| {
        loop {
            match recv.poll_data(cx) {
                // An empty piece: h2 lets nothing else through.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(()),
                Poll::Pending => return alarm.poll(cx),
            }
        }
    })
    .await;
}

fn head_and_body(reply: Reply) -> (Response<()>, AnswerBody) {
    let (mut parts, body) = reply.into_parts();
    parts.version = Version::HTTP_2;
    remove_connection_fields(&mut parts.headers);
    (Response::from_parts(parts, ()), body)
}

async fn hand_over(
    reply: Reply,
    respond: &mut SendResponse<Bytes>,
    streams: &Streams,
    stalled: &Alarm,
    least: Least,
) {
    let (head, body) = head_and_body(reply);
    let is_over = body.is_end_stream();
    // An error here is a client that left; what is dropped is recorded as that.
    let Ok(send) = respond.send_response(head, is_over) else {
        return;
    };
    if is_over {
        return;
    }
    let (left, pace) = (Bytes::new(), Pace::default());
    let mut handing = Handing { body, send, left, is_over: false, stalled, least, pace, streams };
    if let Err(reason) = poll_fn(|cx| handing.poll(cx)).await {
        if reason != Reason::CANCEL {
            // The client still listens: it gets what came before the answer broke off.
            streams.drained(&mut handing.send, least.over, stalled).await;
        }
        handing.send.send_reset(reason);
    }
}

/// An answer's body on its way into a stream.
struct Handing<'a> {
    body: AnswerBody,
    send: SendStream<Bytes>,
    /// Taken from the body, and waiting for the client's window.
    left: Bytes,
    /// The stream's end is sent.
    is_over: bool,
    stalled: &'a Alarm,
    /// How long the client may take nothing, and how slowly the rest.
    least: Least,
    pace: Pace,
    streams: &'a Streams,
}

impl Handing<'_> {
    /// To the end of the body, or why the stream must not look whole.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        while !self.is_over {
            if !self.left.is_empty() {
                if self.poll_send(cx)?.is_pending() {
                    self.stalled.set_if_clear(self.least.over);
                    self.pace.wait(self.stalled);
                    ready!(self.stalled.poll(cx));
                    return Poll::Ready(Err(Reason::CANCEL));
                }
                continue;
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                // Meanwhile the client may lose interest.
                Poll::Pending => return self.send.poll_reset(cx).map(|_| Err(Reason::CANCEL)),
            };
            match frame.map(|it| it.map(Frame::into_data)) {
                // The upstream's answer broke off.
                Some(Err(Cut)) => return Poll::Ready(Err(Reason::INTERNAL_ERROR)),
                Some(Ok(Ok(data))) => self.left = data,
                Some(Ok(Err(frame))) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    remove_connection_fields(&mut trailers);
                    self.send.send_trailers(trailers).map_err(|_| Reason::CANCEL)?;
                    self.is_over = true;
                }
                None => self.send(Bytes::new(), true)?,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends as much as the client's window takes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        self.send.reserve_capacity(self.left.len());
        while self.send.capacity() == 0 {
            match self.send.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Err(Reason::CANCEL),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        let room = self.send.capacity().min(self.left.len());
        let kept = self.pace.is_kept(room, self.streams.open.get(), self.least, self.stalled);
        self.stalled.clear();
        if !kept {
            return Err(Reason::CANCEL);
        }
        let piece = self.left.split_to(room);
        // The end goes with the last piece, where it is known to be that.
        let last = self.left.is_empty() && self.body.is_end_stream();
        self.send(piece, last)?;
        Ok(Poll::Ready(()))
    }

    fn send(&mut self, piece: Bytes, last: bool) -> Result<(), Reason> {
        self.is_over = last;
        self.send.send_data(piece, last).map_err(|_| Reason::CANCEL)
    }
}
