//! What a client may take of room and time, as the newest configuration says: shared by all client
//! connections of a core, so that a reload holds for those that are open too.

use crate::pace::Least;
use config::{Config, Limits};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(crate) struct Bounds {
    limits: RefCell<Rc<Limits>>,
    /// `listen.timeout.head`
    pub(crate) head: Cell<Duration>,
    /// `listen.timeout.idle`
    pub(crate) idle: Cell<Duration>,
    /// `listen.timeout.body`
    pub(crate) body: Cell<Duration>,
    /// `shutdown.idle`
    farewell: Cell<Duration>,
    /// Since when clients are asked to leave.
    draining: Cell<Option<Instant>>,
    /// Until then descriptors or memory are short, and who holds them without need gives them up.
    hurried: Cell<Option<Instant>>,
}

/// How long a client's connection may be idle while they are.
const HURRIED: Duration = Duration::from_secs(1);

impl Bounds {
    pub(crate) fn new(config: &Config) -> Bounds {
        let bounds = Bounds::of(config.limits.clone(), Duration::ZERO);
        bounds.adopt(config);
        bounds
    }

    /// The same patience for everything.
    pub(crate) fn of(limits: Limits, patience: Duration) -> Bounds {
        let patience = || Cell::new(patience);
        Bounds {
            limits: RefCell::new(Rc::new(limits)),
            head: patience(),
            idle: patience(),
            body: patience(),
            farewell: patience(),
            draining: Cell::new(None),
            hurried: Cell::new(None),
        }
    }

    /// What holds from now on.
    pub(crate) fn adopt(&self, config: &Config) {
        *self.limits.borrow_mut() = Rc::new(config.limits.clone());
        self.head.set(config.listen.head);
        self.idle.set(config.listen.idle);
        self.body.set(config.listen.body);
        self.farewell.set(config.shutdown.idle);
    }

    pub(crate) fn limits(&self) -> Rc<Limits> {
        self.limits.borrow().clone()
    }

    /// Clients are asked to leave from now on, or no longer.
    pub(crate) fn drain(&self, draining: bool) {
        let since = self.draining.get().unwrap_or_else(Instant::now);
        self.draining.set(draining.then_some(since));
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// How fast a body must come, and an answer be taken.
    pub(crate) fn least(&self) -> Least {
        Least { rate: self.limits.borrow().client_rate, over: self.body.get() }
    }

    /// From now on, and for this long, idle connections are not kept for as long as usual.
    pub(crate) fn hurry(&self, length: Duration) {
        self.hurried.set(Some(Instant::now() + length));
    }

    /// How long a connection may be idle.
    fn idle_for(&self) -> Duration {
        match self.hurried.get() {
            Some(until) if Instant::now() < until => self.idle.get().min(HURRIED),
            _ => self.idle.get(),
        }
    }

    /// When a connection is closed that has been idle since then.
    pub(crate) fn idle_until(&self, since: Instant) -> Instant {
        let until = since + self.idle_for();
        // Who comes while we drain has as long as who was there.
        self.draining
            .get()
            .map_or(until, |draining| until.min(draining.max(since) + self.farewell.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(idle: u64, farewell: u64) -> Bounds {
        let text = format!(
            "[listen]\ntimeout = {{ idle = \"{idle}s\" }}\n[shutdown]\nidle = \"{farewell}s\"\n\
             [route.a]\nmatch = \"/*\"\nto = \"http://127.0.0.1:1\"\n"
        );
        let context = config::Context { base: std::path::Path::new(""), env: &|_| None };
        Bounds::new(&config::parse(&text, &context).unwrap().config)
    }

    #[track_caller]
    fn check(bounds: &Bounds, since: Instant, seconds: u64) {
        assert_eq!(bounds.idle_until(since), since + Duration::from_secs(seconds));
    }

    #[test]
    fn who_is_idle_while_we_drain_has_a_farewell() {
        let bounds = bounds(60, 5);
        let now = Instant::now();
        check(&bounds, now, 60);
        bounds.drain(true);
        let later = now + Duration::from_secs(100);
        check(&bounds, later, 5);
        bounds.drain(false);
        check(&bounds, later, 60);
    }

    #[test]
    fn who_is_idle_while_something_is_short_leaves_soon() {
        let bounds = bounds(60, 5);
        let now = Instant::now();
        bounds.hurry(Duration::from_secs(100));
        check(&bounds, now, 1);
        bounds.hurry(Duration::ZERO);
        check(&bounds, now, 60);
    }

    #[test]
    fn a_farewell_is_no_longer_than_the_idle_limit() {
        let bounds = bounds(2, 5);
        bounds.drain(true);
        check(&bounds, Instant::now() + Duration::from_secs(1), 2);
    }
}
