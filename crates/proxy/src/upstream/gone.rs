//! Requests that wait for an upstream of which no target can be reached for the moment: it restarts, as a
//! rule. One of them finds out whether it is back, the others wait until it has; nobody waits for what has
//! been gone for long, or was never there.
//!
//! Shared by all cores.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The pauses between two tries to find out: the first, and the longest.
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(crate) struct Gone {
    /// It was there once.
    was_there: AtomicBool,
    /// Whether there is anything to look at below.
    is_gone: AtomicBool,
    state: Mutex<State>,
    waiting: AtomicUsize,
    /// Somebody finds out.
    scout: AtomicBool,
    back: Notify,
    /// Requests that have waited, in all.
    waited: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct State {
    since: Option<Instant>,
    /// When it is to be found out next.
    next: Option<Instant>,
    pause: Duration,
    /// The cause of what was lost last, also after it was found.
    cause: Option<&'static str>,
    /// It asked not to be sent anything.
    asked: bool,
}

impl Gone {
    /// No target was reached, because of this.
    pub(crate) fn lost(&self, cause: &'static str, now: Instant) {
        if !self.was_there.load(Relaxed) {
            return;
        }
        let mut state = self.lock();
        state.since.get_or_insert(now);
        state.cause = Some(cause);
        state.asked = false;
        state.pause = (state.pause * 3 / 2).clamp(FIRST, LONGEST);
        state.next = Some(now + state.pause);
        self.is_gone.store(true, Relaxed);
    }

    /// The upstream asked not to be sent anything until then.
    pub(crate) fn rests(&self, until: Instant, cause: &'static str, now: Instant) {
        let mut state = self.lock();
        state.since.get_or_insert(now);
        state.cause = Some(cause);
        state.asked = true;
        state.next = Some(until);
        self.is_gone.store(true, Relaxed);
    }

    /// A target accepts connections: that is all that was lacking, unless it asked for a pause.
    pub(crate) fn reached(&self) {
        if !self.was_there.load(Relaxed) {
            self.was_there.store(true, Relaxed);
        }
        if self.is_gone.load(Relaxed) && !self.lock().asked {
            self.found();
        }
    }

    /// Why it is gone, or was.
    pub(crate) fn cause(&self) -> Option<&'static str> {
        self.lock().cause
    }

    /// A target answers.
    pub(crate) fn found(&self) {
        if self.is_gone.load(Relaxed) {
            let mut state = self.lock();
            // Those who waited are yet to say why.
            *state = State { cause: state.cause, ..State::default() };
            self.is_gone.store(false, Relaxed);
            drop(state);
            self.back.notify_waiters();
        }
    }

    /// Until when it is waited for, where it is gone and has not been for longer than `patience`.
    pub(crate) fn until(&self, patience: Duration, now: Instant) -> Option<Instant> {
        if !self.is_gone.load(Relaxed) {
            return None;
        }
        let until = self.lock().since? + patience;
        (now < until).then_some(until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those that wait, `None` where `most` do.
    pub(crate) fn join(self: &Arc<Gone>, most: usize) -> Option<Waiter> {
        let before = self.waiting.fetch_add(1, Relaxed);
        let waiter = Waiter { gone: self.clone(), is_scout: false };
        if most <= before {
            return None;
        }
        self.waited.fetch_add(1, Relaxed);
        Some(waiter)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub(crate) fn waited(&self) -> u64 {
        self.waited.load(Relaxed)
    }
}

/// One request that waits. Dropping it leaves, and hands on what it had to do.
pub(crate) struct Waiter {
    gone: Arc<Gone>,
    is_scout: bool,
}

/// What a request that waited does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Find out at that time.
    Scout(Instant),
    /// The upstream is back.
    Go,
}

impl Waiter {
    /// Waits until the upstream is back, or until it is this one's turn to find out. The caller limits
    /// the time.
    pub(crate) async fn turn(&mut self) -> Next {
        loop {
            let told = self.gone.back.notified();
            tokio::pin!(told);
            // Before the look: what is told in between is not missed.
            told.as_mut().enable();
            if !self.gone.is_gone.load(Relaxed) {
                return Next::Go;
            }
            if self.is_scout || !self.gone.scout.swap(true, Relaxed) {
                self.is_scout = true;
                return Next::Scout(self.gone.lock().next.unwrap_or_else(Instant::now));
            }
            told.await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.gone.waiting.fetch_sub(1, Relaxed);
        if self.is_scout {
            self.gone.scout.store(false, Relaxed);
            // Another one finds out; those that are woken for nothing wait on.
            self.gone.back.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// One that was there.
    fn known() -> Gone {
        let gone = Gone::default();
        gone.reached();
        gone
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    const CAUSE: &str = "process_down";

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn who_has_been_gone_for_long_is_waited_for_no_longer() {
        let (gone, start) = (Arc::new(known()), Instant::now());
        assert_eq!(gone.until(PATIENCE, start), None);
        gone.lost(CAUSE, start);
        gone.lost(CAUSE, start + Duration::from_secs(1));
        assert_eq!(gone.until(PATIENCE, start), Some(start + PATIENCE));
        assert_eq!(gone.until(PATIENCE, start + PATIENCE), None);
        gone.found();
        gone.lost(CAUSE, start + PATIENCE);
        assert!(gone.until(PATIENCE, start + PATIENCE).is_some());
    }

    #[test]
    fn who_was_never_there_is_not_waited_for() {
        let (gone, now) = (Gone::default(), Instant::now());
        gone.lost(CAUSE, now);
        assert_eq!(gone.until(PATIENCE, now), None);
    }

    #[test]
    fn one_finds_out_and_the_others_wait() {
        let gone = Arc::new(known());
        gone.lost(CAUSE, Instant::now());
        let (mut first, mut second) = (gone.join(9).unwrap(), gone.join(9).unwrap());
        assert!(matches!(poll(pin!(first.turn())), Poll::Ready(Next::Scout(_))));
        {
            let mut turn = pin!(second.turn());
            assert_eq!(poll(turn.as_mut()), Poll::Pending);
            gone.found();
            assert_eq!(poll(turn), Poll::Ready(Next::Go));
            assert_eq!(gone.cause(), Some(CAUSE), "what it waited for");
        }
        assert_eq!((gone.waiting(), gone.waited()), (2, 2));
    }

    #[test]
    fn who_leaves_hands_on_finding_out() {
        let gone = Arc::new(known());
        gone.lost(CAUSE, Instant::now());
        let (mut first, mut second) = (gone.join(9).unwrap(), gone.join(9).unwrap());
        assert!(poll(pin!(first.turn())).is_ready());
        let mut turn = pin!(second.turn());
        assert_eq!(poll(turn.as_mut()), Poll::Pending);
        drop(first);
        assert!(matches!(poll(turn), Poll::Ready(Next::Scout(_))));
    }

    #[test]
    fn the_pauses_grow_to_the_longest() {
        let (gone, now) = (known(), Instant::now());
        let pauses: Vec<u128> = (0..8)
            .map(|_| {
                gone.lost(CAUSE, now);
                (gone.lock().next.unwrap() - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [20, 30, 45, 67, 101, 151, 200, 200]);
    }

    #[test]
    fn a_connection_is_enough_unless_it_asked_for_a_pause() {
        let (gone, now) = (known(), Instant::now());
        gone.lost(CAUSE, now);
        gone.reached();
        assert_eq!(gone.until(PATIENCE, now), None);
        gone.rests(now + Duration::from_secs(1), CAUSE, now);
        gone.reached();
        assert!(gone.until(PATIENCE, now).is_some());
        gone.found();
        assert_eq!(gone.until(PATIENCE, now), None);
    }

    #[test]
    fn no_more_wait_than_may() {
        let gone = Arc::new(known());
        let one = gone.join(1).unwrap();
        assert!(gone.join(1).is_none());
        drop(one);
        assert!(gone.join(1).is_some());
        assert!(gone.join(0).is_none());
    }
}
