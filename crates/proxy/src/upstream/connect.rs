//! Opens connections to targets, and names why one was not opened.

use super::pool::PROBES;
use super::tap::Tap;
use crate::loud::Trouble;
use crate::timer::Alarm;
use exchange::{Address, ConnectFault, Limit};
use rustix::io::Errno;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};

/// A connection before TLS.
pub(crate) enum Opened {
    Tcp(Tap),
    Unix(UnixStream),
}

/// Why there is none, with the system's number where it gave one.
pub(crate) struct NotOpened {
    pub(crate) fault: ConnectFault,
    pub(crate) errno: Option<i32>,
}

impl NotOpened {
    /// Another address may do better, and this one be no longer the target's.
    pub(crate) fn is_by_address(&self) -> bool {
        matches!(
            self.fault,
            ConnectFault::Refused
                | ConnectFault::TimedOut(_)
                | ConnectFault::HostUnreachable
                | ConnectFault::NetworkUnreachable
                | ConnectFault::Reset
        )
    }

    /// What was short on our own host, if that is why.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        trouble(self.fault)
    }
}

/// What is short on our own host where a connection is not opened for that.
pub(crate) fn trouble(fault: ConnectFault) -> Option<Trouble> {
    match fault {
        ConnectFault::NoDescriptors => Some(Trouble::NoDescriptors),
        ConnectFault::NoLocalPort => Some(Trouble::NoPorts),
        ConnectFault::NoMemory => Some(Trouble::NoSocketMemory),
        _ => None,
    }
}

pub(crate) async fn open(
    address: &Address,
    alarm: &Alarm,
    until: Instant,
    limit: Limit,
) -> Result<Opened, NotOpened> {
    named(alarm.until(until, dial(address)).await, address, limit)
}

/// Dials for as long as it takes.
pub(crate) async fn dial(address: &Address) -> io::Result<Opened> {
    match address {
        Address::Inet(address) => TcpStream::connect(*address).await.map(tcp),
        Address::Unix(path) => unix(path).await,
    }
}

/// What came of it; `None` where the limit fired.
pub(crate) fn named(
    dialled: Option<io::Result<Opened>>,
    address: &Address,
    limit: Limit,
) -> Result<Opened, NotOpened> {
    match dialled {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(error)) => Err(not_opened(&error, address, limit)),
        None => Err(NotOpened { fault: ConnectFault::TimedOut(limit), errno: None }),
    }
}

/// Time between the beginnings of two connections to addresses of one name (RFC 8305 5).
pub(crate) const STAGGER: Duration = Duration::from_millis(250);

/// Connections that are being opened to addresses of one name; dropping it gives them up.
#[derive(Default)]
pub(crate) struct Race(Vec<Runner>);

struct Runner {
    address: SocketAddr,
    began: Instant,
    opening: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl Race {
    pub(crate) fn start(&mut self, address: SocketAddr) {
        let opening = Box::pin(TcpStream::connect(address));
        self.0.push(Runner { address, began: Instant::now(), opening });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next that is done; never where none is there.
    pub(crate) fn poll(
        &mut self,
        limit: Limit,
        cx: &mut Context<'_>,
    ) -> Poll<(SocketAddr, Result<Opened, NotOpened>)> {
        for at in 0..self.0.len() {
            if let Poll::Ready(done) = self.0[at].opening.as_mut().poll(cx) {
                let address = self.0.remove(at).address;
                let opened = done.map(tcp);
                let failed = |it| not_opened(&it, &Address::Inet(address), limit);
                return Poll::Ready((address, opened.map_err(failed)));
            }
        }
        Poll::Pending
    }

    /// Those that are not done, and since when they are at it.
    pub(crate) fn left(&self) -> impl Iterator<Item = (SocketAddr, Instant)> {
        self.0.iter().map(|it| (it.address, it.began))
    }
}

fn tcp(stream: TcpStream) -> Opened {
    // A request head and its body are two writes; the second must not wait for the first's ACK.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&PROBES);
    Opened::Tcp(Tap::new(stream))
}

async fn unix(path: &Arc<str>) -> io::Result<Opened> {
    UnixStream::connect(&**path).await.map(Opened::Unix)
}

fn not_opened(error: &io::Error, address: &Address, limit: Limit) -> NotOpened {
    let errno = error.raw_os_error();
    let unix = matches!(address, Address::Unix(_));
    let fault = match errno.map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) if unix => ConnectFault::SocketStale,
        Some(Errno::CONNREFUSED) => ConnectFault::Refused,
        Some(Errno::TIMEDOUT) => ConnectFault::TimedOut(limit),
        Some(Errno::HOSTUNREACH) => ConnectFault::HostUnreachable,
        Some(Errno::NETUNREACH) => ConnectFault::NetworkUnreachable,
        Some(Errno::ACCESS) => ConnectFault::PermissionDenied,
        Some(Errno::PERM) => ConnectFault::NotPermitted,
        Some(Errno::ADDRNOTAVAIL) => ConnectFault::NoLocalPort,
        Some(Errno::MFILE | Errno::NFILE) => ConnectFault::NoDescriptors,
        Some(Errno::NOBUFS | Errno::NOMEM) => ConnectFault::NoMemory,
        Some(Errno::CONNRESET) => ConnectFault::Reset,
        Some(Errno::NOENT | Errno::NOTDIR) if unix => ConnectFault::SocketMissing,
        Some(Errno::AGAIN) if unix => ConnectFault::BacklogFull,
        _ => ConnectFault::Errno,
    };
    NotOpened { fault, errno }
}
