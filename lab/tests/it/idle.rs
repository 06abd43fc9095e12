//! Idle connections to targets: how long these keep them, and for how many requests, is learned from
//! what they do.

use crate::peer::{connect, get, say, world2};
use crate::world::{OK, SOON, World, world_with};
use lab::client::{Client, request};
use lab::gateway::Gateway;
use lab::scene::Ask;
use lab::stage;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Targets close as if they were this far away: what they are sent in the meantime is lost.
const DISTANCE: Duration = Duration::from_millis(20);

/// Longer than any limit of these tests.
const LONG: Duration = Duration::from_secs(60);

/// How a target treats its connections.
struct Manner {
    /// In milliseconds.
    idle: AtomicU64,
    /// Requests on one connection.
    requests: usize,
    /// All connections that are open are closed whenever it changes.
    generation: watch::Sender<u32>,
    /// Connections that were opened.
    opened: AtomicUsize,
}

impl Manner {
    fn new(idle: Duration, requests: usize) -> Arc<Manner> {
        Arc::new(Manner {
            idle: AtomicU64::new(idle.as_millis() as u64),
            requests,
            generation: watch::Sender::new(0),
            opened: AtomicUsize::new(0),
        })
    }

    fn recycle(&self) {
        self.generation.send_modify(|it| *it += 1);
    }

    fn opened(&self) -> usize {
        self.opened.load(Relaxed)
    }
}

async fn talk(mut stream: TcpStream, manner: Arc<Manner>) -> io::Result<()> {
    manner.opened.fetch_add(1, Relaxed);
    let mut recycled = manner.generation.subscribe();
    for _ in 0..manner.requests {
        let idle = Duration::from_millis(manner.idle.load(Relaxed));
        let request = tokio::select! {
            it = stage::read_request(&mut stream) => it?,
            () = sleep(idle) => break,
            _ = recycled.changed() => break,
        };
        if request.is_none() {
            return Ok(());
        }
        stream.write_all(OK.as_bytes()).await?;
    }
    sleep(DISTANCE).await;
    Ok(())
}

async fn world(manner: &Arc<Manner>) -> World {
    let manner = manner.clone();
    world_with("", move |stream| talk(stream, manner.clone())).await
}

/// How long the target is known to keep idle connections, in seconds.
async fn learned(gateway: &Gateway) -> Option<f64> {
    let ask = b"GET /metrics HTTP/1.1\r\nHost: status\r\nConnection: close\r\n\r\n";
    let mut client = Client::connect(gateway.status).await.expect("the test can go on");
    let text = client.exchange(ask).await.text();
    let line = text.lines().find(|it| it.starts_with("goodgate_upstream_idle_learned_seconds{"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Waits until it is so.
async fn until_learned(gateway: &Gateway, is_it: impl Fn(Option<f64>) -> bool) {
    let began = Instant::now();
    let mut now = learned(gateway).await;
    while !is_it(now) {
        assert!(began.elapsed() < 2 * SOON, "what is learned stays {now:?}");
        sleep(Duration::from_millis(20)).await;
        now = learned(gateway).await;
    }
}

async fn ask(client: &mut Client, ask: Ask) -> Option<u16> {
    client.exchange(&request(ask)).await.status
}

/// Waits until what may not be repeated goes over connections that are there.
async fn until_posts_share(manner: &Manner, client: &mut Client) {
    let began = Instant::now();
    loop {
        let before = manner.opened();
        assert_eq!(ask(client, Ask::Post).await, Some(200));
        if manner.opened() == before {
            return;
        }
        assert!(began.elapsed() < 2 * SOON, "each has a connection of its own");
        // Few of those connections are to be left over.
        sleep(Duration::from_secs(1)).await;
    }
}

/// So many callers at once. How many of them had no good answer.
async fn burst(world: &World, count: usize, how: Ask) -> usize {
    let mut asking = JoinSet::new();
    for _ in 0..count {
        let mut client = world.gateway.client().await.expect("the test can go on");
        asking.spawn(async move { ask(&mut client, how).await });
    }
    let answers = asking.join_all().await;
    answers.into_iter().filter(|it| *it != Some(200)).count()
}

#[tokio::test]
async fn no_post_is_lost_around_an_idle_limit_once_a_connection_was_closed() {
    let manner = Manner::new(Duration::from_secs(1), usize::MAX);
    let world = world(&manner).await;
    assert_eq!(burst(&world, 8, Ask::Post).await, 0);
    until_learned(&world.gateway, |it| it.is_some_and(|it| (0.9..1.3).contains(&it))).await;
    for pause in [940, 1_000, 1_020, 980, 1_010, 1_060] {
        assert_eq!(burst(&world, 8, Ask::Post).await, 0, "after {pause} ms");
        sleep(Duration::from_millis(pause)).await;
    }
    assert_eq!(burst(&world, 8, Ask::Get).await, 0);
    // Whoever comes soon enough still uses what is there.
    let before = manner.opened();
    let mut client = world.gateway.client().await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
        sleep(Duration::from_millis(400)).await;
    }
    assert!(manner.opened() <= before + 1);
}

#[tokio::test]
async fn no_request_is_lost_to_a_target_that_closes_after_forty_once_that_is_learned() {
    let manner = Manner::new(LONG, 40);
    let world = world(&manner).await;
    let mut client = world.gateway.client().await.unwrap();
    // What is lost until then may be repeated.
    for at in 0..800 {
        assert_eq!(ask(&mut client, Ask::Get).await, Some(200), "{at}");
    }
    // Until it was learned, it looked like a target that closes as it likes.
    until_posts_share(&manner, &mut client).await;
    let before = manner.opened();
    for how in [Ask::Post, Ask::Get, Ask::Post] {
        for at in 0..200 {
            assert_eq!(ask(&mut client, how).await, Some(200), "{how:?} {at}");
        }
    }
    // Nearly all that a connection takes is used.
    assert!(manner.opened() - before <= 18);
}

#[tokio::test]
async fn connections_are_used_again_however_many_were_recycled() {
    let manner = Manner::new(LONG, usize::MAX);
    let world = world(&manner).await;
    for pause in [60, 700, 150, 300, 1_200, 80, 500, 900] {
        assert_eq!(burst(&world, 4, Ask::Get).await, 0);
        sleep(Duration::from_millis(pause)).await;
        manner.recycle();
        sleep(2 * DISTANCE).await;
    }
    assert_eq!(burst(&world, 4, Ask::Get).await, 0);
    until_learned(&world.gateway, |it| it.is_none()).await;
    let mut client = world.gateway.client().await.unwrap();
    // Which connection is closed next nobody knows: what cannot be repeated has its own.
    let before = manner.opened();
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    assert_eq!(manner.opened(), before + 1);
    for _ in 0..3 {
        sleep(Duration::from_millis(1_000)).await;
        assert_eq!(ask(&mut client, Ask::Get).await, Some(200));
    }
    assert_eq!(manner.opened(), before + 1);
    until_posts_share(&manner, &mut client).await;
    let before = manner.opened();
    for _ in 0..3 {
        sleep(Duration::from_millis(1_000)).await;
        assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    }
    assert_eq!(manner.opened(), before);
}

#[tokio::test]
async fn an_idle_limit_that_is_raised_is_learned_anew() {
    let manner = Manner::new(Duration::from_millis(600), usize::MAX);
    let world = world(&manner).await;
    let mut client = world.gateway.client().await.unwrap();
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    until_learned(&world.gateway, |it| it.is_some_and(|it| (0.5..0.9).contains(&it))).await;
    manner.idle.store(3_000, Relaxed);
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    // Connections that nobody would use any more live on, and are seen to.
    until_learned(&world.gateway, |it| it.is_some_and(|it| (2.9..3.4).contains(&it))).await;
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    let before = manner.opened();
    sleep(Duration::from_millis(2_000)).await;
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    assert_eq!(manner.opened(), before);
}

#[tokio::test]
async fn an_idle_limit_is_learned_over_http_2_too() {
    let (gateway, _upstream) = world2("", |stream| async move {
        let mut connection = h2::server::handshake(stream).await.map_err(io::Error::other)?;
        let limit = Duration::from_millis(700);
        while let Ok(Some(asked)) = timeout(limit, connection.accept()).await {
            let (_, mut respond) = asked.map_err(io::Error::other)?;
            say(&mut respond, "ok").map_err(io::Error::other)?;
        }
        Ok(())
    })
    .await;
    let mut send = connect(gateway.listen).await;
    assert_eq!(get(&mut send, "/").await.status(), 200);
    until_learned(&gateway, |it| it.is_some_and(|it| (0.6..1.2).contains(&it))).await;
}

#[tokio::test]
async fn connections_that_are_only_watched_take_no_place() {
    let manner = Manner::new(LONG, usize::MAX);
    let config = "[upstream.app]\ntargets = [\"{url}\"]\npool = { idle = 2 }\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let talked = manner.clone();
    let world = world_with(config, move |stream| talk(stream, talked.clone())).await;
    assert_eq!(burst(&world, 2, Ask::Post).await, 0);
    // Both are too old now, and there is no room to watch them.
    sleep(Duration::from_millis(1_700)).await;
    let mut client = world.gateway.client().await.unwrap();
    assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    let before = manner.opened();
    for _ in 0..5 {
        assert_eq!(ask(&mut client, Ask::Post).await, Some(200));
    }
    assert_eq!(manner.opened(), before);
}
