//! What the app says, shown on our standard error by a thread of its own: whoever does not read it
//! holds up neither the app nor us.

use super::lines::shown;
use crate::output::Output;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches of lines that may wait to be shown.
const WAITING: usize = 256;
/// Bytes of them.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;
/// What the last lines get at the end.
const LAST: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(2);

/// Where lines are handed over. Never blocks.
#[derive(Clone)]
pub(super) struct Board {
    batches: SyncSender<String>,
    counts: Arc<Counts>,
    name: Arc<str>,
    output: Output,
}

#[derive(Default)]
struct Counts {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// Lines that could not.
    dropped: AtomicU64,
}

pub(super) struct Shower(JoinHandle<()>);

impl Board {
    pub(super) fn open(name: &str, output: &Output) -> std::io::Result<(Board, Shower)> {
        let (batches, waiting) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let (counting, printer, whose) = (counts.clone(), output.clone(), name.to_owned());
        let thread = std::thread::Builder::new()
            .name("child-output".to_owned())
            .spawn(move || show(&waiting, &counting, &whose, &printer))?;
        let board = Board { batches, counts, name: name.into(), output: output.clone() };
        Ok((board, Shower(thread)))
    }

    /// Lines of the app.
    pub(super) fn say(&self, lines: &[String]) {
        if WAITING_BYTES <= self.counts.bytes.load(Relaxed) {
            self.counts.dropped.fetch_add(lines.len() as u64, Relaxed);
            return;
        }
        let (colour, terminal) = (self.output.message_colour(), self.output.messages_to_terminal());
        self.put(lines.iter().map(|it| shown(&self.name, it, colour, terminal)).collect());
    }

    /// A message of ours.
    pub(super) fn message(&self, text: &str) {
        self.put(format!("{text}\n"));
    }

    fn put(&self, batch: String) {
        if batch.is_empty() {
            return;
        }
        let size = batch.len();
        let before = self.counts.bytes.fetch_add(size, Relaxed);
        let sent = match before.saturating_add(size) <= WAITING_BYTES {
            true => self.batches.try_send(batch),
            false => Err(TrySendError::Full(batch)),
        };
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = sent {
            self.counts.bytes.fetch_sub(size, Relaxed);
            self.counts.dropped.fetch_add(lost.lines().count() as u64, Relaxed);
        }
    }
}

impl Shower {
    /// Waits for the last lines, once every board is gone; not for ever, for nobody may read them.
    pub(super) fn join(self) {
        let until = Instant::now() + LAST;
        while !self.0.is_finished() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }
}

fn show(waiting: &Receiver<String>, counts: &Counts, name: &str, output: &Output) {
    while let Ok(mut batch) = waiting.recv() {
        while batch.len() < BATCH
            && let Ok(more) = waiting.try_recv()
        {
            batch += &more;
        }
        let taken = batch.len();
        let lost = counts.dropped.swap(0, Relaxed);
        if 0 < lost {
            let lines = if lost == 1 { "line" } else { "lines" };
            let _ = writeln!(batch, "{lost} {lines} of {name} could not be shown in time");
        }
        output.message(&batch);
        counts.bytes.fetch_sub(taken, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(waiting: usize) -> (Board, Receiver<String>) {
        let (batches, waiting) = sync_channel(waiting);
        let (counts, output) = (Arc::default(), Output::of_this_process());
        (Board { batches, counts, name: "app".into(), output }, waiting)
    }

    #[test]
    fn who_does_not_read_holds_up_nobody() {
        let (board, waiting) = board(2);
        for _ in 0..5 {
            board.say(&["a".to_owned(), "b".to_owned()]);
        }
        assert_eq!(board.counts.dropped.load(Relaxed), 6);
        assert_eq!(waiting.try_iter().count(), 2);
    }

    #[test]
    fn what_waits_to_be_read_is_bounded_by_its_bytes() {
        let (board, waiting) = board(WAITING);
        let lines = vec![String::new(); 64 * 1024];
        for _ in 0..WAITING {
            board.say(&lines);
        }
        let bytes: usize = waiting.try_iter().map(|it| it.len()).sum();
        assert!(0 < bytes && bytes <= WAITING_BYTES, "{bytes}");
        assert_eq!(bytes, board.counts.bytes.load(Relaxed));
        assert!(0 < board.counts.dropped.load(Relaxed));
    }
}
