//! SIGTERM: what is in flight ends well, what is idle ends soon.

use crate::world::{OK, World, get, holds, signal, told, world, world_with};
use lab::client::{Client, End};
use lab::stage;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Well below every limit of `[shutdown]`.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Above them.
const IN_TIME: Duration = Duration::from_secs(20);

#[tokio::test]
async fn without_connections_it_ends_at_once() {
    let mut world = world(stage::answer_well::<TcpStream>).await;
    world.gateway.terminate();
    let status = world.gateway.ended(AT_ONCE).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.said());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_first() {
    let (reached, upstream_has_it) = signal();
    let (go_on, wait) = signal();
    let mut world = world(move |mut stream: TcpStream| {
        let (reached, wait) = (reached.clone(), wait.clone());
        async move {
            stage::read_request(&mut stream).await?;
            reached.send(()).map_err(std::io::Error::other)?;
            told(&wait).await;
            stream.write_all(OK.as_bytes()).await?;
            stage::stay(stream).await
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&get("/")).await.unwrap();
    told(&upstream_has_it).await;
    world.gateway.terminate();
    until_it_drains(&world).await;
    go_on.send(()).unwrap();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.end), (Some(200), End::Whole));
    assert_eq!(answer.field("connection"), Some("close"));
    drop(client);
    let status = world.gateway.ended(IN_TIME).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.said());
    assert_eq!(world.gateway.records().len(), 1);
}

#[tokio::test]
async fn a_second_signal_ends_it_now() {
    let (reached, upstream_has_it) = signal();
    let mut world = world(move |stream| holds(stream, reached.clone())).await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&get("/")).await.unwrap();
    told(&upstream_has_it).await;
    world.gateway.terminate();
    // Two signals at the same time are one.
    until_it_drains(&world).await;
    world.gateway.terminate();
    world.gateway.ended(AT_ONCE).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_may_still_ask_while_it_drains() {
    let world = world(stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.unwrap();
    assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    world.gateway.terminate();
    until_it_drains(&world).await;
    let answer = client.exchange(&get("/")).await;
    assert_eq!((answer.status, answer.field("connection")), (Some(200), Some("close")));
}

/// `/readyz` says so first, so that balancers send nothing more.
async fn until_it_drains(world: &World) {
    let drains = async {
        let began = Instant::now();
        loop {
            let ask = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let Ok(mut client) = Client::connect(world.gateway.status).await else {
                panic!("the status listener closed after {:?}", began.elapsed());
            };
            if client.exchange(ask).await.status == Some(503) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AT_ONCE, drains).await.expect("/readyz answers 503 once it drains");
}

#[tokio::test]
async fn an_open_ended_answer_that_our_end_cuts_does_not_look_whole() {
    let world = world_with(
        "[shutdown]\ngrace = \"10ms\"\ndeadline = \"100ms\"\n",
        |mut stream: TcpStream| async move {
            stage::read_request(&mut stream).await?;
            let part = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
            stream.write_all(part).await?;
            stage::stay(stream).await
        },
    )
    .await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
    client.some().await.unwrap();
    world.gateway.terminate();
    assert_eq!(client.rest().await.1, End::Reset);
}
