//! Clients that ask for trouble, or make it.

use lab::Ask;
use lab::client::{Client, request_for};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Between two visits of a client.
const PAUSE: Duration = Duration::from_millis(50);
const UPLOAD: usize = 1024 * 1024;
/// Between two pieces of a slow client, either way.
const SLOWLY: Duration = Duration::from_millis(20);
/// When a slow client has had enough.
const ENOUGH: Duration = Duration::from_secs(3);
/// Longer than any visit takes. What takes longer has lost its answer.
const VISIT: Duration = Duration::from_secs(60);

/// What one visit is: one request each.
#[derive(Clone, Copy, Debug)]
enum Visit {
    /// Asks for this path and takes what comes.
    Ask(&'static str),
    Upload,
    Socket,
    /// Leaves before the answer.
    LeaveEarly,
    /// Leaves in the middle of it.
    LeaveMidway,
    /// Ends its side in the middle of a head.
    HalfHead,
    /// Asks byte by byte and reads little by little, and leaves in the end.
    Slow,
    /// Makes no sense.
    Malformed,
}

const VISITS: [Visit; 15] = [
    Visit::Ask("/slow"),
    Visit::Ask("/refusing"),
    Visit::Upload,
    Visit::Ask("/resetting"),
    Visit::LeaveEarly,
    Visit::Ask("/cut"),
    Visit::Ask("/failing"),
    Visit::Socket,
    Visit::Ask("/download"),
    Visit::LeaveMidway,
    Visit::Ask("/events"),
    Visit::HalfHead,
    Visit::Slow,
    Visit::Ask("/nowhere"),
    Visit::Malformed,
];

pub(super) struct Visitors {
    asked: Arc<AtomicU64>,
    end: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Visitors {
    pub(super) fn start(listen: SocketAddr, count: usize) -> Visitors {
        let (end, ended) = watch::channel(false);
        let asked = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for ordinal in 0..count {
            tasks.spawn(stroll(listen, ordinal, asked.clone(), ended.clone()));
        }
        Visitors { asked, end, tasks }
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    /// Lets each end its visit; how many requests there were.
    pub(super) async fn stop(mut self) -> u64 {
        let _ = self.end.send(true);
        while self.tasks.join_next().await.is_some() {}
        self.asked()
    }
}

async fn stroll(
    listen: SocketAddr,
    ordinal: usize,
    asked: Arc<AtomicU64>,
    ended: watch::Receiver<bool>,
) {
    for visit in VISITS.iter().cycle().skip(ordinal) {
        if *ended.borrow() {
            return;
        }
        // Where there was no connection there was no request; what came of one does not matter here.
        if let Ok(client) = Client::connect(listen).await {
            asked.fetch_add(1, Relaxed);
            let _ = timeout(VISIT, pay(*visit, client)).await;
        }
        sleep(PAUSE).await;
    }
}

async fn pay(visit: Visit, mut client: Client) -> io::Result<()> {
    match visit {
        Visit::Ask(path) => {
            client.exchange(&request_for(path, Ask::Get)).await;
        }
        Visit::Upload => {
            client.exchange(&request_for("/upload", Ask::Upload(UPLOAD))).await;
        }
        Visit::Socket => {
            client.send(&request_for("/socket", Ask::WebSocket)).await?;
            client.head().await;
            client.send(b"some bytes").await?;
            let _ = client.some().await;
            client.finish().await?;
            client.rest().await;
        }
        Visit::LeaveEarly => {
            client.send(&request_for("/slow", Ask::Get)).await?;
            sleep(5 * SLOWLY).await;
            client.leave()?;
        }
        Visit::LeaveMidway => {
            client.send(&request_for("/events", Ask::Get)).await?;
            client.head().await;
            let _ = client.some().await;
            client.leave()?;
        }
        Visit::HalfHead => {
            client.send(b"GET /load HTTP/1.1\r\nHost: la").await?;
            client.finish().await?;
            client.rest().await;
        }
        Visit::Slow => {
            for byte in request_for("/download", Ask::Get) {
                client.send(&[byte]).await?;
                sleep(SLOWLY / 4).await;
            }
            let began = Instant::now();
            while began.elapsed() < ENOUGH && client.some().await.is_ok() {
                sleep(SLOWLY).await;
            }
            client.leave()?;
        }
        Visit::Malformed => {
            client.send(b"GET /load HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await?;
            client.rest().await;
        }
    }
    Ok(())
}
