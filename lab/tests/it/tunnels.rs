//! Connections that go on with another protocol than HTTP.

use crate::world::{OK, SOON, Seen, answer_each, world, world_with};
use lab::client::Client;
use lab::stage;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: ws.test\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Agrees, and then says back what it is told, with `<` before it.
async fn talks(mut stream: TcpStream) -> io::Result<()> {
    let Some(request) = stage::read_request(&mut stream).await? else {
        return Ok(());
    };
    assert_eq!(request.field("upgrade"), Some("websocket"), "{}", request.head);
    assert_eq!(request.field("connection"), Some("upgrade"), "{}", request.head);
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    // The first words of the new protocol come in the same piece.
    stream.write_all(format!("{answer}hello").as_bytes()).await?;
    let mut buffer = [0; 1024];
    loop {
        let amount = stream.read(&mut buffer).await?;
        if amount == 0 {
            return stream.write_all(b"bye").await;
        }
        stream.write_all(b"<").await?;
        stream.write_all(&buffer[..amount]).await?;
    }
}

/// Reads until the text ends so.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    let read = async {
        while !all.ends_with(end.as_bytes()) {
            let mut byte = [0];
            if stream.read(&mut byte).await.expect("the test can go on") == 0 {
                break;
            }
            all.push(byte[0]);
        }
    };
    let in_time = timeout(SOON, read).await;
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(in_time.is_ok() && text.ends_with(end), "{text:?} does not end in {end:?}");
    text
}

#[tokio::test]
async fn both_sides_talk_until_both_have_ended() {
    let world = world(talks).await;
    let mut stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    let head = until(&mut stream, "hello").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(lower.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(lower.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    for word in ["one", "GET /not-http HTTP/1.1\r\n\r\n"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        until(&mut stream, &format!("<{word}")).await;
    }
    // One side ends; the other still has something to say.
    stream.shutdown().await.unwrap();
    until(&mut stream, "bye").await;
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["status"], 101, "{records:?}");
    assert_eq!(records[0]["end"], "complete", "{records:?}");
}

#[tokio::test]
async fn what_is_said_early_is_passed_on_after_the_answer() {
    let world = world(talks).await;
    let mut stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    stream.write_all(format!("{ASK}early").as_bytes()).await.unwrap();
    until(&mut stream, "hello<early").await;
}

#[tokio::test]
async fn an_upgrade_that_is_not_granted_is_an_answer_like_any() {
    let seen = Seen::default();
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut client = Client::connect(world.gateway.listen).await.unwrap();
    for _ in 0..2 {
        let answer = client.exchange(ASK.as_bytes()).await;
        assert_eq!(answer.status, Some(200));
        assert_eq!(answer.text(), "ok");
    }
    // What follows at once is the next request, and not a word of another protocol.
    let two = format!("{ASK}GET /next HTTP/1.1\r\nHost: ws.test\r\n\r\n");
    client.send(two.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.status, Some(200));
    assert_eq!(client.answer().await.status, Some(200));
    let seen = seen.all();
    assert!(seen.last().is_some_and(|it| it.starts_with("GET /next ")), "{seen:?}");
    let records = world.gateway.records_soon(4).await;
    assert_eq!(records.len(), 4);
    for record in &records {
        let asked = record["upgrade"] == "websocket";
        assert_eq!(record["path"] == "/chat", asked, "{record}");
        // Taken for an ordinary request, as by an app without a library for it.
        assert_eq!(record["cause"] == "upgrade_not_forwarded", asked, "{record}");
    }
}

#[tokio::test]
async fn http2_by_upgrade_and_halves_of_one_are_not_passed_on() {
    let seen = Seen::default();
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
    ] {
        let body = if fields.contains("Length") { "hi" } else { "" };
        let ask = format!("GET / HTTP/1.1\r\nHost: ws.test\r\n{fields}\r\n{body}");
        let mut client = Client::connect(world.gateway.listen).await.unwrap();
        assert_eq!(client.exchange(ask.as_bytes()).await.status, Some(200), "{fields}");
    }
    for head in seen.all() {
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
    }
}

#[tokio::test]
async fn a_tunnel_without_a_byte_ends() {
    let config = "[upstream.chat]\ntargets = [\"{url}\"]\ntimeout = { tunnel = \"200ms\" }\n\
                  [route.chat]\nmatch = \"/*\"\nto = \"chat\"\n";
    let world = world_with(config, talks).await;
    let mut stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    until(&mut stream, "hello").await;
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it ends");
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "cut", "{records:?}");
    assert_eq!(records[0]["cause"], "body_stall", "{records:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstream_too() {
    let (gone, upstream_saw_it) = crate::world::signal();
    let world = world(move |mut stream: TcpStream| {
        let gone = gone.clone();
        async move {
            stage::read_request(&mut stream).await?;
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                          Upgrade: websocket\r\n\r\n";
            stream.write_all(answer.as_bytes()).await?;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            gone.send(()).map_err(io::Error::other)
        }
    })
    .await;
    let mut stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    stage::reset(stream).unwrap();
    crate::world::told(&upstream_saw_it).await;
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
}
