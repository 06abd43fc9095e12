//! The strict front: what a client's connection passes before hyper's server reads it.
//!
//! hyper repairs some malformed requests and answers others by itself, without a call to the
//! service and so without a record. The front finds each message's head and framing first, lets
//! only whole and unambiguous heads through, and turns a refused one into a stand-in request, so
//! that the refusal is answered, in order, by the same code that answers everything else.

use crate::bounds::Bounds;
use crate::chunked::{Chunked, Piece};
use crate::framing::{BodyFraming, Progress, request_head};
use crate::pace::Pace;
use crate::recorder::Recorder;
use crate::timer::{Alarm, Timer};
use crate::tunnel::Tunnel;
use bytes::{Buf, BytesMut};
use config::Limits;
use exchange::{Malformed, Refusal};
use h2::RecvStream;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// What front, service and body know of one client connection together.
pub(crate) struct Link {
    heads: RefCell<VecDeque<HeadNote>>,
    /// Heads let through whose answers have not ended.
    in_flight: Cell<usize>,
    /// When the last answer ended.
    idle_since: Cell<Instant>,
    /// Why the body that is being read was ended by us.
    body_refused: Cell<Option<Refusal>>,
    /// The answer must not look whole: reset the connection instead of closing it.
    pub(crate) abort: Cell<bool>,
    /// Somebody waits for the body of the request: a client that asked before it sends may send.
    pub(crate) body_asked: Cell<bool>,
    /// The client may still be sending what nobody will read.
    pub(crate) unread: Cell<bool>,
    /// The connection goes on with something else than HTTP/1.
    pub(crate) switched: Cell<bool>,
    /// Whoever waits for the answer to a request for another protocol.
    waiting: Cell<Option<Waker>>,
    /// The other end of what it goes on with, where an upstream agreed to that.
    pub(crate) tunnel: RefCell<Option<Box<Tunnel>>>,
    /// A request's stream of which only the end has not come.
    pub(crate) tail: RefCell<Option<RecvStream>>,
    /// A head that had begun when the connection ended.
    pub(crate) cut_head: RefCell<Option<CutHead>>,
    /// A record that is dropped by a panic is to be saved.
    pub(crate) guarded: Cell<bool>,
    /// One that was.
    pub(crate) salvaged: RefCell<Option<Box<Recorder>>>,
}

/// A request that was never whole.
pub(crate) struct CutHead {
    pub(crate) began: Instant,
    pub(crate) bytes: usize,
    pub(crate) method: String,
    pub(crate) target: String,
}

/// What the front saw of a head.
pub(crate) struct HeadNote {
    pub(crate) began: Instant,
    pub(crate) bytes: usize,
    pub(crate) refused: Option<Refused>,
}

/// A head that was not let through, as far as it could be read.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) method: String,
    pub(crate) target: String,
}

impl Link {
    pub(crate) fn new() -> Rc<Link> {
        Rc::new(Link {
            heads: RefCell::new(VecDeque::with_capacity(1)),
            in_flight: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            body_refused: Cell::new(None),
            abort: Cell::new(false),
            body_asked: Cell::new(false),
            unread: Cell::new(false),
            switched: Cell::new(false),
            waiting: Cell::new(None),
            tunnel: RefCell::new(None),
            tail: RefCell::new(None),
            cut_head: RefCell::new(None),
            guarded: Cell::new(false),
            salvaged: RefCell::new(None),
        })
    }

    /// The note of the next request that the service is called with.
    pub(crate) fn next_head(&self) -> Option<HeadNote> {
        self.heads.borrow_mut().pop_front()
    }

    /// Tells the service of a request that comes next.
    pub(crate) fn note(&self, note: HeadNote) {
        self.heads.borrow_mut().push_back(note);
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Says why the body that is being read is ended by us.
    pub(crate) fn refuse_body(&self, refusal: Refusal) {
        self.body_refused.set(Some(refusal));
        self.unread.set(true);
    }

    /// Why reading the request's body failed, if it was our doing.
    pub(crate) fn body_refused(&self) -> Option<Refusal> {
        self.body_refused.get()
    }

    pub(crate) fn answer_ended(&self, now: Instant) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.idle_since.set(now);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

/// What the front stands on.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// When it is dropped, the other end sees a reset instead of an end.
    fn reset_on_drop(&self);
}

/// A client's connection, read and checked ahead of the server.
pub(crate) struct Front<S: Transport> {
    io: S,
    link: Rc<Link>,
    bounds: Rc<Bounds>,
    built_for: Option<Rc<Limits>>,
    state: State,
    /// Read from the client, not yet handed on.
    held: BytesMut,
    /// How much of `held` may be handed on.
    cleared: usize,
    /// When the first byte of the head that is being read came.
    began: Option<Instant>,
    reading: Alarm,
    /// How fast the body comes that is being read.
    sends: Pace,
    writing: Alarm,
    /// How fast answers are taken.
    takes: Pace,
    /// What may still be swallowed after the last answer, once that is being done.
    swallow: Option<usize>,
    /// A preface of HTTP/2 ends the reading of HTTP/1 instead of being refused.
    http2: bool,
    /// No request follows the one that is being read.
    last: bool,
    /// Nobody reads here until something comes.
    resting: bool,
    /// While an answer is on its way: after which time it is looked whether it still is.
    look: Duration,
}

enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    /// The stand-in is being handed on; nothing follows it.
    Refused,
    /// What follows is for whom the answer says: nothing is read as HTTP before it is known.
    Upgrade,
    /// The client has sent the request that it called its last one; what follows is none
    /// (RFC 9112 9.6).
    Over {
        /// How much of that is still taken, to see whether the client leaves.
        left: usize,
    },
    /// What comes is not ours to read.
    Raw,
}

/// After an answer that did not read its request: how long and how much is still swallowed.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// What a client may send after a request for another protocol before that is granted.
const EARLY: usize = 64 * 1024;

/// How long a connection is idle until the server that has read it is let go of: its buffers take
/// several times the memory of all else that an idle connection needs.
const REST: Duration = Duration::from_secs(1);

/// One read for a head and, where it follows at once, a body of common size.
const READ: usize = 17 * 1024;

impl<S: Transport> Front<S> {
    pub(crate) fn new(
        io: S,
        link: Rc<Link>,
        bounds: Rc<Bounds>,
        timer: &Timer,
        http2: bool,
    ) -> Front<S> {
        Front {
            io,
            link,
            bounds,
            built_for: None,
            state: State::Head,
            held: BytesMut::new(),
            cleared: 0,
            began: None,
            reading: timer.alarm(),
            sends: Pace::default(),
            writing: timer.alarm(),
            takes: Pace::default(),
            swallow: None,
            http2,
            last: false,
            resting: true,
            look: REST,
        }
    }

    /// The server that was reading is to be let go of. It has nothing left to write.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting
    }

    /// Between requests, while nobody reads: whether something has come, or `false` if nothing will.
    pub(crate) fn poll_awake(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self.fill(cx) {
            Poll::Ready(came) => {
                self.resting = false;
                Poll::Ready(came.unwrap_or(false))
            }
            Poll::Pending => self.wait_for_head(cx).map(|_| false),
        }
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let amount = self.cleared.min(buf.remaining());
        buf.put_slice(&self.held[..amount]);
        self.held.advance(amount);
        self.cleared -= amount;
        if matches!(self.state, State::Raw) && self.cleared == 0 {
            // Nothing comes here any more.
            self.held = BytesMut::new();
        }
    }

    /// A server reads from here that was built for these limits.
    pub(crate) fn feeds(&mut self, limits: Rc<Limits>) {
        self.built_for = Some(limits);
    }

    /// What holds now, but no more than the server takes: it would answer by itself, and nobody would
    /// know of it.
    fn limits(&self) -> Rc<Limits> {
        let now = self.bounds.limits();
        match &self.built_for {
            Some(built_for) if !Rc::ptr_eq(built_for, &now) => Rc::new(Limits {
                request_head: now.request_head.min(built_for.request_head),
                request_fields: now.request_fields.min(built_for.request_fields),
                ..Limits::clone(&now)
            }),
            Some(_) | None => now,
        }
    }

    /// Reads at the start of `held`, where a head begins.
    fn head(&mut self) {
        while self.held.starts_with(b"\r\n") {
            // RFC 9112 2.2: an empty line before a request is to be ignored.
            self.held.advance(2);
        }
        if self.held.is_empty() {
            // Nothing has begun: some clients end a body with a line too many.
            self.began = None;
            return;
        }
        let limits = self.limits();
        match request_head(&self.held, &limits) {
            Ok(Progress::Partial) => {}
            Ok(Progress::Head { len, body, last }) => {
                self.note(len, None);
                self.cleared = len;
                self.began = None;
                self.sends = Pace::default();
                self.last = last;
                self.state = match body {
                    BodyFraming::None => self.after(),
                    BodyFraming::Upgrade => State::Upgrade,
                    BodyFraming::Length(length) => {
                        // What has come with the head goes on with it: one read for the server.
                        let here = (self.held.len() - len) as u64;
                        let taken = here.min(length);
                        self.cleared += taken as usize;
                        State::Length(length - taken)
                    }
                    BodyFraming::Chunked => {
                        State::Chunked(Chunked::before_hyper(limits.request_head))
                    }
                };
                self.link.body_refused.set(None);
            }
            Err(Refusal::Malformed(Malformed::Http2Preface)) if self.http2 => {
                self.link.switched.set(true);
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Where a message has ended.
    fn after(&self) -> State {
        if self.last { State::Over { left: LINGER_BYTES } } else { State::Head }
    }

    /// From here on everything is handed on as it comes; writing keeps its limit.
    pub(crate) fn into_raw(mut self) -> Front<S> {
        self.cleared = self.held.len();
        self.began = None;
        self.state = State::Raw;
        self.reading.clear();
        self
    }

    fn note(&self, bytes: usize, refused: Option<Refused>) {
        let began = self.began.unwrap_or_else(Instant::now);
        self.link.note(HeadNote { began, bytes, refused });
    }

    /// Puts a request in the place of the refused one that hyper is sure to take.
    fn refuse(&mut self, refusal: Refusal) {
        let (method, target) = match refusal {
            // These bytes are no text.
            Refusal::Malformed(Malformed::TlsToPlainPort) => (String::new(), String::new()),
            _ => first_words(&self.held),
        };
        let refused = Refused { refusal, method, target };
        let method = if refused.method == "HEAD" { "HEAD" } else { "GET" };
        self.note(self.held.len(), Some(refused));
        self.held.clear();
        self.held.extend_from_slice(method.as_bytes());
        self.held.extend_from_slice(b" / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n");
        self.cleared = self.held.len();
        self.state = State::Refused;
        self.link.unread.set(true);
    }

    /// Clears what of the held bytes belongs to the chunked body.
    fn chunks(&mut self) -> io::Result<()> {
        let State::Chunked(chunked) = &mut self.state else {
            return Ok(());
        };
        loop {
            match chunked.next(&self.held[self.cleared..]) {
                Ok(Piece::Need) => return Ok(()),
                Ok(Piece::Framing(n) | Piece::Data(n)) => self.cleared += n,
                Ok(Piece::End(n)) => {
                    self.cleared += n;
                    self.state = self.after();
                    return Ok(());
                }
                Err(_) => {
                    self.link.refuse_body(Refusal::Malformed(Malformed::Chunk));
                    self.state = State::Refused;
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }

    /// More bytes for `held`; `Ok(false)` at the end of the stream.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.held.reserve(READ);
        let read = poll_read_buf(Pin::new(&mut self.io), cx, &mut self.held);
        if read.is_pending() && self.held.is_empty() {
            // A connection that waits holds no memory of ours.
            self.held = BytesMut::new();
        }
        let read = ready!(read)?;
        self.came(read)?;
        if matches!(self.state, State::Head) && self.began.is_none() && 0 < read {
            self.began = Some(Instant::now());
            self.look = REST;
        }
        Poll::Ready(Ok(0 < read))
    }

    /// Bytes came, for whatever is being read.
    fn came(&mut self, amount: usize) -> io::Result<()> {
        let kept = self.sends.is_kept(amount, 1, self.bounds.least(), &self.reading);
        self.reading.clear();
        if kept {
            return Ok(());
        }
        self.link.refuse_body(Refusal::BodySlow);
        self.state = State::Refused;
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Nothing came. Ready when patience has run out, with what to do then.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let idle = matches!(self.state, State::Head) && self.began.is_none();
        if idle {
            return self.wait_for_head(cx);
        }
        match (&self.state, self.began) {
            // The whole head is limited, so that a byte now and then does not buy more time.
            (State::Head, Some(began)) => self.reading.set(began + self.bounds.head.get()),
            _ => {
                self.reading.set_if_clear(self.bounds.body.get());
                self.sends.wait(&self.reading);
            }
        }
        ready!(self.reading.poll(cx));
        self.reading.clear();
        match self.state {
            State::Head => {
                self.refuse(Refusal::HeadTimeout);
                Poll::Ready(Ok(()))
            }
            _ => {
                self.link.refuse_body(Refusal::BodyTimeout);
                self.state = State::Refused;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Between requests: the connection may be idle only so long, but never while an answer of
    /// ours is on its way.
    fn wait_for_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // The record of an answer ends before its last bytes have gone out.
            let busy = 0 < self.link.in_flight.get() || self.writing.is_set();
            let end = match busy {
                // The server waits already, and does not come here when the answer has ended.
                true => Instant::now() + self.look,
                false => self.bounds.idle_until(self.link.idle_since.get()),
            };
            let rest = self.link.idle_since.get() + REST;
            let may_rest = !busy && !self.resting && matches!(self.state, State::Head);
            let rests = may_rest && rest < end;
            self.reading.set(if rests { rest } else { end });
            ready!(self.reading.poll(cx));
            if !busy {
                self.resting = rests;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.look = (2 * self.look).min(self.bounds.idle.get());
        }
    }
}

/// Method and target of a head, as far as it goes.
fn first_words(head: &[u8]) -> (String, String) {
    let end = memchr::memchr2(b'\r', b'\n', head).unwrap_or(head.len());
    let mut words = head[..end].split(|it| *it == b' ').map(printable);
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// What of a refused head may be shown: printable ASCII, and not much of it.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(256).map(|it| match it {
        b' '..=b'~' => char::from(*it),
        _ => '?',
    });
    shown.collect()
}

impl<S: Transport> AsyncRead for Front<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if 0 < this.cleared {
                this.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            match &mut this.state {
                State::Head if !this.held.is_empty() => {
                    this.began.get_or_insert_with(Instant::now);
                    this.head();
                }
                State::Head => {}
                State::Length(0) => {
                    this.state = this.after();
                    continue;
                }
                State::Length(left) if !this.held.is_empty() => {
                    this.cleared =
                        this.held.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= this.cleared as u64;
                }
                State::Length(left) if buf.remaining() as u64 <= *left => {
                    // Straight into the server's buffer, which this message will fill.
                    let before = buf.filled().len();
                    match Pin::new(&mut this.io).poll_read(cx, buf) {
                        Poll::Ready(Ok(())) => {
                            let amount = buf.filled().len() - before;
                            *left -= amount as u64;
                            return Poll::Ready(this.came(amount));
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            ready!(this.wait(cx))?;
                            continue;
                        }
                    }
                }
                State::Length(_) => {}
                State::Chunked(_) => this.chunks()?,
                // The server closes after the stand-in; until then there is nothing to read.
                State::Refused => return Poll::Pending,
                State::Upgrade if this.link.in_flight.get() == 0 => {
                    this.state = this.after();
                    continue;
                }
                // An end is seen at once, and no more is taken than the other side must read.
                State::Upgrade => {
                    this.link.waiting.set(Some(cx.waker().clone()));
                    while this.held.len() < EARLY {
                        if !ready!(this.fill(cx))? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    return Poll::Pending;
                }
                // The server closes after its answer. Until then the client may leave.
                State::Over { left: 0 } => return Poll::Pending,
                State::Over { left } => {
                    *left = left.saturating_sub(this.held.len());
                    this.link.unread.set(this.link.unread.get() || !this.held.is_empty());
                    this.held.clear();
                    match this.fill(cx) {
                        Poll::Ready(Ok(true)) => {}
                        Poll::Ready(end) => return Poll::Ready(end.map(|_| ())),
                        Poll::Pending => ready!(this.wait_for_head(cx))?,
                    }
                    continue;
                }
                State::Raw => return Pin::new(&mut this.io).poll_read(cx, buf),
            }
            if this.link.switched.get() {
                return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
            }
            if 0 < this.cleared {
                continue;
            }
            match this.fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready!(this.wait(cx))?,
            }
        }
    }
}

impl<S: Transport> Front<S> {
    /// A client that does not take its answer is given up after a while.
    fn wrote<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        amount: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(it) => {
                let amount = it.as_ref().map_or(0, amount);
                if !self.takes.is_kept(amount, 1, self.bounds.least(), &self.writing) {
                    // The alarm stays set: what is cut here must look cut.
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                if self.writing.is_set() {
                    self.writing.clear();
                    self.link.idle_since.set(Instant::now());
                }
                Poll::Ready(it)
            }
            Poll::Pending => {
                self.writing.set_if_clear(self.bounds.body.get());
                self.takes.wait(&self.writing);
                ready!(self.writing.poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: Transport> AsyncWrite for Front<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(cx, written, |it| *it)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(cx, written, |it| *it)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.wrote(cx, flushed, |()| 0)
    }

    /// Says goodbye, and where the client may still be sending, listens for a while: closing a
    /// socket with unread bytes resets it, and the reset may overtake the answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let said = Pin::new(&mut this.io).poll_shutdown(cx);
        let said = this.wrote(cx, said, |()| 0);
        if !this.link.unread.get() || this.link.abort.get() {
            return said;
        }
        ready!(said)?;
        let mut left = this.swallow.unwrap_or_else(|| {
            // Whatever the alarm was set to before, the time to linger begins now.
            this.reading.set(Instant::now() + LINGER);
            LINGER_BYTES
        });
        while 0 < left {
            this.held.clear();
            this.held.reserve(READ);
            match poll_read_buf(Pin::new(&mut this.io), cx, &mut this.held) {
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(amount)) => left = left.saturating_sub(amount),
                Poll::Pending => {
                    this.swallow = Some(left);
                    ready!(this.reading.poll(cx));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> Drop for Front<S> {
    fn drop(&mut self) {
        if self.link.abort.get() || self.writing.is_set() {
            self.io.reset_on_drop();
        }
        let began = self.began.filter(|_| matches!(self.state, State::Head));
        if let Some(began) = began {
            let (method, target) = first_words(&self.held);
            let bytes = self.held.len();
            *self.link.cut_head.borrow_mut() = Some(CutHead { began, bytes, method, target });
        }
    }
}
