//! How many connections clients may have, and what those beyond are told.

use crate::loud::Trouble;
use crate::worker::Worker;
use bytes::Bytes;
use config::Limits;
use exchange::Refusal;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where descriptors do not limit it: beyond, clients alone would hold gigabytes.
const MOST: u64 = 200_000;

/// Descriptors for listeners, files and such.
const OWN: u64 = 64;

/// The open connections of clients, over all cores.
pub(crate) struct Crowd {
    open: AtomicUsize,
    most: AtomicUsize,
    /// `usize::MAX`: nobody counts.
    per_address: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    pub(crate) fn new(limits: &Limits) -> Arc<Crowd> {
        let crowd = Crowd {
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            per_address: AtomicUsize::new(0),
            by_address: Mutex::default(),
        };
        crowd.adopt(limits);
        Arc::new(crowd)
    }

    /// What holds for connections that come from now on.
    pub(crate) fn adopt(&self, limits: &Limits) {
        self.most.store(limits.connections.unwrap_or_else(enough_descriptors), Relaxed);
        self.per_address.store(limits.connections_per_address.unwrap_or(usize::MAX), Relaxed);
    }

    /// Counts one more connection, or says why there may be none. `known` callers share an address
    /// with others.
    pub(crate) fn admit(
        self: &Arc<Crowd>,
        address: IpAddr,
        known: impl FnOnce() -> bool,
    ) -> Result<Admitted, Refusal> {
        let before = self.open.fetch_add(1, Relaxed);
        let mut admitted = Admitted { crowd: self.clone(), address: None };
        if self.most.load(Relaxed) <= before {
            return Err(Refusal::Crowded);
        }
        let most = self.per_address.load(Relaxed);
        if most != usize::MAX && !known() {
            let address = network(address);
            let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if most <= *count {
                return Err(Refusal::CrowdedAddress);
            }
            *count += 1;
            admitted.address = Some(address);
        }
        Ok(admitted)
    }
}

/// Two for each client, its own and one to a target, of what the process may have.
fn enough_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let clients = (limit.saturating_sub(OWN) / 2).clamp(1, MOST);
    usize::try_from(clients).unwrap_or(usize::MAX)
}

/// An address of IPv6 costs its holder nothing: all of its /64 count as one (RFC 6177 2).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => IpAddr::from((it.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
        v4 => v4,
    }
}

/// One connection; dropping it counts it out.
pub(crate) struct Admitted {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.crowd.open.fetch_sub(1, Relaxed);
        let Some(address) = self.address else {
            return;
        };
        let mut counts = self.crowd.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// What is sent to connections that are turned away: whole answers, made beforehand.
pub(crate) struct TurnedAway {
    crowded: Bytes,
    crowded_address: Bytes,
    no_descriptors: Bytes,
}

impl TurnedAway {
    pub(crate) fn new(name: &str) -> TurnedAway {
        let [crowded, crowded_address, no_descriptors] =
            [Refusal::Crowded, Refusal::CrowdedAddress, Refusal::NoDescriptors]
                .map(|it| crate::refuse::unasked(it, name));
        TurnedAway { crowded, crowded_address, no_descriptors }
    }

    /// The words for a refusal of [`Crowd::admit`], and what to count.
    pub(crate) fn by(&self, refusal: Refusal) -> (Bytes, Trouble) {
        match refusal {
            Refusal::CrowdedAddress => (self.crowded_address.clone(), Trouble::CrowdedAddress),
            _ => (self.crowded.clone(), Trouble::Crowded),
        }
    }
}

/// Who is turned away may take so long to take its answer, and so many of a core may do so at a time.
const TURNING_AWAY: Duration = Duration::from_secs(1);
pub(crate) const TURNED_AWAY_AT_ONCE: usize = 64;

/// Answers a connection that may not be, and closes it. Under TLS, and where many are, it is closed
/// without a word.
pub(crate) fn turn_away(worker: &Worker, stream: TcpStream, tls: bool, refusal: Refusal) {
    let plane = &worker.plane;
    let (words, trouble) = plane.turned_away.by(refusal);
    plane.loud.report(trouble, 1);
    if trouble == Trouble::Crowded {
        // Those that say nothing make room.
        plane.pressure.press();
    }
    let place = worker.turning_away.clone().try_acquire_owned();
    if let (Ok(place), false) = (place, tls) {
        tokio::task::spawn_local(async move {
            let _place = place;
            let _ = tokio::time::timeout(TURNING_AWAY, say_no(stream, &words)).await;
        });
    }
}

/// Once the request begins to come, so that what is said is an answer to it.
async fn say_no(mut stream: TcpStream, words: &[u8]) -> io::Result<()> {
    let mut unread = [0; 4096];
    if stream.read(&mut unread).await? == 0 {
        return Ok(());
    }
    stream.write_all(words).await?;
    stream.shutdown().await?;
    while 0 < stream.read(&mut unread).await? {}
    Ok(())
}

/// A descriptor that is held so that it can be given up: without it a connection that cannot be
/// accepted could not be told so either, and would be offered again and again.
pub(crate) struct Reserve(Option<File>);

/// What a client may have sent by the time that it is turned away, and is read so that closing does
/// not reset the connection before the answer is read.
const SENT: usize = 16 * 1024;

impl Reserve {
    pub(crate) fn new() -> Reserve {
        Reserve(File::open("/dev/null").ok())
    }

    /// Accepts one connection in the place of the reserve, answers it where it speaks HTTP as it is,
    /// and closes it. Whether there was one.
    pub(crate) async fn turn_one_away(
        &mut self,
        listener: &TcpListener,
        answer: Option<&TurnedAway>,
    ) -> bool {
        if self.0.take().is_none() {
            *self = Reserve::new();
            return false;
        }
        let accepted = poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        });
        let accepted = accepted.await;
        if let (Some(stream), Some(answer)) = (&accepted, answer) {
            say_at_once(stream, &answer.no_descriptors);
        }
        let turned = accepted.is_some();
        drop(accepted);
        *self = Reserve::new();
        turned
    }
}

/// Says so without waiting for anything. What fails here would have failed anyway.
fn say_at_once(stream: &TcpStream, words: &[u8]) {
    use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
    let mut sent = [0; SENT];
    let _ = recv(stream, &mut sent, RecvFlags::DONTWAIT);
    let _ = send(stream, words, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = shutdown(stream, Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(connections: usize, per_address: Option<usize>) -> Arc<Crowd> {
        let limits = Limits {
            connections: Some(connections),
            connections_per_address: per_address,
            ..crate::framing::limits()
        };
        Crowd::new(&limits)
    }

    #[test]
    fn who_leaves_makes_room() {
        let crowd = crowd(2, None);
        let ip = IpAddr::from([192, 0, 2, 1]);
        let mut inside: Vec<_> = (0..2).map(|_| crowd.admit(ip, || false).ok().unwrap()).collect();
        assert_eq!(crowd.admit(ip, || false).err(), Some(Refusal::Crowded));
        inside.pop();
        assert!(crowd.admit(ip, || false).is_ok());
        drop(inside);
        assert_eq!(crowd.open.load(Relaxed), 0);
    }

    #[test]
    fn one_address_takes_only_its_share() {
        let crowd = crowd(100, Some(1));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = crowd.admit(address("2001:db8:0:1::1"), || false);
        assert!(first.is_ok());
        let refused = |text| crowd.admit(address(text), || false).err();
        assert_eq!(refused("2001:db8:0:1::2"), Some(Refusal::CrowdedAddress));
        assert_eq!(refused("2001:db8:0:2::1"), None);
        let v4 = crowd.admit(address("192.0.2.1"), || false);
        assert_eq!(refused("::ffff:192.0.2.1"), Some(Refusal::CrowdedAddress));
        assert!(crowd.admit(address("192.0.2.1"), || true).is_ok(), "a proxy of ours");
        drop((first, v4));
        assert_eq!(refused("2001:db8:0:1::2"), None);
        assert!(crowd.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn the_default_is_finite() {
        assert!((1..=MOST as usize).contains(&enough_descriptors()));
    }
}
