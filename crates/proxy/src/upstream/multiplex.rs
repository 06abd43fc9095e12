//! HTTP/2 connections to targets: several requests at a time on each, shared by all of one core.
//!
//! What h2 hides is seen by standing below it: the first bytes, the end and its error number. Above
//! it, streams in flight are counted against the limits of both sides, because beyond the peer's
//! limit requests would wait where nobody sees them.

use super::names::Member;
use super::pool::{PoolKey, usable_for};
use super::tls::tls_error;
use super::wire::Io;
use crate::listen::floods::{Flood, Guarded, Strained};
use crate::registry::{Place, Resting, TargetState};
use bytes::Bytes;
use config::{Limits, Pool};
use exchange::{Address, Attempt, Fault, Limit, TlsFacts};
use h2::SendStream;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use http::Request;
use rustix::io::Errno;
use rustls::Error as TlsError;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, oneshot};

/// What a target may send of one body before it is taken. The connection's window is as many times
/// as large as there may be streams, so that one body that nobody takes holds back no other.
const WINDOW: u32 = 256 * 1024;

/// What waits of one request's body for the target's socket, whatever window the target allows.
const SEND_BUFFER: usize = 64 * 1024;

/// Empty DATA frames after which a connection gets no more requests: h2 ends it at the 101st, with all
/// that is in flight. Until then each of the 80 that may be there by default is allowed one.
const MOST_EMPTIES: usize = 20;

/// Requests given up on one connection within a second, of which answers may still come: h2 knows
/// them for that long, and reads what comes for one that it does not know as a mistake.
const GIVEN_UP: usize = 4_096;

/// Mistakes of a target that concern one request each, before h2 ends the connection with all that
/// is on it. They are never forgotten, and callers who leave all the time make the network look
/// like one that makes them.
const MISTAKES: usize = 65_536;

/// Bytes before the payload of a frame (RFC 9113 4.1).
const FRAME_HEAD: u64 = 9;

/// Requests of one connection; stream numbers end at 2^31 (RFC 9113 5.1.1).
const MOST_REQUESTS: u32 = 1 << 30;

/// What passed under h2, as far as it explains an end.
pub(crate) struct Seen {
    /// `limits.response_head`.
    pub(crate) head_limit: usize,
    /// At most [`Attempt::FIRST_BYTES`].
    first: RefCell<Vec<u8>>,
    pub(crate) ended: Cell<bool>,
    /// When the other side closed.
    closed: Cell<Option<Instant>>,
    pub(crate) errno: Cell<Option<i32>>,
    /// A fatal alert of TLS.
    pub(crate) alert: Cell<Option<u8>>,
    last_read: Cell<Option<Instant>>,
    /// The first request since then.
    asked: Cell<Option<Instant>>,
    /// Bytes that came.
    received: Cell<u64>,
    /// Its first frame came, or the end instead.
    pub(crate) spoken: Notify,
    /// Reading or writing failed, or we stopped it.
    pub(crate) broken: Cell<bool>,
    /// The target sent far more of cheap frames than any use has.
    pub(crate) flooded: Cell<bool>,
    pub(crate) strained: Rc<Strained>,
}

impl Seen {
    fn new(head_limit: usize) -> Rc<Seen> {
        Rc::new(Seen {
            head_limit,
            first: RefCell::default(),
            ended: Cell::new(false),
            closed: Cell::new(None),
            errno: Cell::new(None),
            alert: Cell::new(None),
            last_read: Cell::new(None),
            asked: Cell::new(None),
            received: Cell::new(0),
            spoken: Notify::new(),
            broken: Cell::new(false),
            flooded: Cell::new(false),
            strained: Rc::default(),
        })
    }

    pub(crate) fn first_bytes(&self) -> Vec<u8> {
        self.first.borrow().clone()
    }

    pub(crate) fn met(&self, errno: Errno) -> bool {
        self.errno.get() == Some(errno.raw_os_error())
    }

    /// Its first frame, which holds its settings, has come as a whole.
    pub(crate) fn has_spoken(&self) -> bool {
        let first = self.first.borrow();
        let Some([a, b, c]) = first.first_chunk() else {
            return false;
        };
        FRAME_HEAD + u64::from(u32::from_be_bytes([0, *a, *b, *c])) <= self.received.get()
    }

    /// It, as far as it names why there is no head.
    pub(crate) fn under(&self) -> Under {
        Under {
            head_limit: self.head_limit,
            first: self.first_bytes(),
            ended: self.ended.get(),
            errno: self.errno.get(),
            alert: self.alert.get(),
            flooded: self.flooded.get(),
            large_head: self.strained.large_head.get(),
        }
    }

    fn read(&self, new: &[u8]) {
        if new.is_empty() {
            self.ended.set(true);
            self.closed.set(self.closed.get().or_else(|| Some(Instant::now())));
            return;
        }
        self.last_read.set(Some(Instant::now()));
        self.asked.set(None);
        self.received.set(self.received.get() + new.len() as u64);
        let mut first = self.first.borrow_mut();
        let room = Attempt::FIRST_BYTES - first.len();
        first.extend_from_slice(&new[..new.len().min(room)]);
    }

    fn failed(&self, error: &io::Error) {
        self.broken.set(true);
        self.errno.set(self.errno.get().or(error.raw_os_error()));
        if let Some(TlsError::AlertReceived(alert)) = tls_error(error) {
            self.alert.set(Some(u8::from(*alert)));
        }
        // TLS without its goodbye.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.ended.set(true);
        }
    }
}

/// What was seen under h2, for naming why there is no head.
#[derive(Default)]
pub(crate) struct Under {
    /// `limits.response_head`.
    pub(crate) head_limit: usize,
    /// At most [`Attempt::FIRST_BYTES`].
    pub(crate) first: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) errno: Option<i32>,
    /// A fatal alert of TLS.
    pub(crate) alert: Option<u8>,
    /// The target sent far more of cheap frames than any use has.
    pub(crate) flooded: bool,
    /// A head came that is far above the limit.
    pub(crate) large_head: bool,
}

impl Under {
    /// The first frame is a SETTINGS frame of the connection (RFC 9113 3.4), as far as it came.
    pub(crate) fn began_well(&self) -> bool {
        let kind = self.first.get(3..9).unwrap_or(&[4, 0, 0, 0, 0, 0]);
        self.first.first().is_none_or(|it| *it == 0) && matches!(kind, [4, _, 0, 0, 0, 0])
    }

    pub(crate) fn met(&self, errno: Errno) -> bool {
        self.errno == Some(errno.raw_os_error())
    }

    pub(crate) fn read(&mut self, new: &[u8]) {
        self.ended |= new.is_empty();
        let room = Attempt::FIRST_BYTES - self.first.len();
        self.first.extend_from_slice(&new[..new.len().min(room)]);
    }

    pub(crate) fn failed(&mut self, error: &io::Error) {
        self.errno = self.errno.or(error.raw_os_error());
        if let Some(TlsError::AlertReceived(alert)) = tls_error(error) {
            self.alert = Some(u8::from(*alert));
        }
        // TLS without its goodbye.
        self.ended |= error.kind() == io::ErrorKind::UnexpectedEof;
    }
}

/// Is told what passes under h2.
pub(crate) trait Witness: Unpin {
    /// These bytes were read; none is the end.
    fn read(&self, new: &[u8]);
    /// Reading or writing failed.
    fn failed(&self, error: &io::Error);
}

impl Witness for Rc<Seen> {
    fn read(&self, new: &[u8]) {
        Seen::read(self, new);
    }

    fn failed(&self, error: &io::Error) {
        Seen::failed(self, error);
    }
}

/// The transport under h2.
pub(crate) struct Watched<W> {
    pub(crate) io: Io,
    pub(crate) seen: W,
}

impl<W: Witness> Watched<W> {
    fn note<T>(&self, done: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = done {
            self.seen.failed(error);
        }
    }
}

impl<W: Witness> AsyncRead for Watched<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let had_room = 0 < buf.remaining();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        this.note(&read);
        if matches!(read, Poll::Ready(Ok(()))) && had_room {
            this.seen.read(&buf.filled()[before..]);
        }
        read
    }
}

impl<W: Witness> AsyncWrite for Watched<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.note(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.note(&flushed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// A transport that is open to a target, and what is known of it.
pub(crate) struct Line {
    pub(crate) io: Io,
    pub(crate) address: Address,
    /// Where the target is a name.
    pub(crate) member: Option<Box<Member>>,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) local_port: Option<u16>,
    pub(crate) place: Place,
}

/// A connection that speaks HTTP/2 to a target.
pub(crate) struct Multiplexed {
    send: SendRequest<Bytes>,
    pub(crate) seen: Rc<Seen>,
    pub(crate) address: Address,
    member: Option<Box<Member>>,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) local_port: Option<u16>,
    state: Arc<TargetState>,
    /// Requests that it has been given.
    requests: Cell<u32>,
    /// Of those, the ones that are not over.
    open: Cell<usize>,
    /// When the last of them ended.
    idle_since: Cell<Instant>,
    resting: RefCell<Option<Resting>>,
    /// How many it carried when the target refused one more.
    ceiling: Cell<usize>,
    /// It takes no more requests.
    retired: Cell<bool>,
    rules: Rules,
    /// Dropped with this, which its driver sees.
    _holds: oneshot::Sender<()>,
    _place: Place,
}

/// What the configuration says of HTTP/2 connections to a target.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// `pool.streams`.
    pub(crate) streams: usize,
    /// `pool.idle`.
    pub(crate) idle: usize,
    /// `pool.idle_for`.
    pub(crate) idle_for: Option<Duration>,
    /// `timeout.send`, also of what is left to be said at the end.
    pub(crate) send: Duration,
    /// `timeout.first_byte`.
    pub(crate) first_byte: Duration,
}

/// Opens HTTP/2 on a transport. `opening` is kept until the target has spoken, because until then
/// its limit of streams is not known.
pub(crate) async fn open(
    line: Line,
    state: &Arc<TargetState>,
    rules: Rules,
    limits: &Limits,
    opening: Option<Opening>,
) -> Result<Rc<Multiplexed>, io::Error> {
    let Line { io, address, member, tls, local_port, place } = line;
    let seen = Seen::new(limits.response_head);
    let flood = Rc::new(Cell::new(None));
    let watched = Watched { io, seen: seen.clone() };
    let guarded = Guarded::target(watched, limits, flood.clone(), seen.strained.clone());
    let streams = u32::try_from(rules.streams).unwrap_or(u32::MAX);
    // h2 tells a head above its limit from a broken one by nothing. The real limit is ours, which names
    // the largest field; this one bounds memory.
    let head = u32::try_from(limits.response_head.saturating_mul(4)).unwrap_or(u32::MAX);
    let handshake = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(rules.streams)
        .max_header_list_size(head)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(GIVEN_UP)
        .max_local_error_reset_streams(Some(MISTAKES))
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.saturating_mul(streams).min(i32::MAX as u32))
        .handshake(guarded);
    let (send, connection) = handshake
        .await
        .map_err(|it| it.into_io().unwrap_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe)))?;
    let (holds, held) = oneshot::channel();
    tokio::task::spawn_local(drive(connection, seen.clone(), flood, opening, held, rules.send));
    Ok(Rc::new(Multiplexed {
        send,
        seen,
        address,
        member,
        tls,
        local_port,
        state: state.clone(),
        requests: Cell::new(0),
        open: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        resting: RefCell::new(None),
        ceiling: Cell::new(usize::MAX),
        retired: Cell::new(false),
        rules,
        _holds: holds,
        _place: place,
    }))
}

/// Moves a connection's frames until it is over: when the other end closes, when it breaks the
/// protocol, or when nobody holds it any more; then for `farewell` at the most.
async fn drive(
    connection: Connection<Guarded<Watched<Rc<Seen>>>, Bytes>,
    seen: Rc<Seen>,
    flood: Rc<Cell<Option<Flood>>>,
    opening: Option<Opening>,
    held: oneshot::Receiver<()>,
    farewell: Duration,
) {
    let mut connection = pin!(connection);
    let mut opening = opening;
    let mut spoken = false;
    let talk = poll_fn(|cx| {
        let over = connection.as_mut().poll(cx).is_ready();
        // Now that h2 has read it too.
        if !spoken && seen.has_spoken() {
            spoken = true;
            opening = None;
            seen.spoken.notify_waiters();
        }
        if flood.get().is_some() {
            seen.flooded.set(true);
            return Poll::Ready(());
        }
        if over { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut talk = pin!(talk);
    tokio::select! {
        () = &mut talk => {}
        // What is still to be said goes out, if the target takes it.
        _ = held => drop(tokio::time::timeout(farewell, talk).await),
    }
    seen.broken.set(true);
    seen.spoken.notify_waiters();
}

impl Multiplexed {
    /// A place for one more request, within this share of the limits.
    fn lease(self: &Rc<Multiplexed>, share: Share) -> Option<Lease> {
        let limit = self.limit();
        let limit = match share {
            Share::Most => (limit * 4 / 5).max(limit.min(1)),
            Share::All => limit,
        };
        if limit <= self.open.get() || self.is_refusing() {
            return None;
        }
        Some(self.lease_now())
    }

    /// How many requests it may carry at a time.
    fn limit(&self) -> usize {
        match self.seen.has_spoken() {
            // The target has not said how many it takes.
            false => 1,
            true => {
                let allowed = self.send.current_max_send_streams();
                self.rules.streams.min(allowed).min(self.ceiling.get())
            }
        }
    }

    /// The target did not take a request: it takes fewer than it said, or none any more.
    fn refused(&self) {
        let others = self.open.get() - 1;
        self.ceiling.set(others);
        self.retired.set(self.retired.get() || others == 0);
    }

    /// Whatever the limits say: for the request that opened it.
    pub(crate) fn lease_now(self: &Rc<Multiplexed>) -> Lease {
        self.open.set(self.open.get() + 1);
        self.resting.take();
        self.requests.set(self.requests.get() + 1);
        self.seen.asked.set(self.seen.asked.get().or_else(|| Some(Instant::now())));
        if let Some(member) = &self.member {
            member.note_use(Instant::now());
        }
        let idle_for = match self.open.get() {
            1 if 1 < self.requests.get() => self.idle_since.get().elapsed(),
            _ => Duration::ZERO,
        };
        self.state.keeps.survived(idle_for);
        Lease { connection: self.clone(), ordinal: self.requests.get(), idle_for }
    }

    /// No request uses it, and one has.
    fn is_unused(&self) -> bool {
        self.open.get() == 0 && 0 < self.requests.get()
    }

    /// It may not be given another request.
    fn is_over(&self, now: Instant) -> bool {
        let idle = self.is_unused();
        let usable = || usable_for(&self.state, self.rules.idle_for, false);
        let too_old = || self.idle_since.get() + usable() <= now;
        self.retired.get()
            || self.seen.broken.get()
            || self.seen.ended.get()
            || MOST_REQUESTS <= self.requests.get()
            || MOST_EMPTIES <= self.seen.strained.empties.get()
            || (idle && too_old())
            || !self.member.as_ref().is_none_or(|it| it.is_current())
    }

    /// The other side said GOAWAY, or h2 gave up.
    fn is_refusing(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let refuses = matches!(self.send.clone().poll_ready(&mut cx), Poll::Ready(Err(_)));
        self.retired.set(self.retired.get() || refuses);
        refuses
    }
}

impl Drop for Multiplexed {
    /// An end while nobody used it shows how long the target keeps such connections.
    fn drop(&mut self) {
        let since = self.idle_since.get();
        if let Some(closed) = self.seen.closed.get()
            && self.is_unused()
            && since <= closed
        {
            self.state.keeps.closed(closed - since, None, closed);
        }
    }
}

/// How much of the limits may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// 80 %, rounded down: then another connection is opened.
    Most,
    /// Everything, because no other may be opened.
    All,
}

/// One request's part of a connection; dropping it gives the part back.
pub(crate) struct Lease {
    connection: Rc<Multiplexed>,
    /// Which request of the connection it is; 1 is the first.
    pub(crate) ordinal: u32,
    pub(crate) idle_for: Duration,
}

impl Lease {
    pub(crate) fn connection(&self) -> &Multiplexed {
        &self.connection
    }

    pub(crate) fn send(
        &self,
        request: Request<()>,
        is_over: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.connection.send.clone().send_request(request, is_over)
    }

    /// The target takes extended CONNECT (RFC 8441).
    pub(crate) fn takes_upgrades(&self) -> bool {
        self.connection.send.is_extended_connect_protocol_enabled()
    }

    /// What an attempt's failure says of the connection.
    pub(crate) fn failed(&self, fault: &Fault) {
        if fault.unprocessed() {
            self.connection.refused();
        } else {
            self.suspect(fault.limit());
        }
    }

    /// A limit fired: where nothing came for the better part of it, on no stream, nobody may be
    /// there any more, and others shall not wait for that too.
    pub(crate) fn suspect(&self, limit: Option<Limit>) {
        let Some(patience) = limit.map(|it| Duration::from_micros(it.value / 2)) else {
            return;
        };
        let silence = self.connection.seen.last_read.get().map(|it| it.elapsed());
        if silence.is_none_or(|it| patience <= it) {
            self.connection.retired.set(true);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let it = &self.connection;
        // Callers that give up sooner than any limit of ours would use it for ever.
        let silence = it.seen.asked.get().map(|it| it.elapsed());
        if silence.is_some_and(|silence| it.rules.first_byte / 2 <= silence) {
            it.retired.set(true);
        }
        it.open.set(it.open.get() - 1);
        if it.open.get() == 0 {
            it.idle_since.set(Instant::now());
            let resting = it.state.rest(it.rules.idle);
            it.retired.set(it.retired.get() || resting.is_none());
            it.resting.replace(resting);
        }
    }
}

/// The HTTP/2 connections of one core.
#[derive(Default)]
pub(crate) struct Lines {
    shared: RefCell<HashMap<PoolKey, Vec<Rc<Multiplexed>>>>,
    /// Targets to which one is being opened; whoever needs one there waits a moment.
    opening: Rc<RefCell<HashMap<PoolKey, Rc<Notify>>>>,
    /// Targets that chose HTTP/1.1: nobody waits for what will not be shared.
    http1: RefCell<HashSet<PoolKey>>,
}

/// While it is held, others wait for the connection that is being opened.
pub(crate) struct Opening {
    key: PoolKey,
    of: Rc<RefCell<HashMap<PoolKey, Rc<Notify>>>>,
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(waiting) = self.of.borrow_mut().remove(&self.key) {
            waiting.notify_waiters();
        }
    }
}

impl Lines {
    /// A place on a connection that is there.
    pub(crate) fn lease(&self, key: PoolKey, share: Share) -> Option<Lease> {
        let mut shared = self.shared.borrow_mut();
        let list = shared.get_mut(&key)?;
        let now = Instant::now();
        list.retain(|it| !it.is_over(now));
        // The fullest that has room: the others may come to rest, and be closed.
        if 1 < list.len() {
            list.sort_by_key(|it| std::cmp::Reverse(it.open.get()));
        }
        list.iter().find_map(|it| it.lease(share))
    }

    /// Keeps a connection for others.
    pub(crate) fn share(&self, key: PoolKey, connection: Rc<Multiplexed>) {
        self.http1.borrow_mut().remove(&key);
        self.shared.borrow_mut().entry(key).or_default().push(connection);
    }

    /// The target chose HTTP/1.1.
    pub(crate) fn chose_http1(&self, key: PoolKey) {
        self.http1.borrow_mut().insert(key);
    }

    /// Somebody opens one to this target.
    pub(crate) fn being_opened(&self, key: PoolKey) -> Option<Rc<Notify>> {
        self.opening.borrow().get(&key).cloned()
    }

    /// From now on others wait, where it will be of use to them.
    pub(crate) fn open(&self, key: PoolKey) -> Option<Opening> {
        let mut opening = self.opening.borrow_mut();
        if self.http1.borrow().contains(&key) || opening.contains_key(&key) {
            return None;
        }
        opening.insert(key, Rc::default());
        Some(Opening { key, of: self.opening.clone() })
    }

    /// Closes those that no request uses.
    pub(crate) fn give_up(&self) {
        let mut shared = self.shared.borrow_mut();
        for list in shared.values_mut() {
            list.retain(|it| !it.is_unused());
        }
    }

    /// Lets go of what is over, or of no use any more: each goes with its last request. Called now and
    /// then.
    pub(crate) fn sweep(&self, now: Instant, is_used: impl Fn(PoolKey) -> bool) {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|key, _| is_used(*key));
        self.http1.borrow_mut().retain(|key| is_used(*key));
        for list in shared.values_mut() {
            list.retain(|it| !it.is_over(now));
        }
        shared.retain(|_, list| !list.is_empty());
    }
}

/// What of the limits an upstream's connections share.
pub(crate) fn rules(upstream: &config::Upstream) -> Rules {
    let config::Upstream { pool, timeout, .. } = upstream;
    let Pool { streams, idle, idle_for, connections: _ } = *pool;
    Rules { streams, idle, idle_for, send: timeout.send, first_byte: timeout.first_byte }
}
