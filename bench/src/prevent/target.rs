//! Servers that misbehave as they are told: HTTP/1.1 on real sockets, killed and started again at
//! the same address.

use super::ledger::{Ledger, Number};
use super::message::{self, Buffer, Request};
use anyhow::{Context as _, Result};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A target that closes on its own does so as if this far away: what arrives in between is lost.
pub(crate) const DISTANCE: Duration = Duration::from_millis(20);
/// Of each answer.
pub(crate) const ANSWER: usize = 256;
/// Connections that may wait to be accepted (`man 2 listen`).
const BACKLOG: u32 = 1024;
/// How long a connection takes at most where the queue still has a place.
const FULL_AFTER: Duration = Duration::from_millis(100);
/// Connections that fill a queue of none are one or two; more mean that it does not fill.
const FILL: usize = 16;

pub(crate) const HEALTH: &str = "/health";
/// The path that a slow dependency holds up.
pub(crate) const SLOW: &str = "/slow";

/// What goes wrong with the requests of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The work is done, and then the connection is reset.
    Reset,
    /// It never answers.
    Hang,
    /// The head and half of the body, then the end.
    Cut,
    /// 503 at once, with `Retry-After` of so many seconds.
    Unavailable(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Answers at once and well, whatever becomes of other requests.
    Well,
    /// Fares as other requests do.
    Same,
}

/// How many requests are worked on at a time; others wait in the target's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtOnce {
    Any,
    Only(usize),
    /// One after its start, and so many when it has warmed up for so long.
    Growing(usize, Duration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) work: Duration,
    /// Of requests for `SLOW`.
    pub(crate) slow_work: Duration,
    pub(crate) fault: Fault,
    pub(crate) health: Health,
    /// Counts from the next start.
    pub(crate) at_once: AtOnce,
    /// Idle connections are closed after it.
    pub(crate) idle: Option<Duration>,
    /// After so many requests a worker leaves, and its connections with it.
    pub(crate) recycle: Option<u32>,
}

impl Manner {
    pub(crate) const GOOD: Manner = Manner {
        work: Duration::from_millis(5),
        slow_work: Duration::from_millis(5),
        fault: Fault::None,
        health: Health::Well,
        at_once: AtOnce::Any,
        idle: None,
        recycle: None,
    };
    /// Of targets that are killed: long enough that they have something in hand.
    pub(crate) const BUSY: Manner = Manner { work: Duration::from_millis(50), ..Manner::GOOD };

    pub(crate) const fn with(self, fault: Fault, health: Health) -> Manner {
        Manner { fault, health, ..self }
    }
}

/// A target's address, and its process where it runs.
pub(crate) struct Target {
    pub(crate) at: SocketAddr,
    shared: Arc<Shared>,
    life: tokio::sync::Mutex<Option<Life>>,
}

/// What outlives a process.
struct Shared {
    ledger: Arc<Ledger>,
    manner: Mutex<Manner>,
}

/// What would be one process: it ends with all that it holds.
struct Life {
    worker: Arc<Worker>,
    listening: JoinSet<()>,
    /// It is closed when nobody holds it any more.
    listener: Option<Arc<TcpListener>>,
    /// They fill the queue of a listener that is not to be reached.
    filling: Vec<TcpStream>,
    talking: Arc<Mutex<JoinSet<()>>>,
}

struct Worker {
    shared: Arc<Shared>,
    at_once: Semaphore,
    served: AtomicU32,
    /// Connections of an earlier generation leave.
    generation: watch::Sender<Generation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Generation {
    Of(u32),
    /// The process was asked to end.
    Over,
}

impl Target {
    pub(crate) async fn start(
        at: SocketAddr,
        manner: Manner,
        ledger: &Arc<Ledger>,
    ) -> Result<Target> {
        let shared = Shared { ledger: Arc::clone(ledger), manner: Mutex::new(manner) };
        let target = Target { at, shared: Arc::new(shared), life: tokio::sync::Mutex::default() };
        target.start_again().await?;
        Ok(target)
    }

    /// From its next request on.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.locked() = manner;
    }

    /// Opens its listener and accepts.
    pub(crate) async fn start_again(&self) -> Result<()> {
        let mut life = self.life.lock().await;
        // A process of before that still finishes what it had in hand does not listen any more.
        drop(life.take());
        *life = Some(Life::start(self.at, Arc::clone(&self.shared))?);
        Ok(())
    }

    /// As the kernel does with a process that is killed: all sockets are closed at once.
    pub(crate) async fn kill(&self) {
        if let Some(mut life) = self.life.lock().await.take() {
            life.listening.shutdown().await;
            let mut talking = std::mem::take(&mut *locked(&life.talking));
            talking.shutdown().await;
        }
    }

    /// As servers do on SIGTERM: no more connections, idle ones are closed, requests in hand are
    /// finished.
    pub(crate) async fn terminate(&self) {
        let mut life = self.life.lock().await;
        let Some(life) = life.as_mut() else { return };
        life.listening.shutdown().await;
        life.worker.generation.send_replace(Generation::Over);
        life.listener = None;
    }

    /// Packets to it are lost from now on: nothing is accepted, nothing is answered.
    pub(crate) async fn vanish(&self) -> Result<()> {
        let mut life = self.life.lock().await;
        let Some(life) = life.as_mut() else { return Ok(()) };
        life.listening.shutdown().await;
        let Some(listener) = &life.listener else { return Ok(()) };
        // A queue that is full lets the kernel drop whatever asks to be connected (`man 2 listen`).
        rustix::net::listen(&**listener, 0).context("shortening the queue of a listener")?;
        life.filling = fill(self.at).await?;
        Ok(())
    }

    /// Packets come to it again.
    pub(crate) async fn reappear(&self) -> Result<()> {
        self.kill().await;
        self.start_again().await
    }
}

impl Life {
    fn start(at: SocketAddr, shared: Arc<Shared>) -> Result<Life> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(at).with_context(|| format!("binding {at}"))?;
        let listener = Arc::new(socket.listen(BACKLOG)?);
        let at_once = shared.locked().at_once;
        let worker = Arc::new(Worker {
            shared,
            at_once: Semaphore::new(match at_once {
                AtOnce::Any => Semaphore::MAX_PERMITS,
                AtOnce::Only(count) => count,
                AtOnce::Growing(..) => 1,
            }),
            served: AtomicU32::new(0),
            generation: watch::Sender::new(Generation::Of(0)),
        });
        let talking = Arc::new(Mutex::new(JoinSet::new()));
        let mut listening = JoinSet::new();
        if let AtOnce::Growing(most, within) = at_once {
            listening.spawn(grow(Arc::clone(&worker), most, within));
        }
        let accepting = accept(Arc::clone(&listener), Arc::clone(&worker), Arc::clone(&talking));
        listening.spawn(accepting);
        Ok(Life { worker, listening, listener: Some(listener), filling: Vec::new(), talking })
    }
}

/// Fills the queue of a listener that accepts nothing, until nobody is connected any more.
async fn fill(at: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut filled = Vec::new();
    while filled.len() < FILL {
        match timeout(FULL_AFTER, TcpStream::connect(at)).await {
            Ok(stream) => filled.push(stream?),
            Err(_) => return Ok(filled),
        }
    }
    anyhow::bail!("the queue of {at} does not fill")
}

async fn accept(listener: Arc<TcpListener>, worker: Arc<Worker>, talking: Arc<Mutex<JoinSet<()>>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let mut talking = locked(&talking);
                while talking.try_join_next().is_some() {}
                talking.spawn(talk(stream, Arc::clone(&worker)));
            }
            // Such as too many open files: the next one may go well.
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Lets more and more be worked on at a time.
async fn grow(worker: Arc<Worker>, most: usize, within: Duration) {
    let steps = most.saturating_sub(1);
    for _ in 0..steps {
        sleep(within / u32::try_from(steps).unwrap_or(u32::MAX)).await;
        worker.at_once.add_permits(1);
    }
}

async fn talk(mut stream: TcpStream, worker: Arc<Worker>) {
    // Nobody is told: a proxy that leaves is no failure of the target.
    let _ = stream.set_nodelay(true);
    let mut leaving = worker.generation.subscribe();
    let ours = *leaving.borrow_and_update();
    let mut buffer = Buffer::default();
    loop {
        let idle = worker.shared.locked().idle;
        let request = tokio::select! {
            biased;
            it = message::request(&mut stream, &mut buffer) => it,
            () = never_or(idle) => return sleep(DISTANCE).await,
            () = is_later(&mut leaving, ours) => return sleep(DISTANCE).await,
        };
        let Ok(request) = request else { return };
        worker.count();
        match worker.answer(&mut stream, &mut buffer, &request).await {
            Ok(Next::Another) => {}
            Ok(Next::Close) | Err(_) => return,
            Ok(Next::Reset) => {
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

/// Waits until its worker leaves.
async fn is_later(generation: &mut watch::Receiver<Generation>, ours: Generation) {
    // An error means that the worker is gone, which is as good.
    let _ = generation.wait_for(|it| ours < *it).await;
}

async fn never_or(after: Option<Duration>) {
    match after {
        Some(after) => sleep(after).await,
        None => std::future::pending().await,
    }
}

/// What becomes of the connection.
enum Next {
    Another,
    Close,
    Reset,
}

impl Worker {
    /// Counts a request; with the last one of a worker the next worker takes over.
    fn count(&self) {
        let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(each) = self.shared.locked().recycle
            && served.is_multiple_of(each)
        {
            self.generation.send_if_modified(|it| {
                let next = Generation::Of(served / each);
                let later = *it < next;
                if later {
                    *it = next;
                }
                later
            });
        }
    }

    async fn answer(
        &self,
        stream: &mut TcpStream,
        buffer: &mut Buffer,
        request: &Request,
    ) -> io::Result<Next> {
        let manner = *self.shared.locked();
        if request.path == HEALTH && manner.health == Health::Well {
            return write(stream, &whole(request.number, false)).await;
        }
        self.note(request, Ledger::begin);
        if let Fault::Unavailable(seconds) = manner.fault {
            return write(stream, &unavailable(seconds)).await;
        }
        tokio::select! {
            biased;
            () = self.work(&manner, request) => {}
            () = left(stream, buffer) => {
                self.note(request, Ledger::cancel);
                return Ok(Next::Close);
            }
        }
        self.note(request, Ledger::finish);
        self.send(stream, request, manner.fault).await
    }

    fn note(&self, request: &Request, what: fn(&Ledger, Number)) {
        if let Some(number) = request.number {
            what(&self.shared.ledger, number);
        }
    }

    /// Waits for its turn and works, if need be without end.
    async fn work(&self, manner: &Manner, request: &Request) {
        if manner.fault == Fault::Hang {
            return std::future::pending().await;
        }
        // The permits are never closed.
        let _turn = self.at_once.acquire().await;
        let slow = request.path.starts_with(SLOW);
        sleep(if slow { manner.slow_work } else { manner.work }).await;
    }

    /// What comes of work that is done.
    async fn send(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        fault: Fault,
    ) -> io::Result<Next> {
        let over = *self.generation.borrow() == Generation::Over;
        let whole = whole(request.number, over);
        match fault {
            Fault::Reset => Ok(Next::Reset),
            Fault::Cut => {
                stream.write_all(&whole[..whole.len() - ANSWER / 2]).await?;
                Ok(Next::Close)
            }
            Fault::None | Fault::Hang | Fault::Unavailable(_) => {
                let next = write(stream, &whole).await?;
                Ok(if over { Next::Close } else { next })
            }
        }
    }
}

/// Waits until the other side has left, or says something before it was answered.
async fn left(stream: &mut TcpStream, buffer: &mut Buffer) {
    if !buffer.is_empty() {
        return std::future::pending().await;
    }
    if let Ok(true) = buffer.fill(stream).await {
        std::future::pending::<()>().await;
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Next> {
    stream.write_all(bytes).await?;
    Ok(Next::Another)
}

/// The body that belongs to a request, so that a caller sees that an answer is his.
pub(crate) fn body(number: Option<Number>) -> Vec<u8> {
    let mut body = number.map_or_else(|| "health".to_owned(), |it| it.to_string()).into_bytes();
    body.resize(ANSWER, b'.');
    body
}

fn whole(number: Option<Number>, closes: bool) -> Vec<u8> {
    let close = if closes { "Connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {ANSWER}\r\n{close}\r\n"
    );
    [head.into_bytes(), body(number)].concat()
}

fn unavailable(seconds: u32) -> Vec<u8> {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Manner> {
        locked(&self.manner)
    }
}

/// What is guarded is whole after each change, even if another thread panicked.
fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prevent::ledger::Entry;
    use crate::prevent::message::{Broken, answer};
    use crate::prevent::ports::free_address;
    use std::io::ErrorKind;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A caller of a target.
    struct Caller {
        stream: TcpStream,
        buffer: Buffer,
    }

    impl Caller {
        async fn of(target: &Target) -> Caller {
            let stream = TcpStream::connect(target.at).await.unwrap();
            Caller { stream, buffer: Buffer::default() }
        }

        async fn send(&mut self, number: Number) {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Number: {number}\r\n\r\n");
            self.stream.write_all(head.as_bytes()).await.unwrap();
        }

        async fn asks(&mut self, number: Number) -> Result<u16, Broken> {
            self.send(number).await;
            let answer = answer(&mut self.stream, &mut self.buffer);
            timeout(PATIENCE, answer).await.unwrap().map(|it| it.status)
        }

        /// How the connection ends when it is not asked anything.
        async fn end(&mut self) -> Result<bool, ErrorKind> {
            let end = self.buffer.fill(&mut self.stream);
            timeout(PATIENCE, end).await.unwrap().map_err(|it| it.kind())
        }
    }

    async fn target(manner: Manner) -> (Target, Arc<Ledger>) {
        let ledger = Arc::default();
        let at = free_address().unwrap();
        (Target::start(at, manner, &ledger).await.unwrap(), ledger)
    }

    #[tokio::test]
    async fn a_reset_comes_after_the_work() {
        let manner = Manner::GOOD.with(Fault::Reset, Health::Well);
        let (target, ledger) = target(manner).await;
        let mut caller = Caller::of(&target).await;
        caller.send(1).await;
        assert_eq!(caller.end().await, Err(ErrorKind::ConnectionReset));
        assert_eq!(ledger.entry(1), Entry { begun: 1, done: 1, cancelled: 0 });
    }

    #[tokio::test]
    async fn half_of_a_body_is_cut() {
        let (target, _) = target(Manner::GOOD.with(Fault::Cut, Health::Well)).await;
        assert_eq!(Caller::of(&target).await.asks(1).await, Err(Broken::Cut));
    }

    #[tokio::test]
    async fn what_comes_while_an_idle_connection_is_being_closed_is_lost() {
        let idle = Duration::from_millis(100);
        let (target, ledger) = target(Manner { idle: Some(idle), ..Manner::GOOD }).await;
        let mut caller = Caller::of(&target).await;
        assert_eq!(caller.asks(1).await, Ok(200));
        sleep(idle + DISTANCE / 2).await;
        caller.send(2).await;
        // On a machine that is slow just now, the end was there before the request was sent.
        let end = caller.end().await;
        assert!(matches!(end, Err(ErrorKind::ConnectionReset) | Ok(false)), "{end:?}");
        assert_eq!(ledger.entry(2), Entry::default());
    }

    #[tokio::test]
    async fn a_worker_leaves_with_its_connections_and_another_one_goes_on() {
        let (target, _) = target(Manner { recycle: Some(2), ..Manner::GOOD }).await;
        let (mut one, mut other) = (Caller::of(&target).await, Caller::of(&target).await);
        assert_eq!(one.asks(1).await, Ok(200));
        assert_eq!(other.asks(2).await, Ok(200));
        assert_eq!(one.end().await, Ok(false));
        assert_eq!(other.end().await, Ok(false));
        assert_eq!(Caller::of(&target).await.asks(3).await, Ok(200));
    }

    #[tokio::test]
    async fn a_killed_target_refuses_until_it_is_started_and_loses_what_it_had_in_hand() {
        let (target, ledger) = target(Manner { work: PATIENCE, ..Manner::GOOD }).await;
        let mut caller = Caller::of(&target).await;
        caller.send(1).await;
        while ledger.entry(1).begun == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        target.kill().await;
        assert_eq!(caller.end().await, Ok(false));
        let refused = TcpStream::connect(target.at).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        target.behave(Manner::GOOD);
        target.start_again().await.unwrap();
        assert_eq!(Caller::of(&target).await.asks(2).await, Ok(200));
        assert_eq!(ledger.entry(1), Entry { begun: 1, done: 0, cancelled: 0 });
    }

    #[tokio::test]
    async fn a_target_that_is_asked_to_end_finishes_what_it_has_in_hand() {
        let (target, ledger) = target(Manner { work: 2 * DISTANCE, ..Manner::GOOD }).await;
        let (mut busy, mut idle) = (Caller::of(&target).await, Caller::of(&target).await);
        assert_eq!(idle.asks(1).await, Ok(200));
        busy.send(2).await;
        while ledger.entry(2).begun == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        target.terminate().await;
        assert!(TcpStream::connect(target.at).await.is_err());
        assert_eq!(idle.end().await, Ok(false));
        let last = answer(&mut busy.stream, &mut busy.buffer).await.unwrap();
        assert_eq!((last.status, last.keeps), (200, false));
    }

    #[tokio::test]
    async fn nobody_is_connected_to_a_target_that_has_vanished() {
        let (target, _) = target(Manner::GOOD).await;
        target.vanish().await.unwrap();
        assert!(timeout(2 * FULL_AFTER, TcpStream::connect(target.at)).await.is_err());
        target.reappear().await.unwrap();
        assert_eq!(Caller::of(&target).await.asks(1).await, Ok(200));
    }

    #[tokio::test]
    async fn work_is_cancelled_when_its_caller_leaves() {
        let (target, ledger) = target(Manner { work: PATIENCE, ..Manner::GOOD }).await;
        let mut caller = Caller::of(&target).await;
        caller.send(1).await;
        while ledger.entry(1).begun == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        drop(caller);
        while ledger.entry(1).cancelled == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ledger.entry(1), Entry { begun: 1, done: 0, cancelled: 1 });
    }

    #[tokio::test]
    async fn only_so_many_are_worked_on_at_a_time() {
        let at_once = AtOnce::Only(1);
        let work = Duration::from_millis(50);
        let (target, ledger) = target(Manner { at_once, work, ..Manner::GOOD }).await;
        let (mut one, mut other) = (Caller::of(&target).await, Caller::of(&target).await);
        let began = tokio::time::Instant::now();
        one.send(1).await;
        assert_eq!(other.asks(2).await, Ok(200));
        assert_eq!(ledger.entry(1).begun + ledger.entry(2).begun, 2);
        let both = answer(&mut one.stream, &mut one.buffer).await.map(|it| it.status);
        assert_eq!(both, Ok(200));
        assert!(2 * work <= began.elapsed());
    }
}
