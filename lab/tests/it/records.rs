//! As many records as requests, however a client leaves.

use crate::world::{OK, get, holds, signal, told, world};
use lab::stage;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[track_caller]
fn check_left(records: &[Value], count: usize) {
    assert_eq!(records.len(), count, "{records:?}");
    for record in records {
        assert_eq!(record["end"], "client_closed", "{record}");
        assert_eq!(record["cause"], "client_closed", "{record}");
    }
}

#[tokio::test]
async fn clients_that_leave_within_a_head() {
    let world = world(stage::answer_well::<TcpStream>).await;
    let parts: [&[u8]; 3] = [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX"];
    for part in parts {
        let mut client = world.gateway.client().await.unwrap();
        client.send(part).await.unwrap();
        client.finish().await.unwrap();
        client.rest().await;
    }
    world.gateway.records_soon(parts.len()).await;
    check_left(&world.gateway.stopped().await.unwrap(), parts.len());
}

#[tokio::test]
async fn a_connection_without_a_byte_is_no_request() {
    let world = world(stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.unwrap();
    client.finish().await.unwrap();
    client.rest().await;
    assert_eq!(world.gateway.stopped().await.unwrap().len(), 0);
}

#[tokio::test]
async fn clients_that_leave_while_they_upload() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |mut stream: TcpStream| {
        let reached = reached.clone();
        async move {
            stage::read_head(&mut stream).await?;
            reached.send(()).map_err(std::io::Error::other)?;
            stage::stay(stream).await
        }
    })
    .await;
    for _ in 0..3 {
        let mut client = world.gateway.client().await.unwrap();
        let part = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n0123456789";
        client.send(part).await.unwrap();
        told(&upstream_has_it).await;
        client.leave().unwrap();
    }
    world.gateway.records_soon(3).await;
    check_left(&world.gateway.stopped().await.unwrap(), 3);
}

#[tokio::test]
async fn clients_that_leave_while_they_wait() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |stream| holds(stream, reached.clone())).await;
    for _ in 0..3 {
        let mut client = world.gateway.client().await.unwrap();
        client.send(&get("/")).await.unwrap();
        told(&upstream_has_it).await;
        client.leave().unwrap();
    }
    world.gateway.records_soon(3).await;
    check_left(&world.gateway.stopped().await.unwrap(), 3);
}

#[tokio::test]
async fn clients_that_leave_while_they_download() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await?;
        let piece = [b'x'; 8192];
        loop {
            stream.write_all(&piece).await?;
        }
    })
    .await;
    for _ in 0..3 {
        let mut client = world.gateway.client().await.unwrap();
        client.send(&get("/")).await.unwrap();
        assert_eq!(client.head().await.status, Some(200));
        client.some().await.unwrap();
        client.leave().unwrap();
    }
    world.gateway.records_soon(3).await;
    check_left(&world.gateway.stopped().await.unwrap(), 3);
}

#[tokio::test]
async fn a_client_that_ends_its_side_is_one_record() {
    let world = world(stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&get("/")).await.unwrap();
    client.finish().await.unwrap();
    // Whether it is answered or taken for gone is a matter of which came first.
    client.rest().await;
    world.gateway.records_soon(1).await;
    assert_eq!(world.gateway.stopped().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hundred_requests_are_a_hundred_records() {
    let world = world(|mut stream: TcpStream| async move {
        while stage::read_request(&mut stream).await?.is_some() {
            stream.write_all(OK.as_bytes()).await?;
        }
        Ok(())
    })
    .await;
    for _ in 0..10 {
        let mut client = world.gateway.client().await.unwrap();
        for _ in 0..10 {
            assert_eq!(client.exchange(&get("/")).await.status, Some(200));
        }
    }
    world.gateway.records_soon(100).await;
    let records = world.gateway.stopped().await.unwrap();
    assert_eq!(records.len(), 100);
    let mut ids: Vec<&str> = records.iter().filter_map(|it| it["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100, "every record has an id of its own");
}

#[tokio::test]
async fn an_upload_after_100_continue_is_still_an_upload() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |mut stream: TcpStream| {
        let reached = reached.clone();
        async move {
            stage::read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut [0; 3]).await?;
            reached.send(()).map_err(std::io::Error::other)?;
            stage::stay(stream).await
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await.unwrap();
    client.some().await.unwrap();
    client.send(b"abc").await.unwrap();
    told(&upstream_has_it).await;
    client.leave().unwrap();
    let records = world.gateway.records_soon(1).await;
    check_left(&records, 1);
    let spent = |phase: &str| records[0]["phases_ms"][phase].as_f64().unwrap_or_default();
    assert!(spent("read_head") < spent("send_body"), "{}", records[0]);
}
