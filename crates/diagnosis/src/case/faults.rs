//! The fault of a case, narrowed to one station, so that a cause can match on it in one line.

use crate::case::Case;
use exchange::{
    BodyFault, Certificate, ConnectFault, DnsFault, Fault, HeadFault, Http2, Micros, SendFault,
    TlsFault,
};

/// A server that cannot read what we say hangs up within a round trip; one that works and then
/// fails takes longer.
const AT_ONCE: Micros = 100_000;

/// ENOMEM and ENOBUFS.
const NO_MEMORY: [i32; 2] = [12, 105];

impl<'a> Case<'a> {
    pub(crate) fn dns_fault(&self) -> Option<DnsFault> {
        match self.fault()? {
            Fault::Resolve(it) => Some(*it),
            _ => None,
        }
    }

    pub(crate) fn connect_fault(&self) -> Option<ConnectFault> {
        match self.fault()? {
            Fault::Connect(it) => Some(*it),
            _ => None,
        }
    }

    pub(crate) fn tls_fault(&self) -> Option<&'a TlsFault> {
        match self.fault()? {
            Fault::Tls(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn head_fault(&self) -> Option<&'a HeadFault> {
        match self.fault()? {
            Fault::Head(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn body_fault(&self) -> Option<BodyFault> {
        match self.fault()? {
            Fault::Body(it) => Some(*it),
            _ => None,
        }
    }

    /// The certificate that did not pass.
    pub(crate) fn certificate(&self) -> Option<&'a Certificate> {
        match self.tls_fault()? {
            TlsFault::Certificate(it) => Some(it),
            _ => None,
        }
    }

    /// A fresh connection that ended without one byte of an answer: how long after our last byte.
    pub(crate) fn hung_up(&self) -> Option<Micros> {
        let (Fault::Head(HeadFault::Closed | HeadFault::Reset)
        | Fault::Send(SendFault::Closed | SendFault::Reset)) = self.fault()?
        else {
            return None;
        };
        let attempt = self.attempt()?;
        let fresh = attempt.connection.as_ref()?.ordinal == 1;
        let after = attempt.since_sent.or_else(|| attempt.phases.get(attempt.phase));
        (fresh && attempt.received == 0).then_some(after.unwrap_or(0))
    }

    /// The same, within a round trip, by a target that has never answered with HTTP: it may not
    /// have understood us.
    pub(crate) fn turned_away(&self) -> bool {
        let unknown = self.attempt().is_some_and(|it| it.server.is_none());
        unknown && self.hung_up().is_some_and(|after| after <= AT_ONCE)
    }

    /// HTTP/2 was spoken to the target, or offered.
    pub(crate) fn http2(&self) -> bool {
        self.attempt().is_some_and(|it| it.http2 != Http2::No)
    }

    /// It was spoken to a target from which nothing of the kind has come.
    pub(crate) fn http2_unanswered(&self) -> bool {
        self.attempt().is_some_and(|it| it.http2 == Http2::Asked)
    }

    /// Nothing was encrypted on the connection to the target.
    pub(crate) fn plain(&self) -> bool {
        let connection = self.attempt().and_then(|it| it.connection.as_ref());
        connection.is_some_and(|it| it.tls.is_none())
    }

    /// The target asked for a client certificate: whether we sent one.
    pub(crate) fn client_certificate_sent(&self) -> Option<bool> {
        let tls = self.attempt()?.connection.as_ref()?.tls.as_ref()?;
        tls.client_certificate_asked.then_some(tls.client_certificate_sent)
    }

    /// The handshake is known, and the target asked for no client certificate in it.
    pub(crate) fn client_certificate_unasked(&self) -> bool {
        let connection = self.attempt().and_then(|it| it.connection.as_ref());
        let tls = connection.and_then(|it| it.tls.as_ref());
        tls.is_some_and(|it| !it.client_certificate_asked)
    }

    /// Our own system had no memory for the connection, at whatever station.
    pub(crate) fn no_memory(&self) -> bool {
        match self.fault() {
            Some(Fault::Connect(ConnectFault::NoMemory)) => true,
            Some(
                Fault::Connect(ConnectFault::Errno)
                | Fault::Send(SendFault::Errno)
                | Fault::Head(HeadFault::Errno)
                | Fault::Body(BodyFault::Errno),
            ) => {
                let errno = self.attempt().and_then(|it| it.errno);
                errno.is_some_and(|it| NO_MEMORY.contains(&it))
            }
            _ => false,
        }
    }
}
