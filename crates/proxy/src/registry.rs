//! What all cores know of a target together, outside of any configuration: it keeps its counters
//! when the settings around it change.

use crate::checks::Findings;
use crate::stale::shelf::Shelf;
use crate::upstream::budget::Budget;
use crate::upstream::gone::Gone;
use crate::upstream::health::{Health, Showed, Standing, Turned};
use crate::upstream::idle::Idle;
use crate::upstream::limit::Limit;
use crate::upstream::names::Name;
use crate::upstream::queue::Queue;
use config::{Action, Concurrency, Eject, Route, Upstream};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The name of an upstream, and of a target in it.
type Names = (Arc<str>, Arc<str>);

/// The targets that have ever been configured, by upstream and name, and the upstreams.
#[derive(Default)]
pub(crate) struct Registry {
    upstreams: Mutex<HashMap<Arc<str>, Arc<UpstreamState>>>,
    targets: Mutex<HashMap<Names, Arc<TargetState>>>,
    /// What routes keep of answers, by their names.
    shelves: Mutex<HashMap<Arc<str>, Arc<Shelf>>>,
    next: AtomicU64,
}

/// A target with the names that it goes by.
pub(crate) type Named = (Names, Arc<TargetState>);

impl Registry {
    pub(crate) fn target(&self, upstream: &Arc<str>, name: &Arc<str>) -> Arc<TargetState> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(TargetState::new(self.next.fetch_add(1, Relaxed)));
        targets.entry((upstream.clone(), name.clone())).or_insert_with(made).clone()
    }

    pub(crate) fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamState> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.entry(name.clone()).or_default().clone()
    }

    /// What a route keeps of answers, where it does.
    pub(crate) fn shelf(&self, route: &Route) -> Option<Arc<Shelf>> {
        let Action::Forward(forward) = &route.action else {
            return None;
        };
        let settings = forward.stale?;
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shelves.get(&route.name).filter(|it| it.is_of(forward)).cloned();
        let shelf = known.unwrap_or_else(|| Arc::new(Shelf::new(&route.name, forward)));
        shelf.adopt(settings.size);
        shelves.insert(route.name.clone(), shelf.clone());
        Some(shelf)
    }

    /// Lets go of what was kept for routes that keep nothing now, or are gone.
    pub(crate) fn keep_shelves(&self, routes: &[Arc<Route>]) {
        let keeps = |it: &Route| matches!(&it.action, Action::Forward(it) if it.stale.is_some());
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.retain(|name, _| routes.iter().any(|it| it.name == *name && keeps(it)));
    }

    /// All upstreams by their names.
    pub(crate) fn upstreams(&self) -> Vec<(Arc<str>, Arc<UpstreamState>)> {
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            upstreams.iter().map(|(name, it)| (name.clone(), it.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Lets go of the targets that are not in these upstreams, each when its last connection has
    /// ended: until then it is still counted.
    pub(crate) fn keep(&self, upstreams: &[Arc<Upstream>]) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let named: HashSet<(&str, &str)> = upstreams
            .iter()
            .flat_map(|it| it.targets.iter().map(|target| (&*it.name, &*target.name)))
            .collect();
        for ((upstream, name), state) in targets.iter() {
            state.leaves.store(!named.contains(&(&**upstream, &**name)), Relaxed);
        }
        targets.retain(|_, state| !state.has_left());
        drop(targets);
        let mut known = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| upstreams.iter().any(|it| it.name == *name));
        for upstream in upstreams {
            let state = known.entry(upstream.name.clone()).or_default();
            let micros = u64::try_from(upstream.slow_start.as_micros()).unwrap_or(u64::MAX);
            state.slow_start.store(micros, Relaxed);
        }
    }

    /// Whether this holds for a target of the upstream other than this one.
    pub(crate) fn any_other(
        &self,
        upstream: &str,
        than: &TargetState,
        holds: impl Fn(&TargetState) -> bool,
    ) -> bool {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = targets
            .iter()
            .filter(|((name, _), it)| **name == *upstream && it.id != than.id && !it.leaves());
        others.any(|(_, state)| holds(state))
    }

    /// All states with the names they go by.
    pub(crate) fn all(&self) -> Vec<Named> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, state| !state.has_left());
        let mut all: Vec<_> =
            targets.iter().map(|(it, state)| (it.clone(), state.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// What is known of one upstream, over all cores.
#[derive(Default)]
pub(crate) struct UpstreamState {
    pub(crate) budget: Budget,
    pub(crate) gone: Arc<Gone>,
    pub(crate) queue: Arc<Queue>,
    /// When the latencies of its targets were compared last.
    compared: Mutex<Option<Instant>>,
    /// As configured, in microseconds: to tell of a target that is back and gets less than its part.
    slow_start: AtomicU64,
}

impl UpstreamState {
    pub(crate) fn slow_start(&self) -> Duration {
        Duration::from_micros(self.slow_start.load(Relaxed))
    }

    /// Latencies are compared once a second.
    pub(crate) fn may_compare(&self) -> bool {
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        let due = compared.is_none_or(|it| Duration::from_secs(1) <= it.elapsed());
        if due {
            *compared = Some(Instant::now());
        }
        due
    }
}

/// What is known of one target, over all cores.
pub(crate) struct TargetState {
    /// Stands for the target in the keys of pools.
    pub(crate) id: u64,
    /// Connections open or being opened.
    open: AtomicUsize,
    /// Of those, the ones that wait in a pool.
    idle: AtomicUsize,
    /// How long it keeps idle connections.
    pub(crate) keeps: Idle,
    /// The `Server` field of its last answer.
    server: Mutex<Option<Arc<str>>>,
    /// What is known of its name, where it is one, from its first connection on.
    pub(crate) name: OnceLock<Arc<Name>>,
    /// It is configured no longer.
    leaves: AtomicBool,
    /// Requests that it has in hand.
    pending: AtomicUsize,
    /// Of those, the ones whose answers have not begun.
    unanswered: AtomicUsize,
    early: Mutex<Early>,
    /// Until when its connections are not to be relied on, as `heard`.
    restless_until: AtomicU64,
    /// When an answer began last, or the first of those that it owes was asked for, in microseconds since
    /// [`TargetState::known_since`].
    heard: AtomicU64,
    known_since: Instant,
    limit: Mutex<Limit>,
    /// How many may be unanswered at a time, as far as that was learned.
    most: AtomicUsize,
    /// The time to the head of its answers as of late, in microseconds: a peak counts at once, and is
    /// forgotten slowly. The bits of an `f32`.
    latency: AtomicU32,
    health: Mutex<Health>,
    /// Nothing is to be said of its health: it need not be looked at.
    is_plain: AtomicBool,
    /// What came of asking it whether it is well.
    pub(crate) findings: Findings,
}

impl TargetState {
    fn new(id: u64) -> TargetState {
        TargetState {
            id,
            open: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            keeps: Idle::default(),
            server: Mutex::default(),
            name: OnceLock::new(),
            leaves: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            early: Mutex::default(),
            restless_until: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            known_since: Instant::now(),
            most: AtomicUsize::new(Limit::new().most()),
            limit: Mutex::new(Limit::new()),
            latency: AtomicU32::new(0),
            health: Mutex::new(Health::new()),
            is_plain: AtomicBool::new(true),
            findings: Findings::default(),
        }
    }

    /// It is configured no longer, and nothing is open to it.
    fn has_left(&self) -> bool {
        self.leaves.load(Relaxed) && self.open() == 0
    }

    pub(crate) fn leaves(&self) -> bool {
        self.leaves.load(Relaxed)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// A place for one more connection, `None` where `limit` of them are open.
    pub(crate) fn place(self: &Arc<TargetState>, limit: Option<usize>) -> Option<Place> {
        let before = self.open.fetch_add(1, Relaxed);
        let place = Place(self.clone());
        (limit.is_none_or(|limit| before < limit)).then_some(place)
    }

    /// A place in the pool, `None` where `limit` of them are taken.
    pub(crate) fn rest(self: &Arc<TargetState>, limit: usize) -> Option<Resting> {
        let before = self.idle.fetch_add(1, Relaxed);
        let resting = Resting(self.clone());
        (before < limit).then_some(resting)
    }

    /// One more request in hand.
    /// Where requests in hand are limited (`concurrency.requests`), its end is a place for another.
    pub(crate) fn take_in_hand(
        self: &Arc<TargetState>,
        upstream: &Arc<UpstreamState>,
        settings: &Concurrency,
    ) -> InHand {
        self.pending.fetch_add(1, Relaxed);
        let upstream = settings.requests.map(|_| upstream.clone());
        InHand { target: self.clone(), upstream }
    }

    /// One more request waits for its answer. Made at once with the decision for this target.
    pub(crate) fn ask(self: &Arc<TargetState>, upstream: &Arc<UpstreamState>) -> Asking {
        let before = self.unanswered.fetch_add(1, Relaxed);
        let began = Instant::now();
        if before == 0 {
            self.hears(began);
        }
        Asking { target: self.clone(), upstream: upstream.clone(), in_hand: before + 1, began }
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.known_since).as_micros() as u64
    }

    fn hears(&self, now: Instant) {
        self.heard.store(self.micros(now), Relaxed);
    }

    /// It closed an idle connection before its time: whoever listens there may be about to leave, and
    /// where that happens again and again, no idle connection is good for what cannot be repeated.
    pub(crate) fn closed_early(&self, now: Instant) {
        let again = self.early.lock().unwrap_or_else(PoisonError::into_inner).again(now);
        if again {
            self.restless_until.store(self.micros(now + Early::WITHIN), Relaxed);
        }
        self.change_health(|it| it.doubt(now));
    }

    pub(crate) fn is_restless(&self, now: Instant) -> bool {
        let until = self.restless_until.load(Relaxed);
        until != 0 && self.micros(now) < until
    }

    /// It owes answers, and has begun none for much longer than they take.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        /// So many times longer than answers take as of late.
        const TIMES: f32 = 10.0;
        const SHORTEST: f32 = 100_000.0;
        let latency = self.latency();
        if latency == 0.0 || self.unanswered.load(Relaxed) == 0 {
            return false;
        }
        let silence = self.micros(now).saturating_sub(self.heard.load(Relaxed));
        (latency * TIMES).max(SHORTEST) < silence as f32
    }

    /// How many more requests it takes: as many as it is known to work on at a time, and no more than
    /// are allowed.
    pub(crate) fn room(&self, settings: &Concurrency) -> usize {
        let learned = match settings.adaptive {
            true => self.most.load(Relaxed).saturating_sub(self.unanswered.load(Relaxed)),
            false => usize::MAX,
        };
        let allowed = settings.requests.map(|most| most.saturating_sub(self.pending()));
        learned.min(allowed.unwrap_or(usize::MAX))
    }

    /// How many requests may wait for an answer at a time; `None` where nothing was learned.
    pub(crate) fn learned_limit(&self) -> Option<usize> {
        let limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.is_learned().then(|| limit.most())
    }

    /// A request finds it full.
    pub(crate) fn is_full(&self, upstream: &UpstreamState) {
        self.change_limit(upstream, |it, now| it.reached(now));
    }

    fn change_limit(&self, upstream: &UpstreamState, change: impl FnOnce(&mut Limit, Instant)) {
        let now = Instant::now();
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let before = limit.most();
        change(&mut limit, now);
        let most = limit.most();
        self.most.store(most, Relaxed);
        drop(limit);
        if before < most {
            upstream.queue.free(most - before, now);
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// In microseconds; 0 while nothing is known.
    pub(crate) fn latency(&self) -> f32 {
        f32::from_bits(self.latency.load(Relaxed))
    }

    /// What of its health concerns this moment; `None` where nothing does.
    pub(crate) fn health(&self) -> Option<MutexGuard<'_, Health>> {
        (!self.is_plain.load(Relaxed)).then(|| self.whole_health())
    }

    pub(crate) fn whole_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of its health.
    pub(crate) fn change_health<T>(&self, change: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.whole_health();
        let out = change(&mut health);
        // Looked at anew when the next request wants to know.
        self.is_plain.store(false, Relaxed);
        out
    }

    /// Takes in whether an answer to what was asked then says that the target will end.
    pub(crate) fn announced(&self, leaves: bool, asked: Instant) {
        if leaves {
            self.change_health(|it| it.says_it_leaves(Instant::now()));
        } else if let Some(mut health) = self.health() {
            health.stays(asked, Instant::now());
        }
    }

    /// As if nothing had been seen of it.
    pub(crate) fn forget(&self, upstream: &UpstreamState) {
        self.change_health(Health::reset);
        self.keeps.forget();
        self.change_limit(upstream, |it, _| *it = Limit::new());
        self.latency.store(0, Relaxed);
        *self.early.lock().unwrap_or_else(PoisonError::into_inner) = Early::default();
        self.restless_until.store(0, Relaxed);
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What it may get now.
    pub(crate) fn standing(&self, slow_start: Duration, now: Instant) -> Standing {
        let Some(health) = self.health() else {
            return Standing::Well(1.0);
        };
        if health.is_plain(slow_start, now) {
            self.is_plain.store(true, Relaxed);
        }
        health.standing(slow_start, now)
    }

    /// Takes in what a request showed.
    pub(crate) fn saw(&self, showed: Showed, settings: &Eject, may_eject: bool) -> Option<Turned> {
        let now = Instant::now();
        if let Showed::Well(took) = showed {
            self.took(took);
        }
        let mut health = self.whole_health();
        let turned = health.saw(showed, settings, now, may_eject);
        if showed == Showed::Ill || turned.is_some() {
            self.is_plain.store(false, Relaxed);
        }
        turned
    }

    fn took(&self, took: Duration) {
        /// Of a new value so much is taken over where it is lower.
        const DECAY: f32 = 0.1;
        let (new, old) = (took.as_micros() as f32, self.latency());
        let next = if old < new { new } else { old + DECAY * (new - old) };
        self.latency.store(next.to_bits(), Relaxed);
    }

    /// It cut an answer lately.
    pub(crate) fn cuts(&self) -> bool {
        self.health().is_some_and(|it| it.cuts(Instant::now()))
    }

    pub(crate) fn server(&self) -> Option<Arc<str>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns from an answer: what `Keep-Alive` promises, and what the server is.
    pub(crate) fn answered(&self, server: Option<&str>, promised: Option<Duration>) {
        if let Some(name) = server {
            let mut known = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            if known.as_deref() != Some(name) {
                *known = Some(name.into());
                self.keeps.server(name);
            }
        }
        if let Some(promise) = promised {
            self.keeps.promised(promise);
        }
    }
}

/// The last times at which idle connections were closed before their time; those that were closed
/// together are one.
#[derive(Default)]
struct Early([Option<Instant>; 3]);

impl Early {
    /// So many times within so long are no accident.
    const WITHIN: Duration = Duration::from_secs(5);
    const TOGETHER: Duration = Duration::from_millis(100);

    /// Whether it happens again and again.
    fn again(&mut self, now: Instant) -> bool {
        let Early([first, second, last]) = self;
        if last.is_none_or(|it| it + Self::TOGETHER <= now) {
            (*first, *second, *last) = (*second, *last, Some(now));
        }
        first.is_some_and(|it| now < it + Self::WITHIN)
    }
}

/// One open connection; dropping it counts it out.
pub(crate) struct Place(Arc<TargetState>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// One request that waits for its answer; dropping it gives its place to who waits for one.
pub(crate) struct Asking {
    target: Arc<TargetState>,
    upstream: Arc<UpstreamState>,
    /// How many the target had when it began, itself included.
    in_hand: usize,
    began: Instant,
}

impl Asking {
    /// The head of the answer is there. How long it took, but for what went by for other reasons.
    pub(crate) fn answered(self, settings: &Concurrency, besides: Duration) -> Duration {
        let now = Instant::now();
        let took = (now - self.began).saturating_sub(besides);
        self.target.hears(now);
        if settings.adaptive {
            let in_hand = self.in_hand;
            self.target.change_limit(&self.upstream, |it, now| it.ended(in_hand, took, now));
        }
        took
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.target.unanswered.fetch_sub(1, Relaxed);
        self.upstream.queue.free(1, Instant::now());
    }
}

/// One request that a target has in hand; dropping it counts it out.
pub(crate) struct InHand {
    target: Arc<TargetState>,
    upstream: Option<Arc<UpstreamState>>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.target.pending.fetch_sub(1, Relaxed);
        if let Some(upstream) = &self.upstream {
            upstream.queue.offer(1, Instant::now());
        }
    }
}

/// One connection in a pool; dropping it counts it out.
pub(crate) struct Resting(Arc<TargetState>);

impl Drop for Resting {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    fn config(targets: &str) -> Config {
        let text = format!("[route.a]\nmatch = \"/*\"\nto = [{targets}]\n");
        let context = config::Context { base: std::path::Path::new(""), env: &|_| None };
        config::parse(&text, &context).unwrap().config
    }

    fn join(registry: &Registry, config: &Config) -> Vec<Arc<TargetState>> {
        registry.keep(&config.upstreams);
        let upstream = &config.upstreams[0];
        upstream.targets.iter().map(|it| registry.target(&upstream.name, &it.name)).collect()
    }

    #[test]
    fn a_target_that_stays_keeps_what_is_known_of_it() {
        let registry = Registry::default();
        let before = join(&registry, &config("\"http://127.0.0.1:1\", \"http://127.0.0.1:2\""));
        let after = join(&registry, &config("\"http://127.0.0.1:2\", \"http://127.0.0.1:3\""));
        assert!(Arc::ptr_eq(&before[1], &after[0]));
        assert_eq!(registry.all().len(), 2);
    }

    #[test]
    fn one_restart_is_no_unrest_and_three_are() {
        let registry = Registry::default();
        let target = &join(&registry, &config("\"http://127.0.0.1:1\""))[0];
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [0, 20, 99, 3_000] {
            target.closed_early(at(ms));
        }
        assert!(!target.is_restless(at(3_001)));
        target.closed_early(at(4_900));
        assert!(target.is_restless(at(4_901)));
        assert!(!target.is_restless(at(9_900)));
    }

    #[test]
    fn a_target_that_goes_is_known_until_its_last_connection_ends() {
        let registry = Registry::default();
        let both = config("\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"");
        let before = join(&registry, &both);
        let place = before[0].place(None).unwrap();
        join(&registry, &config("\"http://127.0.0.1:2\""));
        assert_eq!(registry.all().len(), 2);
        assert!(before[0].leaves());
        // It comes back before it has gone.
        assert!(Arc::ptr_eq(&join(&registry, &both)[0], &before[0]));
        assert!(!before[0].leaves());
        join(&registry, &config("\"http://127.0.0.1:2\""));
        drop(place);
        assert_eq!(registry.all().len(), 1);
    }
}
