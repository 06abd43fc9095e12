//! One client's connection, as all of its requests see it.

use crate::front::Link;
use crate::worker::Worker;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

pub(crate) struct Seat {
    pub(crate) worker: Rc<Worker>,
    pub(crate) link: Rc<Link>,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
    /// The peer is in `listen.trusted_proxies`.
    pub(crate) trusted_proxy: bool,
    ordinal: Cell<u32>,
}

impl Seat {
    pub(crate) fn new(worker: Rc<Worker>, link: Rc<Link>, peer: SocketAddr, tls: bool) -> Rc<Seat> {
        let ip = peer.ip().to_canonical();
        let trusted = &worker.snapshot().config.listen.trusted_proxies;
        let trusted_proxy = trusted.iter().any(|it| it.contains(&ip));
        Rc::new(Seat { worker, link, peer, tls, trusted_proxy, ordinal: Cell::new(0) })
    }

    /// Counts one more request on this connection.
    pub(crate) fn next_ordinal(&self) -> u32 {
        self.ordinal.set(self.ordinal.get() + 1);
        self.ordinal.get()
    }
}
