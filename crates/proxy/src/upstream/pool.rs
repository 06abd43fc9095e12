//! Idle upstream connections of one core: each is used only as long as its target is known to keep
//! it, and a few for longer are watched, to see when the target closes them.

use super::idle::LASTS;
use super::wire::Wire;
use crate::registry::{Resting, TargetState};
use socket2::TcpKeepalive;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

/// How often idle connections are looked at that nothing was heard of.
const LOOK: Duration = Duration::from_millis(100);

/// Closes often come together: one look finds all that come within this time.
const GATHER: Duration = Duration::from_millis(10);

/// A younger connection is not looked at in the kernel: its answer came just now.
const YOUNG: Duration = Duration::from_millis(10);

/// Connections of one core to one target that are kept only to be watched.
const WATCHED: usize = 2;

/// How long they are, above the longest limit that is common: 75 s, of nginx.
const WATCHED_FOR: Duration = Duration::from_secs(80);

/// Probes keep a connection known to the boxes that it passes, which forget silent ones (the
/// quickest of the common ones after 240 s), and find out when nobody is there any more (tcp(7)).
pub(super) const PROBES: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(3);

/// What must be the same for a connection to serve another request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) target: u64,
    /// Address, SNI, verification and client certificate: one number for each set of settings and of
    /// the files that they name.
    pub(crate) settings: u64,
}

#[derive(Default)]
pub(crate) struct Pool {
    shelves: RefCell<HashMap<PoolKey, Shelf>>,
    /// Nobody looks while there is nothing.
    dozes: Cell<bool>,
    filled: Notify,
}

/// The connections to one target.
struct Shelf {
    state: Arc<TargetState>,
    settings: config::Pool,
    /// The longest idle one first.
    kept: Vec<Kept>,
}

struct Kept {
    wire: Wire,
    since: Instant,
    /// It has been looked at, and its end wakes whoever looks.
    watched: bool,
    _resting: Resting,
}

/// How long an idle connection may be used again.
pub(crate) fn usable_for(
    state: &TargetState,
    configured: Option<Duration>,
    repeatable: bool,
) -> Duration {
    configured.unwrap_or_else(|| state.keeps.usable_for(repeatable))
}

impl Pool {
    /// A live connection and how long it has been idle, for a request that may be repeated or not.
    pub(crate) fn take(
        &self,
        key: PoolKey,
        repeatable: bool,
        now: Instant,
    ) -> Option<(Wire, Duration)> {
        self.shelves.borrow_mut().get_mut(&key)?.take(repeatable, now)
    }

    /// Keeps a connection if there is room for it.
    pub(crate) fn put(
        &self,
        key: PoolKey,
        mut wire: Wire,
        state: &Arc<TargetState>,
        settings: &config::Pool,
    ) {
        state.keeps.served(wire.ordinal);
        if !wire.is_current() {
            return;
        }
        let Some(resting) = state.rest(settings.idle) else {
            return;
        };
        wire.rest();
        let one = Kept { wire, since: Instant::now(), watched: false, _resting: resting };
        let empty = || Shelf { state: state.clone(), settings: settings.clone(), kept: Vec::new() };
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.entry(key).or_insert_with(empty);
        // They may have changed since the last one came.
        shelf.settings = settings.clone();
        shelf.kept.push(one);
        if self.dozes.take() {
            self.filled.notify_one();
        }
    }

    /// Closes all of them; how many there were.
    pub(crate) fn give_up(&self) -> usize {
        let shelves = self.shelves.take();
        shelves.values().map(|it| it.kept.len()).sum()
    }

    /// Lets go of what is of no use any more. Called now and then.
    pub(crate) fn sweep(&self, is_used: impl Fn(PoolKey) -> bool) {
        self.shelves.borrow_mut().retain(|key, it| is_used(*key) && !it.kept.is_empty());
    }

    /// Notices closes as they happen, and lets go of what is too old or leads to an address that the
    /// target's name has no longer. Runs beside the connections of
    /// the core; while `learns`, old ones are watched.
    pub(crate) async fn watch(&self, learns: impl Fn() -> bool) {
        loop {
            if self.is_empty() {
                self.dozes.set(true);
                self.filled.notified().await;
            }
            let until = tokio::time::sleep(LOOK);
            let mut until = std::pin::pin!(until);
            let mut looked = false;
            // Without a budget, since a connection beyond it would be taken for quiet.
            unconstrained(poll_fn(|cx| {
                if looked {
                    return Poll::Ready(());
                }
                looked = true;
                self.look(cx, Instant::now(), learns());
                until.as_mut().poll(cx)
            }))
            .await;
            if !until.is_elapsed() {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.shelves.borrow().values().all(|it| it.kept.is_empty())
    }

    fn look(&self, cx: &mut Context<'_>, now: Instant, learns: bool) {
        for shelf in self.shelves.borrow_mut().values_mut() {
            shelf.look(cx, now, learns);
        }
    }
}

impl Shelf {
    fn take(&mut self, repeatable: bool, now: Instant) -> Option<(Wire, Duration)> {
        let Shelf { state, settings, kept } = self;
        let keeps = &state.keeps;
        if !repeatable && state.is_restless(now) {
            return None;
        }
        let mut next = kept.len();
        while let Some(at) = next.checked_sub(1) {
            next = at;
            let it = kept.get(at)?;
            let age = now.saturating_duration_since(it.since);
            if usable_for(state, settings.idle_for, repeatable) <= age {
                return None;
            }
            if !it.wire.is_current() {
                kept.remove(at);
                continue;
            }
            if !keeps.takes_more(it.wire.ordinal, repeatable) {
                continue;
            }
            let mut it = kept.remove(at);
            if let Some(member) = &it.wire.member {
                member.note_use(now);
            }
            if it.is_open(age) {
                keeps.survived(age);
                return Some((it.wire, age));
            }
            keeps.closed(age, Some(it.wire.ordinal), now);
        }
        None
    }

    fn look(&mut self, cx: &mut Context<'_>, now: Instant, learns: bool) {
        let learns = learns && self.has_room();
        let Shelf { state, settings, kept } = self;
        let usable = usable_for(state, settings.idle_for, true);
        let mut watched = 0;
        kept.retain_mut(|it| {
            if !it.wire.is_current() {
                return false;
            }
            let age = now.saturating_duration_since(it.since);
            let served = it.wire.ordinal;
            if !it.wire.is_quiet(cx) {
                // When it closed within the time since then nobody knows.
                if state.keeps.is_early(age, served) {
                    state.closed_early(now);
                }
                let age = if it.watched { age } else { Duration::ZERO };
                state.keeps.closed(age, Some(served), now);
                return false;
            }
            it.watched = true;
            if LASTS <= age {
                state.keeps.lasted(served);
            }
            if age < usable {
                return true;
            }
            watched += 1;
            learns && watched <= WATCHED && age < WATCHED_FOR
        });
        // The runtime may not have been told yet: after a while in which nothing ran, all look old.
        let oldest = kept.first().map(|it| (it, now.saturating_duration_since(it.since)));
        if let Some((it, age)) = oldest.filter(|(_, age)| state.keeps.is_news(*age))
            && it.wire.is_silent()
        {
            state.keeps.survived(age);
        }
    }

    /// Connections that are only watched take nobody's place.
    fn has_room(&self) -> bool {
        let settings = &self.settings;
        settings.idle_for.is_none()
            && settings.connections.is_none()
            && self.state.idle() * 2 <= settings.idle
    }
}

impl Kept {
    fn is_open(&mut self, age: Duration) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.wire.is_quiet(&mut cx) && (age < YOUNG || self.wire.is_silent())
    }
}
