//! Opens a connection to a target: where that is a name, to the first of its addresses that takes one.

use super::connect::{self, NotOpened, Opened, Race, STAGGER};
use super::names::{Again, Known, Look, Member, Name, PATIENCE, Round};
use super::resolve::Question;
use super::{Halt, Turn, failed};
use crate::loud::Trouble;
use crate::recorder::Recorder;
use crate::timer::Alarm;
use config::Place;
use exchange::{Address, ConnectFault, DnsFault, Fault, Limit, Naming, Phase};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A connection that is open, before TLS.
pub(crate) struct Dialled {
    pub(crate) address: Address,
    pub(crate) opened: Opened,
    /// Where the target is a name.
    pub(crate) member: Option<Box<Member>>,
}

/// Opens a connection within `timeout.connect`; before it, a name may take `dns.timeout`.
pub(crate) async fn dial(
    turn: &Turn<'_>,
    alarm: &Alarm,
    record: &mut Recorder,
) -> Result<Dialled, Halt> {
    let (question, port) = match &turn.target().place {
        Place::Inet(address) => return one(turn, alarm, Address::Inet(*address), record).await,
        Place::Unix(path) => return one(turn, alarm, Address::Unix(path.clone()), record).await,
        Place::Name { host, port } => (Question::Host(host.clone()), *port),
        // Each record has a port of its own.
        Place::Service(name) => (Question::Service(name.clone()), 0),
    };
    record.enter(Phase::Resolve);
    let name = turn.state().name.get_or_init(|| turn.seat.worker.plane.names.name(question));
    let known = match resolve(turn, alarm, name).await {
        Ok(known) => known,
        Err(fault) => return Err(failed(record, fault)),
    };
    if known.kept {
        record.attempt_mut().names = Some(Naming::Kept);
    }
    record.enter(Phase::Connect);
    let (until, limit) = turn.limit("timeout.connect", turn.upstream.settings.timeout.connect);
    let queue = addresses(turn, name, &known, port);
    let dialling = Dialling {
        turn,
        alarm,
        name,
        port,
        until,
        limit,
        queue,
        begun: Vec::new(),
        race: Race::default(),
        asking: None,
        asked: false,
        made_room: false,
        generation: known.generation,
    };
    dialling.run(record).await
}

/// The one place where a target may be dialled.
async fn one(
    turn: &Turn<'_>,
    alarm: &Alarm,
    address: Address,
    record: &mut Recorder,
) -> Result<Dialled, Halt> {
    record.enter(Phase::Connect);
    record.attempt_mut().address = Some(address.clone());
    let (until, limit) = turn.limit("timeout.connect", turn.upstream.settings.timeout.connect);
    let mut opened = connect::open(&address, alarm, until, limit).await;
    if let Err(not) = &opened
        && make_room(turn, alarm, not).await
    {
        opened = connect::open(&address, alarm, until, limit).await;
    }
    match opened {
        Ok(opened) => Ok(Dialled { address, opened, member: None }),
        Err(not) => {
            record.attempt_mut().errno = not.errno;
            Err(failed(record, connect_fault(turn, not.fault)))
        }
    }
}

fn connect_fault(turn: &Turn<'_>, fault: ConnectFault) -> Fault {
    match fault {
        ConnectFault::TimedOut(limit) => {
            turn.fired(limit, |it| Fault::Connect(ConnectFault::TimedOut(it)))
        }
        other => Fault::Connect(other),
    }
}

/// What is known of the name, after a question where nothing is.
async fn resolve(turn: &Turn<'_>, alarm: &Alarm, name: &Arc<Name>) -> Result<Known, Fault> {
    let (until, limit) = turn.limit("dns.timeout", name.timeout());
    loop {
        let (round, or) = match name.look() {
            Look::Known(known) => return Ok(known),
            Look::Fails(DnsFault::TimedOut(_)) => {
                return Err(Fault::Resolve(DnsFault::TimedOut(name.limit())));
            }
            Look::Fails(fault) => return Err(Fault::Resolve(fault)),
            Look::Wait(round, or) => (round, or),
        };
        let patient = match or {
            // Half of what is left is for the connection.
            Some(_) => until.min(Instant::now() + PATIENCE.min(time_left(turn) / 2)),
            None => until,
        };
        match (alarm.until(patient, round.over()).await, or) {
            (Some(()), _) => {}
            (None, Some(known)) => return Ok(known),
            (None, None) => {
                return Err(turn.fired(limit, |it| Fault::Resolve(DnsFault::TimedOut(it))));
            }
        }
    }
}

fn time_left(turn: &Turn<'_>) -> Duration {
    turn.deadline.saturating_duration_since(Instant::now())
}

fn addresses(turn: &Turn<'_>, name: &Name, known: &Known, port: u16) -> VecDeque<SocketAddr> {
    let worker = &turn.seat.worker;
    // Modulo is as even as is needed: the bounds are small beside 2^128.
    let draw = |below: u64| (worker.random() % u128::from(below.max(1))) as u64;
    name.addresses(known, port, draw).into()
}

/// On the way to one of the addresses of a name (RFC 8305).
struct Dialling<'a, 'b> {
    turn: &'a Turn<'b>,
    alarm: &'a Alarm,
    name: &'a Arc<Name>,
    port: u16,
    until: Instant,
    limit: Limit,
    /// Those that are still to be tried.
    queue: VecDeque<SocketAddr>,
    begun: Vec<SocketAddr>,
    race: Race,
    /// The name is being asked for again, since no address opens.
    asking: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// It was, or need not be.
    asked: bool,
    made_room: bool,
    generation: u64,
}

enum Step {
    Done(SocketAddr, Result<Opened, NotOpened>),
    /// The question is over.
    Asked,
}

impl Dialling<'_, '_> {
    async fn run(mut self, record: &mut Recorder) -> Result<Dialled, Halt> {
        let mut last = ConnectFault::Errno;
        loop {
            if let Some(address) = self.queue.pop_front() {
                record.attempt_mut().address = Some(Address::Inet(address));
                self.begun.push(address);
                self.race.start(address);
            } else if !self.asked {
                self.ask_again(record);
                continue;
            }
            if self.race.is_empty() && self.asking.is_none() {
                break;
            }
            let goes_on = !self.queue.is_empty() || !self.asked;
            let wake = if goes_on { self.until.min(Instant::now() + STAGGER) } else { self.until };
            let alarm = self.alarm;
            match alarm.until(wake, poll_fn(|cx| self.poll(cx))).await {
                Some(Step::Done(address, Ok(opened))) => {
                    return Ok(self.opened(address, opened, record));
                }
                Some(Step::Done(address, Err(not))) => {
                    if !self.made_room && make_room(self.turn, alarm, &not).await {
                        self.made_room = true;
                        self.queue.push_front(address);
                        continue;
                    }
                    match not.is_by_address() {
                        true => self.name.shun(address),
                        // What is wrong with our own host is no other elsewhere.
                        false => self.asked = true,
                    }
                    let attempt = record.attempt_mut();
                    attempt.tried.push((Address::Inet(address), not.errno.unwrap_or(0)));
                    last = not.fault;
                }
                Some(Step::Asked) => {
                    self.asking = None;
                    self.take_new(record);
                }
                None if self.until <= Instant::now() => break,
                None => {}
            }
        }
        if !self.race.is_empty() {
            last = ConnectFault::TimedOut(self.limit);
        }
        let now = Instant::now();
        for (address, began) in self.race.left() {
            // A caller with hardly any time says nothing of an address.
            if STAGGER <= now - began {
                self.name.shun(address);
            }
            record.attempt_mut().tried.push((Address::Inet(address), 0));
        }
        let attempt = record.attempt_mut();
        if let Some((address, errno)) = attempt.tried.pop() {
            attempt.address = Some(address);
            attempt.errno = Some(errno).filter(|it| *it != 0);
        }
        attempt.tell_first_of_equals();
        Err(failed(record, connect_fault(self.turn, last)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready((address, done)) = self.race.poll(self.limit, cx) {
            return Poll::Ready(Step::Done(address, done));
        }
        match &mut self.asking {
            Some(asking) => asking.as_mut().poll(cx).map(|()| Step::Asked),
            None => Poll::Pending,
        }
    }

    /// None of the addresses has opened so far: they may be those of yesterday.
    fn ask_again(&mut self, record: &mut Recorder) {
        self.asked = true;
        match self.name.again(self.generation) {
            Again::Changed => self.take_new(record),
            Again::After(round) => self.asking = Some(Box::pin(Round::over(round))),
            Again::No => {}
        }
    }

    /// Those that the name has now and that were not tried.
    fn take_new(&mut self, record: &mut Recorder) {
        let Some(known) = self.name.known() else {
            return;
        };
        self.generation = known.generation;
        let all = addresses(self.turn, self.name, &known, self.port);
        self.queue.extend(all.into_iter().filter(|it| !self.begun.contains(it)));
        if !self.queue.is_empty() {
            record.attempt_mut().names = Some(Naming::AskedAgain);
        }
    }

    fn opened(self, address: SocketAddr, opened: Opened, record: &mut Recorder) -> Dialled {
        self.name.opened(address);
        let attempt = record.attempt_mut();
        attempt.address = Some(Address::Inet(address));
        let now = Instant::now();
        for (slower, began) in self.race.left() {
            attempt.tried.push((Address::Inet(slower), 0));
            if STAGGER <= now - began {
                self.name.shun(slower);
            }
        }
        let member = Some(Box::new(Member::new(self.name, address, self.generation)));
        Dialled { address: Address::Inet(address), opened, member }
    }
}

/// How long the other cores have to give up what they do not need.
const GIVE_UP: Duration = Duration::from_millis(50);

/// Something of our own host was short: it is told, and what nobody needs is given up. Whether it is
/// worth another try.
async fn make_room(turn: &Turn<'_>, alarm: &Alarm, not: &NotOpened) -> bool {
    let Some(trouble) = not.trouble() else {
        return false;
    };
    let worker = &turn.seat.worker;
    match trouble {
        // All of them lead to this target; those that are idle were tried first.
        Trouble::NoPorts => {
            worker.plane.loud.report(trouble, 1);
            false
        }
        _ if 0 < worker.short_of(trouble) => true,
        _ => {
            let other_cores = std::future::pending::<()>();
            alarm.until(turn.deadline.min(Instant::now() + GIVE_UP), other_cores).await;
            true
        }
    }
}
