//! QUIC (RFC 9000): the socket, how connections come from it to the cores, and how many may come.
//!
//! One socket and one endpoint for all cores. A socket a core would be spread over by the kernel by
//! the client's address, which a client of QUIC may change in the middle of a connection (RFC 9000
//! 9): its packets would come to a core that knows nothing of it. The endpoint, on the first core,
//! only tells by the connection's own number whose packet it is; handshake, decryption, sending and
//! HTTP happen on the core that a connection was given to, which is the one with the most room.

use super::converse;
use super::frames::code;
use crate::StartError;
use crate::listen::floods::Flood;
use crate::listen::{CoreCount, Guest, tls};
use crate::worker::Worker;
use config::{Https, Limits};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, TokioRuntime, TransportConfig,
    VarInt,
};
use rustls::crypto::CryptoProvider;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Handshakes at a time from which on clients must show that they receive where they say that they
/// are, before they cost us more (RFC 9000 8.1.2).
const UNPROVEN: usize = 100;

/// Clients that have said a first word and have not been looked at. More are turned away.
const WAITING: usize = 1024;
/// What they may say before, each and all together.
const EARLY: u64 = 64 * 1024;
const EARLY_OF_ALL: u64 = 8 * 1024 * 1024;

/// What a client may send of one body before it is taken. The connection's window is as many times
/// as large as there may be streams, so that one body that nobody takes holds back no other.
const WINDOW: u32 = 128 * 1024;
/// The connection's window while it shakes hands, and in a crowd.
const WINDOW_OF_ALL: u32 = 1024 * 1024;

/// What a client may open of streams of one direction: control, two of QPACK, and some of unknown
/// kinds that come and go (RFC 9114 6.2).
const ASIDE: u32 = 8;

/// What we keep for one client until it says that it has come.
const UNACKNOWLEDGED: u64 = 4 * 1024 * 1024;
/// The same while it shakes hands, and in a crowd.
const UNACKNOWLEDGED_IN_A_CROWD: u64 = 512 * 1024;

/// So many connections have room for all that their streams may need: with 100 streams 17.5 MiB each
/// that a hostile client can make us hold, 4.4 GiB together. Each one more has 1.5 MiB.
const CROWD: usize = 256;

/// A client of which nothing is heard for so long is gone, whatever it waits for.
const GONE: Duration = Duration::from_secs(30);
/// How often one that has nothing to say is asked whether it is there, so that it is not taken for
/// gone while it waits for an answer, and does not take us for that.
const ASK: Duration = Duration::from_secs(10);

/// How long the last packets may take to leave us.
const LAST_WORD: Duration = Duration::from_millis(20);

/// What the system may keep of packets that we have not taken. It gives less where it must.
const RECEIVED: usize = 2 * 1024 * 1024;

/// The socket for QUIC, and what is said on it.
pub(crate) struct QuicDoor {
    socket: UdpSocket,
    config: quinn::ServerConfig,
}

/// How many connections of QUIC there are, over all cores.
#[derive(Default)]
pub(crate) struct Load {
    open: AtomicUsize,
    shaking: AtomicUsize,
}

impl QuicDoor {
    /// Binds exclusively: packets for one gateway must not come to another.
    pub(crate) fn open(address: SocketAddr, config: quinn::ServerConfig) -> io::Result<QuicDoor> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        let _ = socket.set_recv_buffer_size(RECEIVED);
        socket.bind(&address.into())?;
        Ok(QuicDoor { socket: socket.into(), config })
    }

    /// On the core that is to take packets from it.
    pub(crate) fn endpoint(self) -> io::Result<Endpoint> {
        let mut config = EndpointConfig::default();
        // `h3` is what is spoken over version 1 (RFC 9114 3.1), not over its drafts.
        config.supported_versions(vec![1]);
        Endpoint::new(config, Some(self.config), self.socket, Arc::new(TokioRuntime))
    }
}

pub(crate) fn settings(
    https: &Https,
    limits: &Limits,
    provider: &Arc<CryptoProvider>,
) -> Result<quinn::ServerConfig, StartError> {
    let wrong = |why: String| StartError::Tls(why);
    let tls = Arc::new(tls::quic(https, provider)?);
    // Whatever suites are allowed, the first packets are always under this one (RFC 9001 5.2).
    let initial = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|it| it.quic_suite())
        .ok_or_else(|| {
            wrong("there is no cipher suite for the first packets of QUIC".to_owned())
        })?;
    let crypto =
        QuicServerConfig::with_initial(tls, initial).map_err(|it| wrong(it.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let streams = u32::try_from(limits.http3.streams).unwrap_or(u32::MAX);
    let idle = IdleTimeout::try_from(GONE).map_err(|it| wrong(it.to_string()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(ASIDE))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW_OF_ALL))
        .send_window(UNACKNOWLEDGED_IN_A_CROWD)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(ASK))
        .datagram_receive_buffer_size(None);
    config
        .transport_config(Arc::new(transport))
        .max_incoming(WAITING)
        .incoming_buffer_size(EARLY)
        .incoming_buffer_size_total(EARLY_OF_ALL);
    Ok(config)
}

/// Windows can be widened and not be taken back, so that it is done where there is no crowd.
fn give_room(connection: &Connection, worker: &Worker) {
    if CROWD < worker.plane.quic.open.load(Relaxed) {
        return;
    }
    let streams = u32::try_from(worker.limits().http3.streams).unwrap_or(u32::MAX);
    let window = WINDOW.saturating_mul(streams.saturating_add(ASIDE));
    connection.set_receive_window(VarInt::from_u32(window.max(WINDOW_OF_ALL)));
    connection.set_send_window(UNACKNOWLEDGED);
}

/// Counts for as long as it is kept.
struct Share(Arc<crate::Plane>, fn(&Load) -> &AtomicUsize);

impl Share {
    fn of(worker: &Worker, counter: fn(&Load) -> &AtomicUsize) -> Share {
        counter(&worker.plane.quic).fetch_add(1, Relaxed);
        Share(worker.plane.clone(), counter)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.1(&self.0.quic).fetch_sub(1, Relaxed);
    }
}

/// A connection that is offered to a core.
pub(crate) struct Offered {
    incoming: Incoming,
    open: Share,
    /// It counts from before a core looks at it: a crowd comes faster than that.
    shaking: Share,
}

/// Takes in connections until the core stops accepting.
pub(crate) async fn accept(worker: Rc<Worker>, endpoint: Endpoint, here: usize) {
    let load = &worker.plane.quic;
    while let Some(incoming) = endpoint.accept().await {
        if worker.limits().http3.connections <= load.open.load(Relaxed) {
            worker.plane.http3_floods.count(Flood::Bounds);
            incoming.refuse();
            continue;
        }
        if UNPROVEN <= load.shaking.load(Relaxed) && !incoming.remote_address_validated() {
            // It fails for those alone that have shown it.
            let _ = incoming.retry();
            continue;
        }
        let open = Share::of(&worker, |it| &it.open);
        let shaking = Share::of(&worker, |it| &it.shaking);
        let offered = Offered { incoming, open, shaking };
        worker.plane.cores.place(&worker, Guest::Quic(Box::new(offered)), here);
    }
}

/// Tells the clients that are still there that it is over: no kernel does that for us as it does
/// for TCP. The endpoint's core says so, and each core sends it to its own.
pub(crate) async fn cut(load: &Load, endpoint: Option<Endpoint>) {
    if let Some(endpoint) = endpoint {
        endpoint.close(code::NO_ERROR, b"");
    }
    if 0 < load.open.load(Relaxed) {
        tokio::time::sleep(LAST_WORD).await;
    }
}

/// Serves a connection on this core.
pub(crate) fn receive(worker: &Rc<Worker>, offered: Offered, counted: CoreCount) {
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        let Offered { incoming, open, shaking } = offered;
        let _counted = (counted, open);
        let limit = worker.bounds.head.get();
        // From here on this core drives the connection.
        let shaken = match incoming.accept() {
            Ok(connecting) => tokio::time::timeout(limit, connecting).await,
            Err(error) => Ok(Err(error)),
        };
        drop(shaking);
        match shaken {
            Ok(Ok(connection)) => {
                give_room(&connection, &worker);
                converse(worker, connection).await;
            }
            Ok(Err(_)) | Err(_) => {
                worker.plane.client_errors.fetch_add(1, Relaxed);
            }
        }
    });
}
