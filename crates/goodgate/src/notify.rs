//! What a service manager is told, by the protocol of sd_notify(3): datagrams to `NOTIFY_SOCKET`.

use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, where there is one.
pub(crate) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
}

impl Notify {
    pub(crate) fn from_environment() -> Notify {
        let name = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        Notify { to: open(name.as_bytes()).ok() }
    }

    /// Serving, by the configuration that is there now. The number of the process is of interest
    /// where another one was the service's main process before; systemd takes it only from units
    /// with `NotifyAccess=all`.
    pub(crate) fn ready(&self, status: &str) {
        let pid = std::process::id();
        self.send(&format!("READY=1\nMAINPID={pid}\nSTATUS={}", line(status)));
    }

    /// A reload begins; `ready` ends it, however it ended.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let micros = seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"));
    }

    pub(crate) fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", line(status)));
    }

    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", line(status)));
    }

    /// The loop that obeys signals and orders is alive.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// A manager that does not listen must not hold us up, and need not be waited for.
    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// `/path`, or `@name` for the abstract namespace of Linux.
fn open(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Lines separate one variable from the next.
fn line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// How long the service manager waits for a sign of life, in microseconds: `WATCHDOG_USEC`, unless
/// `WATCHDOG_PID` says that another process is meant (`sd_watchdog_enabled(3)`).
pub(crate) fn watchdog_micros() -> Option<u64> {
    let number = |name| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let ours = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|it| ours && 0 < *it)
}

/// When to say so again: twice as often as is waited for.
pub(crate) fn watchdog_pause(micros: u64) -> Duration {
    Duration::from_micros(micros / 2).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[track_caller]
    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_kind_of_address_is_reached() {
        let scratch = Scratch::new("notify");
        let path = scratch.path().join("notify.sock");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("goodgate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (at, socket) in
            [(path.to_str().unwrap().to_owned(), by_path), (format!("@{name}"), by_name)]
        {
            let notify = Notify { to: open(at.as_bytes()).ok() };
            notify.ready("serving\nREADY=0");
            let pid = std::process::id();
            assert_eq!(heard(&socket), format!("READY=1\nMAINPID={pid}\nSTATUS=serving"));
            notify.reloading();
            assert!(heard(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        }
    }

    #[test]
    fn without_a_manager_nobody_is_told() {
        for name in ["", "relative", "vsock:2:1"] {
            let notify = Notify { to: open(name.as_bytes()).ok() };
            assert!(notify.to.is_none());
            notify.alive();
        }
    }
}
