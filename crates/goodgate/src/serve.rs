//! Serving: the data plane, what it tells the terminal, and the signals that end it.

use crate::arrival;
use crate::output::Output;
use crate::settings::{Settings, Source};
use config::Config;
use exchange::Live;
use proxy::{Gateway, Leave, Options as PlaneOptions, StartError, Stopped, Style, Witness};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What serving needs besides the configuration.
pub(crate) struct Options {
    /// Where the configuration came from.
    pub(crate) settings: Settings,
    /// When the process began, to say how long it took to be ready.
    pub(crate) began: Instant,
    /// The app that was started before.
    pub(crate) witness: Option<Arc<Witness>>,
}

/// Why serving ended before anybody asked for it.
#[derive(Debug)]
pub(crate) enum Failure {
    Start(StartError),
    /// The signals, or the thread that waits for them, cannot be had.
    Signals(io::Error),
}

/// Serves until SIGTERM or SIGINT, and then until every client has its answer.
pub(crate) fn serve(config: Config, options: Options, output: &Output) -> Result<(), Failure> {
    raise_descriptors();
    let reopen = Arc::new(AtomicBool::new(false));
    let has_child = options.witness.is_some();
    let plane = PlaneOptions {
        style: output.log_style(),
        any_port: output.is_terminal(),
        reopen: reopen.clone(),
        witness: options.witness,
        inherited: Vec::new(),
    };
    let front = Builder::new_current_thread().enable_all().build().map_err(Failure::Signals)?;
    // Signals are caught before anything can be killed by them.
    let signals = Signals::new(&front).map_err(Failure::Signals)?;
    let targets: Vec<_> = config.upstreams.iter().flat_map(|it| it.targets.clone()).collect();
    let gateway = Gateway::start(config, plane).map_err(Failure::Start)?;
    output.message(&ready(&gateway.live(), options.began));
    // An app that we started has been met already.
    if let (Source::Urls(_), false) = (&options.settings.source, has_child) {
        let watch = arrival::watch(targets, output.clone());
        front.spawn(watch);
    }
    signals.wait(front, gateway, &reopen, output);
    Ok(())
}

/// The line that says where everything is.
pub(crate) fn ready(live: &Live, began: Instant) -> String {
    let mut places: Vec<String> = live.http.iter().map(|it| format!("http://{it}")).collect();
    let http3 = if live.http3 { " (HTTP/3 too)" } else { "" };
    places.extend(live.https.map(|it| format!("https://{it}{http3}")));
    let status = live.status.map(|it| format!(", metrics on http://{it}/metrics"));
    let took = began.elapsed().as_millis();
    format!("ready in {took} ms on {}{}\n", places.join(", "), status.unwrap_or_default())
}

pub(crate) struct Signals {
    end: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    reopen: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new(runtime: &Runtime) -> io::Result<Signals> {
        let _entered = runtime.enter();
        Ok(Signals {
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
        })
    }

    /// Does this work to its end, or up to the first signal that stops.
    pub(crate) async fn unless_asked_to_stop<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = self.end.recv() => None,
            _ = self.interrupt.recv() => None,
        }
    }

    /// The first signal stops, the second one stops now.
    pub(crate) fn wait(
        mut self,
        front: Runtime,
        gateway: Gateway,
        reopen: &AtomicBool,
        output: &Output,
    ) {
        front.block_on(async {
            loop {
                tokio::select! {
                    _ = self.end.recv() => return,
                    _ = self.interrupt.recv() => return,
                    _ = self.reopen.recv() => reopen.store(true, Relaxed),
                }
            }
        });
        output.message("stopping: finishing what is in flight; once more to stop at once\n");
        let hurry = Arc::new(AtomicBool::new(false));
        let asked_again = hurry.clone();
        let listening = std::thread::spawn(move || {
            front.block_on(async {
                tokio::select! {
                    _ = self.end.recv() => {}
                    _ = self.interrupt.recv() => {}
                }
            });
            asked_again.store(true, Relaxed);
        });
        let stopped = gateway.stop(Leave::Close, &hurry);
        // It waits for a signal that may never come; the process ends without it.
        drop(listening);
        if let Stopped::Cut { connections } = stopped {
            output.message(&format!("stopped with {connections} connections still open\n"));
        }
    }
}

/// The soft limit of open files is a habit of shells; the hard one is what the system allows.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        // Where it is refused the old limit stays, and is told when it is met.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

impl Output {
    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&io::stdout())
    }

    fn log_style(&self) -> Style {
        match self.is_terminal() {
            true => Style::Terminal { colour: self.result_colour() },
            false => Style::Json,
        }
    }
}

/// Where an address of a target stands, when it has one before any name is asked for.
pub(crate) fn dialled(target: &config::Target) -> Option<SocketAddr> {
    match &target.place {
        config::Place::Inet(address) => Some(*address),
        config::Place::Name { host, port } if &**host == "localhost" => {
            Some(SocketAddr::from(([127, 0, 0, 1], *port)))
        }
        config::Place::Name { .. } | config::Place::Unix(_) => None,
    }
}
