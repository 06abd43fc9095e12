//! Messages that are written behind the back of who says them. Standard error may be a pipe that
//! nobody reads: then writing waits for ever, and neither a signal nor a request may wait for it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Messages that may wait; more are lost, and counted.
const WAITING: usize = 256;
/// Bytes of them.
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How often somebody who waits for the last message looks.
const LOOK: Duration = Duration::from_millis(5);

pub(super) struct Behind {
    way: SyncSender<String>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Said, and not yet written.
    left: AtomicUsize,
    /// Bytes of these.
    bytes: AtomicUsize,
    /// Not written at all since the last one that was.
    lost: AtomicU64,
}

impl Behind {
    /// `None` where the system has no thread for it.
    pub(super) fn start(to: impl Write + Send + 'static) -> Option<Behind> {
        let (way, said) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let thread = std::thread::Builder::new().name("messages".to_owned());
        thread.spawn(move || write_all(to, &said, &counting)).ok()?;
        Some(Behind { way, counts })
    }

    pub(super) fn say(&self, text: String) {
        let size = text.len();
        self.counts.left.fetch_add(1, Relaxed);
        let before = self.counts.bytes.fetch_add(size, Relaxed);
        let fits = before.saturating_add(size) <= WAITING_BYTES;
        if !fits || self.way.try_send(text).is_err() {
            self.counts.bytes.fetch_sub(size, Relaxed);
            self.counts.left.fetch_sub(1, Relaxed);
            self.counts.lost.fetch_add(1, Relaxed);
        }
    }

    /// Waits until all is written, but only for so long.
    pub(super) fn settle(&self, within: Duration) {
        let began = Instant::now();
        while 0 < self.counts.left.load(Relaxed) && began.elapsed() < within {
            std::thread::sleep(LOOK);
        }
    }
}

/// Where a message cannot be written, nobody is left to tell.
fn write_all(mut to: impl Write, said: &Receiver<String>, counts: &Counts) {
    for text in said {
        let _ = to.write_all(text.as_bytes());
        let lost = counts.lost.swap(0, Relaxed);
        if 0 < lost {
            let _ = to.write_all(
                format!("{lost} more messages were lost: nobody read them\n").as_bytes(),
            );
        }
        counts.bytes.fetch_sub(text.len(), Relaxed);
        counts.left.fetch_sub(1, Relaxed);
    }
}

/// Standard error, which is locked for one message at a time.
pub(super) struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::PipeReader;
    use std::io::Read;

    fn read(mut from: PipeReader) -> String {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_is_said_is_written_in_order() {
        let (from, to) = io::pipe().unwrap();
        let behind = Behind::start(to).unwrap();
        behind.say("one\n".to_owned());
        behind.say("two\n".to_owned());
        behind.settle(Duration::from_secs(5));
        drop(behind);
        assert_eq!(read(from), "one\ntwo\n");
    }

    #[test]
    fn who_speaks_never_waits_for_who_reads() {
        let (from, to) = io::pipe().unwrap();
        let behind = Behind::start(to).unwrap();
        // More than any pipe holds.
        let long = "x".repeat(1024 * 1024);
        for _ in 0..=WAITING + 3 {
            behind.say(long.clone());
        }
        let began = Instant::now();
        behind.settle(Duration::from_millis(20));
        assert!(began.elapsed() < Duration::from_secs(5));
        let lost = behind.counts.lost.load(Relaxed);
        // Those that fit stay, the one that is being written among them.
        assert_eq!(lost, (WAITING + 4 - WAITING_BYTES / long.len()) as u64);
        assert_eq!(behind.counts.bytes.load(Relaxed), WAITING_BYTES);
        let reading = std::thread::spawn(|| read(from));
        behind.settle(Duration::from_secs(20));
        behind.say("and the last\n".to_owned());
        behind.settle(Duration::from_secs(20));
        drop(behind);
        let text = reading.join().unwrap();
        assert!(text.contains(&format!("{lost} more messages were lost")));
        assert!(text.ends_with("and the last\n"));
    }
}
