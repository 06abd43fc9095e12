//! `net/tcp` and `net/tcp6` of `/proc/self`: one socket a line, numbers in hexadecimal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state `TCP_LISTEN` of the kernel.
const LISTEN: &str = "0A";

/// What a line says of a socket that listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: SocketAddr,
    pub(super) user: u32,
    pub(super) inode: u64,
}

/// The lines of sockets that listen; a line that cannot be read, such as the heading, is none.
pub(super) fn listening(text: &str) -> Vec<Row> {
    text.lines().filter_map(row).collect()
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`
fn row(line: &str) -> Option<Row> {
    let mut columns = line.split_ascii_whitespace();
    let local = columns.nth(1)?;
    let state = columns.nth(1)?;
    let user = columns.nth(3)?.parse().ok()?;
    let inode = columns.nth(1)?.parse().ok()?;
    (state == LISTEN).then_some(Row { address: address(local)?, user, inode })
}

/// `__SO_ACCEPTCON`: a Unix socket that listens.
const ACCEPTS: &str = "00010000";

/// Inodes and paths of `/proc/self/net/unix`: `Num RefCount Protocol Flags Type St Inode Path`. Those
/// without a path in the file system are nobody's target.
pub(super) fn listening_paths(text: &str) -> Vec<(u64, &str)> {
    let path = |line| {
        let mut columns = str::split_ascii_whitespace(line);
        let flags = columns.nth(3)?;
        let inode = columns.nth(2)?.parse().ok()?;
        let path = columns.next().filter(|it| it.starts_with('/'))?;
        (flags == ACCEPTS).then_some((inode, path))
    };
    text.lines().filter_map(path).collect()
}

fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(ip)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(ip.get(8 * at..8 * at + 8)?)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The kernel prints each four bytes as one number of this machine's byte order.
fn word(hex: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes)
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31415 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 271 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 161 1 0000000000000000 20 4 30 10 -1
   3: 0700000A:1";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 577 1 0000000000000000 100 0 0 10 0
   1: B80D01200000000000000000EFBE0000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 578 1 0000000000000000 100 0 0 10 0";

    #[track_caller]
    fn check(table: &str, expected: &[(&str, u32, u64)]) {
        let seen: Vec<_> =
            listening(table).iter().map(|it| (it.address.to_string(), it.user, it.inode)).collect();
        let expected: Vec<_> = expected.iter().map(|it| (it.0.to_owned(), it.1, it.2)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn only_sockets_that_listen_are_listed() {
        check(TCP, &[("127.0.0.1:8080", 1000, 31_415), ("0.0.0.0:22", 0, 271)]);
    }

    #[test]
    fn long_addresses_are_four_words() {
        check(TCP6, &[("[::1]:3000", 1000, 577), ("[2001:db8::beef]:80", 33, 578)]);
    }

    #[test]
    fn unix_sockets_that_listen_are_known_by_their_path() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                    0: 00000002 00000000 00010000 0001 01 123 /run/app.sock\n\
                    0: 00000003 00000000 00000000 0001 03 124 /run/app.sock\n\
                    0: 00000002 00000000 00010000 0001 01 125 @abstract\n\
                    0: 00000002 00000000 00010000 0001 01 126\n";
        assert_eq!(listening_paths(text), [(123, "/run/app.sock")]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        check("", &[]);
        check("   0: é100007F:1F90 x 0A x x x 0 0 1", &[]);
        check("   0: 0100007F:1F90 00000000:0000 0A a b c 4294967296 0 1", &[]);
        check("   0: 0100007F:FFFFF 00000000:0000 0A a b c 0 0 1", &[]);
    }
}
