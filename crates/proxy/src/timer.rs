//! One coarse clock a core, from which every deadline of a connection or an exchange is told.
//!
//! A timer of the runtime that is reset with each chunk of a body would cost more than the chunk.
//! An [`Alarm`] is a number in a list that one task looks through every [`TICK`].

use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How late an alarm may ring.
pub(crate) const TICK: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(crate) struct Timer(Rc<Inner>);

struct Inner {
    entries: RefCell<Slab<Entry>>,
    now: Cell<Instant>,
    armed: Cell<usize>,
    first: Notify,
}

#[derive(Default)]
struct Entry {
    at: Option<Instant>,
    waker: Option<Waker>,
}

impl Timer {
    /// The caller spawns [`Timer::run`] on the same core.
    pub(crate) fn new() -> Timer {
        Timer(Rc::new(Inner {
            entries: RefCell::new(Slab::new()),
            now: Cell::new(Instant::now()),
            armed: Cell::new(0),
            first: Notify::new(),
        }))
    }

    /// A new alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        let key = self.0.entries.borrow_mut().insert(Entry::default());
        Alarm { timer: self.clone(), key }
    }

    /// Wakes everyone who holds an alarm, so that all look at the world again: we began to stop.
    pub(crate) fn wake_all(&self) {
        let entries = self.0.entries.borrow();
        let wakers: Vec<Waker> = entries.iter().filter_map(|(_, it)| it.waker.clone()).collect();
        drop(entries);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ticks for ever, and rests while no alarm is set.
    pub(crate) async fn run(self) {
        let mut ringing = Vec::new();
        loop {
            if self.0.armed.get() == 0 {
                self.0.first.notified().await;
            }
            tokio::time::sleep(TICK).await;
            let now = Instant::now();
            self.0.now.set(now);
            for (_, entry) in self.0.entries.borrow_mut().iter_mut() {
                if entry.at.is_some_and(|at| at <= now) {
                    ringing.extend(entry.waker.take());
                }
            }
            ringing.drain(..).for_each(Waker::wake);
        }
    }
}

/// Rings once the coarse clock has passed what it is set to. Dropping it disarms it.
pub(crate) struct Alarm {
    timer: Timer,
    key: usize,
}

impl Alarm {
    pub(crate) fn set(&self, at: Instant) {
        let inner = &self.timer.0;
        let before = inner.entries.borrow_mut()[self.key].at.replace(at);
        if before.is_none() {
            inner.armed.set(inner.armed.get() + 1);
            if inner.armed.get() == 1 {
                // Nobody was waiting: the clock has been at rest.
                inner.now.set(Instant::now());
                inner.first.notify_one();
            }
        }
    }

    /// Sets it unless it is set already: for gaps that are measured from their beginning. Reads the
    /// coarse clock where it runs, since a stream of small pieces comes here with each of them.
    pub(crate) fn set_if_clear(&self, limit: Duration) {
        let inner = &self.timer.0;
        if inner.entries.borrow()[self.key].at.is_some() {
            return;
        }
        let now = match inner.armed.get() {
            0 => Instant::now(),
            _ => inner.now.get() + TICK,
        };
        self.set(now + limit);
    }

    /// The coarse clock where it runs, which it does while this is set.
    pub(crate) fn coarse_now(&self) -> Instant {
        match self.timer.0.armed.get() {
            0 => Instant::now(),
            _ => self.timer.0.now.get(),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.timer.0.entries.borrow()[self.key].at.is_some()
    }

    pub(crate) fn clear(&self) {
        let inner = &self.timer.0;
        if inner.entries.borrow_mut()[self.key].at.take().is_some() {
            inner.armed.set(inner.armed.get() - 1);
        }
    }

    /// Ready when the alarm is set and its time has passed; else the task is woken then.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut entries = self.timer.0.entries.borrow_mut();
        let entry = &mut entries[self.key];
        if entry.at.is_some_and(|at| at <= self.timer.0.now.get()) {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The future's output, or `None` if `at` passes first.
    pub(crate) async fn until<F: Future>(&self, at: Instant, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        self.set(at);
        let output = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await;
        self.clear();
        output
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
        self.timer.0.entries.borrow_mut().remove(self.key);
    }
}
