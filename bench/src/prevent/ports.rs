//! Ports that stay free while a target is down: the kernel gives none of them to an outgoing
//! connection, which could otherwise keep the target from coming back, or be joined to itself.

use anyhow::{Context as _, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports below are those of well-known services.
const LOWEST: u16 = 18_000;
/// Where ports for outgoing connections begin if the kernel does not say (`man 7 ip`).
const EPHEMERAL: u16 = 32_768;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing has at these addresses now, over TCP and UDP.
pub(crate) fn free_port(addresses: &[Ipv4Addr]) -> Result<u16> {
    let end = first_ephemeral();
    if end <= LOWEST {
        bail!("all ports above {LOWEST} are for outgoing connections here");
    }
    let span = end - LOWEST;
    // Two benchmarks at a time begin at different ports.
    let first = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    for _ in 0..span {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (u32::from(first) + u32::from(step)) % u32::from(span);
        let port = LOWEST + u16::try_from(offset).context("a span of ports fits its type")?;
        if addresses.iter().all(|it| is_free(SocketAddr::from((*it, port)))) {
            return Ok(port);
        }
    }
    bail!("no port between {LOWEST} and {end} is free")
}

/// At loopback.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let port = free_port(&[Ipv4Addr::LOCALHOST])?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn is_free(at: SocketAddr) -> bool {
    TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
}

fn first_ephemeral() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|it| it.split_whitespace().next()?.parse().ok());
    first.unwrap_or(EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_lies_below_those_of_outgoing_connections() {
        let one = free_port(&[Ipv4Addr::LOCALHOST]).unwrap();
        let other = free_port(&[Ipv4Addr::LOCALHOST]).unwrap();
        assert_ne!(one, other);
        assert!((LOWEST..first_ephemeral()).contains(&one));
    }
}
