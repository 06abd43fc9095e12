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
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A queue that is longer without being empty has no burst before it but too much to do.
const BURST: Duration = Duration::from_millis(100);

/// So many may wait, however slowly places become free.
const LEAST: usize = 8;

/// Once the queue has stood for twice as long as anyone may wait in it, and is outrun, it is as long
/// as can be served in this part of that time: who is served then has waited briefly.
const STANDING_PART: u32 = 4;

/// A queue is outrun when so many times as many join as can be served.
const OUTRUN: f64 = 1.5;

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// All targets have as many requests in hand as they can.
    Full,
    /// No target can be reached. The order stays that of arrival, and the queue as long as it may.
    Gone,
}

/// The order of a queue: who is next, and who has no chance. It knows nothing of tasks.
pub(crate) struct Line<T> {
    /// By ticket, the oldest first.
    waiting: VecDeque<(u64, T)>,
    next: u64,
    /// Since when somebody has been waiting for a target that is full.
    standing: Option<Instant>,
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
        Line { waiting: VecDeque::new(), next: 0, standing: None, pace: Pace::default() }
    }
}

impl<T> Line<T> {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn join(
        &mut self,
        item: T,
        reason: Reason,
        now: Instant,
        settings: &config::Queue,
    ) -> Joined<T> {
        match reason {
            Reason::Gone => self.standing = None,
            Reason::Full if self.standing.is_none() => self.stand(now),
            Reason::Full => {}
        }
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
        self.pace.count(places, 0, now);
    }

    /// A target is back: what waited for it is a burst from now on.
    pub(crate) fn back(&mut self, now: Instant) {
        if !self.waiting.is_empty() {
            self.stand(now);
        }
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

    fn newest_first(&self, now: Instant) -> bool {
        self.standing_for(now) > BURST
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
#[derive(Default)]
struct Pace {
    began: Option<Instant>,
    now: Counts,
    before: Option<Counts>,
}

#[derive(Clone, Copy, Default)]
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
#[derive(Default)]
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
        reason: Reason,
        now: Instant,
        settings: &config::Queue,
        places: impl FnOnce() -> usize,
    ) -> Waiting {
        let (caller, outcome) = oneshot::channel();
        let mut line = self.line();
        let joined = line.join(caller, reason, now, settings);
        self.mirror(&line);
        drop(line);
        self.waited.fetch_add(1, Relaxed);
        self.refused.fetch_add(joined.refused.len() as u64, Relaxed);
        for refused in joined.refused {
            let _ = refused.send(Outcome::Refused);
        }
        self.look_again(now, places);
        Waiting { queue: self.clone(), ticket: joined.ticket, outcome }
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

    /// A target is back that has so many places.
    pub(crate) fn back(self: &Arc<Queue>, places: usize, now: Instant) {
        self.line().back(now);
        self.free(places, now);
    }

    fn look_again(self: &Arc<Queue>, now: Instant, places: impl FnOnce() -> usize) {
        fence(SeqCst);
        // Who was called is on the way to a place that still counts as free.
        let free = places().saturating_sub(self.called.load(Relaxed));
        if free > 0 {
            self.call(free, now);
        }
    }

    fn call(self: &Arc<Queue>, mut places: usize, now: Instant) {
        while places > 0 {
            let mut line = self.line();
            let Some((ticket, caller)) = line.call(now) else { return };
            // Counted in before it is counted out, so that nobody sees an empty queue between.
            self.called.fetch_add(1, Relaxed);
            self.mirror(&line);
            drop(line);
            let turn = Turn(Some(Called { queue: self.clone(), ticket, at: now }));
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
pub(crate) struct Turn(Option<Called>);

struct Called {
    queue: Arc<Queue>,
    ticket: u64,
    at: Instant,
}

impl Turn {
    /// The place is taken: nobody else is called for it.
    pub(crate) fn taken(mut self) {
        if let Some(called) = self.0.take() {
            called.queue.called.fetch_sub(1, Relaxed);
        }
    }

    /// The place was gone: waits where it waited before. `places` as in [`Queue::join`].
    pub(crate) fn wait_again(
        mut self,
        now: Instant,
        places: impl FnOnce() -> usize,
    ) -> Option<Waiting> {
        let Called { queue, ticket, .. } = self.0.take()?;
        let (caller, outcome) = oneshot::channel();
        let mut line = queue.line();
        line.rejoin(ticket, caller, now);
        queue.mirror(&line);
        drop(line);
        queue.called.fetch_sub(1, Relaxed);
        queue.look_again(now, places);
        Some(Waiting { queue, ticket, outcome })
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(Called { queue, at, .. }) = self.0.take() {
            queue.call(1, at);
            queue.called.fetch_sub(1, Relaxed);
        }
    }
}

/// A request in the queue; dropping it leaves, and passes on a turn that came too late.
#[must_use]
pub(crate) struct Waiting {
    queue: Arc<Queue>,
    ticket: u64,
    outcome: oneshot::Receiver<Outcome>,
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        // A sender is never dropped unused while its ticket is in the line.
        Pin::new(&mut self.outcome).poll(cx).map(|it| it.unwrap_or(Outcome::Refused))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        let _ = line.leave(self.ticket);
        self.queue.mirror(&line);
    }
}
