//! One core: its connections, its pool, its log lines, its numbers. Nothing here is shared.

use crate::Plane;
use crate::log::LogBuffer;
use crate::loud::Trouble;
use crate::metrics::Shard;
use crate::snapshot::Snapshot;
use crate::timer::Timer;
use crate::upstream::multiplex::Lines;
use crate::upstream::pool::Pool;
use config::Limits;
use exchange::{Exchange, ExchangeId};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// While stopping: when idle client connections are closed.
    pub(crate) leave_at: Rc<Cell<Option<Instant>>>,
    snapshot: Rc<Snapshot>,
    limits: Rc<Limits>,
    log: RefCell<LogBuffer>,
    shard: Arc<Shard>,
    random: RefCell<SmallRng>,
    /// Places for connections that are told why they may not be.
    pub(crate) turning_away: Arc<Semaphore>,
}

impl Worker {
    pub(crate) fn new(plane: Arc<Plane>, snapshot: Snapshot, shard: Arc<Shard>) -> Rc<Worker> {
        let limits = snapshot.limits();
        Rc::new(Worker {
            timer: Timer::new(),
            pool: Pool::default(),
            lines: Lines::default(),
            leave_at: Rc::default(),
            snapshot: Rc::new(snapshot),
            limits,
            log: RefCell::new(plane.log.buffer()),
            shard,
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            turning_away: Arc::new(Semaphore::new(crate::listen::TURNED_AWAY_AT_ONCE)),
            plane,
        })
    }

    /// What a request that begins now is served by, to its end.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        self.snapshot.clone()
    }

    pub(crate) fn limits(&self) -> Rc<Limits> {
        self.limits.clone()
    }

    pub(crate) fn random(&self) -> u128 {
        self.random.borrow_mut().random()
    }

    /// `began` is the time since 1970.
    pub(crate) fn new_id(&self, began: Duration) -> ExchangeId {
        ExchangeId::new(began.as_millis() as u64, self.random())
    }

    /// We are asked to stop: answers say that their connection ends.
    pub(crate) fn is_draining(&self) -> bool {
        self.leave_at.get().is_some()
    }

    /// A finished exchange goes to everything that keeps it.
    pub(crate) fn record(&self, exchange: &Exchange) {
        self.shard.record(exchange);
        self.log.borrow_mut().write(exchange);
    }

    pub(crate) fn flush(&self) {
        self.log.borrow_mut().flush();
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
                self.timer.hurry(HURRY);
                continue;
            }
            self.flush();
            self.pool.sweep(Instant::now());
            self.lines.sweep(Instant::now());
        }
    }

    /// From now on answers close their connections, and idle ones may stay only a little.
    pub(crate) fn drain(&self) {
        let idle = self.snapshot.config.shutdown.idle;
        self.leave_at.set(Some(Instant::now() + idle));
        self.timer.wake_all();
    }
}
