//! A way to a server: what either side says comes a little later to the other.

use super::target::DISTANCE;
use anyhow::Result;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

const BLOCK: usize = 16 * 1024;
/// Blocks on their way in one direction.
const UNDER_WAY: usize = 1024;

/// It stops taking connections when dropped.
pub(crate) struct Relay {
    pub(crate) at: SocketAddr,
    accepting: AbortHandle,
}

impl Relay {
    pub(crate) async fn start(at: SocketAddr, to: SocketAddr) -> Result<Relay> {
        let listener = TcpListener::bind(at).await?;
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(join(stream, to));
                }
            }
        });
        Ok(Relay { at, accepting: accepting.abort_handle() })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn join(near: TcpStream, to: SocketAddr) {
    // Whoever cannot be reached any more has closed its end, which the other one then sees too.
    let Ok(far) = TcpStream::connect(to).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_from, near_to) = near.into_split();
    let (far_from, far_to) = far.into_split();
    tokio::join!(carry(near_from, far_to), carry(far_from, near_to));
}

/// Until the end, which is passed on as late as all else.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf) {
    let (taken, given) = mpsc::channel(UNDER_WAY);
    tokio::join!(take(from, taken), give(given, to));
}

async fn take(mut from: OwnedReadHalf, taken: mpsc::Sender<(Instant, Vec<u8>)>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let count = from.read_buf(&mut block).await.unwrap_or(0);
        let due = Instant::now() + DISTANCE;
        if count == 0 {
            return sleep_until(due).await;
        }
        if taken.send((due, block)).await.is_err() {
            return;
        }
    }
}

async fn give(mut given: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
    while let Some((due, block)) = given.recv().await {
        sleep_until(due).await;
        if to.write_all(&block).await.is_err() {
            return;
        }
    }
}
