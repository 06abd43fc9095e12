//! Starts the data plane, and stops it without losing what is in flight.

use crate::Plane;
use crate::hearing::Hearing;
use crate::listen::floods::Floods;
use crate::listen::http3::quic::{self, Load, QuicDoor};
use crate::listen::tls::acceptor;
use crate::listen::{Cores, Door, Placed, accept, bind, take_over};
use crate::log::{LogWriter, Style, open};
use crate::metrics::Shard;
use crate::registry::Registry;
use crate::reports::Reports;
use crate::snapshot::Snapshot;
use crate::upstream::resolve::Names;
use crate::witness::Witness;
use crate::worker::Worker;
use config::Config;
use http::header::HeaderValue;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// How many ports after the wished one are tried when nobody wrote which to take.
const NEXT_PORTS: u16 = 20;

/// What the caller of the data plane decides.
pub struct Options {
    pub style: Style,
    /// Nobody wrote a port: another one will do where the usual is taken.
    pub any_port: bool,
    /// Set to have file logs opened anew.
    pub reopen: Arc<AtomicBool>,
    /// The app that the gateway has started, where it has.
    pub witness: Option<Arc<Witness>>,
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

/// A running data plane.
pub struct Gateway {
    plane: Arc<Plane>,
    http: Vec<SocketAddr>,
    https: Option<SocketAddr>,
    status: Option<SocketAddr>,
    phase: watch::Sender<StopPhase>,
    threads: Vec<JoinHandle<()>>,
    background: Runtime,
    writer: LogWriter,
    shutdown: config::Shutdown,
}

/// How far stopping has come; each core follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum StopPhase {
    Running,
    /// Still accepting; every answer ends its connection.
    Draining,
    /// No longer accepting.
    Closed,
    /// What is left is cut.
    Cut,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every client had its answer.
    Clean,
    /// The deadline passed, or somebody was in a hurry, with so many connections open.
    Cut { connections: usize },
}

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
        let (log, writer) = open(&config.log.access, options.style, options.reopen)
            .map_err(|source| StartError::Log { path: log_path(&config), source })?;

        let count = config.workers.unwrap_or_else(cores_here);
        let (cores, arrivals) = Cores::new(count);
        let shards: Vec<_> = (0..count).map(|_| Arc::new(Shard::default())).collect();
        let via = format!("{} ({:016x})", config.answers.name, rand::random::<u64>());
        let via_field = HeaderValue::from_str(&format!("1.1 {via}"))
            .map_err(|it| StartError::Tls(it.to_string()))?;
        let doors = Doors::open(&config, count, options.any_port, &provider)?;
        let plane = Arc::new(Plane {
            name: config.answers.name.clone(),
            via,
            via_field,
            registry: Registry::default(),
            names: Names::new(&config.dns, background.handle().clone()),
            reports: Reports::default(),
            hearing: options.witness.map(|it| Hearing::new(it, background.handle().clone())),
            log,
            cores,
            shards,
            client_errors: AtomicU64::new(0),
            floods: Floods::default(),
            http3_floods: Floods::default(),
            quic: Load::default(),
            alternative: doors.alternative(),
            stopping: AtomicBool::new(false),
        });
        let roots = roots(&config);
        let status = start_status(&config, &background, &plane, options.any_port)?;
        let (phase, phases) = watch::channel(StopPhase::Running);
        let (http, https) = (doors.http.clone(), doors.https);
        let (opened, quic_opened) = std::sync::mpsc::channel();
        // On the first core, wherever its connections go.
        let mut quic = doors.quic.map(|door| (door, opened));
        let mut threads = Vec::with_capacity(count);
        for ((here, guests), doors) in arrivals.into_iter().enumerate().zip(doors.by_core) {
            let snapshot = Snapshot::new(config.clone(), &plane.registry, &roots, &provider, 1)?;
            let quic = quic.take();
            let core = Core { plane: plane.clone(), here, snapshot, doors, quic, guests };
            let phases = phases.clone();
            let thread = std::thread::Builder::new()
                .name(format!("core-{here}"))
                .spawn(move || core.run(phases))
                .map_err(StartError::Thread)?;
            threads.push(thread);
        }
        // Nothing is sent where there is no such door.
        if let Ok(Err(source)) = quic_opened.recv() {
            let address = https.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
            return Err(StartError::ListenUdp { address, source });
        }
        let shutdown = config.shutdown.clone();
        Ok(Gateway { plane, http, https, status, phase, threads, background, writer, shutdown })
    }

    #[must_use]
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    #[must_use]
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// HTTP/3 is spoken at the address of [`Gateway::https`].
    #[must_use]
    pub fn http3(&self) -> bool {
        self.plane.alternative.is_some()
    }

    #[must_use]
    pub fn status(&self) -> Option<SocketAddr> {
        self.status
    }

    /// Finishes what is in flight and ends. Blocks; `hurry` cuts it short.
    pub fn stop(self, hurry: &AtomicBool) -> Stopped {
        let began = Instant::now();
        let open = || self.plane.cores.connections();
        self.plane.stopping.store(true, Relaxed);
        self.to(StopPhase::Draining);
        let wait = |until: Instant| {
            while Instant::now() < until && 0 < open() && !hurry.load(Relaxed) {
                std::thread::sleep(STOP_LOOK);
            }
        };
        wait(began + self.shutdown.grace.min(self.shutdown.deadline));
        self.to(StopPhase::Closed);
        wait(began + self.shutdown.deadline);
        let connections = open();
        self.to(StopPhase::Cut);
        for thread in self.threads {
            // A panic has been printed where it happened.
            let _ = thread.join();
        }
        self.background.shutdown_timeout(Duration::from_millis(100));
        drop(self.plane);
        let last = (began + self.shutdown.deadline).max(Instant::now() + LAST_LINES);
        self.writer.join(|| Instant::now() < last && !hurry.load(Relaxed));
        match connections {
            0 => Stopped::Clean,
            connections => Stopped::Cut { connections },
        }
    }

    fn to(&self, phase: StopPhase) {
        // Without a receiver every core has ended already.
        let _ = self.phase.send(phase);
    }
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

/// One core's thread.
struct Core {
    plane: Arc<Plane>,
    here: usize,
    snapshot: Snapshot,
    doors: Vec<Door>,
    /// The door for QUIC, and whom to tell that it is open.
    quic: Option<(QuicDoor, Opened)>,
    guests: mpsc::Receiver<Placed>,
}

type Opened = std::sync::mpsc::Sender<io::Result<()>>;

impl Core {
    fn run(self, mut phases: watch::Receiver<StopPhase>) {
        let built = Builder::new_current_thread()
            .enable_all()
            .event_interval(31)
            .build_local(LocalOptions::default());
        let Ok(runtime) = built else {
            return;
        };
        let shard = self.plane.shards[self.here].clone();
        let worker = Worker::new(self.plane, self.snapshot, shard);
        runtime.block_on(async {
            tokio::task::spawn_local(worker.timer.clone().run());
            tokio::task::spawn_local(worker.clone().keep_house());
            tokio::task::spawn_local(take_over(worker.clone(), self.guests));
            let mut doors: Vec<_> = self
                .doors
                .into_iter()
                .map(|door| tokio::task::spawn_local(accept(worker.clone(), door, self.here)))
                .collect();
            let mut endpoint = None;
            if let Some((door, opened)) = self.quic {
                let made = door.endpoint().map(|made| {
                    let accepting = quic::accept(worker.clone(), made.clone(), self.here);
                    let task = tokio::task::spawn_local(async move {
                        accepting.await;
                        Ok(())
                    });
                    doors.push(task);
                    endpoint = Some(made);
                });
                // Whoever started us waits for it.
                let _ = opened.send(made);
            }
            while let Ok(()) = phases.changed().await {
                let phase = *phases.borrow_and_update();
                match phase {
                    StopPhase::Running => {}
                    StopPhase::Draining => worker.drain(),
                    StopPhase::Closed => doors.iter().for_each(|it| it.abort()),
                    StopPhase::Cut => break,
                }
            }
            quic::cut(&worker.plane.quic, endpoint).await;
        });
        // Dropping the runtime drops every connection, and each dropped exchange is recorded.
        drop(runtime);
        worker.flush();
    }
}

/// The listening sockets, one set for each core.
struct Doors {
    http: Vec<SocketAddr>,
    https: Option<SocketAddr>,
    by_core: Vec<Vec<Door>>,
    quic: Option<QuicDoor>,
}

/// For how long a client may remember that HTTP/3 is spoken (RFC 7838 3.1).
const REMEMBERED: Duration = Duration::from_secs(3600);

impl Doors {
    /// `Alt-Svc`, where HTTP/3 is spoken.
    fn alternative(&self) -> Option<HeaderValue> {
        let port = self.https.filter(|_| self.quic.is_some())?.port();
        let value = format!("h3=\":{port}\"; ma={}", REMEMBERED.as_secs());
        HeaderValue::from_str(&value).ok()
    }

    fn open(
        config: &Config,
        count: usize,
        any_port: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Doors, StartError> {
        let Config { listen, limits, .. } = config;
        let mut by_core: Vec<Vec<Door>> = (0..count).map(|_| Vec::new()).collect();
        let mut add = |address: SocketAddr, tls: Option<&TlsAcceptor>, any: bool| {
            let (first, address) = open_first(address, any)?;
            let mut first = Some(first);
            for doors in &mut by_core {
                let socket = match first.take() {
                    Some(socket) => socket,
                    None => {
                        bind(address).map_err(|source| StartError::Listen { address, source })?
                    }
                };
                doors.push(Door { socket, tls: tls.cloned() });
            }
            Ok::<SocketAddr, StartError>(address)
        };
        // Read before anything is listened on: a port must not answer while another cannot yet.
        let tls = match &listen.https {
            Some(https) => Some((https.addr, acceptor(https, listen.http2, provider)?)),
            None => None,
        };
        let quic = match listen.https.as_ref().filter(|_| listen.http3) {
            Some(https) => Some(quic::settings(https, limits, provider)?),
            None => None,
        };
        let mut http = Vec::new();
        for address in &listen.http {
            http.push(add(*address, None, any_port && listen.assumed)?);
        }
        let https = match &tls {
            Some((address, acceptor)) => Some(add(*address, Some(acceptor), false)?),
            None => None,
        };
        let quic = match (https, quic) {
            (Some(address), Some(settings)) => Some(
                QuicDoor::open(address, settings)
                    .map_err(|source| StartError::ListenUdp { address, source })?,
            ),
            _ => None,
        };
        Ok(Doors { http, https, by_core, quic })
    }
}

/// Binds exclusively first: two gateways that share a port by accident would each get half of the
/// requests, and nobody would understand why.
fn open_first(address: SocketAddr, any: bool) -> Result<(Socket, SocketAddr), StartError> {
    let tries = if any { NEXT_PORTS } else { 1 };
    let mut last = None;
    for offset in 0..tries {
        let mut address = address;
        if address.port() != 0 {
            address.set_port(address.port().saturating_add(offset));
        }
        match is_free(address).and_then(|()| bind(address)) {
            Ok(socket) => {
                let bound = socket.local_addr().ok().and_then(|it| it.as_socket());
                return Ok((socket, bound.unwrap_or(address)));
            }
            Err(source) => last = Some(StartError::Listen { address, source }),
        }
    }
    Err(last.unwrap_or_else(|| StartError::Tls("no port was tried".to_owned())))
}

fn is_free(address: SocketAddr) -> io::Result<()> {
    use socket2::{Domain, Protocol, Type};
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// The system's roots, else a built-in set. Nothing is read where nothing is verified by them.
fn roots(config: &Config) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let needed = config
        .upstreams
        .iter()
        .any(|it| it.tls.ca.is_none() && it.tls.verify && it.targets.iter().any(|it| it.tls));
    if !needed {
        return roots;
    }
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn start_status(
    config: &Config,
    background: &Runtime,
    plane: &Arc<Plane>,
    any_port: bool,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(wished) = config.status else {
        return Ok(None);
    };
    let any = any_port && config.listen.assumed;
    let (socket, address) = open_first(wished, any)?;
    let plane = plane.clone();
    let listener = {
        let _entered = background.enter();
        tokio::net::TcpListener::from_std(socket.into())
            .map_err(|source| StartError::Listen { address, source })?
    };
    background.spawn(crate::status::serve(listener, plane));
    Ok(Some(address))
}
