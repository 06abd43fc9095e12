//! Keeps a mistake of ours to the one request that ran into it.
//!
//! A panic unwinds to here, and what was borrowed on the way is given back, so that the worker goes
//! on. The record of the request is saved from the unwinding, for the answer that says what happened.

use crate::refuse;
use crate::reply::Reply;
use crate::seat::Seat;
use exchange::ExchangeId;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Something of ours broke down. What it said is known to the process's panic hook.
#[derive(Debug)]
pub(crate) struct Caught;

thread_local! {
    static SERVING: Cell<Option<ExchangeId>> = const { Cell::new(None) };
}

/// The request that this thread works on at the moment, for a panic hook.
#[must_use]
pub fn serving() -> Option<ExchangeId> {
    // At its end a thread has none.
    SERVING.try_with(Cell::get).ok().flatten()
}

/// Does this work for a request; what it left half done must be of no use to anybody else.
pub(crate) fn contained<T>(id: Option<ExchangeId>, work: impl FnOnce() -> T) -> Result<T, Caught> {
    let before = SERVING.replace(id);
    let done = catch_unwind(AssertUnwindSafe(work));
    SERVING.set(before);
    done.map_err(|_| Caught)
}

/// The making of an answer, which a panic turns into an answer of ours.
pub(crate) struct Serving<F> {
    making: F,
    seat: Rc<Seat>,
    id: ExchangeId,
}

impl<F: Future<Output = Reply> + Unpin> Serving<F> {
    pub(crate) fn new(seat: Rc<Seat>, id: ExchangeId, making: F) -> Serving<F> {
        Serving { making, seat, id }
    }
}

impl<F: Future<Output = Reply> + Unpin> Future for Serving<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Serving { making, seat, id } = &mut *self;
        let polled = guarded(seat, *id, || Pin::new(making).poll(cx));
        polled.unwrap_or_else(|Caught| Poll::Ready(broke_down(seat, *id))).map(Ok)
    }
}

/// A making that is kept elsewhere, which began before it is polled.
pub(crate) struct Made<'a, F>(pub(crate) Pin<&'a mut Option<F>>);

impl<F: Future> Future for Made<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(making) => making.poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The same as [`contained`], but that a record which is dropped on the way is saved.
fn guarded<T>(seat: &Seat, id: ExchangeId, work: impl FnOnce() -> T) -> Result<T, Caught> {
    seat.link().guarded.set(true);
    let done = contained(Some(id), work);
    seat.link().guarded.set(false);
    done
}

/// Answers for the request that broke down. Where its record is over, there is only an end.
fn broke_down(seat: &Seat, id: ExchangeId) -> Reply {
    let saved = || seat.link().salvaged.borrow_mut().take();
    let answered = saved().and_then(|record| {
        // What broke down may be what the answer is made by.
        guarded(seat, id, || refuse::bug(*record)).ok()
    });
    answered.unwrap_or_else(|| {
        if let Some(mut record) = saved() {
            record.broke_down();
        }
        refuse::speechless()
    })
}

/// How long after a panic work begins anew that must go on.
const ANEW: Duration = Duration::from_millis(100);

/// Does work that must not end as long as it is wanted: after a panic it begins anew.
pub(crate) async fn kept_up<F: Future>(mut begin: impl FnMut() -> F) {
    loop {
        let mut work = Box::pin(begin());
        let done = poll_fn(|cx| match contained(None, || work.as_mut().poll(cx)) {
            Ok(polled) => polled.map(|_| Ok(())),
            Err(caught) => Poll::Ready(Err(caught)),
        });
        if done.await.is_ok() {
            return;
        }
        tokio::time::sleep(ANEW).await;
    }
}

/// Lets tests see that a panic is contained. Nothing of it is in a release.
#[cfg(debug_assertions)]
pub(crate) mod trip {
    use std::sync::OnceLock;

    /// Where to panic, and for which path: `serve /boom`.
    const VARIABLE: &str = "GOODGATE_TEST_PANIC";

    static WIRE: OnceLock<Option<(String, String)>> = OnceLock::new();

    pub(crate) fn at(place: &str, path: &str) {
        let wire = WIRE.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            text.split_once(' ').map(|(place, path)| (place.to_owned(), path.to_owned()))
        });
        let tripped = wire.as_ref().is_some_and(|it| it.0 == place && it.1 == path);
        assert!(!tripped, "a test asked for this");
    }
}

#[cfg(not(debug_assertions))]
pub(crate) mod trip {
    pub(crate) fn at(_: &str, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn what_was_borrowed_is_given_back() {
        let shared = RefCell::new(1);
        let done = contained(None, || {
            let _held = shared.borrow_mut();
            assert!(shared.try_borrow().is_ok(), "it is held");
        });
        assert!(done.is_err());
        assert_eq!(*shared.borrow(), 1);
    }

    #[test]
    fn releases_unwind() {
        let workspace = include_str!("../../../Cargo.toml");
        assert!(!workspace.contains("panic = "), "a panic that aborts ends every request");
    }

    #[test]
    fn a_thread_knows_what_it_works_on() {
        let [outer, inner] = [1, 2].map(|it| ExchangeId::new(it, it.into()));
        assert!(serving().is_none());
        let seen = contained(Some(outer), || {
            let within = contained(Some(inner), serving);
            (within.ok().flatten(), serving())
        });
        assert_eq!(seen.ok(), Some((Some(inner), Some(outer))));
        assert!(serving().is_none());
    }

    #[tokio::test]
    async fn what_must_go_on_begins_anew() {
        let tries = Cell::new(0);
        kept_up(|| async {
            tries.set(tries.get() + 1);
            assert!(2 < tries.get(), "not yet");
        })
        .await;
        assert_eq!(tries.get(), 3);
    }
}
