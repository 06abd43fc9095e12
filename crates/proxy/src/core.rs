//! One core: its thread, and what it is told to do.

use crate::Plane;
use crate::contain::kept_up;
use crate::doors::{Door, PlaceId};
use crate::listen::http3::quic::{self, QuicDoor};
use crate::listen::{Closing, Placed, accept, let_in, take_over};
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use quinn::Endpoint;
use rustix::fd::{AsFd, OwnedFd};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};

/// What a core is told.
pub(crate) enum Order {
    /// Serve by this from now on, at these doors too, and no longer at those.
    Adopt { snapshot: Snapshot, open: Vec<Door>, close: Vec<PlaceId>, done: Done },
    /// Take packets of QUIC here.
    OpenQuic(QuicDoor, Sender<io::Result<()>>),
    /// Say this to the clients of QUIC that come from now on, where packets for that address are taken
    /// already; and whether they are.
    ResumeQuic(SocketAddr, quinn::ServerConfig, Sender<bool>),
    /// Turn new clients of QUIC away.
    CloseQuic,
    /// Ask clients to leave, or no longer.
    Drain(bool),
    /// Tell which sockets are listened on.
    Show(Sender<io::Result<OwnedFd>>),
    /// Accept no more.
    Close(Closing),
    /// End, whatever is still open.
    Cut,
}

/// Told when a core accepts at its new doors.
pub(crate) type Done = Sender<io::Result<()>>;

/// One core's thread.
pub(crate) struct Core {
    pub(crate) plane: Arc<Plane>,
    pub(crate) here: usize,
    pub(crate) snapshot: Snapshot,
    pub(crate) doors: Vec<Door>,
    pub(crate) ready: Done,
    pub(crate) guests: mpsc::Receiver<Placed>,
}

/// A door of a core, and the task that accepts at it.
struct OpenDoor {
    id: PlaceId,
    listener: Rc<TcpListener>,
    closing: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl OpenDoor {
    fn new(worker: &Rc<Worker>, door: Door, here: usize) -> io::Result<OpenDoor> {
        let listener = Rc::new(TcpListener::from_std(door.socket.into())?);
        let (closing, closes) = oneshot::channel();
        let id = door.place.id;
        let accepting = accept(worker.clone(), listener.clone(), id, here, closes);
        Ok(OpenDoor { id, listener, closing, task: spawn_local(accepting) })
    }

    /// Waits until whoever queues there has been let in, where that is asked.
    async fn close(self, how: Closing, worker: &Rc<Worker>, here: usize) {
        // It ends only when it is told to, or in a panic that has been printed.
        let _ = self.closing.send(());
        let _ = self.task.await;
        if how == Closing::Empty {
            let_in(worker, &self.listener, self.id, here).await;
        }
    }
}

/// The endpoint of QUIC, and the task that takes in its connections.
#[derive(Default)]
struct Quic {
    endpoint: Rc<RefCell<Option<Endpoint>>>,
    accepting: Option<JoinHandle<()>>,
    /// Waits for the last client, to give up the socket.
    closing: Option<JoinHandle<()>>,
}

impl Quic {
    fn open(&mut self, worker: &Rc<Worker>, door: QuicDoor, here: usize) -> io::Result<()> {
        let endpoint = door.endpoint()?;
        // The one before has its own clients to wait for.
        self.close();
        self.closing = None;
        self.endpoint = Rc::new(RefCell::new(Some(endpoint.clone())));
        self.accepting = Some(spawn_local(quic::accept(worker.clone(), endpoint, here)));
        Ok(())
    }

    /// Whether there is an endpoint at that address that can go on.
    fn resume(
        &mut self,
        worker: &Rc<Worker>,
        address: SocketAddr,
        config: quinn::ServerConfig,
        here: usize,
    ) -> bool {
        let endpoint = self.endpoint.borrow().clone();
        let same = |it: &Endpoint| it.local_addr().is_ok_and(|it| it == address);
        let Some(endpoint) = endpoint.filter(same) else {
            return false;
        };
        if let Some(closing) = self.closing.take() {
            closing.abort();
        }
        endpoint.set_server_config(Some(config));
        if self.accepting.is_none() {
            self.accepting = Some(spawn_local(quic::accept(worker.clone(), endpoint, here)));
        }
        true
    }

    /// Turns new clients away. The socket is given up with the last one that is there.
    fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        let slot = self.endpoint.clone();
        let endpoint = slot.borrow().clone().filter(|_| self.closing.is_none());
        if let Some(endpoint) = endpoint {
            endpoint.set_server_config(None);
            self.closing = Some(spawn_local(async move {
                endpoint.wait_idle().await;
                slot.take();
            }));
        }
    }
}

impl Core {
    pub(crate) fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let built = Builder::new_current_thread()
            .enable_all()
            .event_interval(31)
            .build_local(LocalOptions::default());
        let Ok(runtime) = built else {
            return;
        };
        let Core { plane, here, snapshot, doors, ready, guests } = self;
        let shard = plane.shards[here].clone();
        let worker = Worker::new(plane, snapshot, shard);
        runtime.block_on(async {
            let (timer, house, pool) = (worker.timer.clone(), worker.clone(), worker.clone());
            spawn_local(kept_up(move || timer.clone().run()));
            spawn_local(kept_up(move || house.clone().keep_house()));
            spawn_local(kept_up(move || pool.clone().watch_idle()));
            spawn_local(take_over(worker.clone(), guests));
            let mut open = Vec::new();
            let _ = ready.send(open_all(&mut open, &worker, doors, here));
            let mut quic = Quic::default();
            while let Some(order) = orders.recv().await {
                match order {
                    Order::Adopt { snapshot, open: more, close, done } => {
                        let (gone, stay): (Vec<OpenDoor>, _) =
                            open.into_iter().partition(|it| close.contains(&it.id));
                        open = stay;
                        for door in gone {
                            door.close(Closing::Empty, &worker, here).await;
                        }
                        worker.adopt(snapshot);
                        // Who asked may have given up waiting.
                        let _ = done.send(open_all(&mut open, &worker, more, here));
                    }
                    Order::OpenQuic(door, opened) => {
                        let _ = opened.send(quic.open(&worker, door, here));
                    }
                    Order::ResumeQuic(address, config, resumed) => {
                        let _ = resumed.send(quic.resume(&worker, address, config, here));
                    }
                    Order::CloseQuic => quic.close(),
                    Order::Drain(draining) => worker.drain(draining),
                    Order::Show(to) => {
                        for door in &open {
                            let _ = to.send(door.listener.as_fd().try_clone_to_owned());
                        }
                    }
                    Order::Close(how) => {
                        quic.close();
                        for door in std::mem::take(&mut open) {
                            door.close(how, &worker, here).await;
                        }
                    }
                    Order::Cut => break,
                }
            }
            let endpoint = quic.endpoint.take();
            quic::cut(&worker.plane.quic, endpoint).await;
        });
        worker.ends.set(true);
        // Dropping the runtime drops every connection, and each dropped exchange is recorded.
        drop(runtime);
        worker.flush();
    }
}

fn open_all(
    open: &mut Vec<OpenDoor>,
    worker: &Rc<Worker>,
    doors: Vec<Door>,
    here: usize,
) -> io::Result<()> {
    for door in doors {
        open.push(OpenDoor::new(worker, door, here)?);
    }
    Ok(())
}
