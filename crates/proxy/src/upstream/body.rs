//! The body of an upstream's answer on its way to the client, and the end of the record with it.

use super::health::Showed;
use super::http2::{self, Stream};
use super::multiplex::Lease;
use super::wire::{Io, Wire, poll_more};
use super::{Answered, From, Turn, pump_on, stream_on};
use crate::chunked::{BadChunk, Chunked, Piece};
use crate::contain::trip;
use crate::front::Link;
use crate::head::AnswerFraming;
use crate::outbound::Pump;
use crate::recorder::Recorder;
use crate::registry::{InHand, TargetState};
use crate::snapshot::Ready;
use crate::timer::Alarm;
use bytes::{Buf, Bytes, BytesMut};
use config::Pool;
use exchange::{BodyFault, Fault, Limit};
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::ReadHalf;

/// Who sends less at a time is not asked for much.
const SPARSE: usize = 4 * 1024;

/// The client's stream must end visibly short: the upstream's did.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream's answer ended before its body did")
    }
}

impl std::error::Error for Cut {}

pub(crate) struct UpstreamBody {
    source: Option<Source>,
    reading: Reading,
    alarm: Alarm,
    in_hand: Option<InHand>,
    /// Its length was said at its beginning.
    declared: bool,
    /// The longest gap between two bytes.
    gap: Limit,
    upstream: Arc<Ready>,
    index: usize,
    keep: bool,
    /// It broke off, and what came before that goes out first.
    cutting: bool,
    /// Little came last time: events now and then, perhaps, which need no memory while they wait.
    sparse: bool,
    record: Recorder,
}

enum Source {
    Whole(Wire),
    /// The upload is still going on through the other half.
    Half {
        io: ReadHalf<Io>,
        held: BytesMut,
        _wire: Pumping,
    },
    Stream {
        recv: RecvStream,
        lease: Lease,
        /// What was taken of it before.
        held: VecDeque<Bytes>,
        _upload: Option<Pumping>,
    },
}

/// Ends the upload with the answer: nobody will wait for it.
struct Pumping(tokio::task::JoinHandle<()>);

impl Drop for Pumping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Reading {
    Length(u64),
    Chunked(Chunked),
    Close,
    /// Data of a stream, with what is left where its length was declared.
    Stream(Option<u64>),
    /// The data of a stream is over; trailers may follow.
    StreamEnd,
    /// The last data is given; these follow it.
    Trailers(HeaderMap),
    Done,
}

impl UpstreamBody {
    /// `pump` is the upload, over or not.
    pub(crate) fn new(
        turn: &Turn<'_>,
        answered: Answered,
        pump: Pump,
        record: Recorder,
        trailer_limit: usize,
    ) -> UpstreamBody {
        let Answered { head, from, alarm, in_hand } = answered;
        let whole = pump.is_done();
        let may_share = pump.may_share && !turn.upstream.settings.proxy_protocol;
        let link = turn.seat.link();
        let (source, reading) = match from {
            From::Wire(mut wire) => {
                let reading = match head.body {
                    AnswerFraming::None | AnswerFraming::Length(0) => Reading::Done,
                    AnswerFraming::Length(length) => Reading::Length(length),
                    AnswerFraming::Chunked => Reading::Chunked(Chunked::new(trailer_limit)),
                    AnswerFraming::Close => Reading::Close,
                };
                wire.after_bodyless = matches!(reading, Reading::Done);
                (of_wire(wire, pump, link), reading)
            }
            From::Stream(Stream { recv, send, lease, held }) => {
                let reading = match head.body {
                    AnswerFraming::None => Reading::Done,
                    AnswerFraming::Length(length) => Reading::Stream(Some(length)),
                    AnswerFraming::Chunked | AnswerFraming::Close => Reading::Stream(None),
                };
                let upload = (!whole).then(|| Pumping(stream_on(pump, send, link)));
                (Source::Stream { recv, lease, held, _upload: upload }, reading)
            }
        };
        let declared =
            matches!(reading, Reading::Done | Reading::Length(_) | Reading::Stream(Some(_)));
        record.open_ended(!declared);
        let mut body = UpstreamBody {
            source: Some(source),
            reading,
            alarm,
            in_hand: Some(in_hand),
            declared,
            gap: turn.gap(),
            upstream: turn.upstream.clone(),
            index: turn.index,
            cutting: false,
            sparse: true,
            // One caller's introduction is no other's.
            keep: head.keep_alive && whole && may_share,
            record,
        };
        if matches!(body.reading, Reading::Done) {
            body.complete();
        }
        body
    }

    pub(crate) fn record(&mut self) -> &mut Recorder {
        &mut self.record
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        matches!(self.reading, Reading::Done) && !self.cutting
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.reading {
            Reading::Length(left) | Reading::Stream(Some(left)) => SizeHint::with_exact(left),
            Reading::Done => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        trip::at("body", self.record.path());
        if std::mem::take(&mut self.cutting) {
            return Poll::Ready(Some(Err(Cut)));
        }
        if matches!(self.reading, Reading::Stream(_) | Reading::StreamEnd) {
            return self.poll_stream(cx);
        }
        loop {
            match self.next() {
                Next::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Next::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Next::Done => return Poll::Ready(None),
                Next::Fault(fault) => return self.fail(fault, None, cx),
                Next::More => {}
            }
            let (io, held): (&mut (dyn tokio::io::AsyncRead + Unpin), _) = match &mut self.source {
                Some(Source::Whole(wire)) => (&mut wire.io, &mut wire.held),
                Some(Source::Half { io, held, .. }) => (io, held),
                Some(Source::Stream { .. }) | None => return Poll::Ready(None),
            };
            let large = 8 * 1024 < held.capacity();
            match poll_more(&mut &mut *io, held, cx, large) {
                Poll::Ready(Ok(0)) => match self.ended() {
                    None => return Poll::Ready(None),
                    Some(fault) => return self.fail(fault, None, cx),
                },
                Poll::Ready(Ok(amount)) => {
                    self.alarm.clear();
                    self.sparse = amount < SPARSE;
                    self.record.attempt_mut().received += amount as u64;
                }
                Poll::Ready(Err(error)) => {
                    return self.fail(broke(&error), error.raw_os_error(), cx);
                }
                Poll::Pending => {
                    if self.sparse && held.is_empty() {
                        *held = BytesMut::new();
                    }
                    return self.stalls(cx);
                }
            }
        }
    }

    /// Nothing came: a limit decides how long that may be so.
    fn stalls(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.alarm.set_if_clear(Duration::from_micros(self.gap.value));
        ready!(self.alarm.poll(cx));
        if let Some(Source::Stream { lease, .. }) = &self.source {
            lease.suspect(Some(self.gap));
        }
        self.fail(BodyFault::Stalled(self.gap), None, cx)
    }

    /// The next piece of an HTTP/2 stream.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(Source::Stream { recv, lease, held, .. }) = &mut self.source else {
            return Poll::Ready(None);
        };
        if let (Reading::Stream(left), Some(data)) = (&mut self.reading, held.pop_front()) {
            *left = left.map(|it| it.saturating_sub(data.len() as u64));
            let over = held.is_empty() && recv.is_end_stream();
            self.record.body_sent(data.len());
            if over {
                self.complete();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let (left, read) = match self.reading {
            Reading::Stream(left) => (left, recv.poll_data(cx)),
            _ => (None, Poll::Ready(None)),
        };
        let error = match read {
            Poll::Pending => return self.stalls(cx),
            Poll::Ready(Some(Ok(data))) => {
                // What was taken may be sent anew: the next piece is asked for only when this one
                // has gone on, so a slow client still holds the target back.
                let _ = recv.flow_control().release_capacity(data.len());
                let amount = data.len() as u64;
                let over = recv.is_end_stream();
                self.alarm.clear();
                self.record.attempt_mut().received += amount;
                let left = left.map(|it| it.saturating_sub(amount));
                self.reading = Reading::Stream(left);
                self.record.body_sent(data.len());
                if over {
                    self.complete();
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Poll::Ready(Some(Err(error))) => error,
            Poll::Ready(None) => {
                self.reading = Reading::StreamEnd;
                match recv.poll_trailers(cx) {
                    Poll::Pending => return self.stalls(cx),
                    Poll::Ready(Ok(trailers)) => {
                        if let Some(trailers) = &trailers {
                            self.record.trailed(trailers);
                        }
                        self.complete();
                        return Poll::Ready(trailers.map(|it| Ok(Frame::trailers(it))));
                    }
                    Poll::Ready(Err(error)) => error,
                }
            }
        };
        // An answer that is whole may be followed by a reset that asks for no more of the request
        // (RFC 9113 8.1).
        let asks = error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
        if asks && left == Some(0) {
            self.complete();
            return Poll::Ready(None);
        }
        let seen = &lease.connection().seen;
        let (fault, errno) = (http2::body_fault(&error, seen, left), seen.errno.get());
        self.fail(fault, errno, cx)
    }

    /// What the bytes at hand give.
    fn next(&mut self) -> Next {
        let held = match &mut self.source {
            Some(Source::Whole(wire)) => &mut wire.held,
            Some(Source::Half { held, .. }) => held,
            Some(Source::Stream { .. }) | None => return Next::Done,
        };
        match &mut self.reading {
            Reading::Done | Reading::Stream(_) | Reading::StreamEnd => Next::Done,
            Reading::Trailers(trailers) => {
                let trailers = std::mem::take(trailers);
                self.record.trailed(&trailers);
                self.complete();
                Next::Trailers(trailers)
            }
            _ if held.is_empty() => Next::More,
            Reading::Close => {
                let data = held.split().freeze();
                self.give(data)
            }
            Reading::Length(left) => {
                let amount = held.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let data = held.split_to(amount).freeze();
                *left -= amount as u64;
                let last = *left == 0;
                let next = self.give(data);
                if last {
                    self.complete();
                }
                next
            }
            Reading::Chunked(chunked) => match chunks(chunked, held) {
                Ok((Gathered::Nothing, false)) => Next::More,
                Ok((data, false)) => self.give(data.bytes().unwrap_or_default()),
                Ok((data, true)) => self.last_chunk(data.bytes()),
                Err(BadChunk::Framing) => Next::Fault(BodyFault::ChunkInvalid),
                Err(BadChunk::Trailer) => Next::Fault(BodyFault::Trailer),
            },
        }
    }

    /// The last chunk has been read; data that came with it goes first, trailers after it.
    fn last_chunk(&mut self, data: Option<Bytes>) -> Next {
        let Reading::Chunked(chunked) = &self.reading else {
            return Next::Done;
        };
        let Ok(trailers) = chunked.trailers() else {
            return Next::Fault(BodyFault::Trailer);
        };
        let next = data.map(|it| self.give(it));
        match (trailers, next) {
            (Some(trailers), next) => {
                self.reading = Reading::Trailers(trailers);
                next.unwrap_or_else(|| self.next())
            }
            (None, next) => {
                self.complete();
                next.unwrap_or(Next::Done)
            }
        }
    }

    fn give(&mut self, data: Bytes) -> Next {
        self.record.body_sent(data.len());
        Next::Data(data)
    }

    /// Everything is read: the record ends, and the connection goes back where it may.
    fn complete(&mut self) {
        self.reading = Reading::Done;
        self.in_hand = None;
        self.record.open_ended(false);
        let worker = self.record.worker();
        if let Some(Source::Whole(wire)) = self.source.take() {
            let state = &self.upstream.states[self.index];
            let pool = &self.upstream.settings.pool;
            if !wire.held.is_empty() {
                self.record.attempt_mut().fault = Some(Fault::Body(BodyFault::Surplus));
            } else if self.keep && !at_limit(state, pool) {
                let key = self.upstream.pool_key(self.index);
                worker.pool.put(key, wire, state, pool);
            }
        }
        self.record.complete();
    }

    /// The stream ended; where that is not the end of the body it is a fault.
    fn ended(&mut self) -> Option<BodyFault> {
        match self.reading {
            Reading::Length(left) => Some(BodyFault::LengthShort { left }),
            Reading::Chunked(_) => Some(BodyFault::ChunkCut),
            Reading::Close
            | Reading::Trailers(_)
            | Reading::Stream(_)
            | Reading::StreamEnd
            | Reading::Done => {
                self.complete();
                None
            }
        }
    }

    /// Ends it before its end, for a reason of ours.
    pub(crate) fn stop(&mut self, fault: Fault) {
        self.source = None;
        self.in_hand = None;
        self.reading = Reading::Done;
        self.record.cut(fault);
    }

    /// What a caller whose answer broke off is still to be told.
    pub(crate) fn last_words(&mut self) -> Option<HeaderMap> {
        self.record.last_words()
    }

    fn fail(
        &mut self,
        fault: BodyFault,
        errno: Option<i32>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.record.attempt_mut().errno = errno;
        // Events may stay away for long: a stream that is quiet shows nothing of its target.
        let quiet = matches!(fault, BodyFault::Stalled(_)) && !self.declared;
        if !quiet {
            self.upstream.states[self.index].change_health(|it| it.cut(Instant::now()));
            self.upstream.saw(self.index, Showed::Ill);
        }
        self.stop(Fault::Body(fault));
        // hyper throws away what it has not written when a body fails; it writes when one waits.
        self.cutting = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for UpstreamBody {
    /// With the last byte of what was declared hyper lets go of a body. The end of its stream comes
    /// in a frame of its own from some targets, and changes nothing. A call has its status to come.
    fn drop(&mut self) {
        if matches!(self.reading, Reading::Stream(Some(0))) && !self.record.is_one_of_grpc() {
            self.complete();
        }
    }
}

/// The body on its connection, beside what is left of the upload.
fn of_wire(wire: Wire, pump: Pump, link: Rc<Link>) -> Source {
    if pump.is_done() {
        return Source::Whole(wire);
    }
    let Wire { io, held, .. } = wire;
    let (read, write) = tokio::io::split(io);
    Source::Half { io: read, held, _wire: Pumping(pump_on(pump, write, link)) }
}

/// An idle connection of this core would take the place that another core's request needs.
fn at_limit(state: &TargetState, pool: &Pool) -> bool {
    pool.connections.is_some_and(|limit| limit <= state.open())
}

enum Next {
    Data(Bytes),
    Trailers(HeaderMap),
    Done,
    Fault(BodyFault),
    More,
}

/// Data of as many chunks as lie together, and whether the last one was among them. Each piece
/// costs a write to the client, so small neighbours become one.
fn chunks(chunked: &mut Chunked, held: &mut BytesMut) -> Result<(Gathered, bool), BadChunk> {
    let mut data = Gathered::Nothing;
    loop {
        match chunked.next(held) {
            Ok(Piece::Need) => return Ok((data, false)),
            Ok(Piece::Framing(n)) => held.advance(n),
            Ok(Piece::Data(n)) => data = data.and(held.split_to(n), held.len()),
            Ok(Piece::End(n)) => {
                held.advance(n);
                return Ok((data, true));
            }
            // What was right goes first; the same bytes are found wrong again.
            Err(bad) if matches!(data, Gathered::Nothing) => return Err(bad),
            Err(_) => return Ok((data, false)),
        }
    }
}

enum Gathered {
    Nothing,
    One(BytesMut),
    Copied(BytesMut),
}

impl Gathered {
    /// `more` is how much may still follow.
    fn and(self, piece: BytesMut, more: usize) -> Gathered {
        let mut all = match self {
            Gathered::Nothing => return Gathered::One(piece),
            Gathered::Copied(all) => all,
            Gathered::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + piece.len() + more);
                all.extend_from_slice(&first);
                all
            }
        };
        all.extend_from_slice(&piece);
        Gathered::Copied(all)
    }

    fn bytes(self) -> Option<Bytes> {
        match self {
            Gathered::Nothing => None,
            Gathered::One(it) | Gathered::Copied(it) => Some(it.freeze()),
        }
    }
}

pub(super) fn broke(error: &io::Error) -> BodyFault {
    match error.kind() {
        io::ErrorKind::ConnectionReset => BodyFault::Reset,
        io::ErrorKind::UnexpectedEof => BodyFault::Tls,
        _ if super::tls::tls_error(error).is_some() => BodyFault::Tls,
        _ => BodyFault::Errno,
    }
}
