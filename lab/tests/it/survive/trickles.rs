//! Clients that keep to every limit of a gap and come to no end: a byte now and then.

use super::until;
use crate::peer::{connect_to, get as get2, request};
use crate::world::{SOON, World, get, world_with};
use bytes::Bytes;
use http::Method;
use lab::client::End;
use lab::stage;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// A gap of a second is long for these, and a measure of the pace short.
const TERMS: &str = "timeout = { body = \"1s\" }\n[limits]\nclient_rate = \"1 kB\"\n";

/// Less than the gap.
const NOW_AND_THEN: Duration = Duration::from_millis(200);

/// After a measure of the pace, and long before a trickle would be over.
const IN_TIME: Duration = Duration::from_secs(4);

/// As much as no buffer holds.
const LARGE: usize = 16 << 20;

async fn talk(mut stream: TcpStream) -> io::Result<()> {
    while let Some(head) = stage::read_head(&mut stream).await? {
        match head.split(' ').nth(1) {
            Some("/large") => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&vec![b'x'; LARGE]).await?;
            }
            Some("/events") => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                for _ in 0..15 {
                    sleep(NOW_AND_THEN).await;
                    stream.write_all(b"1\r\n.\r\n").await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Some("/upload") => {
                let mut piece = [0; 4096];
                while !piece.ends_with(b"0\r\n\r\n") {
                    if stream.read(&mut piece).await? == 0 {
                        return Ok(());
                    }
                    if piece.starts_with(b"end") || piece.windows(5).any(|it| it == b"0\r\n\r\n") {
                        break;
                    }
                }
                stream.write_all(crate::world::OK.as_bytes()).await?;
            }
            _ => stream.write_all(crate::world::OK.as_bytes()).await?,
        }
    }
    Ok(())
}

async fn the_record(world: &World) -> Value {
    let mut record = Value::Null;
    until(IN_TIME + SOON, "its record", async || match world.gateway.records().pop() {
        None => Err("there is none".to_owned()),
        Some(it) => {
            record = it;
            Ok(())
        }
    })
    .await;
    record
}

#[tokio::test]
async fn a_body_that_trickles_is_refused() {
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let world = world_with(TERMS, talk).await;
        let mut client = world.gateway.client().await.unwrap();
        let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        client.send(head.as_bytes()).await.unwrap();
        let piece: &[u8] = if framing.ends_with("chunked") { b"1\r\nx\r\n" } else { b"x" };
        let began = Instant::now();
        let answer = loop {
            assert!(began.elapsed() < IN_TIME, "{framing}");
            drop(client.send(piece).await);
            match timeout(NOW_AND_THEN, client.answer()).await {
                Ok(answer) => break answer,
                Err(_) => continue,
            }
        };
        assert_eq!(answer.status, Some(408), "{framing}: {}", answer.text());
        assert!(answer.text().contains("too slowly"), "{}", answer.text());
        let record = the_record(&world).await;
        assert_eq!(record["cause"], "client_slow", "{record}");
    }
}

#[tokio::test]
async fn a_slow_body_that_keeps_its_pace_is_taken() {
    let world = world_with(TERMS, talk).await;
    let mut client = world.gateway.client().await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    // 1.5 kB a second, for longer than three measures.
    for _ in 0..18 {
        client.send(format!("12c\r\n{}\r\n", "x".repeat(300)).as_bytes()).await.unwrap();
        sleep(NOW_AND_THEN).await;
    }
    client.send(b"0\r\n\r\n").await.unwrap();
    assert_eq!(client.answer().await.status, Some(200));
}

#[tokio::test]
async fn events_now_and_then_are_no_trickle() {
    let world = world_with(TERMS, talk).await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(&get("/events")).await;
    assert_eq!((answer.status, answer.end), (Some(200), End::Whole));
    assert_eq!(answer.body.len(), 15);
    let mut send = connect_to(&world).await;
    let (text, _) = crate::peer::body(get2(&mut send, "/events").await.into_body()).await.unwrap();
    assert_eq!(text.len(), 15);
}

#[tokio::test]
async fn an_answer_that_is_taken_byte_by_byte_is_cut() {
    let world = world_with(TERMS, talk).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(world.gateway.listen).await.unwrap();
    stream.write_all(&get("/large")).await.unwrap();
    let began = Instant::now();
    let mut byte = [0; 64];
    while world.gateway.records().is_empty() {
        assert!(began.elapsed() < IN_TIME * 2, "it is still being answered");
        drop(stream.read(&mut byte).await);
        sleep(NOW_AND_THEN).await;
    }
    let record = the_record(&world).await;
    assert_eq!(record["end"], "client_closed", "{record}");
}

/// Nobody is slow who takes what is asked in each measure, though the kernel would take megabytes
/// before it says so.
#[tokio::test]
async fn an_answer_that_is_taken_slowly_and_steadily_is_whole() {
    let config = "timeout = { body = \"1s\" }\n";
    let world = world_with(config, talk).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stream = socket.connect(world.gateway.listen).await.unwrap();
    stream.write_all(&get("/large")).await.unwrap();
    let began = Instant::now();
    let mut taken = 0;
    let mut piece = vec![0; 4 * 1024];
    // 20 kB a second: far less than a connection on loopback has in its buffers, and in each of these
    // seconds more than `limits.client_rate`.
    while began.elapsed() < Duration::from_secs(6) {
        taken += stream.read(&mut piece).await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
    let mut rest = Vec::new();
    timeout(IN_TIME * 5, stream.read_to_end(&mut rest)).await.map(drop).unwrap_or_default();
    drop(stream);
    let record = the_record(&world).await;
    assert!(LARGE <= taken + rest.len() || record["end"] == "complete", "{record}");
}

#[tokio::test]
async fn a_stream_whose_body_trickles_is_refused() {
    let world = world_with(TERMS, talk).await;
    let mut send = connect_to(&world).await;
    let (mut answer, mut up) = send.send_request(request(Method::POST, "/upload"), false).unwrap();
    let began = Instant::now();
    let answer = loop {
        assert!(began.elapsed() < IN_TIME, "it is still being taken");
        drop(up.send_data(Bytes::from_static(b"x"), false));
        if let Ok(answer) = timeout(NOW_AND_THEN, &mut answer).await {
            break answer.unwrap();
        }
    };
    assert_eq!(answer.status(), 408);
    let record = the_record(&world).await;
    assert_eq!(record["cause"], "client_slow", "{record}");
    // The others of its connection go on.
    assert_eq!(get2(&mut send, "/").await.status(), 200);
}

#[tokio::test]
async fn a_stream_whose_answer_is_taken_byte_by_byte_is_reset() {
    let world = world_with(TERMS, talk).await;
    let mut send = connect_to(&world).await;
    let mut stream = get2(&mut send, "/large").await.into_body();
    let began = Instant::now();
    let mut broken = false;
    while !broken {
        assert!(began.elapsed() < IN_TIME, "it is still being answered");
        if let Ok(Some(Err(_))) = timeout(NOW_AND_THEN, stream.data()).await {
            broken = true;
        }
        // Its window opens by a byte.
        drop(stream.flow_control().release_capacity(1));
        sleep(NOW_AND_THEN).await;
    }
    let record = the_record(&world).await;
    assert_eq!(record["end"], "client_closed", "{record}");
    assert_eq!(get2(&mut send, "/").await.status(), 200);
}
