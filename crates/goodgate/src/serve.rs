//! Serving, from the first listening socket to the last answer: one loop over signals, orders from
//! the control socket, changed files and the watchdog of the service manager.

mod life;
mod start;

use crate::activation::Given;
use crate::arrival;
use crate::child::{Moved, Serving};
use crate::control::orders::{Asked, Kind, Order, Orders, Refusal};
use crate::folder;
use crate::loud;
use crate::notify::{Notify, watchdog_pause};
use crate::output::Output;
use crate::settings::{Settings, Source};
use crate::signals::{Signals, Told};
use crate::takeover;
use crate::watch::{Changed, Seen, Watch};
use config::Config;
use exchange::Live;
use life::Life;
use proxy::{Gateway, Leave, StartError, Stopped, Style, Witness};
use serde_json::{Value, json};
use start::Start;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{Interval, interval};

/// What serving needs besides the configuration.
pub(crate) struct Options {
    /// Where the configuration came from.
    pub(crate) settings: Settings,
    /// The files that it came from, as they were before they were read.
    pub(crate) seen: Seen,
    /// Whether a change of these has them read again.
    pub(crate) watch: bool,
    /// Whether to serve instead of a process that has the same folder.
    pub(crate) takeover: bool,
    /// Sockets that a service manager opened.
    pub(crate) given: Given,
    /// When the process began, to say how long it took to be ready.
    pub(crate) began: Instant,
    /// The app that was started before.
    pub(crate) witness: Option<Arc<Witness>>,
    /// Where it listens, if requests go wherever that is.
    pub(crate) moved: Option<Moved>,
    /// Told as soon as signals are caught; it may say that there is nothing to serve any more.
    pub(crate) serving: Option<Serving>,
}

/// Why serving ended before anybody asked for it.
#[derive(Debug)]
pub(crate) enum Failure {
    Start(StartError),
    /// The signals, or the thread that waits for them, cannot be had.
    Signals(io::Error),
    /// The folder of its data cannot be had.
    Folder(folder::Failure),
    /// Somebody is to be taken over from, and no folder says from whom.
    NoFolder,
    TakeOver(takeover::Failure),
}

/// Serves until it is told to stop, and then until every client has its answer.
pub(crate) fn serve(config: Config, mut options: Options, output: &Output) -> Result<(), Failure> {
    let has_child = options.witness.is_some();
    let front = Builder::new_current_thread().enable_all().build().map_err(Failure::Signals)?;
    // It takes what the environment gave, and wants to be alone for that.
    let start = Start::new(&config, &mut options, output)?;
    let output = &output.in_background();
    loud::on_panic(output);
    // Signals are caught before anything can be killed by them.
    let signals = Signals::with_reload(&front, output).map_err(Failure::Signals)?;
    if options.serving.take().is_some_and(|serving| !serving()) {
        output.settle();
        return Ok(());
    }
    let targets: Vec<_> = config.upstreams.iter().flat_map(|it| it.targets.clone()).collect();
    let is_of_urls = matches!(options.settings.source, Source::Urls(_));
    let entered = front.enter();
    let mut ears = Ears::new(signals);
    let (mut life, server) = Life::begin(start, config, options, &mut ears, output)?;
    // An app that we started has been met already.
    if is_of_urls && !has_child {
        front.spawn(arrival::watch(targets, output.clone()));
    }
    drop(entered);
    front.block_on(async {
        let end = life.until_it_ends(&mut ears).await;
        finish(life.gateway, end, &life.reopen, &mut ears, output).await;
        if let Some(server) = server {
            server.close().await;
        }
        if let (End::HandedOver { .. }, Some(socket)) = (end, life.socket) {
            socket.leave();
        }
    });
    // A file system that hangs must not keep the process from ending.
    front.shutdown_background();
    output.settle();
    Ok(())
}

/// How serving ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stop {
        now: bool,
    },
    /// Another process serves.
    HandedOver {
        to: u32,
    },
}

/// Everything that a process that serves listens to.
pub(crate) struct Ears {
    signals: Signals,
    orders: Orders,
    watch: Watch,
    pulse: Option<Interval>,
    notify: Notify,
    /// Where the app that we started listens, if requests go wherever it does.
    moved: Option<Moved>,
}

/// What was heard.
enum Heard {
    Told(Told),
    Asked(Asked),
    Changed(Changed),
    /// It is time for a sign of life.
    Pulse,
    /// The app that we started listens elsewhere now: at this URL.
    Moved(String),
}

impl Ears {
    /// Called on a runtime.
    pub(crate) fn new(signals: Signals) -> Ears {
        let (orders, watch, notify) = (Orders::none(), Watch::new(), Notify::from_environment());
        Ears { signals, orders, watch, pulse: None, notify, moved: None }
    }

    /// Gives signs of life, for a service manager that waits so long for them.
    fn pulse_within(&mut self, micros: u64) {
        self.pulse = Some(interval(watchdog_pause(micros)));
    }

    /// Waits for the next thing. It may be left and begun again at any time.
    async fn next(&mut self) -> Heard {
        let pulse = async {
            match &mut self.pulse {
                Some(pulse) => pulse.tick().await,
                None => pending().await,
            }
        };
        let moved = async {
            match &mut self.moved {
                Some(moved) => moved.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            told = self.signals.next() => Heard::Told(told),
            asked = self.orders.next() => Heard::Asked(asked),
            changed = self.watch.changed() => Heard::Changed(changed),
            _ = pulse => Heard::Pulse,
            url = moved => Heard::Moved(url),
        }
    }
}

/// Waits for a signal that stops, and obeys it: all that a process without a control socket does.
pub(crate) async fn until_stopped(
    gateway: Gateway,
    reopen: &AtomicBool,
    signals: Signals,
    output: &Output,
) {
    let mut ears = Ears::new(signals);
    loop {
        match ears.next().await {
            Heard::Told(Told::Stop) => break,
            Heard::Told(Told::Reopen) => reopen.store(true, Relaxed),
            Heard::Told(Told::Reload) | Heard::Asked(_) | Heard::Changed(_) => {}
            Heard::Pulse | Heard::Moved(_) => {}
        }
    }
    finish(gateway, End::Stop { now: false }, reopen, &mut ears, output).await;
}

/// Lets every client have its answer, for as long as the configuration says. Another signal, or an
/// order, cuts that short.
async fn finish(gateway: Gateway, end: End, reopen: &AtomicBool, ears: &mut Ears, output: &Output) {
    let (leave, words) = match end {
        End::Stop { .. } => (Leave::Close, "stopping: finishing what is in flight".to_owned()),
        End::HandedOver { to } => {
            (Leave::HandedOver, format!("process {to} serves: finishing what is in flight"))
        }
    };
    output.message(&format!("{words}; once more to stop at once\n"));
    // The service goes on where another process serves it.
    match end {
        End::Stop { .. } => ears.notify.stopping(&words),
        End::HandedOver { .. } => ears.pulse = None,
    }
    let hurry = Arc::new(AtomicBool::new(end == End::Stop { now: true }));
    let (done, mut stopped) = oneshot::channel();
    let asked_to_hurry = hurry.clone();
    std::thread::spawn(move || done.send(gateway.stop(leave, &asked_to_hurry)));
    let stopped = loop {
        tokio::select! {
            stopped = &mut stopped => break stopped,
            heard = ears.next() => match heard {
                Heard::Told(Told::Stop) => hurry.store(true, Relaxed),
                Heard::Told(Told::Reopen) => reopen.store(true, Relaxed),
                Heard::Asked(asked) => {
                    if asked.order == (Order::Stop { now: true }) {
                        hurry.store(true, Relaxed);
                    }
                    let answer = answer_while_stopping(&asked.order);
                    asked.say(answer);
                }
                Heard::Pulse => ears.notify.alive(),
                Heard::Told(Told::Reload) | Heard::Changed(_) | Heard::Moved(_) => {}
            },
        }
    };
    if let Ok(Stopped::Cut { connections }) = stopped {
        output.message(&format!("stopped with {connections} connections still open\n"));
    }
}

/// What is left to say by then.
fn answer_while_stopping(order: &Order) -> Result<Value, Refusal> {
    match order {
        Order::Status => Ok(json!({
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "state": "stopping",
        })),
        Order::Stop { .. } => Ok(json!({ "pid": std::process::id(), "state": "stopping" })),
        Order::Upstreams(_)
        | Order::Target(_)
        | Order::Reload
        | Order::Drain(_)
        | Order::Bequeath
        | Order::HandedOver { .. } => Err(Refusal::new(Kind::State, "the gateway is stopping")),
    }
}

/// The line that says where everything is.
pub(crate) fn ready(live: &Live, began: Instant) -> String {
    let status = live.status.map(|it| format!(", metrics on http://{it}/metrics"));
    let took = began.elapsed().as_millis();
    format!("ready in {took} ms on {}{}\n", places(live).join(", "), status.unwrap_or_default())
}

/// Where clients connect.
fn places(live: &Live) -> Vec<String> {
    let mut places: Vec<String> = live.http.iter().map(|it| format!("http://{it}")).collect();
    let http3 = if live.http3 { " (HTTP/3 too)" } else { "" };
    places.extend(live.https.map(|it| format!("https://{it}{http3}")));
    places
}

impl Output {
    pub(crate) fn is_terminal(&self) -> bool {
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
        config::Place::Name { .. } | config::Place::Service(_) | config::Place::Unix(_) => None,
    }
}
