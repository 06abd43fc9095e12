//! The app of `goodgate run -- COMMAND`: started with the gateway, kept alive, and stopped after it.
//!
//! It lives on a thread of its own, which stays for as long as the app does: the kernel takes the end
//! of that thread for the end of its parent. What it says and how it ends is shown on our standard
//! error, and kept for failed requests by [`Witness`].

mod board;
mod command;
mod lines;
mod memory;
mod process;
mod restarts;
mod supervise;

pub(crate) use command::NotStarted;
pub(crate) use process::become_child;

use crate::output::Output;
use board::{Board, Shower};
use exchange::{Address, Ending};
use proxy::Witness;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use supervise::Supervisor;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{oneshot, watch};

/// What is to be started.
pub(crate) struct Plan {
    /// A program and its arguments; not empty.
    pub(crate) command: Vec<OsString>,
    pub(crate) settings: config::Child,
    pub(crate) goal: Goal,
}

/// Where requests for it go.
pub(crate) enum Goal {
    /// To a port that it is handed, or wherever it listens instead.
    Port(u16),
    /// To addresses on the command line.
    Urls(Vec<SocketAddr>),
    /// To those of a file; some may lead elsewhere.
    File(Vec<SocketAddr>),
}

/// How far the app has come when the gateway begins to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It accepts connections, and has answered there if it speaks HTTP.
    At(Address),
    /// It ended, and will be started again.
    Ended,
    /// `child.start_timeout` passed.
    Late,
    /// It ended for good.
    Over(Ending),
    /// We were asked to stop.
    Stopped,
}

/// Why there is no app.
#[derive(Debug)]
pub(crate) enum Failure {
    Command { program: String, why: NotStarted },
    System(io::Error),
}

/// How an app that was stopped has ended before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was there until we were done.
    Stopped,
    /// By itself, for good.
    Over(Ending),
}

/// Whether the app is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// Nothing is served yet; a signal ends it.
    Start,
    /// Signals are the gateway's; a second one means haste.
    Run,
    Stop,
    /// Without waiting for it.
    Kill,
}

/// To be called when the gateway catches signals, and not before: the app that has ended for good by
/// then sends one at once.
pub(crate) type Serving = Box<dyn FnOnce() -> bool>;

/// Whether the app goes on, or has gone by itself, now that signals are the gateway's.
fn begin(order: &mut Order) -> bool {
    let goes_on = *order < Order::Stop;
    if goes_on {
        *order = Order::Run;
    }
    goes_on
}

/// A running app. Dropping it stops it.
pub(crate) struct Child {
    orders: watch::Sender<Order>,
    thread: Option<JoinHandle<Outcome>>,
    shower: Option<Shower>,
    witness: Arc<Witness>,
    name: String,
    places: watch::Receiver<Option<String>>,
}

/// Tells where the app listens, when that is no longer where it did.
pub(crate) struct Moved {
    places: watch::Receiver<Option<String>>,
    /// Where requests go.
    told: String,
}

impl Moved {
    /// The URL of the next place. It may be left and begun again at any time.
    pub(crate) async fn next(&mut self) -> String {
        let elsewhere = |it: &Option<String>| it.as_ref().is_some_and(|it| *it != self.told);
        let found = match self.places.wait_for(elsewhere).await {
            Ok(place) => place.clone(),
            Err(_) => None,
        };
        match found {
            Some(url) => {
                self.told.clone_from(&url);
                url
            }
            // It has ended for good.
            None => std::future::pending().await,
        }
    }
}

/// A loopback port that is free now, to be handed over.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The URL of an address at which something listens.
pub(crate) fn url(place: &Address) -> String {
    match place {
        Address::Unix(path) => format!("unix:{path}"),
        Address::Inet(address) => {
            let ip = match address.ip() {
                IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                it => it,
            };
            format!("http://{}", SocketAddr::new(ip, address.port()))
        }
    }
}

impl Child {
    /// Starts it, and waits until it answers; not for longer than `child.start_timeout`.
    pub(crate) fn start(plan: Plan, output: &Output) -> Result<(Child, Arrived), Failure> {
        let program = plan.command.first().cloned().unwrap_or_default();
        let found = command::find(&program, std::env::var_os("PATH").as_deref());
        let file = found.map_err(|why| {
            let program = program.to_string_lossy().into_owned();
            Failure::Command { program, why }
        })?;
        let name = command::name(&plan.command);
        let every = !matches!(plan.goal, Goal::File(_));
        let settings = &plan.settings;
        let witness = Witness::new(&name, settings.output, settings.evidence_wait, every);
        let (board, shower) = Board::open(&name, output).map_err(Failure::System)?;
        let (orders, ordered) = watch::channel(Order::Start);
        let (arrive, arrived) = oneshot::channel();
        let (place, places) = watch::channel(None);
        let (whose, witnessed, own_orders) = (name.clone(), witness.clone(), orders.clone());
        let work = move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let Ok(runtime) = runtime else {
                // Whoever waits for it sees that nobody arrives.
                return Outcome::Stopped;
            };
            let supervisor = Supervisor::new(plan, file, whose, board, witnessed, place);
            runtime.block_on(supervisor.run(own_orders, ordered, arrive))
        };
        let thread = std::thread::Builder::new()
            .name("child".to_owned())
            .spawn(work)
            .map_err(Failure::System)?;
        let child =
            Child { orders, thread: Some(thread), shower: Some(shower), witness, name, places };
        match arrived.blocking_recv() {
            Ok(arrived) => Ok((child, arrived)),
            Err(_) => Err(Failure::System(io::Error::other("its thread has no runtime"))),
        }
    }

    pub(crate) fn witness(&self) -> Arc<Witness> {
        self.witness.clone()
    }

    /// Where it listens, from now on, beside this URL.
    pub(crate) fn moved(&self, from: String) -> Moved {
        Moved { places: self.places.clone(), told: from }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it said last, for a message.
    pub(crate) fn last_lines(&self) -> String {
        supervise::last_lines(&self.witness)
    }

    /// Says that from now on the gateway answers signals. False where one has ended the app before:
    /// then there is nothing to serve.
    pub(crate) fn serving(&self) -> Serving {
        let orders = self.orders.clone();
        Box::new(move || orders.send_if_modified(begin))
    }

    /// Ends it: SIGTERM, and SIGKILL after `child.stop_timeout`. Blocks until it is gone.
    pub(crate) fn stop(mut self) -> Outcome {
        self.end()
    }

    fn end(&mut self) -> Outcome {
        self.order(Order::Stop);
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(shower) = self.shower.take() {
            shower.join();
        }
        // A panic has been printed where it happened.
        ended.and_then(Result::ok).unwrap_or(Outcome::Stopped)
    }

    fn order(&self, order: Order) {
        self.orders.send_modify(|it| *it = order.max(*it));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_has_ended_is_not_served() {
        for (before, serves, after) in [
            (Order::Start, true, Order::Run),
            (Order::Stop, false, Order::Stop),
            (Order::Kill, false, Order::Kill),
        ] {
            let mut order = before;
            assert_eq!((begin(&mut order), order), (serves, after), "{before:?}");
        }
    }

    #[test]
    fn a_place_is_dialled_where_only_we_reach_it() {
        let check = |place: &str, expected: &str| {
            assert_eq!(url(&Address::Inet(place.parse().unwrap())), expected);
        };
        check("127.0.0.1:80", "http://127.0.0.1:80");
        check("0.0.0.0:80", "http://127.0.0.1:80");
        check("[::]:80", "http://[::1]:80");
        check("192.0.2.1:80", "http://192.0.2.1:80");
        assert_eq!(url(&Address::Unix("/run/a".into())), "unix:/run/a");
    }
}
