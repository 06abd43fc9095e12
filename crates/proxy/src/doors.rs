//! The sockets that are listened on: opened, taken over from another process, kept over a reload.

use crate::StartError;
use config::Listen;
use rustix::fd::OwnedFd;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

/// Connections that the kernel holds until they are accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// How many ports after the wished one are tried when nobody wrote which to take.
const NEXT_PORTS: u16 = 20;

/// One listening socket of one core.
pub(crate) struct Door {
    pub(crate) place: Place,
    pub(crate) socket: Socket,
}

/// Names a place, whatever is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceId(u64);

/// An address that is listened on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) id: PlaceId,
    /// As it was configured.
    wished: SocketAddr,
    pub(crate) bound: SocketAddr,
    pub(crate) tls: bool,
}

/// The addresses that are listened on.
#[derive(Default)]
pub(crate) struct Doors {
    places: Vec<Place>,
    next: u64,
}

/// What is to be opened and closed. Nothing has been given to a core yet.
pub(crate) struct Change {
    doors: Doors,
    pub(crate) opened: Vec<Vec<Door>>,
    pub(crate) closed: Vec<PlaceId>,
}

impl Change {
    /// How it will be.
    pub(crate) fn doors(&self) -> &Doors {
        &self.doors
    }

    pub(crate) fn into_doors(self) -> Doors {
        self.doors
    }
}

impl Doors {
    pub(crate) fn http(&self) -> Vec<SocketAddr> {
        self.places.iter().filter(|it| !it.tls).map(|it| it.bound).collect()
    }

    pub(crate) fn https(&self) -> Option<Place> {
        self.places.iter().find(|it| it.tls).copied()
    }

    /// Finds the way from here to what is configured. Every new socket is bound, for each core.
    pub(crate) fn change(
        &self,
        listen: &Listen,
        cores: usize,
        any_port: bool,
        inherited: &mut Inherited,
    ) -> Result<Change, StartError> {
        let mut left = self.places.clone();
        let mut places = Vec::new();
        let mut next = self.next;
        let mut opened: Vec<Vec<Door>> = (0..cores).map(|_| Vec::new()).collect();
        let plain = listen.http.iter().map(|it| (*it, false));
        let tls = listen.https.iter().map(|it| (it.addr, true));
        for (wished, tls) in plain.chain(tls) {
            // The same place may speak something else from now on.
            let same =
                |kind: bool| left.iter().position(|it| it.wished == wished && it.tls == kind);
            if let Some(at) = same(tls).or_else(|| same(!tls)) {
                places.push(Place { tls, ..left.remove(at) });
                continue;
            }
            let any = any_port && listen.assumed && !tls;
            // Ours, or what we took over: no stranger.
            let others = self.places.iter().map(|it| it.bound).chain(inherited.addresses());
            let overlaps = others.into_iter().any(|it| overlap(it, wished));
            let (sockets, bound) = sockets(wished, cores, any, overlaps, inherited)?;
            let place = Place { id: PlaceId(next), wished, bound, tls };
            next += 1;
            for (at, socket) in sockets.into_iter().enumerate() {
                opened[at % cores].push(Door { place, socket });
            }
            places.push(place);
        }
        let closed = left.iter().map(|it| it.id).collect();
        Ok(Change { doors: Doors { places, next }, opened, closed })
    }
}

/// The sockets for one address: those that another process left us, which serve all its queues,
/// else a new one for each core.
fn sockets(
    wished: SocketAddr,
    cores: usize,
    any: bool,
    overlaps: bool,
    inherited: &mut Inherited,
) -> Result<(Vec<Socket>, SocketAddr), StartError> {
    if let Some(taken) = inherited.take(wished) {
        return Ok((taken, wished));
    }
    let failed = |source| StartError::Listen { address: wished, source };
    let (first, bound) = match overlaps {
        true => (bind(wished).map_err(failed)?, wished),
        false => open_first(wished, any)?,
    };
    let mut sockets = vec![first];
    for _ in 1..cores {
        let more = bind(bound);
        sockets.push(more.map_err(|source| StartError::Listen { address: bound, source })?);
    }
    Ok((sockets, bound))
}

/// The same port, and one of the addresses is in the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && wide
}

/// Listening sockets that another process opened.
#[derive(Default)]
pub(crate) struct Inherited(HashMap<SocketAddr, Vec<Socket>>);

impl Inherited {
    /// What is no listening TCP socket of an IP address is closed.
    pub(crate) fn new(descriptors: Vec<OwnedFd>) -> Inherited {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for socket in descriptors.into_iter().map(Socket::from) {
            let listens = socket.is_listener().unwrap_or(false)
                && matches!(socket.r#type(), Ok(Type::STREAM))
                && socket.set_nonblocking(true).is_ok();
            let address = socket.local_addr().ok().and_then(|it| it.as_socket());
            if let Some(address) = address.filter(|_| listens) {
                all.entry(address).or_default().push(socket);
            }
        }
        Inherited(all)
    }

    /// All sockets of an address. Every address of IPv4 is in every address of both.
    pub(crate) fn take(&mut self, wished: SocketAddr) -> Option<Vec<Socket>> {
        let every = SocketAddr::from(([0_u16; 8], wished.port()));
        let wider = || (wished.ip().is_unspecified() && wished.port() != 0).then_some(every);
        self.0.remove(&wished).or_else(|| self.0.remove(&wider()?))
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.keys().copied()
    }

    /// The addresses that nobody wanted.
    pub(crate) fn left(&self) -> Vec<SocketAddr> {
        let mut left: Vec<_> = self.addresses().collect();
        left.sort();
        left
    }
}

/// Opens a listening socket; each core opens its own on the same address.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Binds exclusively first: two gateways that share a port by accident would each get half of the
/// requests, and nobody would understand why.
pub(crate) fn open_first(
    address: SocketAddr,
    any: bool,
) -> Result<(Socket, SocketAddr), StartError> {
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
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(http: &[SocketAddr]) -> Listen {
        let text = "[route.a]\nmatch = \"/*\"\nto = \"http://127.0.0.1:1\"\n";
        let context = config::Context { base: std::path::Path::new(""), env: &|_| None };
        let listen = config::parse(text, &context).unwrap().config.listen;
        Listen { http: http.to_vec(), assumed: false, ..listen }
    }

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn what_stays_is_not_opened_again() {
        let none = &mut Inherited::default();
        let change = Doors::default().change(&listen(&[loopback()]), 2, false, none).unwrap();
        assert_eq!(change.opened.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        let doors = change.into_doors();
        let change = doors.change(&listen(&[loopback(), loopback()]), 2, false, none).unwrap();
        assert_eq!(change.opened.iter().map(Vec::len).sum::<usize>(), 2);
        assert!(change.closed.is_empty());
        let bound = doors.http();
        assert_eq!(change.doors().http()[0], bound[0]);
        let change = doors.change(&listen(&[]), 2, false, none).unwrap();
        assert_eq!(change.closed.len(), 1);
    }

    #[test]
    fn inherited_sockets_serve_all_queues_on_any_number_of_cores() {
        let (first, address) = open_first(loopback(), false).unwrap();
        let others = (0..2).map(|_| bind(address).unwrap());
        let sockets: Vec<OwnedFd> = others.chain([first]).map(Into::into).collect();
        let mut inherited = Inherited::new(sockets);
        let change =
            Doors::default().change(&listen(&[address]), 2, false, &mut inherited).unwrap();
        assert_eq!(change.opened.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(change.doors().http(), [address]);
        assert!(inherited.left().is_empty());
    }

    #[test]
    fn a_socket_of_every_address_does_for_every_address_of_ipv4() {
        let Ok((socket, address)) = open_first(SocketAddr::from(([0_u16; 8], 0)), false) else {
            // A machine may be without IPv6.
            return;
        };
        let mut inherited = Inherited::new(vec![socket.into()]);
        let one = SocketAddr::from(([127, 0, 0, 1], address.port()));
        assert!(inherited.take(one).is_none());
        assert_eq!(inherited.left(), [address]);
        assert!(inherited.take(SocketAddr::from(([0, 0, 0, 0], address.port()))).is_some());
    }

    #[test]
    fn an_address_may_become_wider_and_narrower() {
        let none = &mut Inherited::default();
        let change = Doors::default().change(&listen(&[loopback()]), 1, false, none).unwrap();
        let narrow = change.doors().http()[0];
        // The sockets of a core would have them.
        let held = change.opened;
        let doors = Doors { places: change.doors.places, next: 1 };
        let wide = SocketAddr::from(([0, 0, 0, 0], narrow.port()));
        let change = doors.change(&listen(&[wide]), 1, false, none).unwrap();
        assert_eq!((change.doors().http(), change.closed.len()), (vec![wide], 1));
        drop(held);
    }

    #[test]
    fn what_does_not_listen_is_not_taken() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let inherited = Inherited::new(vec![socket.into(), file.into()]);
        assert!(inherited.left().is_empty());
    }
}
