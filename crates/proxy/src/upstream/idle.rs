//! How long a target keeps idle connections, and how many requests it takes on one: what it says
//! itself, what servers of its kind do, and what was seen of it.
//!
//! A limit of idle time shows as closes at one age that nothing survives. A worker that is recycled
//! closes connections of any age, and must not teach anything.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While nothing is known of a target, a connection this young is safe with every server that
/// keeps connections at all.
const UNKNOWN: Duration = Duration::from_millis(1_500);

/// What is certainly left of a promise of less than a second, which is announced as 0.
const SCARCE: Duration = Duration::from_millis(100);

/// By how much a promise is cut: the promise began to run when the answer left the target.
const UNDERWAY: Duration = Duration::from_millis(500);

/// How much of a known limit is used by requests that may not be repeated, and by those that may.
/// Repeating costs a round trip, so these do not go to the limit either.
const CAREFUL: f64 = 0.8;
const HOPEFUL: f64 = 0.9;

/// A close this soon says nothing of idle time: the target had enough of the connection.
const TINY: Duration = Duration::from_millis(50);

/// One close is believed from here on; nobody sets a limit so short but by mistake.
const SURE: Duration = Duration::from_millis(500);

/// Servers look at their idle connections now and then: the last of them are closed at up to so many
/// times the limit. Gunicorn looks once a second, with a limit of two.
const JITTER: f64 = 1.5;

/// A default is somebody's setting no longer where a connection was idle for so many times as long.
const NOT_DEFAULT: f64 = 2.0;

/// Ages that differ by less are the same.
const ALIKE: f64 = 1.2;

/// As many closes alike are believed, however long others lived before.
const ENOUGH: usize = 3;

/// Closes that are remembered.
const REMEMBERED: usize = 8;

/// Closes within this time have one reason.
const TOGETHER: Duration = Duration::from_millis(100);

/// Where the ages of closes together differ by more than this, the target went, not their time.
const RESTART: f64 = 2.0;

/// A target that takes no more requests on a connection closes it sooner than this.
pub(crate) const LASTS: Duration = Duration::from_secs(1);

/// Values of `Server` that are told apart: a target may be several servers behind one address.
const SERVERS: usize = 4;

/// What all cores know of one target.
pub(crate) struct Idle {
    known: Mutex<Known>,
    /// What follows from it, for every request to read. Times in microseconds, 0 for none.
    limit: AtomicU64,
    promise: AtomicU64,
    careful: AtomicU64,
    hopeful: AtomicU64,
    /// Whoever lives longer than this has something to tell.
    news: AtomicU64,
    requests: AtomicU32,
    /// The most requests that a connection has served since a close was told.
    served: AtomicU32,
}

impl Default for Idle {
    fn default() -> Idle {
        let idle = Idle {
            known: Mutex::default(),
            limit: AtomicU64::new(0),
            promise: AtomicU64::new(0),
            careful: AtomicU64::new(0),
            hopeful: AtomicU64::new(0),
            news: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            served: AtomicU32::new(0),
        };
        idle.conclude(&idle.known());
        idle
    }
}

impl Idle {
    /// How long an idle connection may be used again, where the configuration does not say, by a
    /// request that may be repeated or not.
    pub(crate) fn usable_for(&self, repeatable: bool) -> Duration {
        let usable = if repeatable { &self.hopeful } else { &self.careful };
        Duration::from_micros(usable.load(Relaxed))
    }

    /// How long the target keeps idle connections, as far as it is known.
    pub(crate) fn limit(&self) -> Option<Duration> {
        Some(self.limit.load(Relaxed)).filter(|it| *it != 0).map(Duration::from_micros)
    }

    /// A connection that has served so many requests may be given one more. One that may not be
    /// repeated is not to be its last.
    pub(crate) fn takes_more(&self, served: u32, repeatable: bool) -> bool {
        match (self.requests.load(Relaxed), repeatable) {
            (0, _) => true,
            (most, true) => served < most,
            (most, false) => served.saturating_add(1) < most,
        }
    }

    /// The target, or what stands there now, names itself so.
    pub(crate) fn server(&self, name: &str) {
        let mut known = self.known();
        known.server(name);
        self.conclude(&known);
    }

    /// The target says how long it keeps idle connections.
    pub(crate) fn promised(&self, promise: Duration) {
        let promise = promise.max(SCARCE);
        if self.promise.load(Relaxed) != micros(promise) {
            let mut known = self.known();
            known.promised = Some(promise);
            self.conclude(&known);
        }
    }

    /// A connection that was closed when it had been idle for so long and had served so many requests
    /// was so for no reason that is known.
    pub(crate) fn is_early(&self, age: Duration, served: u32) -> bool {
        self.takes_more(served, true) && self.limit().is_none_or(|it| age < it.mul_f64(HOPEFUL))
    }

    /// A connection has served so many requests and was to go on.
    pub(crate) fn served(&self, requests: u32) {
        if self.served.load(Relaxed) < requests {
            self.served.fetch_max(requests, Relaxed);
        }
    }

    /// A connection that lived for so long would change what is known.
    pub(crate) fn is_news(&self, age: Duration) -> bool {
        self.news.load(Relaxed) < micros(age)
    }

    /// A connection was still open after it had been idle for so long.
    pub(crate) fn survived(&self, age: Duration) {
        if self.is_news(age) {
            let mut known = self.known();
            known.survived(age);
            self.conclude(&known);
        }
    }

    /// A connection that has served so many requests is open after [`LASTS`].
    pub(crate) fn lasted(&self, served: u32) {
        let most = self.requests.load(Relaxed);
        if most != 0 && most <= served {
            let mut known = self.known();
            known.spent.clear();
            self.conclude(&known);
        }
    }

    /// The target closed a connection that had been idle for so long and had served so many
    /// requests, where these say something.
    pub(crate) fn closed(&self, age: Duration, served: Option<u32>, now: Instant) {
        let mut known = self.known();
        match served {
            _ if TINY <= age => known.closed(age, now),
            Some(served) => known.spent(served, self.served.swap(0, Relaxed), now),
            None => return,
        }
        self.conclude(&known);
    }

    /// As if nothing had been learned.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        *known = Known::default();
        self.served.store(0, Relaxed);
        self.conclude(&known);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conclude(&self, known: &Known) {
        self.limit.store(known.limit().map_or(0, micros), Relaxed);
        self.promise.store(known.promised.map_or(0, micros), Relaxed);
        self.careful.store(micros(known.usable_for(false)), Relaxed);
        self.hopeful.store(micros(known.usable_for(true)), Relaxed);
        self.news.store(micros(known.news()), Relaxed);
        self.requests.store(known.requests().unwrap_or(0), Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How long servers keep idle connections by default, by the first word of their `Server` field.
/// Those that do so for longer stand not here: what stands before them may hand on that field and
/// close sooner, and what survives is soon seen.
fn usual(server: &str) -> Option<Duration> {
    let seconds = match server.split(['/', ' ']).next()? {
        "gunicorn" => 2,
        "uvicorn" | "hypercorn-h11" | "hypercorn-h2" | "Apache" | "lighttpd" => 5,
        "Cheroot" => 10,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

#[derive(Default)]
struct Known {
    /// `Server` fields of late, the last one at the end.
    servers: VecDeque<Box<str>>,
    usual: Option<Duration>,
    /// `Keep-Alive: timeout=`.
    promised: Option<Duration>,
    /// The longest that a connection was idle and still open.
    survived: Duration,
    /// Closes that no connection has outlived since, in the order of time.
    closes: VecDeque<Close>,
    /// What closed lately, all at once.
    burst: Option<Burst>,
    /// Closes right after an answer.
    spent: VecDeque<Spent>,
}

struct Close {
    at: Instant,
    age: Duration,
    /// Nothing had lived for much longer before.
    is_oldest: bool,
}

struct Burst {
    began: Instant,
    last: Instant,
    count: usize,
    youngest: Duration,
    oldest: Duration,
}

impl Burst {
    fn is_restart(&self) -> bool {
        ENOUGH <= self.count && self.youngest.mul_f64(RESTART) < self.oldest
    }
}

struct Spent {
    at: Instant,
    /// Requests that the connection had served.
    served: u32,
    /// The most that another one has served since.
    beyond: u32,
}

impl Known {
    fn server(&mut self, name: &str) {
        if self.servers.back().is_some_and(|it| **it == *name) {
            return;
        }
        let before = self.servers.len();
        self.servers.retain(|it| **it != *name);
        // Another server than any of before, with limits of its own.
        if self.servers.len() == before {
            let servers = std::mem::take(&mut self.servers);
            *self = Known { servers, ..Known::default() };
        }
        remember(&mut self.servers, name.into(), SERVERS);
        self.usual = usual(name);
    }

    fn survived(&mut self, age: Duration) {
        self.survived = self.survived.max(age);
        self.closes.retain(|it| age <= it.age.mul_f64(JITTER));
    }

    /// What is survived up to here changes nothing.
    fn news(&self) -> Duration {
        let disproved = self.closes.iter().map(|it| it.age.mul_f64(JITTER)).min();
        disproved.unwrap_or(Duration::MAX).min(self.survived)
    }

    fn closed(&mut self, age: Duration, now: Instant) {
        let burst = match self.burst.take() {
            Some(it) if now.saturating_duration_since(it.last) <= TOGETHER => Burst {
                last: now,
                count: it.count + 1,
                youngest: it.youngest.min(age),
                oldest: it.oldest.max(age),
                ..it
            },
            _ => Burst { began: now, last: now, count: 1, youngest: age, oldest: age },
        };
        if burst.is_restart() {
            self.closes.retain(|it| it.at < burst.began);
            // What stands there now may have another limit.
            self.survived = Duration::ZERO;
        } else {
            self.remember(age, now);
        }
        self.burst = Some(burst);
    }

    fn remember(&mut self, age: Duration, now: Instant) {
        let is_oldest = self.survived <= age.mul_f64(JITTER);
        // Connections that came to rest together are closed together, which proves no more.
        let same = self
            .closes
            .back_mut()
            .filter(|it| now.saturating_duration_since(it.at) <= TOGETHER && alike(it.age, age));
        match same {
            Some(it) => it.age = it.age.min(age),
            None => remember(&mut self.closes, Close { at: now, age, is_oldest }, REMEMBERED),
        }
    }

    /// `beyond` is the most that another connection has served since the last time.
    fn spent(&mut self, served: u32, beyond: u32, now: Instant) {
        for it in &mut self.spent {
            it.beyond = it.beyond.max(beyond);
        }
        let same =
            |it: &Spent| it.served == served && now.saturating_duration_since(it.at) <= TOGETHER;
        if !self.spent.iter().any(same) {
            remember(&mut self.spent, Spent { at: now, served, beyond: 0 }, REMEMBERED);
        }
    }

    /// How many requests the target takes on a connection.
    fn requests(&self) -> Option<u32> {
        let count = |served| {
            let alike = |it: &&Spent| it.served == served && it.beyond <= served;
            self.spent.iter().filter(alike).count()
        };
        let all = self.spent.iter().map(|it| it.served);
        all.filter(|served| *served != 0 && ENOUGH <= count(*served)).min()
    }

    /// The smallest age at which the target closed a connection, of those that are believed.
    fn closing(&self) -> Option<Duration> {
        let believed = |it: &&Close| {
            let single = it.is_oldest && SURE <= it.age;
            single || ENOUGH <= self.closes.iter().filter(|other| alike(it.age, other.age)).count()
        };
        self.closes.iter().filter(believed).map(|it| it.age).min()
    }

    /// What servers of its kind do, unless it was seen to do otherwise.
    fn kind(&self) -> Option<Duration> {
        self.usual.filter(|it| self.survived <= it.mul_f64(NOT_DEFAULT))
    }

    fn limit(&self) -> Option<Duration> {
        [self.promised, self.kind(), self.closing()].into_iter().flatten().min()
    }

    fn usable_for(&self, repeatable: bool) -> Duration {
        let share = if repeatable { HOPEFUL } else { CAREFUL };
        let promised =
            self.promised.map(|it| it.saturating_sub(UNDERWAY).min(it.mul_f64(share)).max(SCARCE));
        let seen = [self.kind(), self.closing()].map(|it| it.map(|it| it.mul_f64(share)));
        let known = seen.into_iter().chain([promised]).flatten().min();
        known.unwrap_or_else(|| UNKNOWN.max(self.survived.mul_f64(share)))
    }
}

fn alike(a: Duration, b: Duration) -> bool {
    a.max(b) <= a.min(b).mul_f64(ALIKE)
}

fn remember<T>(list: &mut VecDeque<T>, one: T, most: usize) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    enum Did {
        Server(&'static str),
        Promised(u64),
        Survived(u64),
        /// At which moment, and after how long.
        Closed(u64, u64),
        /// At which moment, and after how many requests.
        Spent(u64, u32),
        Served(u32),
        Lasted(u32),
    }
    use Did::*;

    fn after(story: &[Did]) -> Idle {
        let (idle, began) = (Idle::default(), Instant::now());
        for did in story {
            match *did {
                Server(name) => idle.server(name),
                Promised(seconds) => idle.promised(Duration::from_secs(seconds)),
                Survived(age) => idle.survived(ms(age)),
                Closed(at, age) => idle.closed(ms(age), Some(7), began + ms(at)),
                Spent(at, served) => idle.closed(ms(3), Some(served), began + ms(at)),
                Served(requests) => idle.served(requests),
                Lasted(served) => idle.lasted(served),
            }
        }
        idle
    }

    /// The limit in milliseconds, and how long requests use connections that may not be repeated.
    #[track_caller]
    fn check(story: &[Did], limit: Option<u64>, usable: u64) {
        let idle = after(story);
        assert_eq!(idle.limit(), limit.map(ms));
        assert_eq!(idle.usable_for(false), ms(usable));
        assert!(idle.usable_for(false) <= idle.usable_for(true));
    }

    #[test]
    fn a_promise_is_kept_with_time_to_spare() {
        check(&[Promised(5)], Some(5_000), 4_000);
        check(&[Promised(2)], Some(2_000), 1_500);
        check(&[Promised(1)], Some(1_000), 500);
        // Half a second is announced as none.
        check(&[Promised(0)], Some(100), 100);
        check(&[Promised(5), Promised(20)], Some(20_000), 16_000);
        // However long others lived: it may be about to be true.
        check(&[Promised(5), Survived(60_000)], Some(5_000), 4_000);
    }

    #[test]
    fn servers_are_known_by_name() {
        check(&[Server("gunicorn")], Some(2_000), 1_600);
        check(&[Server("gunicorn/20.0.4")], Some(2_000), 1_600);
        check(&[Server("uvicorn")], Some(5_000), 4_000);
        check(&[Server("Apache/2.4.62 (Debian)")], Some(5_000), 4_000);
        check(&[Server("nginx/1.29.7")], None, 1_500);
        check(&[Server("gunicorns")], None, 1_500);
        check(&[Server("gunicorn"), Promised(1)], Some(1_000), 500);
    }

    #[test]
    fn a_name_does_not_outweigh_what_is_seen() {
        // Gunicorn looks once a second.
        check(&[Server("gunicorn"), Survived(3_000)], Some(2_000), 1_600);
        check(&[Server("gunicorn"), Survived(4_010)], None, 3_208);
        check(&[Server("uvicorn"), Survived(2_000), Closed(0, 2_100)], Some(2_100), 1_680);
    }

    #[test]
    fn what_survives_is_used() {
        check(&[], None, 1_500);
        check(&[Survived(1_000)], None, 1_500);
        check(&[Survived(10_000)], None, 8_000);
        assert_eq!(after(&[Survived(10_000)]).usable_for(true), ms(9_000));
    }

    #[test]
    fn one_close_is_believed_where_nothing_lived_for_longer() {
        check(&[Closed(0, 1_000)], Some(1_000), 800);
        check(&[Survived(1_000), Closed(0, 1_005)], Some(1_005), 804);
        // The target looks now and then.
        check(&[Survived(2_900), Closed(0, 2_000)], Some(2_000), 1_600);
        check(&[Survived(3_010), Closed(0, 2_000)], None, 2_408);
        check(&[Closed(0, 500)], Some(500), 400);
        check(&[Closed(0, 499)], None, 1_500);
        check(&[Closed(0, 49)], None, 1_500);
    }

    #[test]
    fn the_smallest_close_that_is_believed_counts() {
        check(&[Closed(0, 2_900), Closed(1_000, 2_100), Closed(2_000, 2_500)], Some(2_100), 1_680);
    }

    #[test]
    fn three_closes_alike_are_believed_against_what_lived_before() {
        let three = [Closed(0, 5_000), Closed(1_000, 5_500), Closed(2_000, 5_900)];
        let mut story = vec![Survived(60_000)];
        story.extend(three);
        check(&story, Some(5_000), 4_000);
        story.pop();
        check(&story, None, 48_000);
        story.push(Closed(2_000, 7_000));
        check(&story, None, 48_000);
    }

    #[test]
    fn closes_of_one_moment_are_one() {
        let mut story = vec![Survived(60_000), Closed(0, 5_000), Closed(40, 5_010)];
        story.push(Closed(80, 5_020));
        check(&story, None, 48_000);
        // Others follow.
        story.extend([Closed(1_000, 5_000), Closed(2_000, 5_000)]);
        check(&story, Some(5_000), 4_000);
    }

    #[test]
    fn short_limits_need_three_closes() {
        check(&[Closed(0, 200), Closed(500, 205)], None, 1_500);
        check(&[Closed(0, 200), Closed(500, 205), Closed(900, 210)], Some(200), 160);
        check(&[Closed(0, 20), Closed(500, 20), Closed(900, 20)], None, 1_500);
    }

    #[test]
    fn a_survivor_disproves_a_limit() {
        check(&[Closed(0, 1_000), Survived(1_500)], Some(1_000), 800);
        check(&[Closed(0, 1_000), Survived(1_501)], None, 1_500);
        check(&[Closed(0, 1_000), Survived(3_000)], None, 2_400);
        // Of closes for other reasons, what nothing outlived is left.
        check(&[Closed(0, 1_000), Closed(900, 5_000), Survived(5_100)], Some(5_000), 4_000);
    }

    #[test]
    fn a_limit_that_rises_a_little_is_learned_when_the_old_closes_are_forgotten() {
        let mut story = vec![Closed(0, 1_000)];
        story.extend((1..8).map(|at| Closed(at * 1_000, 1_300)));
        check(&story, Some(1_000), 800);
        story.push(Closed(9_000, 1_300));
        check(&story, Some(1_300), 1_040);
    }

    #[test]
    fn recycled_workers_teach_nothing() {
        // Connections of any age go, and others live on.
        let mut story = vec![Survived(20_000)];
        let ages = [60, 900, 3_000, 120, 7_000, 400, 1_800, 15_000, 250];
        story.extend((0..).zip(ages).map(|(at, age)| Closed(at * 1_000, age)));
        story.push(Survived(22_600));
        check(&story, None, 18_080);
    }

    #[test]
    fn a_restart_teaches_nothing_and_what_survived_before_it_proves_nothing() {
        let restart = |at: u64| [Closed(at, 700), Closed(at + 10, 1_300), Closed(at + 20, 4_000)];
        let mut story = vec![Survived(30_000)];
        story.extend(restart(0));
        check(&story, None, 1_500);
        story.push(Closed(50, 900));
        check(&story, None, 1_500);
        story.push(Closed(5_000, 2_000));
        check(&story, Some(2_000), 1_600);
        // What was believed before is still a careful guess.
        story.extend(restart(9_000));
        check(&story, Some(2_000), 1_600);
        // Two at once are no restart, nor are three of nearly the same age.
        check(&[Closed(0, 700), Closed(10, 4_000)], Some(700), 560);
        check(&[Closed(0, 2_000), Closed(9, 2_900), Closed(19, 2_400)], Some(2_000), 1_600);
    }

    #[test]
    fn another_server_has_limits_of_its_own() {
        check(&[Server("a"), Closed(0, 1_000), Server("b")], None, 1_500);
        check(&[Server("a"), Promised(5), Server("b")], None, 1_500);
        check(&[Server("a"), Closed(0, 1_000), Server("a")], Some(1_000), 800);
        // Several behind one address.
        let story = [Server("a"), Server("b"), Closed(0, 1_000), Server("a"), Server("b")];
        check(&story, Some(1_000), 800);
        check(&[Server("gunicorn"), Server("b")], None, 1_500);
    }

    #[track_caller]
    fn check_requests(story: &[Did], most: u32) {
        let idle = after(story);
        let takes = |repeatable| (1..100).find(|it| !idle.takes_more(*it, repeatable)).unwrap_or(0);
        assert_eq!(takes(true), most);
        assert_eq!(takes(false), most.saturating_sub(1).max(most.min(1)));
    }

    #[test]
    fn a_close_is_early_unless_a_limit_explains_it() {
        let idle = Idle::default();
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert!(idle.is_early(second, 40));
        for at in 0..ENOUGH as u64 {
            idle.closed(second * 2, None, start + second * at as u32);
        }
        assert!(idle.is_early(second, 40));
        assert!(!idle.is_early(second * 2, 40));
        for at in 0..ENOUGH as u64 {
            idle.served(40);
            idle.closed(Duration::ZERO, Some(40), start + second * 10 + second * at as u32);
        }
        assert!(!idle.takes_more(40, true), "that is learned");
        assert!(idle.is_early(second, 39));
        assert!(!idle.is_early(Duration::ZERO, 40));
    }

    #[test]
    fn closes_after_the_same_number_of_requests_are_learned() {
        let three = || vec![Spent(0, 40), Spent(1_000, 40), Spent(2_000, 40)];
        check_requests(&three(), 40);
        check_requests(&three()[..2], 0);
        check_requests(&[Spent(0, 40), Spent(1_000, 41), Spent(2_000, 40)], 0);
        // All at once is one reason.
        check_requests(&[Spent(0, 1), Spent(20, 1), Spent(40, 1)], 0);
        check_requests(&[Spent(0, 1), Spent(200, 1), Spent(400, 1)], 1);
        // One has served more.
        check_requests(&[Spent(0, 40), Served(41), Spent(1_000, 40), Spent(2_000, 40)], 0);
        check_requests(&[Served(60), Spent(0, 40), Spent(1_000, 40), Spent(2_000, 40)], 40);
        // One lives on.
        let lasted = |served| three().into_iter().chain([Lasted(served)]).collect::<Vec<_>>();
        check_requests(&lasted(40), 0);
        check_requests(&lasted(39), 40);
        // An idle limit closes after any number of requests.
        check_requests(&[Closed(0, 1_000), Closed(1_000, 1_000), Closed(2_000, 1_000)], 0);
    }
}
