//! Keeps the app alive: starts it, hears it, looks where it listens, starts it again.

use super::board::Board;
use super::lines::Splitter;
use super::memory::Kills;
use super::process::{Process, Start, descriptors};
use super::restarts::{Next, Pauses, next};
use super::{Arrived, Goal, Order, Outcome, Plan, command, url};
use crate::listening::of_group;
use diagnosis::child::told;
use exchange::{Act, Address, Deed, Ending, Micros, Said};
use proxy::Witness;
use rustix::process::{Signal, getpid, kill_process};
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout, timeout_at};

/// How often an app that is on its way up is looked for.
const LOOK_STARTING: Duration = Duration::from_millis(50);
/// How often one that is up is looked at: it may listen elsewhere, or lose a process to the kernel.
const LOOK_UP: Duration = Duration::from_millis(500);
/// Bytes that are read of its output at once.
const READ: usize = 64 * 1024;
/// What it said last is read to its end before that end is told. Others may hold its pipe open.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// How long more of it is waited for before it is judged.
const GATHER: Duration = Duration::from_millis(5);
/// How often the counter of the kernel is read while it talks.
const MEMORY: Duration = Duration::from_millis(10);
/// How long one try may take to get a first answer of an app that has accepted a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a hurried user still gives it.
const HURRIED: Duration = Duration::from_millis(500);
/// Its last lines, in a message about it.
const LAST_LINES: usize = 5;

pub(super) struct Supervisor {
    plan: Plan,
    file: PathBuf,
    name: String,
    environment: Vec<(&'static str, String)>,
    descriptors: Option<u64>,
    told: Rc<Told>,
    /// The URL of the place at which it listens.
    place: watch::Sender<Option<String>>,
}

/// Where everything goes that is seen or said.
struct Told {
    board: Board,
    witness: Arc<Witness>,
    kills: RefCell<Option<Kills>>,
    /// When the kernel's counter was read last.
    counted: Cell<Option<Instant>>,
    /// The process of this run.
    pid: Cell<u32>,
    /// Places of this run at which it has been seen to listen.
    places: RefCell<Vec<Address>>,
    /// Of those that requests may go to, where somebody listened before it was started.
    others: RefCell<Vec<SocketAddr>>,
}

impl Told {
    fn did(&self, act: Act) -> Deed {
        let deed = Deed { at: now(), pid: self.pid.get(), act };
        self.witness.did(deed.clone());
        deed
    }

    /// What the process of some run said.
    fn say(&self, at: Micros, pid: u32, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        // Before the words that it explains.
        self.count();
        self.board.say(lines);
        self.witness
            .say(lines.iter().map(|it| Said { at, pid, line: it.as_str().into() }).collect());
    }

    /// Tells what the kernel has killed since it was asked last.
    fn count(&self) {
        let lately = self.counted.get().is_some_and(|it| it.elapsed() < MEMORY);
        if lately {
            return;
        }
        self.counted.set(Some(Instant::now()));
        self.count_now();
    }

    fn count_now(&self) {
        let more = self.kills.borrow_mut().as_mut().is_some_and(Kills::more);
        if more {
            let deed = self.did(Act::OutOfMemory);
            self.board.message(&told("", &deed));
        }
    }
}

/// Microseconds since 1970.
fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// How one run ended.
enum Ran {
    Ended {
        ending: Ending,
        lasted: Duration,
    },
    /// We ended it.
    Stopped,
}

/// Reads what one run says. Dropping it ends that, for somebody who left its group may hold its pipes
/// for ever.
struct Readers(Vec<JoinHandle<()>>);

impl Readers {
    /// Until both streams have ended.
    async fn end(&mut self) {
        for reader in &mut self.0 {
            if !reader.is_finished() {
                // A panic has been printed where it happened.
                let _ = reader.await;
            }
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Who waits for the app to come up, while he does.
type Waiting = Rc<RefCell<Option<oneshot::Sender<Arrived>>>>;

fn arrive(waiting: &Waiting, arrived: Arrived) {
    if let Some(waiting) = waiting.borrow_mut().take() {
        // Whoever waited has gone.
        let _ = waiting.send(arrived);
    }
}

impl Supervisor {
    pub(super) fn new(
        plan: Plan,
        file: PathBuf,
        name: String,
        board: Board,
        witness: Arc<Witness>,
        place: watch::Sender<Option<String>>,
    ) -> Supervisor {
        let environment = match plan.goal {
            Goal::Port(port) => {
                command::environment(&plan.command, port, command::gunicorn_is_configured())
            }
            Goal::Urls(_) | Goal::File(_) => Vec::new(),
        };
        let told = Told {
            board,
            witness,
            kills: RefCell::new(Kills::here()),
            counted: Cell::new(None),
            pid: Cell::new(0),
            places: RefCell::default(),
            others: RefCell::default(),
        };
        let descriptors = descriptors();
        Supervisor { plan, file, name, environment, descriptors, told: Rc::new(told), place }
    }

    pub(super) async fn run(
        self,
        orders: watch::Sender<Order>,
        mut ordered: watch::Receiver<Order>,
        waiting: oneshot::Sender<Arrived>,
    ) -> Outcome {
        let waiting: Waiting = Rc::new(RefCell::new(Some(waiting)));
        spawn_local(signals(orders));
        spawn_local(patience(self.plan.settings.start_timeout, waiting.clone()));
        self.look_around().await;
        let mut pauses = Pauses::new(self.plan.settings.backoff);
        loop {
            let Ran::Ended { ending, lasted } = self.once(&mut ordered, &waiting).await else {
                arrive(&waiting, Arrived::Stopped);
                return Outcome::Stopped;
            };
            let deed = Deed { at: now(), pid: self.told.pid.get(), act: Act::Ended(ending) };
            let ended = told(&self.name, &deed);
            if next(self.plan.settings.restart, ending) == Next::Over {
                self.told.board.message(&format!(
                    "{ended}; by `child.restart` it is not started again, so the gateway ends too"
                ));
                self.over(&waiting, ending, &mut ordered).await;
                return Outcome::Over(ending);
            }
            let pause = pauses.after(lasted, rand::random());
            let seconds = pause.as_secs_f64();
            self.told.board.message(&format!("{ended}; starting it again in {seconds:.1} s"));
            arrive(&waiting, Arrived::Ended);
            tokio::select! {
                () = sleep(pause) => {}
                () = asked_to_stop(&mut ordered) => return Outcome::Stopped,
            }
        }
    }

    /// Ends the gateway as everybody does who wants it to end, and waits until it is done.
    async fn over(&self, waiting: &Waiting, ending: Ending, ordered: &mut watch::Receiver<Order>) {
        arrive(waiting, Arrived::Over(ending));
        let running =
            ordered.wait_for(|it| Order::Run <= *it).await.is_ok_and(|it| *it == Order::Run);
        if running {
            let _ = kill_process(getpid(), Signal::TERM);
            asked_to_stop(ordered).await;
        }
    }

    /// One run, from its start to its end.
    async fn once(&self, ordered: &mut watch::Receiver<Order>, waiting: &Waiting) -> Ran {
        let arguments: &[OsString] = self.plan.command.get(1..).unwrap_or_default();
        let start = Start {
            file: &self.file,
            arguments,
            environment: &self.environment,
            descriptors: self.descriptors,
        };
        let mut process = match Process::start(&start) {
            Ok(it) => it,
            Err(why) => {
                self.told.board.message(&format!("{} cannot be started: {why}", self.name));
                return Ran::Ended { ending: Ending::Code(127), lasted: Duration::ZERO };
            }
        };
        let told = &self.told;
        told.pid.set(process.id());
        told.places.borrow_mut().clear();
        let deed = told.did(Act::Started);
        told.board.message(&diagnosis::child::told(&self.name, &deed));
        let mut readers = self.read(&mut process);
        let mut up = false;
        let mut meeting: Option<JoinHandle<()>> = None;
        let ending = loop {
            let pause = if up { LOOK_UP } else { LOOK_STARTING };
            tokio::select! {
                ending = process.ended() => break ending,
                () = sleep(pause) => {
                    told.count();
                    if let Some(place) = self.look(&process).await {
                        if !up {
                            meeting = Some(spawn_local(meet(place, waiting.clone())));
                        }
                        up = true;
                    }
                }
                () = asked_to_stop(ordered) => {
                    self.stop(&mut process, ordered).await;
                    return Ran::Stopped;
                }
            }
        };
        if let Some(meeting) = meeting {
            meeting.abort();
        }
        let _ = timeout(LAST_WORDS, readers.end()).await;
        told.count_now();
        told.did(Act::Ended(ending));
        let lasted = process.lasted();
        let until = Instant::now() + self.plan.settings.stop_timeout;
        tokio::select! {
            () = process.clear(until) => Ran::Ended { ending, lasted },
            () = asked_to_stop(ordered) => {
                self.clear(&process, ordered).await;
                Ran::Stopped
            }
        }
    }

    /// Both streams.
    fn read(&self, process: &mut Process) -> Readers {
        let (stdout, stderr) = process.outputs();
        let pid = process.id();
        let stdout = stdout.map(|it| spawn_local(hear(it, self.told.clone(), pid)));
        let stderr = stderr.map(|it| spawn_local(hear(it, self.told.clone(), pid)));
        Readers([stdout, stderr].into_iter().flatten().collect())
    }

    /// Who listens already, before the app is there, is somebody else.
    async fn look_around(&self) {
        let (Goal::Urls(all) | Goal::File(all)) = &self.plan.goal else { return };
        let looks: Vec<_> = all.iter().map(|it| (*it, spawn_local(is_open(*it)))).collect();
        let mut others = Vec::new();
        for (address, look) in looks {
            if look.await.unwrap_or(false) {
                others.push(address);
            }
        }
        let told: Vec<Address> = others.iter().copied().map(Address::Inet).collect();
        self.told.witness.others_listen(&told);
        self.told.others.replace(others);
    }

    /// Where it accepts connections by now; told when that is new.
    async fn look(&self, process: &Process) -> Option<Address> {
        let places = of_group(process.id());
        self.told.witness.listens(&places);
        let place = match &self.plan.goal {
            Goal::Port(port) => chosen(&places, *port).cloned(),
            Goal::Urls(all) | Goal::File(all) => match places.first() {
                Some(place) => Some(place.clone()),
                None => {
                    let others = self.told.others.borrow().clone();
                    open(all.iter().filter(|it| !others.contains(it))).await.map(Address::Inet)
                }
            },
        }?;
        let is_new = !self.told.places.borrow().contains(&place);
        if is_new {
            self.told.places.borrow_mut().push(place.clone());
            self.place.send_replace(Some(url(&place)));
            self.told.did(Act::Listening(place.to_string().into()));
            self.tell(&place);
        }
        Some(place)
    }

    fn tell(&self, place: &Address) {
        let Goal::Port(port) = self.plan.goal else { return };
        let Address::Inet(address) = place else { return };
        let name = &self.name;
        if address.port() != port {
            self.told.board.message(&format!(
                "{name} listens on {address}, not on port {port} that it was given"
            ));
        }
        if address.ip().is_unspecified() {
            self.told.board.message(&format!(
                "{name} listens on every address of this machine ({address}), so it can be reached \
                 without this gateway; let it listen on 127.0.0.1"
            ));
        }
    }

    /// SIGTERM, and SIGKILL to its group when its time is up or somebody is in a hurry.
    async fn stop(&self, process: &mut Process, ordered: &mut watch::Receiver<Order>) {
        let until = Instant::now() + self.plan.settings.stop_timeout;
        process.terminate();
        let late = tokio::select! {
            _ = process.ended() => false,
            () = sleep(until - Instant::now()) => true,
            () = hurried(ordered) => false,
        };
        if late {
            let limit = self.plan.settings.stop_timeout;
            let name = &self.name;
            self.told.board.message(&format!(
                "{name} did not end within `child.stop_timeout` ({limit:?}) of SIGTERM, and is killed"
            ));
            process.kill();
            process.ended().await;
        }
        let until = until.max(Instant::now());
        tokio::select! {
            () = process.clear(until) => {}
            () = hurried(ordered) => {}
        }
        process.kill();
        process.ended().await;
    }

    /// The same for what it left behind.
    async fn clear(&self, process: &Process, ordered: &mut watch::Receiver<Order>) {
        let until = Instant::now() + self.plan.settings.stop_timeout;
        tokio::select! {
            () = process.clear(until) => {}
            () = hurried(ordered) => process.kill(),
        }
    }
}

/// A signal before anything is served ends it; the second one after that means haste.
async fn signals(orders: watch::Sender<Order>) {
    let (Ok(mut end), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    let mut before = 0;
    loop {
        tokio::select! {
            _ = end.recv() => {}
            _ = interrupt.recv() => {}
        }
        let now = *orders.borrow();
        if now == Order::Start {
            orders.send_modify(|it| *it = Order::Stop.max(*it));
        } else {
            before += 1;
        }
        if 2 <= before {
            orders.send_modify(|it| *it = Order::Kill);
        }
    }
}

/// Ends the wait for an app that does not come up.
async fn patience(limit: Duration, waiting: Waiting) {
    sleep(limit).await;
    arrive(&waiting, Arrived::Late);
}

async fn asked_to_stop(ordered: &mut watch::Receiver<Order>) {
    // Who gave orders is gone: that is one too.
    let _ = ordered.wait_for(|it| Order::Stop <= *it).await;
}

async fn hurried(ordered: &mut watch::Receiver<Order>) {
    if ordered.wait_for(|it| *it == Order::Kill).await.is_ok() {
        sleep(HURRIED).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Reads one stream of a run to its end. Lines that come right after each other are judged once.
async fn hear(mut stream: impl AsyncRead + Unpin, told: Rc<Told>, pid: u32) {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; READ];
    loop {
        let mut count = stream.read(&mut buffer).await.unwrap_or(0);
        let (at, until) = (now(), tokio::time::Instant::now() + GATHER);
        let mut lines = Vec::new();
        let mut bytes = 0;
        while 0 < count {
            lines.extend(splitter.take(buffer.get(..count).unwrap_or_default()));
            bytes += count;
            if READ <= bytes {
                break;
            }
            match timeout_at(until, stream.read(&mut buffer)).await {
                Ok(more) => count = more.unwrap_or(0),
                Err(_) => break,
            }
        }
        let ended = count == 0;
        lines.extend(splitter.last().filter(|_| ended));
        told.say(at, pid, &lines);
        if ended {
            return;
        }
    }
}

/// Of several places the one that it was given, else the first.
fn chosen(places: &[Address], port: u16) -> Option<&Address> {
    let given = |it: &&Address| matches!(it, Address::Inet(it) if it.port() == port);
    places.iter().find(given).or(places.first())
}

/// The first of these that takes a connection.
async fn open(all: impl Iterator<Item = &SocketAddr>) -> Option<SocketAddr> {
    for address in all {
        if is_open(*address).await {
            return Some(*address);
        }
    }
    None
}

async fn is_open(address: SocketAddr) -> bool {
    matches!(timeout(PATIENCE, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Waits until it answers: servers listen before the app in them is loaded.
async fn meet(place: Address, waiting: Waiting) {
    const QUESTION: &[u8] = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: goodgate\r\n\
                              Connection: close\r\n\r\n";
    while waiting.borrow().is_some() {
        let asked = async {
            match &place {
                Address::Unix(path) => {
                    first_byte(UnixStream::connect(&**path).await?, QUESTION).await
                }
                Address::Inet(_) => {
                    let url = url(&place);
                    let authority = url.strip_prefix("http://").unwrap_or(&url);
                    first_byte(TcpStream::connect(authority).await?, QUESTION).await
                }
            }
        };
        match timeout(PATIENCE, asked).await {
            // Too slow to be waited for, or no HTTP at all: both are up.
            Ok(Ok(true)) | Err(_) => return arrive(&waiting, Arrived::At(place)),
            Ok(Ok(false) | Err(_)) => sleep(LOOK_STARTING).await,
        }
    }
}

async fn first_byte(
    mut stream: impl AsyncRead + tokio::io::AsyncWrite + Unpin,
    question: &[u8],
) -> std::io::Result<bool> {
    stream.write_all(question).await?;
    Ok(0 < stream.read(&mut [0; 1]).await?)
}

/// What it said last, for a message.
pub(super) fn last_lines(witness: &Witness) -> String {
    let lines = witness.last_lines(LAST_LINES);
    lines.iter().map(|it| format!("  {it}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_that_it_was_given_is_preferred() {
        let places: Vec<Address> = ["127.0.0.1:5678", "127.0.0.1:8123"]
            .iter()
            .map(|it| Address::Inet(it.parse().unwrap()))
            .collect();
        assert_eq!(chosen(&places, 8123), places.get(1));
        assert_eq!(chosen(&places, 9), places.first());
        assert_eq!(chosen(&[], 9), None);
    }
}
