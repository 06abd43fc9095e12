//! One core runs out of what all share, and all hear of it: each gives up the connections that nobody
//! uses.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Not more often than so: looking for what can be given up has a price of its own.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Pressure {
    origin: Instant,
    times: AtomicU64,
    /// In milliseconds since `origin`, rounded up.
    last: AtomicU64,
    cores: Notify,
}

impl Pressure {
    pub(crate) fn new() -> Pressure {
        let (times, last, cores) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
        Pressure { origin: Instant::now(), times, last, cores }
    }

    pub(crate) fn press(&self) {
        self.press_at(self.origin.elapsed());
    }

    fn press_at(&self, now: Duration) {
        let now = now.as_millis() as u64 + 1;
        let last = self.last.load(Relaxed);
        let due = last == 0 || last + EVERY.as_millis() as u64 <= now;
        // Of several at the same time, one is enough.
        if due && self.last.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            self.times.fetch_add(1, Relaxed);
            self.cores.notify_waiters();
        }
    }

    pub(crate) fn times(&self) -> u64 {
        self.times.load(Relaxed)
    }

    /// Ready when it was pressed more often than `seen`, which it brings up to date.
    pub(crate) async fn felt(&self, seen: &mut u64) {
        loop {
            // From here on none is missed.
            let next = self.cores.notified();
            let times = self.times();
            if *seen != times {
                *seen = times;
                return;
            }
            next.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_felt_once_and_not_too_often() {
        let pressure = Pressure::new();
        let mut seen = pressure.times();
        pressure.press_at(Duration::ZERO);
        pressure.press_at(Duration::from_millis(200));
        pressure.felt(&mut seen).await;
        assert_eq!(seen, 1);
        pressure.press_at(Duration::from_millis(260));
        pressure.felt(&mut seen).await;
        assert_eq!(seen, 2);
    }
}
