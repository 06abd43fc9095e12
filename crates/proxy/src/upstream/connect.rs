//! Opens connections to targets, and names why one was not opened.

use super::tap::Tap;
use crate::loud::Trouble;
use crate::timer::Alarm;
use exchange::{Address, ConnectFault, Limit};
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::time::Instant;
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

fn tcp(stream: TcpStream) -> Opened {
    // A request head and its body are two writes; the second must not wait for the first's ACK.
    let _ = stream.set_nodelay(true);
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
