//! Streams of HTTP/2 that go on with another protocol (RFC 8441).

use crate::peer::{body, connect_to, get, request};
use crate::world::{OK, SOON, Seen, World, answer_each, signal, told, world, world_with};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use data_encoding::BASE64;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use lab::stage;
use std::future::poll_fn;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn ask(protocol: &str) -> Request<()> {
    let mut request = request(Method::CONNECT, "/chat?room=1");
    request.extensions_mut().insert(Protocol::from(protocol));
    request
}

fn asks_for_websocket() -> Request<()> {
    let mut request = ask("websocket");
    let version = http::HeaderValue::from_static("13");
    request.headers_mut().insert("sec-websocket-version", version);
    request
}

/// A stream from its client's side.
struct Talk {
    send: SendStream<Bytes>,
    recv: RecvStream,
    heard: Vec<u8>,
}

impl Talk {
    async fn open(client: &mut SendRequest<Bytes>, ask: Request<()>) -> (Response<()>, Talk) {
        let (answer, send) = client.send_request(ask, false).expect("the test can go on");
        let answer = timeout(SOON, answer).await.expect("an answer in time").expect("an answer");
        let (head, recv) = answer.into_parts();
        (Response::from_parts(head, ()), Talk { send, recv, heard: Vec::new() })
    }

    fn say(&mut self, text: &str) {
        self.send.send_data(text.to_owned().into(), false).expect("the test can go on");
    }

    fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).expect("the test can go on");
    }

    /// Reads until all that was heard ends so.
    async fn hears(&mut self, end: &str) {
        while !self.heard.ends_with(end.as_bytes()) {
            let Ok(Some(Ok(data))) = timeout(SOON, self.recv.data()).await else {
                let heard = String::from_utf8_lossy(&self.heard);
                panic!("{heard:?} does not end in {end:?}");
            };
            self.recv.flow_control().release_capacity(data.len()).expect("the test can go on");
            self.heard.extend_from_slice(&data);
        }
    }

    /// Why it was reset, after all that comes before that; `None` where it ended well.
    async fn broke(&mut self) -> Option<Reason> {
        loop {
            match timeout(SOON, self.recv.data()).await.expect("it ends in time")? {
                Ok(data) => {
                    let flow = self.recv.flow_control();
                    flow.release_capacity(data.len()).expect("the test can go on");
                }
                Err(error) => return error.reason(),
            }
        }
    }
}

/// What a WebSocket server says to this request.
async fn agrees(stream: &mut TcpStream, seen: &Seen) -> io::Result<()> {
    let Some(request) = stage::read_request(stream).await? else {
        return Ok(());
    };
    seen.add(&request);
    let key = request.field("sec-websocket-key").unwrap_or_default();
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes()).as_ref());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Content-Length: 0\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await
}

/// Agrees, says hello, and then says back what it is told, with `<` before it.
async fn talks(mut stream: TcpStream, seen: Seen) -> io::Result<()> {
    agrees(&mut stream, &seen).await?;
    stream.write_all(b"hello").await?;
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

async fn talking(config: &str) -> (World, Seen) {
    let seen = Seen::default();
    let world = world_with(config, {
        let seen = seen.clone();
        move |stream| talks(stream, seen.clone())
    })
    .await;
    (world, seen)
}

#[tokio::test]
async fn a_websocket_over_http2_talks_until_both_have_ended() {
    let (world, seen) = talking("").await;
    let mut client = connect_to(&world).await;
    let mut request = asks_for_websocket();
    // Means nothing here, and must not reach the app as if it did.
    request.headers_mut().insert("sec-websocket-key", http::HeaderValue::from_static("own"));
    let (answer, send) = client.send_request(request, false).unwrap();
    let mut talk = {
        let mut send = send;
        // Before anybody has agreed.
        send.send_data("early".into(), false).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        for none in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
            assert!(!answer.headers().contains_key(none), "{none}: {answer:?}");
        }
        Talk { send, recv: answer.into_body(), heard: Vec::new() }
    };
    assert!(client.is_extended_connect_protocol_enabled());
    talk.hears("hello<early").await;
    // Beside it, others are served, and another of its kind.
    let (answer, mut other) = Talk::open(&mut client, asks_for_websocket()).await;
    assert_eq!(answer.status(), 200);
    other.hears("hello").await;
    for word in ["one", "GET /not-http HTTP/1.1\r\n\r\n"] {
        talk.say(word);
        talk.hears(&format!("<{word}")).await;
    }
    // One side ends; the other still has something to say.
    for talk in [&mut talk, &mut other] {
        talk.end();
        talk.hears("bye").await;
        assert_eq!(talk.broke().await, None);
    }
    let records = world.gateway.records_soon(2).await;
    for record in &records {
        assert_eq!(record["method"], "GET", "{record}");
        assert_eq!(record["status"], 200, "{record}");
        assert_eq!(record["upstream_status"], 101, "{record}");
        assert_eq!(record["upgrade"], "websocket", "{record}");
        assert_eq!(record["end"], "complete", "{record}");
        assert!(record["cause"].is_null(), "{record}");
    }
    let head = &seen.all()[0];
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
    for field in ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"] {
        assert_eq!(head.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field}: {head}");
    }
    assert_eq!(head.matches("sec-websocket-key").count(), 1, "{head}");
    assert!(!head.contains("own"), "{head}");
    assert!(head.contains("via: 2 goodgate"), "{head}");
}

#[tokio::test]
async fn much_goes_both_ways_at_once() {
    let world = world(|mut stream: TcpStream| async move {
        agrees(&mut stream, &Seen::default()).await?;
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await
    })
    .await;
    let mut client = connect_to(&world).await;
    let (_, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
    let all: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
    let mut left = Bytes::from(all.clone());
    let Talk { send, recv, .. } = &mut talk;
    let up = async {
        while !left.is_empty() {
            send.reserve_capacity(left.len());
            let room = poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
            send.send_data(left.split_to(room.min(left.len())), left.is_empty()).unwrap();
        }
    };
    let down = async {
        let mut heard = Vec::new();
        while let Some(data) = recv.data().await {
            let data = data.unwrap();
            recv.flow_control().release_capacity(data.len()).unwrap();
            heard.extend_from_slice(&data);
        }
        heard
    };
    let (_, heard) = timeout(SOON * 4, async { tokio::join!(up, down) }).await.unwrap();
    assert!(heard == all, "{} of {} bytes, or others", heard.len(), all.len());
}

#[tokio::test]
async fn a_stream_without_a_byte_is_reset() {
    let config = "[upstream.chat]\ntargets = [\"{url}\"]\ntimeout = { tunnel = \"200ms\" }\n\
                  [route.chat]\nmatch = \"/*\"\nto = \"chat\"\n";
    for ends in ["nobody", "client", "app"] {
        let world = world_with(config, move |mut stream: TcpStream| async move {
            agrees(&mut stream, &Seen::default()).await?;
            if ends == "app" {
                stream.shutdown().await?;
            }
            stage::stay(&mut stream).await?;
            // The other side has ended; this one does not.
            std::future::pending().await
        })
        .await;
        let mut client = connect_to(&world).await;
        let (_, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
        if ends == "client" {
            talk.end();
        }
        let reset = poll_fn(|cx| talk.send.poll_reset(cx));
        let reason = timeout(SOON, reset).await.expect("it ends").expect("a reason");
        assert_eq!(reason, Reason::CANCEL, "{ends}");
        let records = world.gateway.records_soon(1).await;
        assert_eq!(records[0]["end"], "cut", "{records:?}");
        assert_eq!(records[0]["cause"], "body_stall", "{records:?}");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let world =
        world_with("timeout = { body = \"300ms\" }\n", |mut stream: TcpStream| async move {
            agrees(&mut stream, &Seen::default()).await?;
            stream.write_all(&vec![b'x'; 1_000_000]).await?;
            stage::stay(stream).await
        })
        .await;
    let mut client = connect_to(&world).await;
    let (_, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
    let reset = poll_fn(|cx| talk.send.poll_reset(cx));
    let reason = timeout(SOON, reset).await.expect("it ends").expect("a reason");
    assert_eq!(reason, Reason::CANCEL);
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
}

#[tokio::test]
async fn an_app_that_breaks_off_resets_the_stream() {
    let (go_on, wait) = signal();
    let world = world(move |mut stream: TcpStream| {
        let wait = wait.clone();
        async move {
            agrees(&mut stream, &Seen::default()).await?;
            told(&wait).await;
            stage::reset(stream)
        }
    })
    .await;
    let mut client = connect_to(&world).await;
    let (answer, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
    assert_eq!(answer.status(), 200);
    go_on.send(()).unwrap();
    assert_eq!(talk.broke().await, Some(Reason::CANCEL));
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "cut", "{records:?}");
    assert_eq!(records[0]["cause"], "response_truncated", "{records:?}");
}

/// Agrees, reads to the end as it is told to, and says that it ended.
async fn until_left(reads: bool, leave: impl AsyncFnOnce(SendRequest<Bytes>, Talk)) {
    let (gone, upstream_saw_it) = signal();
    let (go_on, wait) = signal();
    let world = world(move |mut stream: TcpStream| {
        let (gone, wait) = (gone.clone(), wait.clone());
        async move {
            agrees(&mut stream, &Seen::default()).await?;
            if !reads {
                told(&wait).await;
            }
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            gone.send(()).map_err(io::Error::other)
        }
    })
    .await;
    let mut client = connect_to(&world).await;
    let (_, talk) = Talk::open(&mut client, asks_for_websocket()).await;
    leave(client, talk).await;
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
    go_on.send(()).expect("the test can go on");
    told(&upstream_saw_it).await;
}

#[tokio::test]
async fn a_client_that_leaves_its_stream_ends_the_upstream_too() {
    until_left(true, async |_client, mut talk| talk.send.send_reset(Reason::CANCEL)).await;
    // The whole connection goes.
    until_left(true, async |client, talk| drop((client, talk))).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_while_the_app_reads_nothing() {
    until_left(false, async |_client, mut talk| {
        // Until every buffer on the way is full.
        loop {
            talk.send.reserve_capacity(64 * 1024);
            let room = poll_fn(|cx| talk.send.poll_capacity(cx));
            let Ok(room) = timeout(Duration::from_millis(500), room).await else {
                break;
            };
            let room = room.expect("it is open").expect("it is open");
            talk.send.send_data(vec![0; room].into(), false).expect("it is open");
        }
        talk.send.send_reset(Reason::CANCEL);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_granted_is_an_answer_and_no_tunnel() {
    let table: [(&'static str, u16, Option<&str>, &str); 6] = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: origin\r\n\r\nno", 403, None, "no"),
        ("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302, None, ""),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            404,
            Some("upgrade_not_forwarded"),
            "no",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
            503,
            Some("upstream_own_5xx"),
            "busy",
        ),
        (OK, 502, Some("upgrade_not_forwarded"), "upgrade_not_forwarded"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
            Some("upgrade_not_forwarded"),
            "handshake",
        ),
    ];
    for (upstreams, status, cause, text) in table {
        let world = world(move |it| answer_each(it, upstreams, Seen::default())).await;
        let mut client = connect_to(&world).await;
        let (answer, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
        assert_eq!(answer.status(), status, "{upstreams}");
        // It may have been told already that nobody reads this.
        let _ = talk.send.send_data("unread".into(), false);
        let (said, _) = body(talk.recv).await.unwrap();
        assert!(said.contains(text), "{upstreams}: {said}");
        let proxy_status = answer.headers().get("proxy-status").map(|it| it.to_str().unwrap());
        let failed = proxy_status.is_some_and(|it| it.contains("error=http_upgrade_failed"));
        assert_eq!(failed, status == 502, "{upstreams}: {proxy_status:?}");
        let records = world.gateway.records_soon(1).await;
        assert_eq!(records[0]["status"], status, "{records:?}");
        assert_eq!(records[0]["cause"].as_str(), cause, "{records:?}");
        // The gateway did pass it on.
        assert_ne!(records[0]["side"], "gateway", "{records:?}");
        assert_eq!(records[0]["upgrade"], "websocket", "{records:?}");
        // The connection serves on.
        assert!(get(&mut client, "/").await.status().as_u16() >= 200);
    }
}

#[tokio::test]
async fn what_may_not_pass_reaches_nobody() {
    let seen = Seen::default();
    let config = "[upstream.app]\ntargets = [\"{url}\"]\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\n\
                  [route.fixed]\nmatch = \"/fixed\"\nanswer = { status = 200, body = \"hi\" }\n\
                  [route.moved]\nmatch = \"/moved\"\nredirect = \"/chat\"\n";
    let world = world_with(config, {
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut client = connect_to(&world).await;
    let mut asked = 0;
    let mut check = async |request: Request<()>, status: u16| {
        let words = format!("{request:?}");
        let (answer, mut talk) = Talk::open(&mut client, request).await;
        assert_eq!(answer.status(), status, "{words}");
        let _ = talk.send.send_data("unread".into(), false);
        asked += 1;
    };
    for hostile in ["h2c", "HTTP/1.1", "a, b", "web socket", "ws\r\nx: y", ""] {
        check(ask(hostile), 501).await;
    }
    let at = |path: &str| {
        let mut request = asks_for_websocket();
        *request.uri_mut() = format!("http://h2.test{path}").parse().unwrap();
        request
    };
    check(at("/fixed"), 501).await;
    check(at("/.well-known/goodgate/causes/process_down"), 501).await;
    check(at("/moved"), 308).await;
    check(at("/%2fchat"), 400).await;
    let mut counted = asks_for_websocket();
    counted.headers_mut().insert("content-length", http::HeaderValue::from(5));
    let (answer, _) = client.send_request(counted, false).unwrap();
    assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 400);
    // A plain one is a way to any host.
    let mut plain = Request::connect("h2.test:443").body(()).unwrap();
    *plain.headers_mut() = HeaderMap::new();
    let (answer, _) = client.send_request(plain, false).unwrap();
    assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 400);
    assert_eq!(seen.all(), Vec::<String>::new());
    assert_eq!(world.gateway.records_soon(asked + 2).await.len(), asked + 2);
}

#[tokio::test]
async fn while_it_stops_a_stream_goes_on_to_its_end() {
    let (mut world, _) = talking("").await;
    let mut client = connect_to(&world).await;
    let (_, mut talk) = Talk::open(&mut client, asks_for_websocket()).await;
    talk.hears("hello").await;
    world.gateway.terminate();
    let refused = async {
        while let Ok(it) = client.clone().ready().await {
            drop(it);
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.expect("the connection is to be left");
    talk.say("still here");
    talk.hears("<still here").await;
    talk.end();
    talk.hears("bye").await;
    let status = world.gateway.ended(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.said());
}
