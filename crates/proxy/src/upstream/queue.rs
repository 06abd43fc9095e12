//! Where requests wait while no target can take one more, shared by all cores.
//!
//! A burst is served in the order in which it came. Where the queue does not empty any more, that
//! order serves each request when its caller has given up: then the newest goes first, and the
//! oldest is refused as soon as its turn cannot come in time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A queue that is longer without being empty has no burst before it but too much to do.
const BURST: Duration = Duration::from_millis(100);

/// So many may wait, however slowly places become free.
const LEAST: usize = 8;

/// Once the queue has stood for twice as long as anyone may wait in it, and is outrun, it is as long
/// as can be served in this part of that time: who is served then has waited briefly.
const STANDING_PART: u32 = 6;

/// A queue is outrun when so many times as many join as can be served.
const OUTRUN: f64 = 1.5;

/// The order of a queue: who is next, and who has no chance. It knows nothing of tasks.
#[derive(Debug)]
pub(crate) struct Line<T> {
    /// By ticket, the oldest first.
    waiting: VecDeque<(u64, T)>,
    next: u64,
    /// Since when somebody has been waiting for a target that is full.
    standing: Option<Instant>,
    /// How long the last who joined may wait.
    full: Duration,
    pace: Pace,
}

/// What became of joining.
pub(crate) struct Joined<T> {
    /// By which it leaves again.
    pub(crate) ticket: u64,
    /// Those who were refused for it: itself, or the oldest.
    pub(crate) refused: Vec<T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line {
            waiting: VecDeque::new(),
            next: 0,
            standing: None,
            full: Duration::ZERO,
            pace: Pace::default(),
        }
    }
}

impl<T> Line<T> {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn join(&mut self, item: T, now: Instant, settings: &config::Queue) -> Joined<T> {
        if self.standing.is_none() {
            self.stand(now);
        }
        self.full = settings.full;
        self.pace.count(0, 1, now);
        let ticket = self.next;
        self.next += 1;
        if self.waiting.len() >= settings.requests && !self.newest_first(now) {
            self.settle();
            return Joined { ticket, refused: vec![item] };
        }
        self.waiting.push_back((ticket, item));
        let most = self.most(now, settings);
        let beyond = self.waiting.len().saturating_sub(most);
        let refused = self.waiting.drain(..beyond).map(|(_, item)| item).collect();
        self.settle();
        Joined { ticket, refused }
    }

    /// Puts one back where it was.
    pub(crate) fn rejoin(&mut self, ticket: u64, item: T, now: Instant) {
        if self.standing.is_none() {
            self.stand(now);
        }
        let at = self.waiting.partition_point(|(it, _)| *it < ticket);
        self.waiting.insert(at, (ticket, item));
    }

    /// Whether it was still waiting.
    pub(crate) fn leave(&mut self, ticket: u64) -> bool {
        let found = self.waiting.binary_search_by_key(&ticket, |(it, _)| *it).ok();
        let left = found.and_then(|at| self.waiting.remove(at)).is_some();
        self.settle();
        left
    }

    /// Whose turn it is.
    pub(crate) fn call(&mut self, now: Instant) -> Option<(u64, T)> {
        let called = match self.newest_first(now) {
            true => self.waiting.pop_back(),
            false => self.waiting.pop_front(),
        };
        self.settle();
        called
    }

    /// So many places became free.
    pub(crate) fn freed(&mut self, places: usize, now: Instant) {
        self.pace.count(places.min(self.waiting.len()), 0, now);
    }

    fn stand(&mut self, now: Instant) {
        self.standing = Some(now);
        self.pace = Pace::new(now);
    }

    fn settle(&mut self) {
        if self.waiting.is_empty() {
            self.standing = None;
        }
    }

    fn standing_for(&self, now: Instant) -> Duration {
        self.standing.map_or(Duration::ZERO, |it| now.saturating_duration_since(it))
    }

    /// In the order of arrival, too many would be served when it is too late.
    fn newest_first(&self, now: Instant) -> bool {
        self.standing_for(now) > BURST
            && (self.pace.is_outrun() || self.waiting.len() > self.pace.within(self.full / 2, now))
    }

    /// How many may wait: as many as can be served in time, once it is known how fast that goes.
    fn most(&self, now: Instant, settings: &config::Queue) -> usize {
        let standing = self.standing_for(now);
        if standing < settings.full || !self.newest_first(now) {
            return settings.requests;
        }
        let hopeless = standing > settings.full * 2 && self.pace.is_outrun();
        let part = if hopeless { STANDING_PART } else { 1 };
        let in_time = self.pace.within(settings.full / part, now);
        in_time.max(LEAST).min(settings.requests)
    }
}

/// What happened within the last half second to second.
#[derive(Debug, Default)]
struct Pace {
    began: Option<Instant>,
    now: Counts,
    before: Option<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Places that became free.
    freed: usize,
    joined: usize,
}

impl Pace {
    const HALF: Duration = Duration::from_millis(500);

    fn new(now: Instant) -> Pace {
        Pace { began: Some(now), now: Counts::default(), before: None }
    }

    fn count(&mut self, freed: usize, joined: usize, now: Instant) {
        self.turn(now);
        self.now.freed += freed;
        self.now.joined += joined;
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let halves = now.saturating_duration_since(began).as_millis() / Self::HALF.as_millis();
        if halves > 0 {
            let full = std::mem::take(&mut self.now);
            self.before = Some(if halves == 1 { full } else { Counts::default() });
            self.began = Some(began + Self::HALF * u32::try_from(halves).unwrap_or(u32::MAX));
        }
    }

    fn sum(&self) -> Counts {
        let before = self.before.unwrap_or_default();
        Counts { freed: self.now.freed + before.freed, joined: self.now.joined + before.joined }
    }

    /// How many places will become free in this time.
    fn within(&self, time: Duration, now: Instant) -> usize {
        let Some(began) = self.began else { return 0 };
        let before = self.before.map_or(Duration::ZERO, |_| Self::HALF);
        let measured = now.saturating_duration_since(began) + before;
        let share = time.as_secs_f64() / measured.max(Duration::from_millis(1)).as_secs_f64();
        (self.sum().freed as f64 * share).ceil() as usize
    }

    /// Many more join than can be served: that is no ebb and flow.
    fn is_outrun(&self) -> bool {
        let Counts { freed, joined } = self.sum();
        joined as f64 > freed as f64 * OUTRUN
    }
}

/// How waiting ends, unless the one who waits stops.
#[derive(Debug)]
pub(crate) enum Outcome {
    Turn(Turn),
    /// It would not have been served in time.
    Refused,
}

/// The queue of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line<oneshot::Sender<Outcome>>>,
    waiting: AtomicUsize,
    /// Who has been called and has not taken its place yet.
    called: AtomicUsize,
    waited: AtomicU64,
    refused: AtomicU64,
}

impl Queue {
    /// Nobody waits, nor has been called and is on the way: a newcomer overtakes nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.load(Relaxed) == 0 && self.called.load(Relaxed) == 0
    }

    /// How many wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// How many have ever waited.
    pub(crate) fn waited(&self) -> u64 {
        self.waited.load(Relaxed)
    }

    /// How many have ever been refused; those whose time ran out are the caller's to count.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Waits for a turn. `places` is asked once the newcomer can be called: how many are free after
    /// all. A place that became free while it was joining would otherwise be free unseen.
    pub(crate) fn join(
        self: &Arc<Queue>,
        now: Instant,
        settings: &config::Queue,
        places: impl FnOnce() -> usize,
    ) -> Waiting {
        let (caller, outcome) = oneshot::channel();
        let mut line = self.line();
        let joined = line.join(caller, now, settings);
        self.mirror(&line);
        drop(line);
        self.waited.fetch_add(1, Relaxed);
        self.refused.fetch_add(joined.refused.len() as u64, Relaxed);
        for refused in joined.refused {
            let _ = refused.send(Outcome::Refused);
        }
        self.look_again(now, places);
        Waiting { queue: self.clone(), ticket: Some(joined.ticket), outcome }
    }

    /// So many places became free: as many are called.
    pub(crate) fn free(self: &Arc<Queue>, places: usize, now: Instant) {
        // Against `look_again`: either this sees who joined, or that one sees the place.
        fence(SeqCst);
        if self.waiting() > 0 {
            self.line().freed(places, now);
            self.call(places, now);
        }
    }

    /// So many places may be free that were told of before, or will be: as many are called, and nobody
    /// concludes from it how fast places become free.
    pub(crate) fn offer(self: &Arc<Queue>, places: usize, now: Instant) {
        self.look_again(now, || places);
    }

    fn look_again(self: &Arc<Queue>, now: Instant, places: impl FnOnce() -> usize) {
        fence(SeqCst);
        // Who was called before may be on the way to the same place: one of them waits again.
        self.call(places(), now);
    }

    fn call(self: &Arc<Queue>, mut places: usize, now: Instant) {
        while places > 0 {
            let mut line = self.line();
            let Some((ticket, caller)) = line.call(now) else { return };
            // Counted in before it is counted out, so that nobody sees an empty queue between.
            self.called.fetch_add(1, Relaxed);
            self.mirror(&line);
            drop(line);
            let turn = Turn { queue: self.clone(), ticket, at: now, used: false };
            match caller.send(Outcome::Turn(turn)) {
                Ok(()) => places -= 1,
                // It left just now: the place is for the next.
                Err(outcome) => outcome.discard(),
            }
        }
    }

    fn mirror(&self, line: &MutexGuard<'_, Line<oneshot::Sender<Outcome>>>) {
        self.waiting.store(line.len(), Relaxed);
    }

    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Outcome>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    fn discard(self) {
        if let Outcome::Turn(turn) = self {
            turn.taken();
        }
    }
}

/// A place is free for the one who has this. Dropping it calls the next.
#[must_use]
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<Queue>,
    ticket: u64,
    at: Instant,
    used: bool,
}

impl Turn {
    /// The place is taken: nobody else is called for it.
    pub(crate) fn taken(mut self) {
        self.used = true;
    }

    /// The place was gone: waits where it waited before. `places` as in [`Queue::join`].
    pub(crate) fn wait_again(mut self, now: Instant, places: impl FnOnce() -> usize) -> Waiting {
        self.used = true;
        let (caller, outcome) = oneshot::channel();
        let mut line = self.queue.line();
        line.rejoin(self.ticket, caller, now);
        self.queue.mirror(&line);
        drop(line);
        self.queue.look_again(now, places);
        Waiting { queue: self.queue.clone(), ticket: Some(self.ticket), outcome }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.called.fetch_sub(1, Relaxed);
        if !self.used {
            fence(SeqCst);
            self.queue.call(1, self.at);
        }
    }
}

/// A request in the queue; dropping it leaves, and passes on a turn that came too late.
#[must_use]
pub(crate) struct Waiting {
    queue: Arc<Queue>,
    /// None once it is known how it ended.
    ticket: Option<u64>,
    outcome: oneshot::Receiver<Outcome>,
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        // A caller is never dropped unused while its ticket is in the line.
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx)).unwrap_or(Outcome::Refused);
        self.ticket = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut line = self.queue.line();
        let _ = line.leave(ticket);
        self.queue.mirror(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use std::thread;

    fn settings(requests: usize) -> config::Queue {
        config::Queue { requests, full: Duration::from_secs(1), gone: Duration::from_secs(5) }
    }

    /// What happens to a line, by name: `j5` joins 5, `l5`
    /// leaves, `c` calls one, `cr5` puts 5 back, and `+150` is 150 ms
    /// later. Returns who was called, and who was refused as `!5`.
    fn play(requests: usize, script: &str) -> String {
        let mut line: Line<u64> = Line::default();
        let mut now = Instant::now();
        let mut said = Vec::new();
        for step in script.split_whitespace() {
            let number = || step.trim_start_matches(char::is_alphabetic).parse().unwrap();
            match step {
                "c" => {
                    line.freed(1, now);
                    said.extend(line.call(now).map(|(_, it)| it.to_string()));
                }
                _ if step.starts_with('+') => {
                    now += Duration::from_millis(step[1..].parse().unwrap());
                }
                _ if step.starts_with('l') => assert!(line.leave(number())),
                _ if step.starts_with("cr") => line.rejoin(number(), number(), now),
                _ => {
                    let joined = line.join(number(), now, &settings(requests));
                    assert_eq!(joined.ticket, number());
                    said.extend(joined.refused.iter().map(|it| format!("!{it}")));
                }
            }
        }
        said.join(" ")
    }

    /// `j0 j1 ...`
    fn many(kind: char, from: u64, until: u64) -> String {
        (from..until).map(|it| format!("{kind}{it} ")).collect()
    }

    #[test]
    fn a_burst_is_served_in_the_order_in_which_it_came() {
        assert_eq!(play(9, "j0 j1 j2 c c c c"), "0 1 2");
        assert_eq!(play(9, "j0 j1 j2 +100 c c c"), "0 1 2");
        assert_eq!(play(9, "j0 j1 j2 l1 c c"), "0 2");
        // As fast as it is served, it goes on so.
        assert_eq!(play(9, "j0 j1 c j2 c j3 c +150 j4 c c"), "0 1 2 3 4");
    }

    #[test]
    fn a_queue_that_stands_serves_the_newest_first() {
        assert_eq!(play(9, "j0 j1 j2 j3 +101 c c"), "3 2");
        // It has been empty: another burst.
        assert_eq!(play(9, "j0 j1 +101 c c j2 j3 c c"), "1 0 2 3");
    }

    #[test]
    fn who_finds_a_full_queue_is_refused_unless_the_oldest_has_less_of_a_chance() {
        assert_eq!(play(2, "j0 j1 j2 c"), "!2 0");
        assert_eq!(play(2, "j0 j1 +101 j2 c"), "!0 2");
        assert_eq!(play(0, "j0 c"), "!0");
    }

    #[test]
    fn a_queue_is_no_longer_than_can_be_served_in_time() {
        let refused = |said: &str| said.split(' ').filter(|it| it.starts_with('!')).count();
        // Fifty a second.
        let (first, late) = (many('j', 0, 100), many('j', 100, 120));
        let said = play(200, &format!("{first} {} {late}", "+20 c ".repeat(55)));
        let waiting = 120 - 55 - refused(&said);
        assert!((49..=52).contains(&waiting), "{waiting}: {said}");
        // Nor is it shorter than a few, though nothing is served.
        let said = play(200, &format!("{first} +1100 {late}"));
        assert_eq!(120 - refused(&said), LEAST, "{said}");
    }

    #[test]
    fn a_queue_that_is_outrun_for_long_becomes_shorter() {
        let first = many('j', 0, 40);
        // Twenty join in the time in which ten are served.
        let mut script = format!("{first} +1000 ");
        for it in 0..15 {
            let ticket = 40 + it * 4;
            script += &format!("{} +200 c c ", many('j', ticket, ticket + 4));
        }
        let said = play(100, &format!("{script} {}", many('j', 100, 103)));
        let refused = said.split(' ').filter(|it| it.starts_with('!')).count();
        assert_eq!(103 - 30 - refused, LEAST, "{said}");
    }

    #[test]
    fn who_comes_back_waits_where_it_was() {
        assert_eq!(play(9, "j0 j1 c j2 cr0 c c c"), "0 0 1 2");
        assert_eq!(play(9, "j0 c cr0 c"), "0 0");
    }

    fn queue() -> (Arc<Queue>, Instant) {
        (Arc::default(), Instant::now())
    }

    fn join(queue: &Arc<Queue>, now: Instant) -> Waiting {
        queue.join(now, &settings(3), || 0)
    }

    fn poll(waiting: &mut Waiting) -> Poll<Outcome> {
        Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn turn(waiting: &mut Waiting) -> Turn {
        match poll(waiting) {
            Poll::Ready(Outcome::Turn(turn)) => turn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_place_that_becomes_free_wakes_one() {
        let (queue, now) = queue();
        let [mut first, mut second] = [join(&queue, now), join(&queue, now)];
        assert!(poll(&mut first).is_pending());
        queue.free(1, now);
        assert!(poll(&mut second).is_pending());
        turn(&mut first).taken();
        assert_eq!((queue.waiting(), queue.waited(), queue.refused()), (1, 2, 0));
        queue.free(5, now);
        turn(&mut second).taken();
        assert!(queue.is_empty());
    }

    #[test]
    fn who_is_refused_hears_it_at_once() {
        let (queue, now) = queue();
        let _waiting = [join(&queue, now), join(&queue, now), join(&queue, now)];
        assert!(matches!(poll(&mut join(&queue, now)), Poll::Ready(Outcome::Refused)));
        assert_eq!((queue.waiting(), queue.waited(), queue.refused()), (3, 4, 1));
    }

    #[test]
    fn who_stops_waiting_leaves() {
        let (queue, now) = queue();
        let (first, mut second) = (join(&queue, now), join(&queue, now));
        drop(first);
        assert_eq!(queue.waiting(), 1);
        queue.free(1, now);
        turn(&mut second).taken();
    }

    #[test]
    fn who_was_called_and_stops_passes_the_turn_on() {
        let (queue, now) = queue();
        let [first, mut second, mut third] =
            [join(&queue, now), join(&queue, now), join(&queue, now)];
        queue.free(1, now);
        // It has not even looked.
        drop(first);
        // It has looked, and does not use it.
        drop(turn(&mut second));
        turn(&mut third).taken();
        assert!(queue.is_empty());
    }

    #[test]
    fn a_turn_that_is_used_is_not_passed_on() {
        let (queue, now) = queue();
        let [mut first, mut second] = [join(&queue, now), join(&queue, now)];
        queue.free(1, now);
        turn(&mut first).taken();
        drop(first);
        assert!(poll(&mut second).is_pending());
    }

    #[test]
    fn nobody_overtakes_who_is_called_and_on_the_way() {
        let (queue, now) = queue();
        let mut first = join(&queue, now);
        queue.free(1, now);
        assert_eq!(queue.waiting(), 0);
        assert!(!queue.is_empty());
        let turn = turn(&mut first);
        assert!(!queue.is_empty());
        turn.taken();
        assert!(queue.is_empty());
    }

    #[test]
    fn who_finds_the_place_gone_is_called_before_those_who_came_later() {
        let (queue, now) = queue();
        let [mut first, mut second] = [join(&queue, now), join(&queue, now)];
        queue.free(1, now);
        let mut first = turn(&mut first).wait_again(now, || 0);
        assert!(poll(&mut first).is_pending());
        assert!(poll(&mut second).is_pending());
        queue.free(1, now);
        turn(&mut first).taken();
        assert!(poll(&mut second).is_pending());
    }

    #[test]
    fn a_place_that_became_free_while_joining_is_not_missed() {
        let (queue, now) = queue();
        let mut waiting = queue.join(now, &settings(3), || 1);
        turn(&mut waiting).taken();
    }

    #[test]
    fn a_turn_crosses_threads() {
        let (queue, now) = queue();
        let waiting = join(&queue, now);
        let waits = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(waiting)
        });
        let frees = thread::spawn(move || queue.free(1, now));
        assert!(matches!(waits.join().unwrap(), Outcome::Turn(_)));
        frees.join().unwrap();
    }

    /// Two places for which requests on all cores compete, some of whom give up.
    #[test]
    fn no_place_is_free_while_somebody_waits_whatever_the_cores_do() {
        const PLACES: usize = 2;
        let queue: Arc<Queue> = Arc::default();
        let in_hand = Arc::new(AtomicUsize::new(0));
        let core = |seed: u64| {
            let (queue, in_hand) = (queue.clone(), in_hand.clone());
            thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let task = |task: u64| {
                    let (queue, in_hand) = (queue.clone(), in_hand.clone());
                    async move {
                        for round in 0..300 {
                            serve(&queue, &in_hand, seed + task + round).await;
                        }
                    }
                };
                runtime.block_on(async {
                    let local = tokio::task::LocalSet::new();
                    let tasks: Vec<_> = (0..4).map(|it| local.spawn_local(task(it))).collect();
                    let all = local.run_until(async {
                        for task in tasks {
                            task.await.unwrap();
                        }
                    });
                    tokio::time::timeout(Duration::from_secs(60), all).await.is_ok()
                })
            })
        };
        let cores: Vec<_> = (0..2).map(core).collect();
        assert!(cores.into_iter().all(|it| it.join().unwrap()), "somebody waits for ever");
        assert!(queue.is_empty());
        assert_eq!(in_hand.load(SeqCst), 0);

        fn free(in_hand: &AtomicUsize) -> usize {
            PLACES.saturating_sub(in_hand.load(Relaxed))
        }

        fn take(in_hand: &AtomicUsize) -> bool {
            let more = |it: usize| (it < PLACES).then_some(it + 1);
            in_hand.fetch_update(Relaxed, Relaxed, more).is_ok()
        }

        async fn serve(queue: &Arc<Queue>, in_hand: &AtomicUsize, seed: u64) {
            let settings = settings(100);
            if !queue.is_empty() || !take(in_hand) {
                let now = Instant::now();
                let mut waiting = queue.join(now, &settings, || free(in_hand));
                if seed.is_multiple_of(5) {
                    // Gives up, whether or not it was called by now.
                    tokio::task::yield_now().await;
                    return;
                }
                loop {
                    match waiting.await {
                        Outcome::Turn(turn) if take(in_hand) => break turn.taken(),
                        Outcome::Turn(turn) => {
                            waiting = turn.wait_again(Instant::now(), || free(in_hand));
                        }
                        Outcome::Refused => return,
                    }
                }
            }
            tokio::task::yield_now().await;
            in_hand.fetch_sub(1, Relaxed);
            queue.free(1, Instant::now());
        }
    }
}
