//! What signals tell a process that serves.

use crate::output::Output;
use rustix::io::Errno;
use rustix::termios::tcgetattr;
use std::future::pending;
use std::io;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGTERM, SIGINT, and SIGHUP where the terminal that we ran on is gone.
    Stop,
    /// SIGUSR1: open the logs anew.
    Reopen,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Signals as they come. Several of one kind that come before they are looked at are one.
pub(crate) struct Signals {
    end: Signal,
    interrupt: Signal,
    reopen: Signal,
    hangup: Option<Signal>,
    on_terminal: bool,
}

impl Signals {
    /// Of a process that a hangup ends, as it does by itself.
    pub(crate) fn new(runtime: &Runtime) -> io::Result<Signals> {
        let _entered = runtime.enter();
        Ok(Signals {
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
            hangup: None,
            on_terminal: false,
        })
    }

    /// Of a process that reads its configuration again at a hangup.
    pub(crate) fn with_reload(runtime: &Runtime, output: &Output) -> io::Result<Signals> {
        let signals = Signals::new(runtime)?;
        let _entered = runtime.enter();
        let hangup = Some(signal(SignalKind::hangup())?);
        Ok(Signals { hangup, on_terminal: output.is_terminal(), ..signals })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Told {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.end.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.reopen.recv() => Told::Reopen,
            _ = hangup => match self.on_terminal && terminal_is_gone() {
                true => Told::Stop,
                false => Told::Reload,
            },
        }
    }

    /// Does this work to its end, or up to the first signal that stops.
    pub(crate) async fn unless_asked_to_stop<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let asked = async { while self.next().await != Told::Stop {} };
        tokio::select! {
            done = work => Some(done),
            () = asked => None,
        }
    }
}

/// A closed window sends SIGHUP too, and nobody would see or stop us any more.
fn terminal_is_gone() -> bool {
    matches!(tcgetattr(io::stdout()), Err(Errno::IO))
}
