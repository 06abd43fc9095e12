//! The PROXY protocol: what a proxy before us says of the caller, ahead of the caller's first byte.
//!
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, versions 1 and 2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The first bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included.
const LINE: usize = 107;
/// What follows the head of version 2: addresses, and what else the proxy tells.
const REST: usize = 4 * 1024;

/// Reads exactly the header. `None` where the proxy speaks for itself, as its health checks do.
pub(crate) async fn caller<R: AsyncRead + Unpin>(io: &mut R) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; SIGNATURE.len()];
    io.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        return version_2(io).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // One at a time: what follows belongs to the caller, and to TLS where there is any.
        line.push(io.read_u8().await?);
    }
    version_1(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn version_1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let source: IpAddr = words.next()?.parse().ok()?;
    let _target: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    let _target_port: u16 = words.next()?.parse().ok()?;
    let fits = match family {
        "TCP4" => source.is_ipv4(),
        "TCP6" => source.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then_some(Some(SocketAddr::new(source, port)))
}

async fn version_2<R: AsyncRead + Unpin>(io: &mut R) -> io::Result<Option<SocketAddr>> {
    let [version, family] = [io.read_u8().await?, io.read_u8().await?];
    let length = usize::from(io.read_u16().await?);
    if REST < length {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length];
    io.read_exact(&mut rest).await?;
    match version {
        // LOCAL: the connection is the proxy's own.
        0x20 => Ok(None),
        0x21 => source(family, &rest).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn source(family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    match family {
        0x11 => {
            let ip: [u8; 4] = *rest.first_chunk()?;
            Some(Some((Ipv4Addr::from(ip), port(8).filter(|_| 12 <= rest.len())?).into()))
        }
        0x21 => {
            let ip: [u8; 16] = *rest.first_chunk()?;
            Some(Some((Ipv6Addr::from(ip), port(32).filter(|_| 36 <= rest.len())?).into()))
        }
        // Sockets of another family have no address that we could use.
        _ => Some(None),
    }
}

/// The header of version 2 for a connection to a target.
pub(crate) fn header(caller: SocketAddr, own: Option<SocketAddr>) -> Vec<u8> {
    let own = own.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let mut bytes = SIGNATURE.to_vec();
    bytes.push(0x21);
    match (caller.ip().to_canonical(), own.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            bytes.extend([0x11, 0, 12]);
            bytes.extend(source.octets());
            bytes.extend(target.octets());
        }
        (source, target) => {
            bytes.extend([0x21, 0, 36]);
            bytes.extend(mapped(source).octets());
            bytes.extend(mapped(target).octets());
        }
    }
    bytes.extend(caller.port().to_be_bytes());
    bytes.extend(own.port().to_be_bytes());
    bytes
}

/// The same for a connection of our own (`LOCAL`).
pub(crate) fn local() -> Vec<u8> {
    [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat()
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(it) => it.to_ipv6_mapped(),
        IpAddr::V6(it) => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The caller and what is left, or `-` where it is refused.
    async fn check(bytes: &[u8], expected: &str) {
        let mut rest = bytes;
        let told = match caller(&mut rest).await {
            Ok(Some(caller)) => format!("{caller} {}", String::from_utf8_lossy(rest)),
            Ok(None) => format!("itself {}", String::from_utf8_lossy(rest)),
            Err(_) => "-".to_owned(),
        };
        assert_eq!(told, expected, "{}", bytes.escape_ascii());
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"GET"].concat()
    }

    #[tokio::test]
    async fn version_1_is_a_line() {
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET", "192.0.2.1:56324 GET").await;
        check(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1 ").await;
        check(b"PROXY UNKNOWN\r\nGET", "itself GET").await;
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET", "itself GET").await;
        for wrong in [
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n"[..],
            b"PROXY TCP4 ::1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 66000 2\r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
            b"GET / HTTP/1.1\r\n\r\n",
            b"",
        ] {
            check(wrong, "-").await;
        }
        check(&[&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat(), "-").await;
    }

    #[tokio::test]
    async fn version_2_is_binary() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x1f, 0x90, 1, 187];
        check(&v2(0x21, 0x11, &v4), "192.0.2.1:8080 GET").await;
        check(&v2(0x21, 0x11, &[&v4[..], &[0x20, 0, 1, 7]].concat()), "192.0.2.1:8080 GET").await;
        check(&v2(0x20, 0, &[]), "itself GET").await;
        check(&v2(0x21, 0x31, &[0; 216]), "itself GET").await;
        check(&v2(0x21, 0x11, &v4[..11]), "-").await;
        check(&v2(0x21, 0x21, &v4), "-").await;
        check(&v2(0x31, 0x11, &v4), "-").await;
        check(&v2(0x22, 0x11, &v4), "-").await;
        check(&v2(0x21, 0x11, &[0; REST + 1]), "-").await;
        check(&v2(0x21, 0x11, &v4)[..20], "-").await;
    }

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        for (from, to) in [
            ("192.0.2.1:8080", "127.0.0.1:1"),
            ("[2001:db8::1]:8080", "[::1]:1"),
            ("[2001:db8::1]:8080", "127.0.0.1:1"),
        ] {
            let header = header(from.parse().unwrap(), Some(to.parse().unwrap()));
            check(&header, &format!("{from} ")).await;
        }
        check(&local(), "itself ").await;
        check(&header("192.0.2.1:80".parse().unwrap(), None), "192.0.2.1:80 ").await;
        let v4_over_v6 = header("[::ffff:192.0.2.1]:80".parse().unwrap(), None);
        check(&v4_over_v6, "192.0.2.1:80 ").await;
    }
}
