//! What is known of the names of targets: kept fresh while they are used, and kept at all while no
//! server answers.
//!
//! Questions are asked on the background runtime, one at a time for a name. A core reads what is known
//! under a short lock, and waits only where nothing is.

use super::resolve::{Answer, Question, Resolver, Server, is_final};
use crate::loud::{Loud, Trouble};
use arc_swap::ArcSwap;
use config::Dns;
use exchange::{DnsFault, Limit};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Names that are asked for at once; more wait, and their time runs.
const AT_ONCE: usize = 256;

/// How often it is looked whether the system's files have changed.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest time between two questions after a failure: of the question, or of the connections
/// to all that it found.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a name is kept fresh after its last use, if its answer does not hold for longer.
const USED: Duration = Duration::from_secs(60);

/// How long a name that servers deny keeps the addresses that it had, within `dns.keep_for`. A zone
/// that is loaded halfway denies names that are there. HAProxy does the same for as long by default
/// (`hold nx`); Envoy and nginx believe it at once. Nobody takes an address that was given up on
/// purpose away from others within that time and answers as us under TLS.
const DENIED: Duration = Duration::from_secs(30);

/// How long a request waits for a new answer where there is an old one to go by. RFC 8767 5 suggests
/// 1.8 s for resolvers, whose clients have five; ours may have less.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// How long an address that did not open is tried after the others.
const SHUNNED: Duration = Duration::from_secs(10);

/// Addresses of one name of which that is remembered.
const MOST_SHUNNED: usize = 64;

/// The names of all targets, whatever configuration they stand in.
pub(crate) struct Names(Arc<Shared>);

struct Shared {
    known: Mutex<HashMap<Question, Weak<Name>>>,
    resolver: ArcSwap<Resolver>,
    background: Handle,
    places: Semaphore,
    loud: Arc<Loud>,
    origin: Instant,
}

impl Names {
    pub(crate) fn new(dns: &Dns, background: Handle, loud: Arc<Loud>) -> Names {
        let shared = Arc::new(Shared {
            known: Mutex::default(),
            resolver: ArcSwap::from_pointee(Resolver::new(dns)),
            background: background.clone(),
            places: Semaphore::new(AT_ONCE),
            loud,
            origin: Instant::now(),
        });
        background.spawn(watch_files(Arc::downgrade(&shared)));
        Names(shared)
    }

    /// Asks by other settings from now on, and for everything anew; what is known serves meanwhile.
    pub(crate) fn adopt(&self, dns: &Dns) {
        self.0.resolver.store(Arc::new(Resolver::new(dns)));
        self.0.expire();
    }

    /// What is known of a name, the same for everybody who asks for it.
    pub(crate) fn name(&self, question: Question) -> Arc<Name> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(&question).and_then(Weak::upgrade) {
            return name;
        }
        known.retain(|_, it| 0 < it.strong_count());
        let name = Arc::new(Name {
            shared: self.0.clone(),
            question: question.clone(),
            generation: AtomicU64::new(0),
            used: AtomicU64::new(0),
            rests: AtomicBool::new(true),
            state: Mutex::default(),
            rounds: watch::Sender::new(0),
            wake: Notify::new(),
        });
        known.insert(question, Arc::downgrade(&name));
        name
    }
}

impl Shared {
    /// What is known of any name may be wrong.
    fn expire(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<Arc<Name>> = known.values().filter_map(Weak::upgrade).collect();
        drop(known);
        for name in names {
            let mut state = name.state();
            let now = Instant::now();
            if let Some(found) = &mut state.found {
                found.until = found.until.min(now);
            }
            // What is under way may have asked others.
            state.once_more = state.asking;
            if state.tended {
                name.poke(&mut state);
            }
        }
    }
}

/// Reads the system's files when they change, for as long as there are names.
async fn watch_files(shared: Weak<Shared>) {
    loop {
        sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if shared.resolver.load().look_at_files() {
            shared.expire();
        }
    }
}

/// One name.
pub(crate) struct Name {
    shared: Arc<Shared>,
    question: Question,
    /// How often its servers have become others.
    generation: AtomicU64,
    /// The second of its last use, from `origin`.
    used: AtomicU64,
    /// Nobody keeps it fresh.
    rests: AtomicBool,
    state: Mutex<State>,
    /// Counts the questions that have ended.
    rounds: watch::Sender<u64>,
    wake: Notify,
}

/// What is known of one name. Times are given to it.
#[derive(Default)]
struct State {
    found: Option<Found>,
    failing: Option<Failing>,
    /// A question is under way, or about to be.
    asking: bool,
    /// And another one is to follow.
    once_more: bool,
    /// A task keeps it fresh.
    tended: bool,
    /// When it was last asked for because nothing opened.
    asked_again: Option<Instant>,
    /// Addresses that did not open lately, and when.
    shunned: Vec<(SocketAddr, Instant)>,
}

struct Found {
    servers: Arc<[Server]>,
    at: Instant,
    until: Instant,
}

/// Questions have failed since the last answer.
#[derive(Clone, Copy)]
struct Failing {
    fault: DnsFault,
    /// When servers began to deny that the name is there, where they do.
    denied: Option<Instant>,
    last: Instant,
}

/// How a name stands.
enum View {
    Known(Known),
    /// A question is to be waited for; an answer beyond its time serves where it takes too long.
    Wait(Option<Known>),
    Fails(DnsFault),
}

/// The servers of a name, as a request goes by them.
#[derive(Clone)]
pub(crate) struct Known {
    servers: Arc<[Server]>,
    /// The answer is beyond its time, and there is no new one.
    pub(crate) kept: bool,
    pub(crate) generation: u64,
}

impl State {
    /// What a request may go by at this time.
    fn view(&self, now: Instant, dns: &Dns, generation: u64) -> View {
        let known =
            |kept| move |it: &Found| Known { servers: it.servers.clone(), kept, generation };
        let found = self.found.as_ref();
        if let Some(found) = found.filter(|it| now < it.until) {
            return View::Known(known(false)(found));
        }
        let keeps = |it: &&Found| match self.failing {
            Some(Failing { denied: Some(since), .. }) => now < since + DENIED.min(dns.keep_for),
            _ => true,
        } && now < it.until + dns.keep_for;
        let kept = found.filter(keeps);
        match (kept, self.failing) {
            // Its time has just passed, and the next answer is near.
            (None | Some(_), None)
                if self.asking && found.is_some_and(|it| now < it.until + dns.timeout) =>
            {
                found.map(known(false)).map_or(View::Wait(None), View::Known)
            }
            (Some(kept), Some(_)) => View::Known(known(true)(kept)),
            (kept, None) => View::Wait(kept.map(known(true))),
            (None, Some(it)) if now < it.last + AGAIN => View::Fails(it.fault),
            (None, Some(_)) => View::Wait(None),
        }
    }

    /// A question has ended. Whether the servers are others than before.
    fn learn(&mut self, now: Instant, answer: Result<Answer, DnsFault>) -> bool {
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                let before = self.failing.and_then(|it| it.denied);
                let denied = is_final(fault).then(|| before.unwrap_or(now));
                self.failing = Some(Failing { fault, denied, last: now });
                return false;
            }
        };
        self.failing = None;
        let changed = !self.found.as_ref().is_some_and(|it| are_same(&it.servers, &answer.servers));
        self.found = Some(Found { servers: answer.servers.into(), at: now, until: answer.until });
        changed
    }

    /// When the last question ended.
    fn asked(&self) -> Option<Instant> {
        self.failing.map(|it| it.last).or(self.found.as_ref().map(|it| it.at))
    }

    /// How long to rest before the next question.
    fn pause(&self, now: Instant, dns: &Dns) -> Duration {
        let (Some(found), None) = (&self.found, self.failing) else {
            return AGAIN;
        };
        // Early enough for the next answer to be there.
        let ahead = (found.until.saturating_duration_since(found.at) / 5).min(dns.timeout);
        let at = found.until.checked_sub(ahead).unwrap_or(found.until);
        at.saturating_duration_since(now)
    }

    /// An address did not open.
    fn shun(&mut self, address: SocketAddr, now: Instant) {
        self.shunned.retain(|(it, at)| *it != address && now < *at + SHUNNED);
        if MOST_SHUNNED <= self.shunned.len() {
            self.shunned.remove(0);
        }
        self.shunned.push((address, now));
    }

    fn is_shunned(&self, address: SocketAddr, now: Instant) -> bool {
        self.shunned.iter().any(|(it, at)| *it == address && now < *at + SHUNNED)
    }
}

/// Whether the same addresses are in both, in whatever order.
fn are_same(a: &[Server], b: &[Server]) -> bool {
    let places = |servers: &[Server]| -> BTreeSet<(IpAddr, Option<u16>)> {
        let of = |it: &Server| it.addresses.iter().map(|ip| (*ip, it.port)).collect::<Vec<_>>();
        servers.iter().flat_map(of).collect()
    };
    places(a) == places(b)
}

/// Whether an address is one of these.
fn lists(servers: &[Server], address: SocketAddr) -> bool {
    servers.iter().any(|it| {
        it.port.is_none_or(|port| port == address.port()) && it.addresses.contains(&address.ip())
    })
}

/// The addresses in the order in which a request tries them: by priority, in each by lot as their
/// weights say (RFC 2782).
fn in_order(servers: &[Server], port: u16, mut draw: impl FnMut(u64) -> u64) -> Vec<SocketAddr> {
    let mut left: Vec<&Server> = servers.iter().collect();
    // Those without weight come first, so that they are drawn at all.
    left.sort_by_key(|it| (it.priority, it.weight));
    let mut all = Vec::new();
    while let Some(first) = left.first() {
        let group = left.iter().take_while(|it| it.priority == first.priority);
        let sum: u64 = group.map(|it| u64::from(it.weight)).sum();
        // From 0 to the sum, both included.
        let lot = if left.len() == 1 { 0 } else { draw(sum + 1) };
        let mut running = 0;
        let at = left.iter().position(|it| {
            running += u64::from(it.weight);
            lot <= running
        });
        let server = left.remove(at.unwrap_or(0));
        let port = server.port.unwrap_or(port);
        all.extend(server.addresses.iter().map(|ip| SocketAddr::new(*ip, port)));
    }
    all
}

/// Whether to ask again brings anything.
pub(crate) enum Again {
    /// What is known is newer than what was tried.
    Changed,
    /// When this is over.
    After(Round),
    /// It was asked just now, or servers fail.
    No,
}

/// A question that is under way, or about to be.
pub(crate) struct Round {
    rounds: watch::Receiver<u64>,
    last: u64,
}

impl Round {
    pub(crate) async fn over(mut self) {
        // An error is the end as well.
        let _ = self.rounds.wait_for(|it| *it != self.last).await;
    }
}

/// How a request comes by addresses.
pub(crate) enum Look {
    Known(Known),
    /// And what there is if that takes too long.
    Wait(Round, Option<Known>),
    Fails(DnsFault),
}

impl Name {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit as it is told when it fires.
    pub(crate) fn limit(&self) -> Limit {
        Limit { name: "dns.timeout", value: self.timeout().as_micros() as u64 }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.shared.resolver.load().dns().timeout
    }

    /// For a request that needs an address now.
    pub(crate) fn look(self: &Arc<Name>) -> Look {
        let now = Instant::now();
        self.note_use(now);
        let resolver = self.shared.resolver.load();
        let mut state = self.state();
        match state.view(now, resolver.dns(), self.generation()) {
            View::Known(known) => {
                if !state.tended {
                    self.poke(&mut state);
                }
                Look::Known(known)
            }
            View::Wait(or) => Look::Wait(self.round(&mut state), or),
            View::Fails(fault) => Look::Fails(fault),
        }
    }

    /// For a request to which nothing that it knew of that generation opened.
    pub(crate) fn again(self: &Arc<Name>, generation: u64) -> Again {
        let now = Instant::now();
        let mut state = self.state();
        if self.generation() != generation {
            return Again::Changed;
        }
        let lately = state.asked_again.is_some_and(|it| now < it + AGAIN);
        if state.failing.is_some() || lately && !state.asking {
            return Again::No;
        }
        if !lately {
            state.asked_again = Some(now);
        }
        Again::After(self.round(&mut state))
    }

    /// What is known by now, if anything.
    pub(crate) fn known(&self) -> Option<Known> {
        let state = self.state();
        let (kept, generation) = (state.failing.is_some(), self.generation());
        state.found.as_ref().map(|it| Known { servers: it.servers.clone(), kept, generation })
    }

    /// The question that is under way, else one that begins now.
    fn round(self: &Arc<Name>, state: &mut State) -> Round {
        let rounds = self.rounds.subscribe();
        let last = *rounds.borrow();
        self.poke(state);
        Round { rounds, last }
    }

    /// Has it asked for now, unless a question is under way.
    fn poke(self: &Arc<Name>, state: &mut State) {
        if std::mem::replace(&mut state.asking, true) {
            return;
        }
        if state.tended {
            self.wake.notify_one();
            return;
        }
        state.tended = true;
        self.rests.store(false, Ordering::Relaxed);
        let tending = Tending { name: self.clone(), left: false };
        self.shared.background.spawn(tending.run());
    }

    /// The addresses in the order in which one request tries them: those that did not open lately
    /// after the others.
    pub(crate) fn addresses(
        &self,
        known: &Known,
        port: u16,
        draw: impl FnMut(u64) -> u64,
    ) -> Vec<SocketAddr> {
        let mut all = in_order(&known.servers, port, draw);
        let (state, now) = (self.state(), Instant::now());
        if !state.shunned.is_empty() {
            all.sort_by_key(|it| state.is_shunned(*it, now));
        }
        all
    }

    /// This address did not open, or not in the time that others took.
    pub(crate) fn shun(&self, address: SocketAddr) {
        self.state().shun(address, Instant::now());
    }

    /// This one did.
    pub(crate) fn opened(&self, address: SocketAddr) {
        self.state().shunned.retain(|(it, _)| *it != address);
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn lists(&self, address: SocketAddr) -> bool {
        self.state().found.as_ref().is_none_or(|it| lists(&it.servers, address))
    }

    fn note_use(&self, now: Instant) {
        let second = now.duration_since(self.shared.origin).as_secs();
        if self.used.load(Ordering::Relaxed) != second {
            self.used.store(second, Ordering::Relaxed);
        }
    }

    /// Somebody has used it since it was asked for, or lately.
    fn is_used(&self, now: Instant, asked: Option<Instant>) -> bool {
        let used = self.shared.origin + Duration::from_secs(self.used.load(Ordering::Relaxed) + 1);
        asked.is_some_and(|it| it <= used) || now < used + USED
    }

    async fn ask(&self) {
        let resolver = self.shared.resolver.load_full();
        let before = {
            let mut state = self.state();
            state.asking = true;
            state.once_more = false;
            state.found.as_ref().map(|it| it.servers.clone())
        };
        let asked = async {
            let _place = self.shared.places.acquire().await;
            resolver.ask(&self.question, before.as_deref().unwrap_or_default()).await
        };
        let answer = match timeout(resolver.dns().timeout, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(DnsFault::TimedOut(self.limit())),
        };
        let mut state = self.state();
        let now = Instant::now();
        if state.learn(now, answer) {
            self.generation.fetch_add(1, Ordering::Release);
        }
        state.asking = state.once_more;
        let view = state.view(now, resolver.dns(), self.generation());
        if matches!(view, View::Known(Known { kept: true, .. })) {
            self.shared.loud.report(Trouble::NamesKept, 1);
        }
        // Whoever waits from now on waits for the next one.
        self.rounds.send_modify(|it| *it += 1);
    }

    /// How long to rest before the next question.
    fn pause(&self) -> Duration {
        let resolver = self.shared.resolver.load();
        let state = self.state();
        match state.asking {
            true => Duration::ZERO,
            false => state.pause(Instant::now(), resolver.dns()),
        }
    }
}

/// The task that keeps a name fresh for as long as it is used.
struct Tending {
    name: Arc<Name>,
    /// The name knows that it has ended.
    left: bool,
}

impl Tending {
    async fn run(mut self) {
        loop {
            self.name.ask().await;
            tokio::select! {
                () = sleep(self.name.pause()) => {}
                () = self.name.wake.notified() => {}
            }
            let mut state = self.name.state();
            if !state.asking && !self.name.is_used(Instant::now(), state.asked()) {
                state.tended = false;
                self.name.rests.store(true, Ordering::Relaxed);
                self.left = true;
                return;
            }
        }
    }
}

impl Drop for Tending {
    /// A mistake on the way must not leave those who wait without an end.
    fn drop(&mut self) {
        if !self.left {
            let mut state = self.name.state();
            (state.tended, state.asking) = (false, false);
            self.name.rests.store(true, Ordering::Relaxed);
            drop(state);
            self.name.rounds.send_modify(|it| *it += 1);
        }
    }
}

/// That a connection leads to an address of a name.
pub(crate) struct Member {
    name: Arc<Name>,
    address: SocketAddr,
    /// The generation in which it was one last.
    seen: Cell<u64>,
}

impl Member {
    pub(crate) fn new(name: &Arc<Name>, address: SocketAddr, generation: u64) -> Member {
        Member { name: name.clone(), address, seen: Cell::new(generation) }
    }

    /// The name still has the address. Costs a look at a number where nothing has changed.
    pub(crate) fn is_current(&self) -> bool {
        let generation = self.name.generation();
        if self.seen.get() == generation {
            return true;
        }
        let is_current = self.name.lists(self.address);
        if is_current {
            self.seen.set(generation);
        }
        is_current
    }

    /// A request uses the connection, which is a use of the name.
    pub(crate) fn note_use(&self, now: Instant) {
        self.name.note_use(now);
        if self.name.rests.load(Ordering::Relaxed) {
            let mut state = self.name.state();
            if !state.tended {
                self.name.poke(&mut state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DNS: Dns = Dns {
        servers: Vec::new(),
        timeout: Duration::from_secs(2),
        keep_for: Duration::from_secs(300),
    };

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn server(host: &str, port: Option<u16>, rank: (u16, u16), addresses: &str) -> Server {
        let addresses = addresses.split(' ').map(|it| it.parse().unwrap()).collect();
        Server { host: host.into(), port, priority: rank.0, weight: rank.1, addresses }
    }

    fn answer(now: Instant, ttl: f64, addresses: &str) -> Answer {
        let servers = vec![server("app", None, (0, 0), addresses)];
        Answer { servers, until: now + seconds(ttl) }
    }

    fn view(state: &State, now: Instant, dns: &Dns) -> String {
        match state.view(now, dns, 1) {
            View::Known(Known { kept: false, .. }) => "known".to_owned(),
            View::Known(Known { kept: true, .. }) => "kept".to_owned(),
            View::Wait(None) => "wait".to_owned(),
            View::Wait(Some(_)) => "wait a little".to_owned(),
            View::Fails(fault) => format!("{fault:?}"),
        }
    }

    /// An answer that holds for 10 s, after which questions fail so from the time `failing` on, each
    /// second.
    #[track_caller]
    fn check(failing: Option<(f64, DnsFault)>, asking: bool, at: f64, expected: &str) {
        let began = Instant::now();
        let mut state = State { asking, ..State::default() };
        state.learn(began, Ok(answer(began, 10.0, "10.0.0.1")));
        if let Some((from, fault)) = failing {
            let mut now = from;
            while now <= at {
                state.learn(began + seconds(now), Err(fault));
                now += 1.0;
            }
        }
        assert_eq!(view(&state, began + seconds(at), &DNS), expected);
    }

    #[test]
    fn an_answer_serves_for_its_time_and_until_the_next_one_that_is_near() {
        check(None, false, 0.0, "known");
        check(None, false, 9.9, "known");
        check(None, false, 10.0, "wait a little");
        check(None, true, 10.0, "known");
        check(None, true, 11.9, "known");
        check(None, true, 12.0, "wait a little");
        check(None, false, 309.9, "wait a little");
        check(None, false, 310.0, "wait");
    }

    #[test]
    fn an_answer_is_kept_while_servers_fail() {
        let fault = DnsFault::ServerFailure;
        check(Some((8.0, fault)), false, 9.9, "known");
        check(Some((8.0, fault)), false, 10.0, "kept");
        check(Some((8.0, fault)), true, 10.0, "kept");
        check(Some((8.0, fault)), false, 309.9, "kept");
        check(Some((8.0, fault)), false, 310.5, "ServerFailure");
    }

    #[test]
    fn a_denial_is_believed_when_it_lasts() {
        let fault = DnsFault::NoSuchName;
        check(Some((8.0, fault)), false, 9.9, "known");
        check(Some((8.0, fault)), false, 37.9, "kept");
        check(Some((8.0, fault)), false, 38.0, "NoSuchName");
    }

    #[test]
    fn nothing_is_kept_where_that_is_off() {
        let began = Instant::now();
        let dns = Dns { keep_for: Duration::ZERO, ..DNS };
        let mut state = State::default();
        state.learn(began, Ok(answer(began, 1.0, "10.0.0.1")));
        assert_eq!(view(&state, began + seconds(1.0), &dns), "wait");
        state.learn(began + seconds(1.5), Err(DnsFault::NoServer));
        assert_eq!(view(&state, began + seconds(1.6), &dns), "NoServer");
        // A second later it is asked again.
        assert_eq!(view(&state, began + seconds(2.5), &dns), "wait");
        state.learn(began + seconds(2.6), Ok(answer(began + seconds(2.6), 1.0, "10.0.0.1")));
        assert_eq!(view(&state, began + seconds(2.7), &dns), "known");
    }

    #[test]
    fn only_another_set_of_addresses_is_a_change() {
        let now = Instant::now();
        let mut state = State::default();
        let mut learn = |addresses| state.learn(now, Ok(answer(now, 1.0, addresses)));
        assert!(learn("10.0.0.1 10.0.0.2"));
        assert!(!learn("10.0.0.2 10.0.0.1"));
        assert!(learn("10.0.0.2"));
        assert!(learn("10.0.0.3"));
        assert!(!state.learn(now, Err(DnsFault::NoServer)));
    }

    #[test]
    fn the_next_question_is_asked_before_the_answer_ends() {
        let now = Instant::now();
        let pause = |ttl, at| {
            let mut state = State::default();
            state.learn(now, Ok(answer(now, ttl, "10.0.0.1")));
            state.pause(now + seconds(at), &DNS)
        };
        assert_eq!(pause(1.0, 0.0), seconds(0.8));
        assert_eq!(pause(300.0, 0.0), seconds(298.0));
        assert_eq!(pause(1.0, 0.9), Duration::ZERO);
        let mut state = State::default();
        state.learn(now, Err(DnsFault::NoServer));
        assert_eq!(state.pause(now, &DNS), AGAIN);
    }

    #[track_caller]
    fn check_order(lots: &[u64], expected: &str) {
        let servers = [
            server("a", Some(81), (1, 0), "10.0.0.1"),
            server("b", Some(82), (1, 1), "10.0.0.2 ::2"),
            server("c", Some(83), (1, 3), "10.0.0.3"),
            server("backup", Some(84), (2, 9), "10.0.0.4"),
        ];
        let mut lots = lots.iter();
        let order = in_order(&servers, 0, |below| {
            let lot = *lots.next().unwrap();
            assert!(lot < below, "{lot} of {below}");
            lot
        });
        let ports: Vec<String> = order.iter().map(|it| it.port().to_string()).collect();
        assert_eq!(ports.join(" "), expected);
    }

    #[test]
    fn servers_are_drawn_by_weight_within_their_priority() {
        check_order(&[4, 1, 0], "83 82 82 81 84");
        check_order(&[2, 1, 0], "83 82 82 81 84");
        check_order(&[1, 3, 0], "82 82 83 81 84");
        check_order(&[0, 1, 3], "81 82 82 83 84");
        let host = [server("app", None, (0, 0), "10.0.0.1 ::1")];
        let order = in_order(&host, 8000, |_| unreachable!("there is nothing to draw"));
        assert_eq!(format!("{order:?}"), "[10.0.0.1:8000, [::1]:8000]");
    }

    #[test]
    fn what_did_not_open_is_remembered_for_a_while_and_not_without_end() {
        let now = Instant::now();
        let mut state = State::default();
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        state.shun(address(1), now);
        assert!(state.is_shunned(address(1), now + seconds(9.9)));
        assert!(!state.is_shunned(address(1), now + SHUNNED));
        assert!(!state.is_shunned(address(2), now));
        for port in 0..1_000 {
            state.shun(address(port), now);
        }
        assert_eq!(state.shunned.len(), MOST_SHUNNED);
        assert!(state.is_shunned(address(999), now));
    }
}
