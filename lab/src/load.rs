//! Load on a server by clients that do as HTTP has it, and count all that goes wrong.
//!
//! A client reconnects when it was told that its connection ends, and looks whether a kept connection
//! is still open before it asks on it. What fails in spite of that is the server's doing.

mod connection;
mod multiplexed;

use connection::Connection;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsConnector;

/// The longest that a client waits for a connection or for a whole answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// After a failure to connect, so that a server that is gone is not asked as fast as we can.
const BREATHER: Duration = Duration::from_millis(10);
/// New connections are opened in groups.
const BEAT: Duration = Duration::from_millis(10);
/// What an upload of a client that asks at intervals has.
const UPLOAD: usize = 1024;
/// Between two looks at numbers that are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Whom clients call.
#[derive(Clone)]
pub struct Goal {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Goal {
    #[must_use]
    pub fn plain(address: SocketAddr) -> Goal {
        Goal { address, tls: None }
    }

    #[must_use]
    pub fn tls(address: SocketAddr, name: ServerName<'static>, config: ClientConfig) -> Goal {
        Goal { address, tls: Some((TlsConnector::from(Arc::new(config)), name)) }
    }

    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
        })
    }

    /// Within our patience.
    async fn stream(&self) -> Result<Box<dyn Stream>, Loss> {
        match timeout(PATIENCE, self.dial()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) => Err(Loss::Refused),
            Err(_) => Err(Loss::Silent),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How a request, or the connection for it, came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// There was no connection, or no TLS on it.
    Refused,
    /// A kept connection was open when the request was written, and brought no byte of an answer.
    Raced,
    /// FIN before the first byte of the answer, on a new connection.
    Closed,
    /// RST before it.
    Reset,
    /// An answer began and broke off.
    Cut,
    /// Nothing for longer than the client waits.
    Silent,
    /// What came was no answer.
    Strange,
}

/// What came of the requests so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Whole answers, by status.
    pub answers: BTreeMap<u16, u64>,
    pub losses: BTreeMap<Loss, u64>,
    /// Kept connections that were found closed between two requests, which a server may do.
    pub closed_idle: u64,
    /// The longest time from a request, and from the connection that was opened for it, to the end
    /// of its answer.
    pub longest: Duration,
    /// New connections that were due and not opened: as many were under way as may be.
    pub left_out: u64,
}

impl Tally {
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Requests that were made, whatever came of them.
    #[must_use]
    pub fn asked(&self) -> u64 {
        let unmade = self.losses.get(&Loss::Refused).copied().unwrap_or(0);
        self.answered() + self.losses.values().sum::<u64>() - unmade
    }

    /// Requests that did not get a whole answer with a status of success.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let well = self.answers.range(200..300).map(|(_, it)| it).sum::<u64>();
        self.answered() - well + self.losses.values().sum::<u64>()
    }

    fn add(&mut self, done: Result<u16, Loss>, took: Duration) {
        self.longest = self.longest.max(took);
        match done {
            Ok(status) => *self.answers.entry(status).or_default() += 1,
            Err(loss) => *self.losses.entry(loss).or_default() += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { answers, losses, closed_idle, longest, left_out } = self;
        let longest = longest.as_millis();
        write!(
            f,
            "answers {answers:?}, losses {losses:?}, closed while idle {closed_idle}, \
             left out {left_out}, longest {longest} ms"
        )
    }
}

/// What the clients of one load share.
#[derive(Clone)]
struct Shared {
    tally: Arc<Mutex<Tally>>,
    ended: watch::Receiver<bool>,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !*self.ended.borrow()
    }

    async fn rest(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            // An error is the end as well.
            _ = self.ended.wait_for(|it| *it) => {}
        }
    }
}

/// Clients at work. Dropping it breaks them off.
pub struct Load {
    shared: Shared,
    end: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    fn new() -> Load {
        let (end, ended) = watch::channel(false);
        Load { shared: Shared { tally: Arc::default(), ended }, end, clients: JoinSet::new() }
    }

    /// So many clients that ask again as soon as they are answered, each on a connection of its own.
    #[must_use]
    pub fn kept(goal: &Goal, clients: usize) -> Load {
        let mut load = Load::new();
        for _ in 0..clients {
            load.clients.spawn(ask_again(goal.clone(), get(), Duration::ZERO, load.shared.clone()));
        }
        load
    }

    /// So many clients that upload, and wait so long after each answer, on a connection that they keep.
    #[must_use]
    pub fn paced(goal: &Goal, clients: usize, gap: Duration) -> Load {
        let mut load = Load::new();
        for _ in 0..clients {
            load.clients.spawn(ask_again(goal.clone(), post(), gap, load.shared.clone()));
        }
        load
    }

    /// The same with clients that read.
    #[must_use]
    pub fn reading(goal: &Goal, clients: usize, gap: Duration) -> Load {
        let mut load = Load::new();
        for _ in 0..clients {
            load.clients.spawn(ask_again(goal.clone(), get(), gap, load.shared.clone()));
        }
        load
    }

    /// A new connection for each request, so many a second, however long the answers take. No more
    /// than `most` are under way.
    #[must_use]
    pub fn fresh(goal: &Goal, per_second: u32, most: usize) -> Load {
        let mut load = Load::new();
        load.clients.spawn(open_and_ask(goal.clone(), per_second, most, load.shared.clone()));
        load
    }

    /// So many requests at a time on each of these connections of HTTP/2, and the next one so long
    /// after one is answered.
    #[must_use]
    pub fn streams(goal: &Goal, connections: usize, streams: usize, gap: Duration) -> Load {
        let mut load = Load::new();
        for _ in 0..connections {
            load.clients.spawn(multiplexed::run(goal.clone(), streams, gap, load.shared.clone()));
        }
        load
    }

    /// So far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Waits for as many answers more, and not for ever; whether they came.
    pub async fn answers_more(&self, count: u64) -> bool {
        let wanted = self.tally().answered() + count;
        let began = Instant::now();
        while self.tally().answered() < wanted && began.elapsed() < PATIENCE {
            sleep(LOOK_EVERY).await;
        }
        wanted <= self.tally().answered()
    }

    /// Lets every client finish what it is at.
    pub async fn stop(mut self) -> Tally {
        // Without a receiver all have ended.
        let _ = self.end.send(true);
        while self.clients.join_next().await.is_some() {}
        self.tally()
    }
}

fn get() -> Vec<u8> {
    b"GET /load HTTP/1.1\r\nHost: lab.test\r\n\r\n".to_vec()
}

fn get_once() -> Vec<u8> {
    b"GET /load HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n".to_vec()
}

fn post() -> Vec<u8> {
    let head = format!("POST /load HTTP/1.1\r\nHost: lab.test\r\nContent-Length: {UPLOAD}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + UPLOAD, b'x');
    bytes
}

/// One client that keeps its connection for as long as that lasts.
async fn ask_again(goal: Goal, request: Vec<u8>, gap: Duration, mut shared: Shared) {
    let mut kept: Option<Connection> = None;
    while shared.goes_on() {
        if let Some(connection) = &mut kept
            && !connection.is_open().await
        {
            shared.tally().closed_idle += 1;
            kept = None;
        }
        let began = Instant::now();
        let connection = match kept.take() {
            Some(connection) => Ok(connection),
            None => goal.stream().await.map(Connection::new),
        };
        let done = match connection {
            Ok(connection) => ask(connection, &request, &mut kept).await,
            Err(loss) => Err(loss),
        };
        shared.tally().add(done, began.elapsed());
        match done {
            Err(_) => shared.rest(BREATHER).await,
            Ok(_) if !gap.is_zero() => shared.rest(gap).await,
            Ok(_) => {}
        }
    }
}

/// One request; `kept` gets the connection back where another may follow on it.
async fn ask(
    mut connection: Connection,
    request: &[u8],
    kept: &mut Option<Connection>,
) -> Result<u16, Loss> {
    let answer = timeout(PATIENCE, connection.ask(request)).await.unwrap_or(Err(Loss::Silent))?;
    if !answer.last {
        *kept = Some(connection);
    }
    Ok(answer.status)
}

async fn open_and_ask(goal: Goal, per_second: u32, most: usize, shared: Shared) {
    let mut beats = interval(BEAT);
    // What a busy machine made us miss is not made up for: that would be another load.
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let beats_a_second = 1_000 / BEAT.as_millis() as u32;
    let mut due = 0;
    let mut under_way = JoinSet::new();
    let request: Arc<[u8]> = get_once().into();
    while shared.goes_on() {
        beats.tick().await;
        while under_way.try_join_next().is_some() {}
        due += per_second;
        for _ in 0..due / beats_a_second {
            if most <= under_way.len() {
                shared.tally().left_out += 1;
                continue;
            }
            let (goal, shared, request) = (goal.clone(), shared.clone(), request.clone());
            under_way.spawn(async move {
                let began = Instant::now();
                let done = match goal.stream().await {
                    Ok(stream) => ask(Connection::new(stream), &request, &mut None).await,
                    Err(loss) => Err(loss),
                };
                shared.tally().add(done, began.elapsed());
            });
        }
        due %= beats_a_second;
    }
    while under_way.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_no_success_is_a_failure() {
        let mut tally = Tally::default();
        let short = Duration::from_millis(1);
        for done in [Ok(200), Ok(204), Ok(503), Err(Loss::Raced), Err(Loss::Cut)] {
            tally.add(done, short);
        }
        tally.add(Ok(200), Duration::from_millis(7));
        assert_eq!((tally.answered(), tally.failed()), (4, 3));
        assert_eq!(tally.longest, Duration::from_millis(7));
    }
}
