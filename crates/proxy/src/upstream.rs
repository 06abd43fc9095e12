//! One attempt at one target: resolve, connect, shake hands, send, and read the head of the answer.
//!
//! Everything that is learned on the way goes into the attempt, whose phase is always true: the
//! client may leave at any moment, and the record then says where.

pub(crate) mod balance;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod connect;
mod dial;
pub(crate) mod gone;
pub(crate) mod health;
pub(crate) mod hold;
pub(crate) mod http2;
pub(crate) mod idle;
pub(crate) mod limit;
pub(crate) mod multiplex;
pub(crate) mod names;
mod patience;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod resolve;
pub(crate) mod retry;
mod tap;
pub(crate) mod tls;
mod verify;
pub(crate) mod wire;

use crate::front::Link;
use crate::grpc::Call;
use crate::head::{Head, answer_head};
use crate::listen::proxied;
use crate::outbound::{Origin, Outbound, Pump, PumpFault, Pumped};
use crate::recorder::Recorder;
use crate::registry::{InHand, TargetState};
use crate::seat::Seat;
use crate::snapshot::Ready;
use crate::timer::Alarm;
use crate::tries::WITHOUT_CALLER;
use crate::tunnel::{self, Upgrade};
use bytes::{Buf, Bytes, BytesMut};
use config::{HostSent, Limits, Target};
use connect::Opened;
use dial::Dialled;
use exchange::{
    Attempt, Connection, Fault, HeadFault, Http2, Limit, Phase, Refusal, SendFault, Stop, TlsFault,
};
use http::Method;
use http::header::HeaderValue;
use http2::Stream;
use multiplex::{Lease, Line, Opening, Share};
use patience::{Patience, Rang, Waiting};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tls::Offer;
use tokio::io::AsyncWriteExt;
use wire::{Io, Wire};

/// How long a client that asked for `100 Continue` is kept waiting for it (RFC 9110 10.1.1).
const CONTINUE: Duration = Duration::from_secs(1);

/// Why there is no answer to hand on.
pub(crate) enum Halt {
    Stop(Stop),
    /// The client left in the middle of its own request.
    ClientGone,
}

impl std::convert::From<Stop> for Halt {
    fn from(stop: Stop) -> Halt {
        Halt::Stop(stop)
    }
}

/// What an attempt needs to know besides its target.
pub(crate) struct Turn<'a> {
    pub(crate) seat: Rc<Seat>,
    pub(crate) limits: &'a Limits,
    pub(crate) upstream: &'a Arc<Ready>,
    /// Which of the upstream's targets.
    pub(crate) index: usize,
    /// When `timeout.total` of the route is over, or the deadline of the call.
    pub(crate) deadline: Instant,
    pub(crate) total: Limit,
    /// The gRPC call that it is.
    pub(crate) call: Option<&'a Call>,
    pub(crate) host: &'a HostSent,
    pub(crate) origin: Origin,
    /// On a new connection: the one before had died.
    pub(crate) fresh: bool,
    /// The request does no harm when it is carried out twice.
    pub(crate) repeatable: bool,
}

impl Turn<'_> {
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.upstream.settings.targets[self.index]
    }

    pub(crate) fn state(&self) -> &Arc<TargetState> {
        &self.upstream.states[self.index]
    }

    /// A place on an HTTP/2 connection that is open.
    fn lease(&self, share: Share) -> Option<Lease> {
        self.seat.worker.lines.lease(self.upstream.pool_key(self.index), share)
    }

    /// A limit that starts now, cut to the deadline; with the fault of whichever fires.
    fn limit(&self, name: &'static str, length: Duration) -> (Instant, Limit) {
        let at = Instant::now() + length;
        match self.deadline < at {
            true => (self.deadline, self.total),
            false => (at, limit(name, length)),
        }
    }

    /// How long the first byte of an answer may take. A gRPC server that streams sends its head with
    /// its first message, so where the caller has a deadline, that alone holds; where it has none,
    /// the limit of the upstream does.
    fn first_byte(&self) -> (Instant, Limit) {
        let length = self.upstream.settings.timeout.first_byte;
        match self.call.and_then(Call::deadline) {
            Some(_) => (self.deadline, self.total),
            // What takes long is what such a route is for.
            None if self.total.name == WITHOUT_CALLER => (self.deadline, self.total),
            None => self.limit("timeout.first_byte", length),
        }
    }

    /// How long the client may leave its body where it is.
    fn client(&self) -> (Instant, Limit) {
        match self.call.map(Call::deadline) {
            Some(None) => self.limit(TUNNEL, self.upstream.settings.timeout.tunnel),
            _ => (self.deadline, self.total),
        }
    }

    /// The longest gap between two bytes of the answer's body.
    fn gap(&self) -> Limit {
        let timeout = &self.upstream.settings.timeout;
        match self.call {
            None => limit("timeout.idle", timeout.idle),
            Some(_) => limit(TUNNEL, timeout.tunnel),
        }
    }

    /// The deadline fired under another limit's name: it is told as what it is.
    fn fired(&self, limit: Limit, fault: impl FnOnce(Limit) -> Fault) -> Fault {
        if limit == self.total { Fault::Deadline(limit) } else { fault(limit) }
    }
}

/// The streams of gRPC are as quiet as those of other protocols may be.
const TUNNEL: &str = "timeout.tunnel";

fn limit(name: &'static str, length: Duration) -> Limit {
    Limit { name, value: u64::try_from(length.as_micros()).unwrap_or(u64::MAX) }
}

/// An answer whose head is read and whose body is still on the connection.
pub(crate) struct Answered {
    pub(crate) head: Head,
    pub(crate) from: From,
    /// The alarm of the attempt, for the body to go on with.
    pub(crate) alarm: Alarm,
    /// The target works on it until its body has ended.
    pub(crate) in_hand: InHand,
}

/// Where the body comes from.
pub(crate) enum From {
    Wire(Wire),
    Stream(Stream),
}

/// What a request goes out by.
enum Way {
    Wire(Wire),
    Lease(Lease),
}

/// How long a request waits for an HTTP/2 connection that another one opens.
const OPENED_BY_ANOTHER: Duration = Duration::from_secs(1);

/// A close that crosses a request on its way is seen sooner than this.
const RACE: Duration = Duration::from_millis(500);

/// One attempt. What went wrong is also in the record's last attempt.
pub(crate) async fn attempt(
    turn: &Turn<'_>,
    outbound: &mut Outbound,
    record: &mut Recorder,
) -> Result<Answered, Halt> {
    let alarm = turn.seat.worker.timer.alarm();
    let offer = Offer::to(turn.target(), outbound.upgrade.is_some());
    record.attempt_mut().http2 = if offer == Offer::Http1 { Http2::No } else { Http2::Asked };
    let asked = Instant::now();
    let in_hand = {
        let Ready { state, settings, .. } = &**turn.upstream;
        turn.state().take_in_hand(state, &settings.concurrency)
    };
    let kept = if offer == Offer::Http2 || turn.fresh { None } else { reused(turn, record) };
    let way = match (kept, offer) {
        (Some(wire), _) => Way::Wire(wire),
        // Opening is rare and its state large: on the heap it does not weigh on every request.
        (None, Offer::Http1) => Box::pin(fresh(turn, &alarm, offer, None, record)).await?,
        (None, _) => match turn.lease(Share::Most) {
            Some(lease) => Way::Lease(lease),
            None => Box::pin(shared(turn, &alarm, offer, record)).await?,
        },
    };
    let outcome = match way {
        Way::Wire(wire) => by_wire(turn, &alarm, outbound, wire, record).await,
        Way::Lease(lease) => {
            let attempt = record.attempt_mut();
            let connection = lease.connection();
            attempt.http2 = Http2::Asked;
            attempt.address = Some(connection.address.clone());
            attempt.connection = Some(Connection {
                ordinal: lease.ordinal,
                idle_for: lease.idle_for.as_micros() as u64,
                local_port: connection.local_port,
                tls: connection.tls.clone(),
            });
            let sent = http2::converse(turn, &alarm, outbound, lease, record);
            // Large, and not there for HTTP/1.
            Box::pin(sent).await.map(|(head, stream)| (head, From::Stream(stream)))
        }
    };
    match outcome {
        Ok((mut head, from)) => {
            alarm.clear();
            let leaves = head.fields.remove(DRAIN).is_some_and(|it| says_so(&it));
            turn.state().announced(leaves, asked);
            Ok(Answered { head, from, alarm, in_hand })
        }
        Err(halt) => {
            if let Halt::Stop(Stop::Failed(fault)) = &halt {
                learn(turn, fault, asked, record);
                record.failed(fault.clone());
            }
            Err(halt)
        }
    }
}

/// By which a target says that it will end, and wants no new requests: `true`.
pub(crate) const DRAIN: &str = "x-goodgate-drain";

pub(crate) fn says_so(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"true")
}

/// The request over HTTP/1.1, and the head of its answer.
async fn by_wire(
    turn: &Turn<'_>,
    alarm: &Alarm,
    outbound: &mut Outbound,
    mut wire: Wire,
    record: &mut Recorder,
) -> Result<(Head, From), Halt> {
    wire.ordinal += 1;
    record.attempt_mut().http2 = Http2::No;
    let head = outbound.head(turn.target(), turn.host, &turn.origin, &turn.seat);
    outbound.pump.start(head);
    record.enter(Phase::SendHead);
    let answer = Conversation {
        patience: Patience::new(turn, alarm),
        bodyless: outbound.method == Method::HEAD,
        upgrade: outbound.upgrade.clone(),
        pump: &mut outbound.pump,
        record,
        write_failed: None,
        interim: 0,
        sent_at: None,
    };
    let head = answer.head(&mut wire).await?;
    Ok((head, From::Wire(wire)))
}

/// A place on an HTTP/2 connection that others use too, or the first on a new one. Where the target
/// chooses HTTP/1.1 instead, a connection of that.
async fn shared(
    turn: &Turn<'_>,
    alarm: &Alarm,
    offer: Offer,
    record: &mut Recorder,
) -> Result<Way, Halt> {
    let lines = &turn.seat.worker.lines;
    let key = turn.upstream.pool_key(turn.index);
    let until = turn.deadline.min(Instant::now() + OPENED_BY_ANOTHER);
    while let Some(opening) = lines.being_opened(key) {
        record.enter_once(Phase::Connect);
        if alarm.until(until, opening.notified()).await.is_none() {
            break;
        }
        if let Some(lease) = turn.lease(Share::Most) {
            return Ok(Way::Lease(lease));
        }
    }
    let opening = lines.open(key).filter(|_| !turn.upstream.settings.proxy_protocol);
    fresh(turn, alarm, offer, opening, record).await
}

/// A connection from the pool, where one may serve this request.
fn reused(turn: &Turn<'_>, record: &mut Recorder) -> Option<Wire> {
    let worker = &turn.seat.worker;
    let key = turn.upstream.pool_key(turn.index);
    let (wire, idle) = worker.pool.take(key, turn.repeatable, Instant::now())?;
    let attempt = record.attempt_mut();
    attempt.address = Some(wire.address.clone());
    attempt.after_bodyless = wire.after_bodyless;
    attempt.connection = Some(Connection {
        ordinal: wire.ordinal + 1,
        idle_for: idle.as_micros() as u64,
        local_port: wire.local_port,
        tls: wire.tls.clone(),
    });
    Some(wire)
}

/// A target that closes a connection as it is used again shows how long it keeps them. One that had
/// the request for longer did something else.
fn learn(turn: &Turn<'_>, fault: &Fault, asked: Instant, record: &mut Recorder) {
    let attempt = record.attempt_mut();
    let ended = matches!(
        fault,
        Fault::Head(HeadFault::Closed | HeadFault::Reset)
            | Fault::Send(SendFault::Closed | SendFault::Reset)
    );
    let now = Instant::now();
    let Some(connection) = attempt.connection.as_ref().filter(|it| 1 < it.ordinal) else {
        return;
    };
    if ended && attempt.received == 0 && now - asked < RACE {
        let age = Duration::from_micros(connection.idle_for);
        turn.state().keeps.closed(age, Some(connection.ordinal - 1), now);
    }
}

/// A new connection, ready for its first request.
async fn fresh(
    turn: &Turn<'_>,
    alarm: &Alarm,
    offer: Offer,
    opening: Option<Opening>,
    record: &mut Recorder,
) -> Result<Way, Halt> {
    let Some(place) = turn.state().place(turn.upstream.settings.pool.connections) else {
        // What there is may be filled to the brim.
        let lease = if offer == Offer::Http1 { None } else { turn.lease(Share::All) };
        return lease.map(Way::Lease).ok_or(Stop::Refused(Refusal::ConnectionLimit).into());
    };
    let Dialled { address, opened, member } = dial::dial(turn, alarm, record).await?;
    turn.upstream.state.gone.reached();
    let local_port = match &opened {
        Opened::Tcp(tap) => tap.socket().local_addr().ok().map(|it| it.port()),
        Opened::Unix(_) => None,
    };
    let mut opened = opened;
    if turn.upstream.settings.proxy_protocol {
        introduce(turn, alarm, &mut opened, record).await?;
    }
    let mut http2 = offer == Offer::Http2;
    let (io, tls) = match (opened, &turn.upstream.tls) {
        (Opened::Tcp(tap), Some(settings)) if turn.target().tls => {
            record.enter(Phase::Tls);
            let (until, limit) = turn.limit("timeout.tls", turn.upstream.settings.timeout.tls);
            let target = turn.target().clone();
            let shaking = tls::shake_hands(tap, &target, settings, offer, record.attempt_mut());
            match alarm.until(until, shaking).await {
                Some(Ok((stream, facts))) => {
                    http2 = tls::chose_http2(&stream);
                    (Io::Tls(Box::new(stream)), Some(facts))
                }
                Some(Err(fault)) => return Err(failed(record, Fault::Tls(fault))),
                None => {
                    let fault = turn.fired(limit, |it| Fault::Tls(TlsFault::TimedOut(it)));
                    return Err(failed(record, fault));
                }
            }
        }
        (Opened::Tcp(mut tap), _) => {
            tap.rest();
            (Io::Tcp(tap), None)
        }
        (Opened::Unix(stream), _) => (Io::Unix(stream), None),
    };
    if http2 {
        let line = Line { io, address, member, tls, local_port, place };
        let opened = multiplexed(turn, alarm, line, opening, record).await?;
        return Ok(Way::Lease(opened));
    }
    if offer == Offer::Both {
        turn.seat.worker.lines.chose_http1(turn.upstream.pool_key(turn.index));
    }
    let connection = Connection { ordinal: 1, idle_for: 0, local_port, tls: tls.clone() };
    record.attempt_mut().connection = Some(connection);
    Ok(Way::Wire(Wire {
        io,
        held: BytesMut::new(),
        address,
        member,
        tls,
        local_port,
        ordinal: 0,
        after_bodyless: false,
        _place: place,
    }))
}

/// HTTP/2 begins on a new connection. Others may use it too, unless it was opened with words that
/// hold for one caller.
async fn multiplexed(
    turn: &Turn<'_>,
    alarm: &Alarm,
    line: Line,
    opening: Option<Opening>,
    record: &mut Recorder,
) -> Result<Lease, Halt> {
    let settings = &turn.upstream.settings;
    let (until, limit) = turn.limit("timeout.send", settings.timeout.send);
    let rules = multiplex::rules(settings);
    let opening = multiplex::open(line, turn.state(), rules, turn.limits, opening);
    let fault = match alarm.until(until, opening).await {
        Some(Ok(connection)) => {
            let lease = connection.lease_now();
            if !settings.proxy_protocol {
                let key = turn.upstream.pool_key(turn.index);
                turn.seat.worker.lines.share(key, connection);
            }
            return Ok(lease);
        }
        Some(Err(error)) => {
            record.attempt_mut().errno = error.raw_os_error();
            Fault::Send(send_fault(&error))
        }
        None => turn.fired(limit, |it| Fault::Send(SendFault::TimedOut(it))),
    };
    Err(failed(record, fault))
}

/// Says who calls, by the PROXY protocol, before anything else is said.
async fn introduce(
    turn: &Turn<'_>,
    alarm: &Alarm,
    opened: &mut Opened,
    record: &mut Recorder,
) -> Result<(), Halt> {
    let own = match &*opened {
        Opened::Tcp(tap) => tap.socket().peer_addr().ok(),
        Opened::Unix(_) => None,
    };
    let caller = SocketAddr::new(record.exchange().client.ip, turn.seat.peer.port());
    let header = proxied::header(caller, own);
    let (until, limit) = turn.limit("timeout.send", turn.upstream.settings.timeout.send);
    let written = match opened {
        Opened::Tcp(tap) => alarm.until(until, tap.write_all(&header)).await,
        Opened::Unix(stream) => alarm.until(until, stream.write_all(&header)).await,
    };
    let fault = match written {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => {
            record.attempt_mut().errno = error.raw_os_error();
            Fault::Send(send_fault(&error))
        }
        None => turn.fired(limit, |it| Fault::Send(SendFault::TimedOut(it))),
    };
    Err(failed(record, fault))
}

pub(crate) fn send_fault(error: &io::Error) -> SendFault {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => SendFault::Reset,
        io::ErrorKind::BrokenPipe => SendFault::Closed,
        _ => SendFault::Errno,
    }
}

fn failed(record: &mut Recorder, fault: Fault) -> Halt {
    record.failed(fault.clone());
    Stop::Failed(fault).into()
}

/// A request on its way out and the head of its answer on its way in, both at once: an answer may
/// come before the upload is over.
struct Conversation<'a, 'b> {
    patience: Patience<'a>,
    pump: &'a mut Pump,
    record: &'b mut Recorder,
    bodyless: bool,
    /// What the client asked to go on with.
    upgrade: Option<Upgrade>,
    /// Writing failed, which may still be explained by an answer that is on its way.
    write_failed: Option<io::Error>,
    interim: usize,
    sent_at: Option<Instant>,
}

impl Conversation<'_, '_> {
    async fn head(mut self, wire: &mut Wire) -> Result<Head, Halt> {
        let outcome = poll_fn(|cx| self.poll(wire, cx)).await;
        if outcome.is_err() {
            let attempt = self.record.attempt_mut();
            attempt.since_sent = self.sent_at.map(|it| it.elapsed().as_micros() as u64);
        }
        outcome
    }

    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<Head, Halt>> {
        if let Err(halt) = self.write(wire, cx) {
            return Poll::Ready(Err(halt));
        }
        loop {
            match wire.poll_more(cx, false) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.ended(HeadFault::Closed))),
                Poll::Ready(Ok(amount)) => {
                    self.arrived(amount);
                    match self.parse(wire) {
                        Ok(None) => {}
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Err(fault) => {
                            self.keep_first_bytes(wire);
                            return Poll::Ready(Err(Stop::Failed(Fault::Head(fault)).into()));
                        }
                    }
                    // An interim answer may have let the body go.
                    if let Err(halt) = self.write(wire, cx) {
                        return Poll::Ready(Err(halt));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broke(&error))),
            }
        }
        match self.patience.poll(cx, !wire.held.is_empty()) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Rang::Stop(stop)) => Poll::Ready(Err(stop.into())),
            Poll::Ready(Rang::GoOn) => {
                self.pump.waits = false;
                self.poll(wire, cx)
            }
        }
    }

    fn write(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Result<(), Halt> {
        let over = self.pump.is_done() && self.sent_at.is_some();
        if over || self.write_failed.is_some() {
            return Ok(());
        }
        let before = self.pump.sent;
        let pumped = self.pump.poll(&mut wire.io, cx);
        self.record.body_taken(self.pump.taken);
        // At once: the client may leave at any moment.
        self.record.attempt_mut().sent = self.pump.sent;
        if self.pump.head_is_sent() && self.pump.has_body() {
            self.record.enter_once(Phase::SendBody);
        }
        match pumped {
            Ok(Pumped::All) => {
                self.record.enter_once(Phase::WaitFirstByte);
                self.sent_at.get_or_insert_with(Instant::now);
                self.patience.wait(Waiting::Answer, false);
            }
            Ok(Pumped::Upstream) => self.patience.wait(Waiting::Take, before < self.pump.sent),
            Ok(Pumped::Client) if self.pump.waits => self.patience.wait(Waiting::Continue, false),
            Ok(Pumped::Client) => self.patience.wait(Waiting::Client, before < self.pump.sent),
            Err(PumpFault::Upstream(error)) => {
                self.write_failed = Some(error);
                self.patience.wait(Waiting::Answer, false);
            }
            Err(PumpFault::Client) => return Err(self.patience.client_ended()),
        }
        Ok(())
    }

    fn arrived(&mut self, amount: usize) {
        let attempt = self.record.attempt_mut();
        attempt.received += amount as u64;
        self.record.enter_once(Phase::ReadHead);
    }

    fn parse(&mut self, wire: &mut Wire) -> Result<Option<Head>, HeadFault> {
        loop {
            let head = match answer_head(&wire.held, self.patience.turn.limits, self.bodyless)? {
                None => return Ok(None),
                Some(head) => head,
            };
            match head.status {
                100 | 102..200 => {
                    wire.held.advance(head.len);
                    self.pump.waits = false;
                    self.interim += 1;
                    let most = self.patience.turn.limits.interim_responses;
                    if most < self.interim {
                        let value = most as u64;
                        let limit = Limit { name: "limits.interim_responses", value };
                        return Err(HeadFault::TooManyInterim(limit));
                    }
                    if wire.held.is_empty() {
                        self.waits_again();
                        return Ok(None);
                    }
                }
                _ => {
                    tunnel::check(self.upgrade.as_ref(), &head)?;
                    wire.held.advance(head.len);
                    return Ok(Some(head));
                }
            }
        }
    }

    /// An interim answer is over, and the final one has not begun.
    fn waits_again(&mut self) {
        self.record.enter(match () {
            () if self.pump.is_done() => Phase::WaitFirstByte,
            () if self.pump.head_is_sent() => Phase::SendBody,
            () => Phase::SendHead,
        });
    }

    fn keep_first_bytes(&mut self, wire: &Wire) {
        let first = &wire.held[..wire.held.len().min(Attempt::FIRST_BYTES)];
        self.record.attempt_mut().first_bytes = first.to_vec();
    }

    /// The stream ended where a head should have been.
    fn ended(&mut self, fault: HeadFault) -> Halt {
        let nothing_came = self.record.attempt_mut().received == 0;
        match self.write_failed.take() {
            Some(error) if nothing_came => self.send_failed(&error),
            _ => Stop::Failed(Fault::Head(fault)).into(),
        }
    }

    fn send_failed(&mut self, error: &io::Error) -> Halt {
        self.record.attempt_mut().errno = error.raw_os_error();
        Stop::Failed(Fault::Send(send_fault(error))).into()
    }

    /// Reading failed.
    fn broke(&mut self, error: &io::Error) -> Halt {
        self.record.attempt_mut().errno = error.raw_os_error();
        match read_fault(error) {
            Fault::Head(fault @ (HeadFault::Reset | HeadFault::Closed)) => self.ended(fault),
            other => Stop::Failed(other).into(),
        }
    }
}

/// Why a head could not be read.
pub(crate) fn read_fault(error: &io::Error) -> Fault {
    if let Some(rustls::Error::AlertReceived(alert)) = tls::tls_error(error) {
        return Fault::Tls(TlsFault::LateAlert(u8::from(*alert)));
    }
    Fault::Head(match error.kind() {
        io::ErrorKind::ConnectionReset => HeadFault::Reset,
        // TLS without its goodbye.
        io::ErrorKind::UnexpectedEof => HeadFault::Closed,
        _ => HeadFault::Errno,
    })
}

/// The same into an HTTP/2 stream.
pub(crate) fn stream_on(
    pump: Pump,
    stream: h2::SendStream<Bytes>,
    link: Rc<Link>,
) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(pump.finish_stream(stream, link))
}

/// The rest of an upload runs on its own while the answer is read.
pub(crate) fn pump_on(
    pump: Pump,
    io: tokio::io::WriteHalf<Io>,
    link: Rc<Link>,
) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(pump.finish(io, link))
}
