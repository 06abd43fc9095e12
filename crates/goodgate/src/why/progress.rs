//! How far the reading is, in one line on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Nothing is shown of what is done sooner.
const PATIENCE: Duration = Duration::from_millis(700);

const EVERY: Duration = Duration::from_millis(200);

/// Counts what was read. The line is taken away with it.
pub(super) struct Progress {
    bytes: Arc<AtomicU64>,
    shown: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Progress {
    pub(super) fn silent() -> Progress {
        Progress { bytes: Arc::default(), shown: None }
    }

    /// Shown on standard error if that is a terminal.
    pub(super) fn shown() -> Progress {
        let mut progress = Progress::silent();
        if io::stderr().is_terminal() {
            let (bytes, ended) = (Arc::clone(&progress.bytes), Arc::new(AtomicBool::new(false)));
            let told = Arc::clone(&ended);
            // Without a thread for it, nothing is shown.
            let shower = std::thread::Builder::new().spawn(move || show(&bytes, &told));
            progress.shown = shower.ok().map(|it| (ended, it));
        }
        progress
    }

    pub(super) fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((ended, shower)) = self.shown.take() {
            ended.store(true, Ordering::Relaxed);
            let thread: &Thread = shower.thread();
            thread.unpark();
            drop(shower.join());
        }
    }
}

fn show(bytes: &AtomicU64, ended: &AtomicBool) {
    let began = Instant::now();
    let mut shown = false;
    while !ended.load(Ordering::Relaxed) {
        std::thread::park_timeout(if shown { EVERY } else { PATIENCE });
        let past = began.elapsed();
        if past < PATIENCE || ended.load(Ordering::Relaxed) {
            continue;
        }
        write(&format!("\r\x1b[K{}", line(bytes.load(Ordering::Relaxed), past)));
        shown = true;
    }
    if shown {
        write("\r\x1b[K");
    }
}

fn line(bytes: u64, past: Duration) -> String {
    let rate = bytes as f64 / past.as_secs_f64().max(0.001);
    format!("reading: {}, {}/s", size(bytes), size(rate as u64))
}

/// Where it cannot be written, nobody looks.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// `3.2 GiB`, `512 bytes`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, power)| bytes >> power > 0) {
        Some((unit, power)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1u32 << power)),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit() {
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3_435_973_837), "3.2 GiB");
        assert_eq!(line(5 << 20, Duration::from_secs(2)), "reading: 5.0 MiB, 2.5 MiB/s");
    }
}
