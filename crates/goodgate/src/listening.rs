//! What listens on this machine, from the kernel's tables under `/proc`.
//!
//! Where they are missing or may not be read, less is known and nothing fails: this only helps
//! with a mistyped port. The tables are those of our own process: a unit with `ProcSubset=pid` sees
//! no others (systemd.exec(5)).

mod command;
mod suggest;
mod table;

pub(crate) use suggest::{suggest, url};

use exchange::Address;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Processes that are asked for their sockets, and sockets that are read of each. A machine with
/// more is busy with better things.
const MOST_PROCESSES: usize = 4_096;
const MOST_DESCRIPTORS: usize = 4_096;

/// A TCP socket that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// It belongs to the user who asks.
    pub(crate) own: bool,
    /// Known for the processes that we may look into: mostly those of the same user.
    pub(crate) pid: Option<u32>,
    /// Its command line, shortened and without what looks like a secret.
    pub(crate) command: Option<String>,
}

/// Everything that listens, by port. Of processes that share a socket it names the oldest id, which
/// is the one that the others were forked from.
pub(crate) fn all() -> Vec<Listener> {
    let rows: Vec<table::Row> = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .filter_map(|it| fs::read_to_string(it).ok())
        .flat_map(|it| table::listening(&it))
        .collect();
    let owners = owners(rows.iter().map(|it| it.inode).collect());
    let me = fs::metadata("/proc/self").map(|it| it.uid()).ok();
    let mut listeners: Vec<Listener> = rows
        .into_iter()
        .map(|row| {
            let pid = owners.get(&row.inode).copied();
            let command = pid.and_then(command_of);
            Listener { address: row.address, own: Some(row.user) == me, pid, command }
        })
        .collect();
    listeners.sort_by_key(|it| (it.address.port(), it.address));
    listeners
}

/// Everything but ourselves: what a gateway that waits for its app may wait for instead.
pub(crate) fn others() -> Vec<Listener> {
    let me = Some(std::process::id());
    all().into_iter().filter(|it| it.pid != me).collect()
}

/// Where the processes of a group accept connections: addresses first, then paths of Unix sockets.
pub(crate) fn of_group(group: u32) -> Vec<Address> {
    let members = processes().into_iter().filter(|it| group_of(*it) == Some(group));
    let sockets: HashSet<u64> = members.flat_map(sockets_of).collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    let rows = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .filter_map(|it| fs::read_to_string(it).ok())
        .flat_map(|it| table::listening(&it));
    let mut places: Vec<SocketAddr> =
        rows.filter(|it| sockets.contains(&it.inode)).map(|it| it.address).collect();
    places.sort_by_key(|it| (it.port(), *it));
    places.dedup();
    let unix = fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    let paths = table::listening_paths(&unix);
    let paths = paths.into_iter().filter(|(inode, _)| sockets.contains(inode));
    let places = places.into_iter().map(Address::Inet);
    places.chain(paths.map(|(_, path)| Address::Unix(path.into()))).collect()
}

/// The process group of a process: the fifth field of `/proc/PID/stat` (proc_pid_stat(5)). The second
/// is a name in parentheses, which may hold anything.
fn group_of(pid: u32) -> Option<u32> {
    state_and_group(pid).map(|it| it.1)
}

fn state_and_group(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// Whether a process of this group still does anything: those that have ended and wait to be reaped
/// (`Z`, `X`) do not. Where that cannot be seen, it may.
pub(crate) fn lives(group: u32) -> bool {
    let all = processes();
    all.is_empty()
        || all
            .into_iter()
            .filter_map(state_and_group)
            .any(|(state, it)| it == group && !matches!(state, 'Z' | 'X'))
}

fn sockets_of(pid: u32) -> Vec<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let targets = descriptors.take(MOST_DESCRIPTORS).flatten().map(|it| it.path());
    targets.filter_map(|it| socket(&it)).collect()
}

/// Which process holds which of these sockets.
fn owners(wanted: Vec<u64>) -> HashMap<u64, u32> {
    let mut owners = HashMap::new();
    for pid in processes() {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let targets = descriptors.take(MOST_DESCRIPTORS).flatten().map(|it| it.path());
        for inode in targets.filter_map(|it| socket(&it)) {
            if wanted.contains(&inode) {
                owners.entry(inode).or_insert(pid);
            }
        }
        if owners.len() == wanted.len() {
            break;
        }
    }
    owners
}

fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.truncate(MOST_PROCESSES);
    pids
}

/// The inode of a descriptor that is a socket: its link reads `socket:[12345]`.
fn socket(descriptor: &Path) -> Option<u64> {
    let link = fs::read_link(descriptor).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn command_of(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    let arguments: Vec<&str> = line.split('\0').filter(|it| !it.is_empty()).collect();
    (!arguments.is_empty()).then(|| command::shown(&arguments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_real_listener_is_found_with_its_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let all = all();
            let found = all.iter().find(|it| it.address == address).expect("it is listed");
            assert_eq!(found.pid, Some(std::process::id()));
            assert!(found.own);
            assert!(found.command.as_ref().is_some_and(|it| it.contains("goodgate")), "{found:?}");
            assert!(all.is_sorted_by_key(|it| it.address.port()));
        }
    }

    #[test]
    fn a_group_is_known_by_its_sockets() {
        let group = group_of(std::process::id()).expect("we are in a group");
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Inet(socket.local_addr().unwrap());
        assert!(of_group(group).contains(&address));
        drop(socket);
        assert!(!of_group(group).contains(&address));
    }

    #[test]
    fn a_closed_listener_is_gone() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        assert!(all().iter().all(|it| it.address != address));
    }

    #[test]
    fn we_do_not_wait_for_ourselves() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(others().iter().all(|it| it.address != address));
    }
}
