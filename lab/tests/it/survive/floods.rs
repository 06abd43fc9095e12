//! Crowds of connections: memory and descriptors are bounded and come back, and whoever is honest is
//! answered meanwhile.

use super::{descriptors, resident, until};
use crate::doors::Papers;
use crate::world::{SOON, World, get, world_with};
use lab::client::Client;
use lab::stage;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const LIMITS: &str = "timeout = { head = \"4s\", body = \"4s\", idle = \"4s\" }\n";

const CROWD: usize = 2_000;

/// What a connection may take that has not sent a whole head: a buffer for it, one of the server behind
/// it, and what is said of both.
const EACH: usize = 96 * 1024;

/// What allocators keep.
const SLACK: usize = 16 << 20;

const QUICK: Duration = Duration::from_secs(2);

/// A plain listener, and one with TLS.
async fn world() -> (World, SocketAddr, Papers) {
    let papers = Papers::new("floods");
    let (settings, at) = papers.https("");
    let world = world_with(&format!("{settings}{LIMITS}"), stage::answer_well::<TcpStream>).await;
    (world, at, papers)
}

async fn check_honest(world: &World) -> Duration {
    let asked = Instant::now();
    let mut client = Client::connect(world.gateway.listen).await.expect("it accepts");
    let answer = client.exchange(&get("/")).await;
    assert_eq!(answer.status, Some(200), "{}", answer.words());
    asked.elapsed()
}

/// A crowd that says these bytes and then nothing.
async fn check_crowd(name: &str, to: impl Fn(&World, SocketAddr) -> SocketAddr, says: &[u8]) {
    let (world, tls, _papers) = world().await;
    check_honest(&world).await;
    let (files, memory) = (descriptors(&world), resident(&world));
    let mut crowd = Vec::with_capacity(CROWD);
    let at = to(&world, tls);
    for _ in 0..CROWD {
        let mut stream = TcpStream::connect(at).await.expect("the test can go on");
        stream.write_all(says).await.expect("the test can go on");
        crowd.push(stream);
    }
    until(SOON, "all are let in", async || {
        let there = descriptors(&world) - files;
        (CROWD * 9 / 10 <= there).then_some(()).ok_or_else(|| there.to_string())
    })
    .await;
    let there = descriptors(&world) - files;
    let grown = resident(&world).saturating_sub(memory);
    let waited = check_honest(&world).await;
    assert!(waited < QUICK, "{name}: {waited:?}");
    assert!(grown < there * EACH + SLACK, "{name}: {there} connections took {grown} bytes");
    // Their limits are four seconds.
    until(SOON * 3, "all are ended", async || {
        let now = descriptors(&world);
        (now <= files + 2).then_some(()).ok_or_else(|| format!("{now} open, {files} before"))
    })
    .await;
    let kept = resident(&world).saturating_sub(memory);
    assert!(kept < there * EACH / 2 + SLACK, "{kept} bytes are kept");
    drop(crowd);
    check_honest(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing() {
    check_crowd("silent", |world, _| world.gateway.listen, b"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_stop() {
    check_crowd("half a head", |world, _| world.gateway.listen, b"GET / HTTP/1.1\r\nX: y").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_begin() {
    check_crowd("silent TLS", |_, tls| tls, b"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_stop() {
    // The first bytes of a ClientHello of 512 bytes.
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 100]].concat();
    check_crowd("half a handshake", |_, tls| tls, &hello).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_leave_at_once() {
    let (world, tls, _papers) = world().await;
    check_honest(&world).await;
    let (files, memory) = (descriptors(&world), resident(&world));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for at in [world.gateway.listen, tls, world.gateway.listen, tls] {
        callers.spawn(async move {
            let mut count = 0;
            while began.elapsed() < Duration::from_secs(3) {
                let stream = TcpStream::connect(at).await.expect("it accepts");
                // Else the ports of this host would be used up.
                stream.set_zero_linger().expect("it is a socket");
                count += 1;
            }
            count
        });
    }
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(3) {
        slowest = slowest.max(check_honest(&world).await);
        sleep(Duration::from_millis(20)).await;
    }
    let count: usize = callers.join_all().await.into_iter().sum();
    assert!(slowest < QUICK, "{slowest:?} beside {count} connections");
    assert!(1_000 < count, "{count} are no flood");
    until(SOON, "all are ended", async || {
        let now = descriptors(&world);
        (now <= files + 2).then_some(()).ok_or_else(|| format!("{now} open, {files} before"))
    })
    .await;
    let kept = resident(&world).saturating_sub(memory);
    assert!(kept < SLACK, "{kept} bytes are kept");
}
