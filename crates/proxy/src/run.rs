//! Starts the data plane, changes what it serves by, and stops it without losing what is in flight.

use crate::Plane;
use crate::checks::Checks;
use crate::contain::kept_up;
use crate::core::{Core, Order};
use crate::crowd::{Crowd, TurnedAway};
use crate::doors::{Doors, Inherited, open_first};
use crate::hearing::Hearing;
use crate::later::Later;
use crate::listen::floods::Floods;
use crate::listen::http3::quic::{Load, QuicDoor};
use crate::listen::{Closing, Cores, Placed};
use crate::log::{LogWriter, Style, open};
use crate::loud::{Loud, Tell, Trouble};
use crate::memory::Memory;
use crate::metrics::Shard;
use crate::orders::OrderError;
use crate::pressure::Pressure;
use crate::registry::Registry;
use crate::reports::Reports;
use crate::snapshot::{Prepared, Snapshot};
use crate::upstream::names::Names;
use crate::witness::Witness;
use arc_swap::ArcSwapOption;
use config::Config;
use exchange::{Live, Obeyed};
use http::header::HeaderValue;
use rustix::fd::{AsFd, OwnedFd};
use rustls::crypto::CryptoProvider;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// What the caller of the data plane decides.
pub struct Options {
    pub style: Style,
    /// Nobody wrote a port: another one will do where the usual is taken.
    pub any_port: bool,
    /// Set to have file logs opened anew.
    pub reopen: Arc<AtomicBool>,
    /// Takes what whoever runs the gateway is to be told.
    pub tell: Tell,
    /// The app that the gateway has started, where it has.
    pub witness: Option<Arc<Witness>>,
    /// Listening sockets that another process opened; they serve the addresses that they have.
    pub inherited: Vec<OwnedFd>,
    /// That process serves until we do, and leaves then.
    pub takes_over: bool,
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot listen on {address} for HTTP/3 (UDP)")]
    ListenUdp { address: SocketAddr, source: io::Error },
    #[error("cannot use {}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("cannot open the access log {}", path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Why the data plane goes on with the configuration that it has.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// What it names cannot be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// These keys differ, and no running gateway can change them.
    #[error("a restart is needed to change {}", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
}

/// A running data plane.
pub struct Gateway {
    plane: Arc<Plane>,
    prepared: Arc<Prepared>,
    doors: Doors,
    /// Waits until another process has left the socket for QUIC.
    awaiting_quic: Option<tokio::task::JoinHandle<()>>,
    status: Option<StatusDoor>,
    /// One for each core.
    orders: Vec<mpsc::UnboundedSender<Order>>,
    threads: Vec<JoinHandle<()>>,
    background: Runtime,
    writer: LogWriter,
    provider: Arc<CryptoProvider>,
    unclaimed: Vec<SocketAddr>,
    checks: Checks,
}

/// The listener of our own pages, and the task that serves there once we are ready.
struct StatusDoor {
    bound: SocketAddr,
    listener: Arc<TcpListener>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

/// Whether somebody goes on where we end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nobody: the listeners accept for `shutdown.grace`, and are then closed.
    Close,
    /// Another process, which has our listening sockets.
    HandedOver,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every client had its answer.
    Clean,
    /// The deadline passed, or somebody was in a hurry, with so many connections open; work that goes on
    /// without one counts as one.
    Cut { connections: usize },
}

/// How long the cores may take for what they do at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How often it is tried whether another process has left the socket for QUIC.
const QUIC_AGAIN: Duration = Duration::from_millis(100);

/// For how long a client may remember that HTTP/3 is spoken (RFC 7838 3.1).
const REMEMBERED: Duration = Duration::from_secs(3600);

impl Gateway {
    /// Reads files, binds, and serves. Returns when connections are accepted.
    pub fn start(config: Config, options: Options) -> Result<Gateway, StartError> {
        let config = Arc::new(config);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let background = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("background")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let loud = Loud::new();
        let (log, writer) =
            open(&config.log.access, options.style, options.reopen, loud.clone())
                .map_err(|source| StartError::Log { path: log_path(&config), source })?;
        // Read before anything is listened on: a port must not answer while another cannot yet.
        let prepared = Arc::new(Prepared::new(config.clone(), None, &provider)?);
        let count = config.workers.unwrap_or_else(cores_here);
        let mut inherited = Inherited::new(options.inherited);
        let takes_over = options.takes_over;
        let change =
            Doors::default().change(&config.listen, count, options.any_port, &mut inherited)?;
        let (cores, arrivals) = Cores::new(count);
        let shards: Vec<_> = (0..count).map(|_| Arc::new(Shard::default())).collect();
        let via = format!("{} ({:016x})", config.answers.name, rand::random::<u64>());
        let via_field = HeaderValue::from_str(&format!("1.1 {via}"))
            .map_err(|it| StartError::Tls(it.to_string()))?;
        let plane = Arc::new(Plane {
            name: config.answers.name.clone(),
            via,
            via_field,
            registry: Registry::default(),
            names: Names::new(&config.dns, background.handle().clone(), loud.clone()),
            reports: Reports::default(),
            later: Later::default(),
            hearing: options.witness.map(|it| Hearing::new(it, background.handle().clone())),
            log,
            pressure: Pressure::new(),
            memory: Memory::new(&config.limits),
            crowd: Crowd::new(&config.limits),
            turned_away: TurnedAway::new(&config.answers.name),
            loud: loud.clone(),
            cores,
            shards,
            client_errors: AtomicU64::new(0),
            floods: Floods::default(),
            http3_floods: Floods::default(),
            quic: Load::default(),
            alternative: ArcSwapOption::empty(),
            leaving: AtomicBool::new(false),
        });
        plane.registry.keep(&config.upstreams);
        let tell = options.tell;
        background.spawn(kept_up(move || loud.clone().watch(tell.clone())));
        let watched = plane.clone();
        background.spawn(kept_up(move || watch_memory(watched.clone())));
        let quic = FirstQuic::bind(&prepared, change.doors(), takes_over)?;
        let any_port = options.any_port && config.listen.assumed;
        let status = match config.status {
            Some(wished) => Some(StatusDoor::open(wished, any_port, &mut inherited, &background)?),
            None => None,
        };
        let mut gateway = Gateway {
            plane,
            prepared,
            doors: Doors::default(),
            awaiting_quic: None,
            status,
            orders: Vec::with_capacity(count),
            threads: Vec::with_capacity(count),
            background,
            writer,
            provider,
            unclaimed: inherited.left(),
            checks: Checks::new(),
        };
        gateway.start_cores(change, arrivals)?;
        gateway.ask_targets();
        if let Some(quic) = quic {
            gateway.open_quic(quic)?;
        }
        if let Some(status) = &mut gateway.status {
            let (listener, plane) = (status.listener.clone(), gateway.plane.clone());
            let console = gateway.prepared.config.console;
            let serve = move || crate::status::serve(listener.clone(), plane.clone(), console);
            status.serving = Some(gateway.background.spawn(kept_up(serve)));
        }
        Ok(gateway)
    }

    fn ask_targets(&mut self) {
        self.checks.adopt(&self.prepared, &self.plane, self.background.handle());
    }

    fn start_cores(
        &mut self,
        mut change: crate::doors::Change,
        arrivals: Vec<mpsc::Receiver<Placed>>,
    ) -> Result<(), StartError> {
        let (ready, done) = channel();
        let opened = std::mem::take(&mut change.opened);
        self.doors = change.into_doors();
        for ((here, guests), doors) in arrivals.into_iter().enumerate().zip(opened) {
            let plane = self.plane.clone();
            let snapshot = Snapshot::new(&self.prepared, &self.doors, &plane.registry);
            let core = Core { plane, here, snapshot, doors, ready: ready.clone(), guests };
            let (order, orders) = mpsc::unbounded_channel();
            let thread = std::thread::Builder::new()
                .name(format!("core-{here}"))
                .spawn(move || core.run(orders))
                .map_err(StartError::Thread)?;
            self.orders.push(order);
            self.threads.push(thread);
        }
        drop(ready);
        all_done(&done, self.orders.len())
    }

    /// Does what may take long or fail before a configuration can be served by: reads the files that it
    /// names. For another thread.
    pub fn preparation(
        &self,
    ) -> impl FnOnce(Config) -> Result<Prepared, StartError> + Send + 'static {
        let (before, provider) = (self.prepared.clone(), self.provider.clone());
        move |config| Prepared::new(Arc::new(config), Some(&before), &provider)
    }

    /// Serves by another configuration from now on: all of it or nothing. What is in flight is served
    /// to its end by the one that it began with.
    pub fn adopt(&mut self, prepared: Prepared) -> Result<(), ReloadError> {
        let before = self.prepared.config.clone();
        let config = prepared.config.clone();
        let fixed = before.needs_restart(&config);
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        let none = &mut Inherited::default();
        let mut change = self.doors.change(&config.listen, self.orders.len(), false, none)?;
        self.change_quic(&prepared, change.doors())?;
        // From here on nothing fails.
        let opened = std::mem::take(&mut change.opened);
        let closed = std::mem::take(&mut change.closed);
        self.prepared = Arc::new(prepared);
        self.doors = change.into_doors();
        if before.dns != config.dns {
            self.plane.names.adopt(&config.dns);
        }
        self.plane.crowd.adopt(&config.limits);
        self.plane.memory.adopt(&config.limits);
        self.plane.registry.keep(&config.upstreams);
        self.plane.registry.keep_shelves(config.routes.all());
        let (done, all) = channel();
        for (order, open) in self.orders.iter().zip(opened) {
            let snapshot = Snapshot::new(&self.prepared, &self.doors, &self.plane.registry);
            let (close, done) = (closed.clone(), done.clone());
            // A core that is gone has ended the process's work already.
            let _ = order.send(Order::Adopt { snapshot, open, close, done });
        }
        drop(done);
        self.ask_targets();
        if all_done(&all, self.orders.len()).is_err() {
            self.plane.loud.report(Trouble::CoreLate, 1);
        }
        Ok(())
    }

    /// The last step of going over to another configuration that may fail.
    fn change_quic(&mut self, prepared: &Prepared, doors: &Doors) -> Result<(), StartError> {
        let Some((settings, place)) = prepared.quic().zip(doors.https()) else {
            self.leave_quic_to_others();
            self.to_first(Order::CloseQuic);
            self.announce_quic(None);
            return Ok(());
        };
        let address = place.bound;
        if self.resume_quic(address, settings) {
            self.leave_quic_to_others();
            self.announce_quic(Some(address));
            return Ok(());
        }
        match bind_quic(address, settings) {
            Ok(door) => {
                self.leave_quic_to_others();
                self.order_quic(address, door)?;
                self.announce_quic(Some(address));
            }
            // By then with these settings.
            Err(_) if self.leave_quic_to_others() => self.await_quic(address, settings.clone()),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// Where HTTP/3 is spoken from the start.
    fn open_quic(&mut self, first: FirstQuic) -> Result<(), StartError> {
        match first {
            FirstQuic::Now(address, door) => {
                self.order_quic(address, door)?;
                self.announce_quic(Some(address));
            }
            FirstQuic::Later(address, settings) => self.await_quic(address, settings),
        }
        Ok(())
    }

    /// Has the first core take packets at this door.
    fn order_quic(&self, address: SocketAddr, door: QuicDoor) -> Result<(), StartError> {
        let (opened, is_open) = channel();
        self.to_first(Order::OpenQuic(door, opened));
        let is_open = is_open.recv_timeout(AT_ONCE);
        let is_open = is_open.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        is_open.map_err(|source| StartError::ListenUdp { address, source })
    }

    /// Whether packets for that address are taken already.
    fn resume_quic(&self, address: SocketAddr, settings: &quinn::ServerConfig) -> bool {
        let (resumed, is_resumed) = channel();
        self.to_first(Order::ResumeQuic(address, settings.clone(), resumed));
        is_resumed.recv_timeout(AT_ONCE).unwrap_or_default()
    }

    /// Takes packets as soon as the process that has the socket now has left it.
    fn await_quic(&mut self, address: SocketAddr, settings: quinn::ServerConfig) {
        let Some(first) = self.orders.first().cloned() else {
            return;
        };
        let plane = self.plane.clone();
        self.awaiting_quic = Some(self.background.spawn(async move {
            loop {
                tokio::time::sleep(QUIC_AGAIN).await;
                let Ok(door) = QuicDoor::open(address, settings.clone()) else {
                    continue;
                };
                let (opened, is_open) = channel();
                let _ = first.send(Order::OpenQuic(door, opened));
                let is_open = spawn_blocking(move || is_open.recv_timeout(AT_ONCE)).await;
                if matches!(is_open, Ok(Ok(Ok(())))) {
                    plane.alternative.store(alternative(address).map(Arc::new));
                }
                return;
            }
        }));
    }

    /// Waits no longer for the socket of QUIC; whether it did.
    fn leave_quic_to_others(&mut self) -> bool {
        let awaiting = self.awaiting_quic.take().filter(|it| !it.is_finished());
        awaiting.map(|it| it.abort()).is_some()
    }

    /// Clients under TLS are told where HTTP/3 is spoken, or no longer.
    fn announce_quic(&self, address: Option<SocketAddr>) {
        self.plane.alternative.store(address.and_then(alternative).map(Arc::new));
    }

    /// Addresses of inherited sockets that the configuration does not name. They have been closed.
    #[must_use]
    pub fn unclaimed(&self) -> &[SocketAddr] {
        &self.unclaimed
    }

    /// How it is now.
    #[must_use]
    pub fn live(&self) -> Live {
        Live {
            draining: !self.plane.is_ready(),
            http: self.doors.http(),
            https: self.doors.https().map(|it| it.bound),
            http3: self.plane.alternative.load().is_some(),
            status: self.status.as_ref().map(|it| it.bound),
            connections: self.plane.cores.connections(),
            upstreams: self.plane.upstreams(),
        }
    }

    /// The configuration that requests are served by.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.prepared.config
    }

    /// Asks clients to leave, or no longer: answers end their connections, and `/readyz` tells
    /// balancers. New connections are served all the same.
    pub fn drain(&self, draining: bool) {
        self.plane.leaving.store(draining, Relaxed);
        self.to_all(|| Order::Drain(draining));
    }

    /// Does with a target what whoever runs the gateway wants.
    pub fn order(&self, order: &exchange::Order) -> Result<Vec<Obeyed>, OrderError> {
        self.plane.order(order)
    }

    /// Duplicates of the sockets that are listened on, for another process to go on with.
    pub fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let (show, shown) = channel();
        self.to_all(|| Order::Show(show.clone()));
        drop(show);
        let until = Instant::now() + AT_ONCE;
        let mut sockets = Vec::new();
        loop {
            match shown.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(socket) => sockets.push(socket?),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        if let Some(status) = &self.status {
            sockets.push(status.listener.as_fd().try_clone_to_owned()?);
        }
        Ok(sockets)
    }

    /// Finishes what is in flight and ends. Blocks; `hurry` cuts it short.
    pub fn stop(mut self, leave: Leave, hurry: &AtomicBool) -> Stopped {
        let began = Instant::now();
        let shutdown = self.prepared.config.shutdown.clone();
        let deadline = began + shutdown.deadline;
        if leave == Leave::HandedOver {
            // Whoever asks from now on whether we are ready asks the other process.
            if let Some(serving) = self.status.take().and_then(|it| it.serving) {
                serving.abort();
            }
        }
        self.leave_quic_to_others();
        self.drain(true);
        let open = || self.plane.cores.connections() + self.plane.later.running();
        let wait = |until: Instant| {
            while Instant::now() < until && 0 < open() && !hurry.load(Relaxed) {
                std::thread::sleep(STOP_LOOK);
            }
        };
        match leave {
            Leave::Close => {
                wait(began + shutdown.grace.min(shutdown.deadline));
                self.to_all(|| Order::Close(Closing::Empty));
            }
            Leave::HandedOver => self.to_all(|| Order::Close(Closing::HandedOver)),
        }
        // Until the cores have closed their doors somebody may come in yet.
        self.settle();
        wait(deadline);
        let connections = open();
        self.to_all(|| Order::Cut);
        for thread in self.threads {
            // A panic has been printed where it happened.
            let _ = thread.join();
        }
        self.background.shutdown_timeout(Duration::from_millis(100));
        drop(self.plane);
        let last = deadline.max(Instant::now() + LAST_LINES);
        self.writer.join(|| Instant::now() < last && !hurry.load(Relaxed));
        match connections {
            0 => Stopped::Clean,
            connections => Stopped::Cut { connections },
        }
    }

    /// Waits until the cores have done what they were told before.
    fn settle(&self) {
        let (show, shown) = channel();
        self.to_all(|| Order::Show(show.clone()));
        drop(show);
        let until = Instant::now() + AT_ONCE;
        // There is nothing to show any more; it ends when the last core has said so.
        while shown.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    }

    fn to_all(&self, order: impl Fn() -> Order) {
        for core in &self.orders {
            // A core that is gone needs no orders.
            let _ = core.send(order());
        }
    }

    fn to_first(&self, order: Order) {
        if let Some(first) = self.orders.first() {
            let _ = first.send(order);
        }
    }
}

/// The door for QUIC of a process that starts. It is not handed over: packets of one connection would
/// come to both processes.
enum FirstQuic {
    Now(SocketAddr, QuicDoor),
    /// Another process has it, which is about to leave.
    Later(SocketAddr, quinn::ServerConfig),
}

impl FirstQuic {
    fn bind(
        prepared: &Prepared,
        doors: &Doors,
        takes_over: bool,
    ) -> Result<Option<FirstQuic>, StartError> {
        let Some((settings, place)) = prepared.quic().zip(doors.https()) else {
            return Ok(None);
        };
        let address = place.bound;
        match bind_quic(address, settings) {
            Err(StartError::ListenUdp { source, .. })
                if takes_over && source.kind() == io::ErrorKind::AddrInUse =>
            {
                Ok(Some(FirstQuic::Later(address, settings.clone())))
            }
            door => Ok(Some(FirstQuic::Now(address, door?))),
        }
    }
}

fn bind_quic(address: SocketAddr, settings: &quinn::ServerConfig) -> Result<QuicDoor, StartError> {
    QuicDoor::open(address, settings.clone())
        .map_err(|source| StartError::ListenUdp { address, source })
}

/// Waits until every core accepts at its new doors.
fn all_done(done: &Receiver<io::Result<()>>, cores: usize) -> Result<(), StartError> {
    for _ in 0..cores {
        let one = done.recv_timeout(AT_ONCE);
        one.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(StartError::Thread)?;
    }
    Ok(())
}

/// `Alt-Svc` for HTTP/3 at this address.
fn alternative(address: SocketAddr) -> Option<HeaderValue> {
    let value = format!("h3=\":{}\"; ma={}", address.port(), REMEMBERED.as_secs());
    HeaderValue::from_str(&value).ok()
}

/// How often stopping looks whether it is done.
const STOP_LOOK: Duration = Duration::from_millis(5);

/// What the access log gets for its last lines where the deadline leaves it less.
const LAST_LINES: Duration = Duration::from_secs(1);

fn log_path(config: &Config) -> PathBuf {
    match &config.log.access {
        config::AccessLog::File(path) => path.clone(),
        config::AccessLog::Off | config::AccessLog::Stdout => PathBuf::from("stdout"),
    }
}

fn cores_here() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl StatusDoor {
    fn open(
        wished: SocketAddr,
        any_port: bool,
        inherited: &mut Inherited,
        background: &Runtime,
    ) -> Result<StatusDoor, StartError> {
        let taken = inherited.take(wished).and_then(|mut it| it.pop());
        let (socket, bound) = match taken {
            Some(socket) => (socket, wished),
            None => open_first(wished, any_port)?,
        };
        let _entered = background.enter();
        let listener = TcpListener::from_std(socket.into())
            .map_err(|source| StartError::Listen { address: bound, source })?;
        Ok(StatusDoor { bound, listener: Arc::new(listener), serving: None })
    }
}

async fn watch_memory(plane: Arc<Plane>) {
    let full = || {
        plane.loud.report(Trouble::MemoryFull, 1);
        plane.pressure.press();
    };
    plane.memory.clone().watch(full).await;
}
