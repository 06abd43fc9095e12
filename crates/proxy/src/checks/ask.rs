//! One question after the health of one target, on a connection of its own that nobody else uses and
//! no limit of the pool counts: a target that is busy must still be able to say that it is well.

use super::{Subject, http1, http2, reach};
use crate::listen::proxied;
use crate::upstream::connect::Opened;
use crate::upstream::names::Names;
use crate::upstream::tls::{self, Offer};
use crate::upstream::wire::Io;
use crate::upstream::{DRAIN, says_so, send_fault};
use config::HealthBy;
use exchange::{Attempt, CheckFault, Fault, Limit, SendFault, TlsFault};
use http::HeaderMap;
use std::future::Future;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was wrong; none where the target says that it is well.
    pub(crate) fault: Option<CheckFault>,
    /// What the system said, where it said anything.
    pub(crate) errno: Option<i32>,
    /// Until that was known.
    pub(crate) took: Duration,
    /// It says that it will end.
    pub(crate) leaves: bool,
    /// When the question began.
    pub(crate) began: Instant,
}

/// A question that is being asked.
pub(super) struct Question<'a> {
    pub(super) subject: &'a Subject,
    began: Instant,
    /// What is learned on the way.
    pub(super) attempt: Attempt,
    took: Option<Duration>,
    leaves: bool,
}

pub(super) async fn ask(subject: &Subject, names: &Names) -> Check {
    let attempt = Attempt::new(subject.target().name.clone());
    let mut question =
        Question { subject, began: Instant::now(), attempt, took: None, leaves: false };
    let fault = question.put(names).await.err();
    let took = question.took.unwrap_or_else(|| question.began.elapsed());
    let errno = question.attempt.errno.filter(|_| fault.is_some());
    // Servers of gRPC say so of all their services when they are told to stop.
    let leaves = question.leaves || fault == Some(CheckFault::NotServing);
    Check { fault, errno, took, leaves, began: question.began }
}

impl Question<'_> {
    async fn put(&mut self, names: &Names) -> Result<(), CheckFault> {
        let subject = self.subject;
        let mut opened = reach::open(self, names).await?;
        if subject.upstream.proxy_protocol {
            self.introduce(&mut opened).await?;
        }
        let offer = match &subject.health.by {
            HealthBy::Grpc { .. } => Offer::Http2,
            HealthBy::Http { .. } | HealthBy::Tcp => Offer::to(subject.target(), false),
        };
        let (mut io, http2) = self.secure(opened, offer).await?;
        match &subject.health.by {
            HealthBy::Tcp => {
                self.decided();
                // The goodbye of TLS, where there is any.
                let _ = self.within(self.end(), io.shutdown()).await;
                Ok(())
            }
            HealthBy::Http { path, host, status } if http2 => {
                http2::get(self, io, path, host.as_deref(), *status).await
            }
            HealthBy::Http { path, host, status } => {
                http1::get(self, io, path, host.as_deref(), *status).await
            }
            HealthBy::Grpc { service } => http2::call(self, io, service).await,
        }
    }

    /// From now on it is known whether the target is well; what is left is good manners.
    pub(super) fn decided(&mut self) {
        self.took.get_or_insert_with(|| self.began.elapsed());
    }

    /// What the head of the answer says of the target's end.
    pub(super) fn heard(&mut self, fields: &HeaderMap) {
        self.leaves = fields.get(DRAIN).is_some_and(says_so);
    }

    /// When `health.timeout` is over.
    pub(super) fn end(&self) -> Instant {
        self.began + self.subject.health.timeout
    }

    /// A limit of the upstream that starts now, cut to `health.timeout`; with the one that fires.
    pub(super) fn limit(&self, name: &'static str, length: Duration) -> (Instant, Limit) {
        let at = Instant::now() + length;
        match self.end() < at {
            true => (self.end(), self.whole()),
            false => (at, limit(name, length)),
        }
    }

    /// `health.timeout`, which holds for everything together.
    pub(super) fn whole(&self) -> Limit {
        limit("health.timeout", self.subject.health.timeout)
    }

    pub(super) async fn within<T>(
        &self,
        until: Instant,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::time::timeout_at(until.into(), work).await.ok()
    }

    /// Writing or reading failed.
    pub(super) fn note(&mut self, error: &io::Error) {
        self.attempt.errno = error.raw_os_error();
    }

    /// Says by the PROXY protocol that the connection is the gateway's own.
    async fn introduce(&mut self, opened: &mut Opened) -> Result<(), CheckFault> {
        let header = proxied::local();
        let (until, limit) = self.limit("timeout.send", self.subject.upstream.timeout.send);
        let written = match opened {
            Opened::Tcp(tap) => self.within(until, tap.write_all(&header)).await,
            Opened::Unix(stream) => self.within(until, stream.write_all(&header)).await,
        };
        self.written(written, limit)
    }

    /// What writing came to; `None` where the limit fired.
    pub(super) fn written(
        &mut self,
        written: Option<io::Result<()>>,
        limit: Limit,
    ) -> Result<(), CheckFault> {
        let fault = match written {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => {
                self.note(&error);
                send_fault(&error)
            }
            None => SendFault::TimedOut(limit),
        };
        Err(CheckFault::Way(Fault::Send(fault)))
    }

    /// TLS where the target has it. Whether HTTP/2 is spoken on it.
    async fn secure(&mut self, opened: Opened, offer: Offer) -> Result<(Io, bool), CheckFault> {
        let subject = self.subject;
        let (tap, settings) = match (opened, &subject.tls) {
            (Opened::Tcp(tap), Some(settings)) if subject.target().tls => (tap, settings),
            (Opened::Tcp(mut tap), _) => {
                tap.rest();
                return Ok((Io::Tcp(tap), offer == Offer::Http2));
            }
            (Opened::Unix(stream), _) => return Ok((Io::Unix(stream), offer == Offer::Http2)),
        };
        let (until, limit) = self.limit("timeout.tls", subject.upstream.timeout.tls);
        let target = subject.target();
        let shaking = tls::shake_hands(tap, target, settings, offer, &mut self.attempt);
        let fault = match tokio::time::timeout_at(until.into(), shaking).await {
            Ok(Ok((stream, _))) => {
                let http2 = tls::chose_http2(&stream);
                return Ok((Io::Tls(Box::new(stream)), http2));
            }
            Ok(Err(fault)) => fault,
            Err(_) => TlsFault::TimedOut(limit),
        };
        Err(CheckFault::Way(Fault::Tls(fault)))
    }

    /// What `Host` says: what is configured for the question, else for requests, else the target.
    pub(super) fn host<'h>(&'h self, configured: Option<&'h str>) -> &'h str {
        match (configured, &self.subject.upstream.host) {
            (Some(host), _) => host,
            (None, config::HostSent::Name(host)) => host,
            (None, _) => &self.subject.target().authority,
        }
    }
}

fn limit(name: &'static str, length: Duration) -> Limit {
    Limit { name, value: u64::try_from(length.as_micros()).unwrap_or(u64::MAX) }
}

/// Whether the status of an answer is good.
pub(super) fn judged(status: u16, (first, last): (u16, u16)) -> Result<(), CheckFault> {
    match (first..=last).contains(&status) {
        true => Ok(()),
        false => Err(CheckFault::Status(status)),
    }
}
