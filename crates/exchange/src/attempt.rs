//! One try at one target: what was done, how far it got, and how it ended.

use crate::{Fault, Micros, Phase, Phases};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// An address that can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Inet(SocketAddr),
    /// A Unix socket, by its path.
    Unix(Arc<str>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(it) => it.fmt(f),
            Address::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One try at one target. Made by `proxy::upstream`, complete; nobody adds to it later, except
/// that its body is read to the end while it is handed on.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The target as configured, such as `http://127.0.0.1:8000`.
    pub target: Arc<str>,
    /// The address that was dialled or whose connection was reused; `None` if it never came so far.
    pub address: Option<Address>,
    pub connection: Option<Connection>,
    pub http2: Http2,
    /// The other addresses of the name that were tried in the same attempt and did not open, with the
    /// error number of each; 0 where nothing had come of it when another one opened or time was up.
    pub tried: Vec<(Address, i32)>,
    /// How the addresses of the name were come by, where that was out of the ordinary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Naming>,
    pub phases: Phases,
    /// Where it is, or where it ended.
    pub phase: Phase,
    /// Bytes of the request that the system took from us, head included, TLS excluded. Over HTTP/2,
    /// here and in `received`: those of fields before their compression and of data, no frames.
    pub sent: u64,
    /// Bytes of the answer, head included, TLS excluded.
    pub received: u64,
    /// Microseconds from the last byte that we wrote to the fault, where there was one.
    pub since_sent: Option<Micros>,
    /// Status of the answer head.
    pub status: Option<u16>,
    /// The `Server` field of the answer, or of an earlier answer of the same target.
    pub server: Option<Arc<str>>,
    pub fault: Option<Fault>,
    /// What the system said, where it said anything.
    pub errno: Option<i32>,
    /// The first bytes of an answer that could not be parsed, or of a handshake that was none: at
    /// most [`Attempt::FIRST_BYTES`].
    #[serde(skip)]
    pub first_bytes: Vec<u8>,
    /// The request before this one on a reused connection was a `HEAD`, or its answer had no body.
    pub after_bodyless: bool,
}

impl Attempt {
    pub const FIRST_BYTES: usize = 256;

    #[must_use]
    pub fn new(target: Arc<str>) -> Attempt {
        Attempt {
            target,
            address: None,
            connection: None,
            http2: Http2::No,
            tried: Vec::new(),
            names: None,
            phases: Phases::default(),
            phase: Phase::Select,
            sent: 0,
            received: 0,
            since_sent: None,
            status: None,
            server: None,
            fault: None,
            errno: None,
            first_bytes: Vec::new(),
            after_bodyless: false,
        }
    }

    /// Where all addresses of a name failed with one error number, the first one stands for them:
    /// it is the one that people write, such as 127.0.0.1 for `localhost`.
    pub fn tell_first_of_equals(&mut self) {
        let (Some(address), Some(errno)) = (&mut self.address, self.errno) else {
            return;
        };
        if self.tried.iter().all(|(_, it)| *it == errno)
            && let Some((first, _)) = self.tried.first_mut()
        {
            std::mem::swap(first, address);
        }
    }

    /// The connection had served a request before.
    #[must_use]
    pub fn reused(&self) -> bool {
        self.connection.as_ref().is_some_and(|it| it.ordinal > 1)
    }
}

/// How a name became addresses, where that was out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// By an answer beyond its time, because there was no new one.
    Kept,
    /// None of the addresses that were known opened; the name was asked for again, and had others.
    AskedAgain,
}

impl Naming {
    /// A word for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Naming::Kept => "kept",
            Naming::AskedAgain => "asked_again",
        }
    }
}

/// How far an attempt came with HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Http2 {
    /// HTTP/1 was spoken.
    #[default]
    No,
    /// It was offered, or spoken by us.
    Asked,
    /// The target has answered on this connection before.
    Spoken,
}

/// The connection that an attempt used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Which request on this connection it was; 1 is a fresh one.
    pub ordinal: u32,
    /// How long it had been idle, in microseconds; 0 for a fresh one.
    pub idle_for: Micros,
    pub local_port: Option<u16>,
    pub tls: Option<TlsFacts>,
}

/// What the handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The name that we sent, where we sent one.
    pub server_name: Option<Arc<str>>,
    /// The target asked for a client certificate.
    pub client_certificate_asked: bool,
    /// We presented one.
    pub client_certificate_sent: bool,
    /// When the target's certificate ends, seconds since 1970.
    pub not_after: Option<i64>,
}
