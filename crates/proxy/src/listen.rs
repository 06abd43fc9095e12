//! Accepts connections on every core, and serves each on the core that has the most room.

mod connect;
pub(crate) mod floods;
mod http2;
pub(crate) mod http3;
pub(crate) mod proxied;
pub(crate) mod streams;
pub(crate) mod tls;

use crate::contain::contained;
use crate::crowd::{Admitted, Reserve, turn_away};
use crate::doors::{BACKLOG, PlaceId};
use crate::front::{Front, Link, Transport};
use crate::inbound::Inbound;
use crate::listen::http3::quic::{self, Offered};
use crate::loud::Trouble;
use crate::seat::Seat;
use crate::serve::{begin, cut_head, serve, unserved};
use crate::worker::Worker;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

/// Connections on their way from one core to another.
const HANDED_OVER: usize = 1024;

/// When no descriptor is left, accepting again at once would only burn the core.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

/// How a door is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Whoever waits there is let in first: with the socket its queue would be reset.
    Empty,
    /// Another process accepts from the same queue.
    HandedOver,
}

/// A connection that has been accepted.
pub(crate) enum Guest {
    Tcp { stream: StdStream, peer: SocketAddr, tls: Option<TlsAcceptor>, admitted: Admitted },
    Quic(Box<Offered>),
}

/// How full the cores are, and how to give one a connection.
pub(crate) struct Cores {
    counts: Vec<AtomicUsize>,
    ways: Vec<mpsc::Sender<Placed>>,
}

/// A connection and the core that it counts for, from the moment on that it is on its way there.
pub(crate) struct Placed {
    guest: Guest,
    counted: CoreCount,
}

impl Cores {
    pub(crate) fn new(count: usize) -> (Arc<Cores>, Vec<mpsc::Receiver<Placed>>) {
        let (ways, arrivals) = (0..count).map(|_| mpsc::channel(HANDED_OVER)).unzip();
        let counts = (0..count).map(|_| AtomicUsize::new(0)).collect();
        (Arc::new(Cores { counts, ways }), arrivals)
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.iter().map(|it| it.load(Relaxed)).sum()
    }

    /// The emptiest core, where `here` has two connections more than it, or any while that one has none:
    /// few connections, as of HTTP/2, shall not meet on one core.
    fn emptier(&self, here: usize) -> Option<usize> {
        let mine = self.counts[here].load(Relaxed);
        let (at, least) =
            self.counts.iter().map(|it| it.load(Relaxed)).enumerate().min_by_key(|(_, it)| *it)?;
        (least + 2 <= mine || least == 0 && 0 < mine).then_some(at)
    }

    /// Serves a connection on the emptiest core, or `here` where that has no time.
    fn place(self: &Arc<Cores>, worker: &Rc<Worker>, guest: Guest, here: usize) {
        let left = match self.emptier(here) {
            None => Some(guest),
            Some(there) => self.hand_over(guest, there).err(),
        };
        if let Some(guest) = left {
            welcome(worker, Placed { guest, counted: CoreCount::new(self, here) });
        }
    }

    /// Gives it back where that core has no time.
    fn hand_over(self: &Arc<Cores>, guest: Guest, there: usize) -> Result<(), Guest> {
        let placed = Placed { guest, counted: CoreCount::new(self, there) };
        self.ways[there].try_send(placed).map_err(|it| it.into_inner().guest)
    }
}

/// Counts one connection of a core.
pub(crate) struct CoreCount {
    cores: Arc<Cores>,
    here: usize,
}

impl CoreCount {
    fn new(cores: &Arc<Cores>, here: usize) -> CoreCount {
        cores.counts[here].fetch_add(1, Relaxed);
        CoreCount { cores: cores.clone(), here }
    }
}

impl Drop for CoreCount {
    fn drop(&mut self) {
        self.cores.counts[self.here].fetch_sub(1, Relaxed);
    }
}

/// Accepts at one door until it is closed.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    listener: Rc<TcpListener>,
    place: PlaceId,
    here: usize,
    mut closes: oneshot::Receiver<()>,
) {
    let mut reserve = Reserve::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut closes => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Whatever happens to one, others come.
                let _ = contained(None, || admit(&worker, stream, peer, place, here));
            }
            Err(error) => {
                worker.plane.client_errors.fetch_add(1, Relaxed);
                let Some(trouble) = Trouble::of_socket(&error) else {
                    continue;
                };
                worker.short_of(trouble);
                let speaks_tls = worker.snapshot().acceptor(place).is_some();
                let words = (!speaks_tls).then_some(&worker.plane.turned_away);
                if !reserve.turn_one_away(&listener, words).await {
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }
}

/// Lets in whoever waits at a door that is about to be closed: with the socket its queue would be
/// reset. It is no longer than [`BACKLOG`]; more than that come anew.
pub(crate) async fn let_in(
    worker: &Rc<Worker>,
    listener: &TcpListener,
    place: PlaceId,
    here: usize,
) {
    let mut tries = AT_A_CLOSED_DOOR;
    for count in 1..=BACKLOG {
        // Asked of the system itself: what tokio knows of the queue may be older.
        let error = match SockRef::from(listener).accept() {
            Ok((socket, peer)) => {
                let stream = socket.set_nonblocking(true);
                let stream = stream.and_then(|()| TcpStream::from_std(socket.into()));
                if let (Ok(stream), Some(peer)) = (stream, peer.as_socket()) {
                    let _ = contained(None, || admit(worker, stream, peer, place, here));
                }
                if count % 256 == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            Err(error) => error,
        };
        match Trouble::of_socket(&error) {
            Some(trouble) if 0 < tries => {
                tries -= 1;
                worker.short_of(trouble);
                tokio::time::sleep(NO_DESCRIPTOR).await;
            }
            None if error.kind() != io::ErrorKind::WouldBlock => {}
            Some(_) | None => return,
        }
    }
}

/// How often accepting is tried again where descriptors are short and the door is to be closed.
const AT_A_CLOSED_DOOR: usize = 20;

/// Serves a new connection here, or on the core with the most room.
fn admit(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr, place: PlaceId, here: usize) {
    let cores = &worker.plane.cores;
    let tls = worker.snapshot().acceptor(place);
    let admitted = match worker.admit(peer) {
        Ok(admitted) => admitted,
        Err(refusal) => return turn_away(worker, stream, tls.is_some(), refusal),
    };
    // Without either, answers come all the same.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    if cores.emptier(here).is_none() {
        let counted = CoreCount::new(cores, here);
        receive(worker, stream, peer, tls, (counted, admitted));
    } else if let Ok(stream) = stream.into_std() {
        cores.place(worker, Guest::Tcp { stream, peer, tls, admitted }, here);
    }
}

/// Of an answer, what the kernel holds that has not been sent, in bytes, and TLS before it. Without it
/// that is megabytes, and it is not seen for minutes that a slow client takes them. More is taken when
/// half of it has gone: who takes `limits.client_rate` is seen to do so within `listen.timeout.body`.
const UNSENT: u32 = 16 * 1024;

/// Serves what other cores accepted.
pub(crate) async fn take_over(worker: Rc<Worker>, mut placed: mpsc::Receiver<Placed>) {
    while let Some(placed) = placed.recv().await {
        let _ = contained(None, || welcome(&worker, placed));
    }
}

fn welcome(worker: &Rc<Worker>, Placed { guest, counted }: Placed) {
    match guest {
        Guest::Tcp { stream, peer, tls, admitted } => {
            if let Ok(stream) = TcpStream::from_std(stream) {
                receive(worker, stream, peer, tls, (counted, admitted));
            }
        }
        Guest::Quic(offered) => quic::receive(worker, *offered, counted),
    }
}

fn receive(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    place: (CoreCount, Admitted),
) {
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        let _place = place;
        let limit = worker.bounds.head.get();
        // On the heap, as all is that an idle connection has no need of.
        let greeted = Box::pin(tokio::time::timeout(limit, greet(&worker, stream, peer, tls)));
        match greeted.await {
            Ok(Ok((io, peer))) => {
                converse(worker, io, peer).await;
            }
            Ok(Err(_)) | Err(_) => {
                worker.plane.client_errors.fetch_add(1, Relaxed);
            }
        }
    });
}

/// What comes before HTTP: who calls, where a proxy says it, and TLS.
async fn greet(
    worker: &Worker,
    mut stream: TcpStream,
    mut peer: SocketAddr,
    tls: Option<TlsAcceptor>,
) -> io::Result<(ClientIo, SocketAddr)> {
    let snapshot = worker.snapshot();
    let listen = &snapshot.config.listen;
    let ip = peer.ip().to_canonical();
    if listen.proxy_protocol && listen.trusted_proxies.iter().any(|it| it.contains(&ip)) {
        peer = proxied::caller(&mut stream).await?.unwrap_or(peer);
    }
    let io = match tls {
        None => ClientIo::Plain(stream),
        Some(acceptor) => {
            let mut stream = acceptor.accept(stream).await?;
            stream.get_mut().1.set_buffer_limit(Some(UNSENT as usize));
            ClientIo::Tls(Box::new(stream))
        }
    };
    Ok((io, peer))
}

/// One client's connection, from its first byte to its last.
async fn converse(worker: Rc<Worker>, io: ClientIo, peer: SocketAddr) {
    let link = Link::new();
    let (tls, chosen) = match &io {
        ClientIo::Plain(_) => (false, None),
        ClientIo::Tls(it) => (true, it.get_ref().1.alpn_protocol()),
    };
    let by_name = chosen == Some(tls::HTTP2);
    let seat = Seat::new(worker.clone(), link.clone(), peer, tls);
    let http2 = worker.snapshot().config.listen.http2;
    // Without TLS there is nobody to ask: the preface says it (RFC 9113 3.3).
    let by_preface = http2 && !tls;
    let bounds = worker.bounds.clone();
    let mut front = Front::new(io, link.clone(), bounds, &worker.timer, by_preface);
    if by_name {
        return Box::pin(http2::converse(seat, front.into_raw())).await;
    }
    let mut ended = true;
    while poll_fn(|cx| front.poll_awake(cx)).await {
        (front, ended) = Box::pin(talk(&seat, front)).await;
        if link.switched.get() {
            return Box::pin(http2::converse(seat, front.into_raw())).await;
        }
        let tunnel = link.tunnel.take();
        if let Some(tunnel) = tunnel {
            return Box::pin(tunnel.join(front.into_raw())).await;
        }
        if !front.is_resting() {
            break;
        }
    }
    if ended {
        let _ = front.shutdown().await;
    }
    drop(front);
    if let Some(cut) = link.cut_head.take() {
        cut_head(&seat, &cut);
    }
    while let Some(note) = link.next_head() {
        unserved(&seat, &note);
    }
}

/// From the first byte of a request until the client is idle for a while or the connection has
/// ended; whether it ended well.
async fn talk(seat: &Rc<Seat>, mut front: Front<ClientIo>) -> (Front<ClientIo>, bool) {
    let service = {
        let seat = seat.clone();
        service_fn(move |request: Request<Incoming>| {
            let begun = begin(&seat, request.map(Inbound::Http1));
            // On the heap, so that the connection can be taken apart when it is over.
            begun.serving(|begun| Box::pin(serve(begun)))
        })
    };
    let limits = seat.worker.limits();
    front.feeds(limits.clone());
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).auto_date_header(false);
    if 100 < limits.request_fields {
        builder.max_headers(limits.request_fields + 1);
    }
    builder.max_buf_size(HYPER_BUFFER.max(limits.request_head * 2));
    let mut connection = builder.serve_connection(TokioIo::new(front), service);
    // An error here is a client that left or broke off; its exchanges are recorded by themselves.
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let parts = connection.into_parts();
    let front = parts.io.into_inner();
    debug_assert!(parts.read_buf.is_empty() || !front.is_resting(), "a whole request was not read");
    (front, ended.is_ok())
}

/// hyper's own bound for what it buffers of a connection; answers are streamed through it.
const HYPER_BUFFER: usize = 128 * 1024;

/// A client's connection, plain or under TLS.
pub(crate) enum ClientIo {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Transport for ClientIo {
    fn reset_on_drop(&self) {
        let socket = match self {
            ClientIo::Plain(it) => it,
            ClientIo::Tls(it) => it.get_ref().0,
        };
        // If even this fails the connection ends without its last chunk, which shows as well.
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(it) => Pin::new(it).poll_read(cx, buf),
            ClientIo::Tls(it) => Pin::new(&mut **it).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ClientIo::Plain(it) => Pin::new(it).poll_write(cx, buf),
            ClientIo::Tls(it) => Pin::new(&mut **it).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ClientIo::Plain(it) => Pin::new(it).poll_write_vectored(cx, bufs),
            ClientIo::Tls(it) => Pin::new(&mut **it).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(it) => Pin::new(it).poll_flush(cx),
            ClientIo::Tls(it) => Pin::new(&mut **it).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ClientIo::Plain(it) => Pin::new(it).poll_shutdown(cx),
            ClientIo::Tls(it) => Pin::new(&mut **it).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crowd::Crowd;

    #[test]
    fn a_connection_counts_from_when_it_is_on_its_way() {
        let (cores, mut arrivals) = Cores::new(2);
        let here: Vec<_> = (0..2).map(|_| CoreCount::new(&cores, 0)).collect();
        assert_eq!(cores.emptier(0), Some(1));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = StdStream::connect(peer).unwrap();
        let admitted = Crowd::new(&crate::framing::limits()).admit(peer.ip(), || false);
        let admitted = admitted.ok().unwrap();
        let guest = Guest::Tcp { stream, peer, tls: None, admitted };
        cores.hand_over(guest, 1).ok().unwrap();
        // Whoever waits for the last one to end waits for it too, and the next one goes elsewhere.
        assert_eq!(cores.connections(), 3);
        assert_eq!(cores.emptier(0), None);
        drop(arrivals[1].try_recv().unwrap());
        assert_eq!(cores.connections(), 2);
        drop(here);
    }
}
