//! HTTP/2 from clients: streams are requests of their own, and what a hostile client sends is
//! bounded and counted.

use crate::peer::{body, connect_to, get, request};
use crate::world::{
    OK, SOON, Seen, World, answer_each, echo, holds, signal, told, world, world_with,
};
use bytes::Bytes;
use h2::Reason;
use http::{Method, Request};
use lab::stage;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn requests_of_one_connection_are_answered_each() {
    let world = world(echo).await;
    let mut send = connect_to(&world).await;
    let paths = ["/a", "/b?x=1", "/c"];
    let mut answers = Vec::new();
    for path in paths {
        let (answer, _) = send.send_request(request(Method::GET, path), true).unwrap();
        answers.push(answer);
    }
    for (path, answer) in paths.iter().zip(answers) {
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("connection").is_none());
        let (text, _) = body(answer.into_body()).await.unwrap();
        assert_eq!(text, format!("GET {path} h2.test "));
    }
    let records = world.gateway.records_soon(3).await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|it| it["end"] == "complete"), "{records:?}");
}

#[tokio::test]
async fn a_body_goes_up_in_pieces_and_comes_back_whole() {
    let world = world(|mut stream: TcpStream| async move {
        while let Some(request) = stage::read_request(&mut stream).await? {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
             4\r\nhead\r\n4\r\ntail\r\n0\r\nx-sum: {}\r\n\r\n",
                request.body.len()
            );
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    })
    .await;
    let mut send = connect_to(&world).await;
    for length in [None, Some(200_000)] {
        let mut head = request(Method::POST, "/up");
        if let Some(length) = length {
            head.headers_mut().insert("content-length", http::HeaderValue::from(length));
        }
        let (answer, mut up) = send.send_request(head, false).unwrap();
        for piece in 0..10 {
            up.reserve_capacity(20_000);
            let mut left = Bytes::from(vec![b'x'; 20_000]);
            while !left.is_empty() {
                let room = std::future::poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
                let now = left.split_to(room.min(left.len()));
                up.send_data(now, piece == 9 && left.is_empty()).unwrap();
                up.reserve_capacity(left.len());
            }
        }
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        let (text, trailers) = body(answer.into_body()).await.unwrap();
        assert_eq!(text, "headtail");
        assert_eq!(trailers["x-sum"], "200000");
    }
}

#[tokio::test]
async fn a_stalled_reader_holds_back_no_other() {
    let world = world(|mut stream: TcpStream| async move {
        while let Some(request) = stage::read_request(&mut stream).await? {
            let large = request.target() == "/large";
            let body = vec![b'x'; if large { 4 << 20 } else { 5 }];
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Ok(())
    })
    .await;
    let stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    // The connection's window is large; the windows of the streams hold the readers back.
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(64 * 1024).initial_connection_window_size(8 << 20);
    let (send, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let mut stalled = Vec::new();
    for _ in 0..5 {
        stalled.push(get(&mut send, "/large").await);
    }
    for _ in 0..5 {
        let answer = get(&mut send, "/small").await;
        assert_eq!(body(answer.into_body()).await.unwrap().0, "xxxxx");
    }
    let whole = body(stalled.pop().unwrap().into_body()).await.unwrap();
    assert_eq!(whole.0.len(), 4 << 20);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    let world =
        world_with("timeout = { body = \"300ms\" }\n", |mut stream: TcpStream| async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n").await?;
            stream.write_all(&vec![b'x'; 4_000_000]).await?;
            stage::stay(stream).await
        })
        .await;
    let mut send = connect_to(&world).await;
    let mut stream = get(&mut send, "/").await.into_body();
    // Its window fills, and is never opened.
    let ended = async {
        while let Some(data) = stream.data().await {
            if let Err(error) = data {
                return error.reason();
            }
        }
        None
    };
    let reason = timeout(SOON, ended).await.expect("it is given up");
    assert_eq!(reason, Some(Reason::CANCEL));
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
}

/// What waits for a socket is bounded by us: the windows are the client's to choose.
#[tokio::test]
async fn a_client_with_wide_windows_that_reads_nothing_is_not_buffered_for() {
    const STREAMS: u32 = 100;
    /// Of that, the kernel holds up to ten.
    const MOST: u64 = 25 << 20;
    let limit = "timeout = { body = \"1s\" }\n";
    let world = world_with(limit, |mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n").await?;
        for _ in 0..1_000 {
            stream.write_all(&[b'x'; 64_000]).await?;
        }
        stage::stay(stream).await
    })
    .await;
    let mut raw = Raw::connect(&world).await;
    raw.frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await.unwrap();
    raw.frame(8, 0, 0, &[0x7f, 0xff, 0, 0]).await.unwrap();
    for ordinal in 0..STREAMS {
        raw.get(2 * ordinal + 1).await.unwrap();
    }
    let records = world.gateway.records_soon(STREAMS as usize).await;
    assert_eq!(records.len(), STREAMS as usize);
    let taken = records.iter().filter_map(|it| it["bytes_out"].as_u64()).sum::<u64>();
    assert!((1..=MOST).contains(&taken), "{taken} bytes of the answers were taken");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        // Too large to be held back until it is whole.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf").await?;
        stage::end(stream).await
    })
    .await;
    let mut send = connect_to(&world).await;
    // At once: the reset must not overtake what came before it.
    for _ in 0..20 {
        let answer = get(&mut send, "/").await;
        assert_eq!(answer.status(), 200);
        let mut stream = answer.into_body();
        let half = timeout(SOON, stream.data()).await.unwrap().unwrap().unwrap();
        assert_eq!(half, "half");
        assert_eq!(body(stream).await.unwrap_err(), Reason::INTERNAL_ERROR);
    }
    let records = world.gateway.records_soon(20).await;
    for record in &records {
        assert_eq!(record["cause"], "content_length_short", "{record}");
        assert_eq!(record["end"], "cut", "{record}");
    }
}

#[tokio::test]
async fn a_small_answer_that_breaks_off_is_never_begun() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await?;
        stage::end(stream).await
    })
    .await;
    let mut send = connect_to(&world).await;
    let answer = get(&mut send, "/").await;
    assert_eq!(answer.status(), 502);
    let text = body(answer.into_body()).await.unwrap();
    assert!(text.0.contains("content_length_short"), "{text:?}");
    let record = &world.gateway.records_soon(1).await[0];
    assert_eq!(record["cause"], "content_length_short", "{record}");
    assert_eq!(record["end"], "complete", "{record}");
    assert_eq!(record["attempts"], 3, "{record}");
}

/// What comes before the answer.
async fn interim(answer: &mut h2::client::ResponseFuture) -> Option<u16> {
    let interim = std::future::poll_fn(|cx| answer.poll_informational(cx));
    let interim = timeout(SOON, interim).await.expect("something comes")?;
    Some(interim.expect("the stream is open").status().as_u16())
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_send() {
    // Says 100 at once, says nothing, or answers without a word before.
    for says in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        let world = world(move |mut stream: TcpStream| async move {
            while let Some(head) = stage::read_head(&mut stream).await? {
                assert!(head.contains("expect: 100-continue"), "{head}");
                stream.write_all(says.as_bytes()).await?;
                let mut body = [0; 4];
                stream.read_exact(&mut body).await?;
                assert_eq!(&body, b"body");
                stream.write_all(OK.as_bytes()).await?;
            }
            Ok(())
        })
        .await;
        let mut send = connect_to(&world).await;
        let mut head = request(Method::PUT, "/up");
        head.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
        head.headers_mut().insert("content-length", http::HeaderValue::from(4));
        let (mut answer, mut up) = send.send_request(head, false).unwrap();
        let asked = tokio::time::Instant::now();
        assert_eq!(interim(&mut answer).await, Some(100));
        // Patience with an upstream that does not know of it ends after a second.
        assert_eq!(Duration::from_millis(900) < asked.elapsed(), says.is_empty());
        up.send_data("body".into(), true).unwrap();
        assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_client_that_waits_is_refused_before_it_sends() {
    let no = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    let world = world(move |stream| answer_head_each(stream, no)).await;
    let mut send = connect_to(&world).await;
    let mut head = request(Method::PUT, "/up");
    head.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
    let (mut answer, _up) = send.send_request(head, false).unwrap();
    assert_eq!(interim(&mut answer).await, None);
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(body(answer.into_body()).await.unwrap().0, "no");
}

/// Answers each head, whatever body is to come.
async fn answer_head_each(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    while stage::read_head(&mut stream).await?.is_some() {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_recorded_as_that() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |stream| holds(stream, reached.clone())).await;
    let mut send = connect_to(&world).await;
    let (_answer, mut stream) = send.send_request(request(Method::POST, "/"), false).unwrap();
    stream.send_data(Bytes::new(), true).unwrap();
    told(&upstream_has_it).await;
    stream.send_reset(Reason::CANCEL);
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
    // The connection serves on.
    let (_answer, _) = send.send_request(request(Method::GET, "/"), true).unwrap();
    told(&upstream_has_it).await;
}

#[tokio::test]
async fn two_readings_of_one_head_are_refused() {
    let seen = Seen::default();
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut send = connect_to(&world).await;
    let table: [(&[(&str, &str)], u16); 6] = [
        (&[("host", "other.test")], 400),
        (&[("host", "h2.test"), ("host", "h2.test")], 400),
        (&[("content-length", "0"), ("content-length", "0")], 400),
        (&[("host", "h2.test")], 200),
        (&[("cookie", "a=1"), ("cookie", "b=2")], 200),
        (&[], 200),
    ];
    for (fields, status) in table {
        let mut head = request(Method::GET, "/");
        for (name, value) in fields {
            head.headers_mut().append(*name, value.parse().unwrap());
        }
        let (answer, _) = send.send_request(head, true).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), status, "{fields:?}");
    }
    for fields in [&[][..], &[("host", "user@h2.test")]] {
        let mut head = Request::get("http://user@h2.test/").body(()).unwrap();
        for (name, value) in fields {
            head.headers_mut().append(*name, value.parse().unwrap());
        }
        let (answer, _) = send.send_request(head, true).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 400, "{fields:?}");
    }
    let seen = seen.all();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1].contains("cookie: a=1; b=2\r\n"), "{}", seen[1]);
    assert!(seen[1].contains("via: 2 goodgate"), "{}", seen[1]);
    assert_eq!(world.gateway.records_soon(8).await.len(), 8);
}

#[tokio::test]
async fn while_it_stops_clients_are_told_and_what_runs_is_answered() {
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
    let mut send = connect_to(&world).await;
    let (answer, _) = send.send_request(request(Method::GET, "/"), true).unwrap();
    told(&upstream_has_it).await;
    world.gateway.terminate();
    // GOAWAY: no more streams can be opened on this connection.
    let refused = async {
        while let Ok(it) = send.clone().ready().await {
            drop(it);
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.expect("the connection is to be left");
    go_on.send(()).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer);
    let status = world.gateway.ended(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.said());
}

/// A client that writes frames as it likes.
struct Raw(TcpStream);

impl Raw {
    async fn connect(world: &World) -> Raw {
        let stream = TcpStream::connect(world.gateway.listen).await.expect("the test can go on");
        Raw::begin(stream, &[]).await
    }

    async fn begin(mut stream: TcpStream, settings: &[u8]) -> Raw {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("the test can go on");
        let mut raw = Raw(stream);
        raw.frame(4, 0, 0, settings).await.expect("the test can go on");
        raw
    }

    /// The next frame's kind, flags and payload.
    async fn read(&mut self) -> std::io::Result<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await?;
        Ok((head[3], head[4], payload))
    }

    async fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> std::io::Result<()> {
        let [_, a, b, c] = u32::try_from(payload.len()).expect("the test can go on").to_be_bytes();
        let [d, e, f, g] = id.to_be_bytes();
        let frame = [&[a, b, c, kind, flags, d, e, f, g], payload].concat();
        self.0.write_all(&frame).await
    }

    /// A GET, by fields of the static table (RFC 7541 A) and a literal authority.
    async fn get(&mut self, id: u32) -> std::io::Result<()> {
        let head = [&[0x82, 0x86, 0x84, 0x01, 7][..], b"h2.test"].concat();
        self.frame(1, 0x5, id, &head).await
    }

    /// The reason of the GOAWAY that ends the connection; `None` where it ends without one.
    async fn goaway(mut self) -> Option<u32> {
        let mut told = None;
        let read = async {
            while let Ok((kind, _, payload)) = self.read().await {
                if kind == 7 {
                    told = payload
                        .get(4..8)
                        .map(|it| u32::from_be_bytes(it.try_into().expect("the test can go on")));
                }
            }
        };
        timeout(SOON, read).await.expect("the connection ends");
        told
    }
}

const ENHANCE_YOUR_CALM: u32 = 11;

async fn floods(world: &World, kind: &str) -> u64 {
    let mut client =
        lab::client::Client::connect(world.gateway.status).await.expect("the test can go on");
    let answer = client.exchange(b"GET /metrics HTTP/1.1\r\nHost: s\r\n\r\n").await;
    let name = format!("goodgate_http2_floods_total{{kind=\"{kind}\"}} ");
    let text = answer.text();
    let line = text.lines().find_map(|it| it.strip_prefix(&name));
    line.expect("the counter is there").parse().expect("the test can go on")
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let limits = "[limits]\nhttp2 = { resets = 50 }\n";
    let world = world_with(limits, echo).await;
    let mut raw = Raw::connect(&world).await;
    for at in 0..200 {
        let id = at * 2 + 1;
        // It may be closed in the middle.
        if raw.get(id).await.is_err() || raw.frame(3, 0, id, &[0, 0, 0, 8]).await.is_err() {
            break;
        }
    }
    assert_eq!(raw.goaway().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(floods(&world, "resets").await, 1);
    // Others are served as before.
    let mut send = connect_to(&world).await;
    assert_eq!(get(&mut send, "/").await.status(), 200);
}

#[tokio::test]
async fn pings_and_settings_without_end_end_the_connection() {
    for (kind, payload) in [(6, &[0; 8][..]), (4, &[])] {
        let world = world_with("[limits]\nhttp2 = { controls = 100 }\n", echo).await;
        let mut raw = Raw::connect(&world).await;
        for _ in 0..500 {
            if raw.frame(kind, 0, 0, payload).await.is_err() {
                break;
            }
        }
        assert_eq!(raw.goaway().await, Some(ENHANCE_YOUR_CALM));
        assert_eq!(floods(&world, "controls").await, 1);
    }
}

#[tokio::test]
async fn as_many_pings_as_there_are_pieces_of_an_answer_are_no_flood() {
    let (got_it, next) = signal();
    let config = "[limits]\nhttp2 = { controls = 10 }\n";
    let world = world_with(config, move |mut stream: TcpStream| {
        let next = next.clone();
        async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            for _ in 0..100 {
                stream.write_all(b"5\r\npiece\r\n").await?;
                told(&next).await;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
    })
    .await;
    let mut raw = Raw::connect(&world).await;
    raw.get(1).await.unwrap();
    // As grpc-go does to find out how much is on its way: for each piece a round trip is measured.
    let mut pieces = 0;
    loop {
        let (kind, flags, payload) = timeout(SOON, raw.read()).await.unwrap().unwrap();
        assert_ne!(kind, 7, "it is ended after {pieces} pieces");
        if kind == 0 && flags & 1 != 0 {
            break;
        }
        if kind == 0 && !payload.is_empty() {
            pieces += 1;
            raw.frame(8, 0, 0, &[0, 0, 0, 5]).await.unwrap();
            raw.frame(6, 0, 0, &[2; 8]).await.unwrap();
            got_it.send(()).unwrap();
        }
    }
    assert_eq!(pieces, 100);
    assert_eq!(floods(&world, "controls").await, 0);
}

#[tokio::test]
async fn windows_that_are_opened_for_nothing_end_the_connection() {
    let world = world_with("[limits]\nhttp2 = { controls = 100 }\n", echo).await;
    let mut raw = Raw::connect(&world).await;
    for _ in 0..500 {
        if raw.frame(8, 0, 0, &[0, 0, 0, 1]).await.is_err() {
            break;
        }
    }
    assert_eq!(raw.goaway().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(floods(&world, "controls").await, 1);
}

#[tokio::test]
async fn while_it_stops_a_slow_client_gets_what_was_answered() {
    const EACH: usize = 60_000;
    let mut world = world(|mut stream: TcpStream| async move {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {EACH}\r\n\r\n");
        let answer = [head.as_bytes(), &[b'x'; EACH]].concat();
        while stage::read_request(&mut stream).await?.is_some() {
            stream.write_all(&answer).await?;
        }
        Ok(())
    })
    .await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(world.gateway.listen).await.unwrap();
    let mut raw = Raw::begin(stream, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
    raw.frame(8, 0, 0, &0x7000_0000_u32.to_be_bytes()).await.unwrap();
    for at in 0..100 {
        raw.get(at * 2 + 1).await.unwrap();
    }
    // All of it is answered, and most of it is still with the gateway.
    assert_eq!(world.gateway.records_soon(100).await.len(), 100);
    world.gateway.terminate();
    let ended = world.gateway.ended(Duration::from_secs(4)).await;
    assert!(ended.is_err(), "it ended before the client had everything: {ended:?}");
    let (mut whole, mut bytes) = (0, 0);
    while let Ok((kind, flags, payload)) = timeout(SOON, raw.read()).await.unwrap() {
        if kind == 0 {
            bytes += payload.len();
            whole += usize::from(flags & 1 != 0);
        }
        if whole == 100 {
            break;
        }
    }
    assert_eq!((whole, bytes), (100, 100 * EACH));
    drop(raw);
    let status = world.gateway.ended(SOON).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.said());
}

#[tokio::test]
async fn a_head_without_end_is_not_read_for_ever() {
    let world = world(echo).await;
    let mut raw = Raw::connect(&world).await;
    // HEADERS without END_HEADERS, and CONTINUATION upon CONTINUATION (CVE-2024-27316).
    raw.frame(1, 0x1, 1, &[0x82]).await.unwrap();
    let field = [&[0x00, 1, b'x', 100][..], &[b'v'; 100]].concat();
    let mut sent = 0;
    while sent < 100_000 && raw.frame(9, 0, 1, &field.repeat(100)).await.is_ok() {
        sent += 100;
    }
    assert!(sent < 100_000, "ten megabytes of one head were taken");
}

#[tokio::test]
async fn a_connection_that_is_idle_is_told_to_leave() {
    let world = world_with("timeout = { idle = \"200ms\" }\n", echo).await;
    let mut raw = Raw::connect(&world).await;
    raw.frame(4, 1, 0, &[]).await.unwrap();
    assert_eq!(raw.goaway().await, Some(0));
}

#[tokio::test]
async fn http2_may_be_switched_off() {
    let world = world_with("http2 = false\n", echo).await;
    let mut stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
}
