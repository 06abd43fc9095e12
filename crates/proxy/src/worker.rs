//! One core: its connections, its pool, its log lines, its numbers. Nothing here is shared.

use crate::Plane;
use crate::bounds::Bounds;
use crate::crowd::{Admitted, TURNED_AWAY_AT_ONCE};
use crate::dates::Dates;
use crate::log::LogBuffer;
use crate::loud::Trouble;
use crate::metrics::Shard;
use crate::snapshot::Snapshot;
use crate::timer::Timer;
use crate::upstream::multiplex::Lines;
use crate::upstream::pool::Pool;
use config::Limits;
use exchange::{Exchange, ExchangeId, Refusal};
use http::HeaderValue;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// How often lines are handed over and old connections closed.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long idle connections are not kept once something was short.
const HURRY: Duration = Duration::from_secs(2);

pub(crate) struct Worker {
    pub(crate) plane: Arc<Plane>,
    pub(crate) timer: Timer,
    pub(crate) pool: Pool,
    /// The HTTP/2 connections to targets.
    pub(crate) lines: Lines,
    /// What the clients of this core may take.
    pub(crate) bounds: Rc<Bounds>,
    /// Bytes of requests' bodies that are kept to be sent again.
    pub(crate) kept: Rc<Cell<usize>>,
    snapshot: RefCell<Rc<Snapshot>>,
    log: RefCell<LogBuffer>,
    shard: Arc<Shard>,
    random: RefCell<SmallRng>,
    dates: RefCell<Dates>,
    /// The core ends, whatever is still open.
    pub(crate) ends: Cell<bool>,
    /// Places for connections that are told why they may not be.
    pub(crate) turning_away: Arc<Semaphore>,
}

impl Worker {
    pub(crate) fn new(plane: Arc<Plane>, snapshot: Snapshot, shard: Arc<Shard>) -> Rc<Worker> {
        Rc::new(Worker {
            timer: Timer::new(),
            pool: Pool::default(),
            lines: Lines::default(),
            bounds: Rc::new(Bounds::new(&snapshot.config)),
            kept: Rc::default(),
            snapshot: RefCell::new(Rc::new(snapshot)),
            log: RefCell::new(plane.log.buffer()),
            shard,
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            dates: RefCell::default(),
            ends: Cell::new(false),
            turning_away: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
            plane,
        })
    }

    /// What a request that begins now is served by, to its end.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Requests that begin from now on are served by this. What is idle to targets that it does not
    /// have, or has otherwise, is closed.
    pub(crate) fn adopt(&self, snapshot: Snapshot) {
        self.bounds.adopt(&snapshot.config);
        self.snapshot.replace(Rc::new(snapshot));
        self.sweep();
        self.timer.wake_all();
    }

    pub(crate) fn limits(&self) -> Rc<Limits> {
        self.bounds.limits()
    }

    pub(crate) fn random(&self) -> u128 {
        self.random.borrow_mut().random()
    }

    /// `began` is the time since 1970.
    pub(crate) fn new_id(&self, began: Duration) -> ExchangeId {
        ExchangeId::new(began.as_millis() as u64, self.random())
    }

    pub(crate) fn speaks_http3(&self) -> bool {
        self.snapshot.borrow().config.listen.http3
    }

    /// Answers say that their connection ends.
    pub(crate) fn is_draining(&self) -> bool {
        self.bounds.is_draining()
    }

    /// Now, as `Date` has it; nothing before 1970.
    pub(crate) fn date(&self) -> Option<HeaderValue> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        self.dates.borrow_mut().at(since.as_secs())
    }

    /// A finished exchange goes to everything that keeps it.
    pub(crate) fn record(&self, exchange: &Exchange) {
        self.shard.record(exchange);
        self.log.borrow_mut().write(exchange);
    }

    pub(crate) fn flush(&self) {
        self.log.borrow_mut().flush();
    }

    /// A place for one more connection of a client.
    pub(crate) fn admit(&self, peer: SocketAddr) -> Result<Admitted, Refusal> {
        let ip = peer.ip().to_canonical();
        self.plane.crowd.admit(ip, || {
            let trusted = &self.snapshot().config.listen.trusted_proxies;
            trusted.iter().any(|it| it.contains(&ip))
        })
    }

    /// Something that connections need is short: all cores give up those that nobody uses. How many
    /// that were here, and are closed by now.
    pub(crate) fn short_of(&self, trouble: Trouble) -> usize {
        self.plane.loud.report(trouble, 1);
        self.plane.pressure.press();
        self.pool.give_up()
    }

    /// Runs beside the connections for as long as the core does.
    pub(crate) async fn keep_house(self: Rc<Worker>) {
        let mut pressed = self.plane.pressure.times();
        loop {
            let felt = self.plane.pressure.felt(&mut pressed);
            if let Ok(()) = tokio::time::timeout(HOUSEKEEPING, felt).await {
                self.pool.give_up();
                self.lines.give_up();
                self.bounds.hurry(HURRY);
                self.timer.wake_all();
            }
            self.flush();
            self.sweep();
        }
    }

    /// Runs beside the connections: targets close idle ones, and are learned from.
    pub(crate) async fn watch_idle(self: Rc<Worker>) {
        self.pool.watch(|| !self.is_draining()).await;
    }

    /// Lets go of connections to targets that have no use any more.
    fn sweep(&self) {
        let (now, snapshot) = (Instant::now(), self.snapshot());
        self.pool.sweep(|it| snapshot.uses(it));
        self.lines.sweep(now, |it| snapshot.uses(it));
        snapshot.each_upstream(|it| it.state.budget.tick(now));
    }

    /// From now on answers close their connections, and idle ones may stay only a little; or no
    /// longer.
    pub(crate) fn drain(&self, draining: bool) {
        self.bounds.drain(draining);
        self.timer.wake_all();
    }
}
