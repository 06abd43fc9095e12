//! One client's connection, as all of its requests see it.

use crate::front::Link;
use crate::worker::Worker;
use config::Config;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

pub(crate) struct Seat {
    pub(crate) worker: Rc<Worker>,
    link: RefCell<Rc<Link>>,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
    /// The peer is in `listen.trusted_proxies`, as of its newest request.
    trusted_proxy: Cell<bool>,
    /// The peer's address, as `X-Forwarded-For` has it.
    pub(crate) peer_text: String,
    /// The same as a node of `Forwarded` (RFC 7239 6).
    pub(crate) node: String,
    /// Shared by all streams of a connection.
    ordinal: Rc<Cell<u32>>,
}

impl Seat {
    pub(crate) fn new(worker: Rc<Worker>, link: Rc<Link>, peer: SocketAddr, tls: bool) -> Rc<Seat> {
        let ip = peer.ip().to_canonical();
        let peer_text = ip.to_string();
        let node = if ip.is_ipv6() { format!("\"[{ip}]\"") } else { peer_text.clone() };
        let ordinal = Rc::default();
        let trusted_proxy = Cell::new(false);
        let link = RefCell::new(link);
        Rc::new(Seat { worker, link, peer, tls, trusted_proxy, peer_text, node, ordinal })
    }

    /// The same for one of several requests at a time.
    pub(crate) fn of_stream(&self) -> Rc<Seat> {
        self.with(Link::new())
    }

    /// The same for a request that may leave its connection while others go on there.
    pub(crate) fn apart(&self) -> Rc<Seat> {
        self.with(self.link())
    }

    /// What happens here has nothing to do with the connection any more.
    pub(crate) fn leave(&self) {
        self.link.replace(Link::new());
    }

    pub(crate) fn link(&self) -> Rc<Link> {
        self.link.borrow().clone()
    }

    fn with(&self, link: Rc<Link>) -> Rc<Seat> {
        Rc::new(Seat {
            worker: self.worker.clone(),
            link: RefCell::new(link),
            peer: self.peer,
            tls: self.tls,
            trusted_proxy: self.trusted_proxy.clone(),
            peer_text: self.peer_text.clone(),
            node: self.node.clone(),
            ordinal: self.ordinal.clone(),
        })
    }

    /// A request begins that is served by this.
    pub(crate) fn serve_by(&self, config: &Config) {
        let ip = self.peer.ip().to_canonical();
        let trusted = config.listen.trusted_proxies.iter().any(|it| it.contains(&ip));
        self.trusted_proxy.set(trusted);
    }

    pub(crate) fn is_trusted_proxy(&self) -> bool {
        self.trusted_proxy.get()
    }

    /// Counts one more request on this connection.
    pub(crate) fn next_ordinal(&self) -> u32 {
        self.ordinal.set(self.ordinal.get() + 1);
        self.ordinal.get()
    }
}
