//! What the app says, shown on our standard error by a thread of its own: whoever does not read it
//! holds up neither the app nor us.

use super::lines::shown;
use crate::output::Output;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches of lines that may wait to be shown.
const WAITING: usize = 256;
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;
/// What the last lines get at the end.
const LAST: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(2);

/// Where lines are handed over. Never blocks.
#[derive(Clone)]
pub(super) struct Board {
    batches: SyncSender<String>,
    dropped: Arc<AtomicU64>,
    name: Arc<str>,
    output: Output,
}

pub(super) struct Shower(JoinHandle<()>);

impl Board {
    pub(super) fn open(name: &str, output: &Output) -> std::io::Result<(Board, Shower)> {
        let (batches, waiting) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let (lost, printer, whose) = (dropped.clone(), output.clone(), name.to_owned());
        let thread = std::thread::Builder::new()
            .name("child-output".to_owned())
            .spawn(move || show(&waiting, &lost, &whose, &printer))?;
        let board = Board { batches, dropped, name: name.into(), output: output.clone() };
        Ok((board, Shower(thread)))
    }

    /// Lines of the app.
    pub(super) fn say(&self, lines: &[String]) {
        let mut batch = String::new();
        for line in lines {
            let colour = self.output.message_colour();
            batch += &shown(&self.name, line, colour, self.output.messages_to_terminal());
        }
        self.put(batch);
    }

    /// A message of ours.
    pub(super) fn message(&self, text: &str) {
        self.put(format!("{text}\n"));
    }

    fn put(&self, batch: String) {
        if batch.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) =
            self.batches.try_send(batch)
        {
            self.dropped.fetch_add(lost.lines().count() as u64, Relaxed);
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

fn show(waiting: &Receiver<String>, dropped: &AtomicU64, name: &str, output: &Output) {
    while let Ok(mut batch) = waiting.recv() {
        while batch.len() < BATCH
            && let Ok(more) = waiting.try_recv()
        {
            batch += &more;
        }
        let lost = dropped.swap(0, Relaxed);
        if 0 < lost {
            let lines = if lost == 1 { "line" } else { "lines" };
            let _ = writeln!(batch, "{lost} {lines} of {name} could not be shown in time");
        }
        output.message(&batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_holds_up_nobody() {
        let (batches, waiting) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let output = Output::of_this_process();
        let board = Board { batches, dropped: dropped.clone(), name: "app".into(), output };
        for _ in 0..5 {
            board.say(&["a".to_owned(), "b".to_owned()]);
        }
        assert_eq!(dropped.load(Relaxed), 6);
        assert_eq!(waiting.try_iter().count(), 2);
    }
}
