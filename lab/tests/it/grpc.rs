//! gRPC: every call ends with a status, whoever made it, and within its caller's deadline.

use crate::peer::{Count, connect, connect_to, serve2, world2};
use crate::world::{SOON, Seen, World, answer_each, holds, signal, told, world, world_with};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use lab::client::{Answer, Client};
use lab::frames::{read_head, settings};
use lab::gateway::Gateway;
use lab::stage;
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A message of five bytes.
const HELLO: &[u8] = b"\0\0\0\0\x05hello";
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
/// That message as a chunk.
const CHUNK: &str = "a\r\n\0\0\0\0\x05hello\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\n\
                  Transfer-Encoding: chunked\r\n\r\na\r\n\0\0\0\0\x05hello\r\n0\r\n\
                  grpc-status: 0\r\nx-took: 7\r\n\r\n";

fn call(fields: &[(&str, &str)]) -> Request<()> {
    let request = Request::post("http://grpc.test/shop.Shop/Get")
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let request = fields.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    request.body(()).expect("the test can go on")
}

/// Sends one message, and gives the answer's head.
async fn ask(send: &mut SendRequest<Bytes>, fields: &[(&str, &str)]) -> Response<RecvStream> {
    let (answer, mut up) = send.send_request(call(fields), false).expect("the test can go on");
    up.send_data(Bytes::from_static(HELLO), true).expect("the test can go on");
    timeout(SOON, answer).await.expect("an answer in time").expect("an answer")
}

/// The body and its trailers, or why it broke off.
async fn body(mut stream: RecvStream) -> Result<(Vec<u8>, HeaderMap), Reason> {
    let mut all = Vec::new();
    let reason = |it: h2::Error| it.reason().unwrap_or(Reason::NO_ERROR);
    while let Some(data) = timeout(SOON, stream.data()).await.expect("data in time") {
        let data = data.map_err(reason)?;
        stream.flow_control().release_capacity(data.len()).expect("the test can go on");
        all.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.map_err(reason)?.unwrap_or_default();
    Ok((all, trailers))
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> &'a str {
    fields.get(name).map_or("", |it| it.to_str().expect("text"))
}

/// What is told to callers in `grpc-status-details-bin`, as far as it is text.
fn details(fields: &HeaderMap) -> String {
    decode_text(field(fields, "grpc-status-details-bin"))
}

fn decode_text(text: &str) -> String {
    String::from_utf8_lossy(&decode(text)).into_owned()
}

/// Base64, padded or not, in one piece or several.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let known: Vec<u32> = group
            .iter()
            .filter_map(|it| ALPHABET.iter().position(|letter| letter == it))
            .map(|it| u32::try_from(it).expect("one of 64"))
            .collect();
        let bits = known.iter().enumerate().fold(0, |bits, (at, it)| bits | it << (18 - 6 * at));
        let count = (known.len() * 6 / 8).min(3);
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=count]);
    }
    bytes
}

async fn records(world: &World, count: usize) -> Vec<Value> {
    records_of(&world.gateway, count).await
}

async fn records_of(gateway: &Gateway, count: usize) -> Vec<Value> {
    let records = gateway.records_soon(count).await;
    assert_eq!(records.len(), count, "{records:?}");
    records
}

async fn metrics(world: &World) -> String {
    let mut client = Client::connect(world.gateway.status).await.expect("the test can go on");
    client.exchange(b"GET /metrics HTTP/1.1\r\nHost: s\r\n\r\n").await.text()
}

#[tokio::test]
async fn a_call_passes_with_its_trailers() {
    let seen = Seen::default();
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut send = connect_to(&world).await;
    let answer = ask(&mut send, &[("grpc-timeout", "10S")]).await;
    assert_eq!(field(answer.headers(), "content-type"), "application/grpc+proto");
    let (message, trailers) = body(answer.into_body()).await.unwrap();
    assert_eq!(message, HELLO);
    assert_eq!(field(&trailers, "grpc-status"), "0");
    assert_eq!(field(&trailers, "x-took"), "7");
    let head = seen.all().remove(0);
    assert!(head.contains("te: trailers\r\n"), "{head}");
    // A little of the ten seconds has passed.
    assert!(head.contains("grpc-timeout: 9"), "{head}");
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["grpc_status"], 0, "{record}");
    assert_eq!(record["end"], "complete", "{record}");
    let metrics = metrics(&world).await;
    let line = "goodgate_grpc_calls_total{grpc_status=\"0\",route=\"app\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn our_own_failures_are_statuses_with_details() {
    let port = stage::free_port().unwrap();
    let config = format!(
        "[route.down]\nmatch = \"/shop.Shop/*\"\nto = \"http://127.0.0.1:{port}\"\n\
         [route.app]\nmatch = \"/app\"\nto = \"{{url}}\"\n"
    );
    let world = world_with(&config, |_| async { Ok(()) }).await;
    let mut send = connect_to(&world).await;
    let answer = ask(&mut send, &[]).await;
    assert_eq!(answer.status(), 200);
    let fields = answer.headers().clone();
    assert!(answer.into_body().is_end_stream());
    assert_eq!(field(&fields, "content-type"), "application/grpc+proto");
    assert_eq!(field(&fields, "grpc-status"), "14");
    let place = format!("127.0.0.1:{port}");
    assert!(field(&fields, "grpc-message").contains(&place), "{fields:?}");
    assert!(field(&fields, "proxy-status").contains("cause=process_down"), "{fields:?}");
    assert_eq!(field(&fields, "x-should-retry"), "true");
    let id = field(&fields, "x-request-id");
    let details = details(&fields);
    for told in ["google.rpc.ErrorInfo", "process_down", "goodgate", "google.rpc.RequestInfo", id] {
        assert!(details.contains(told), "{told}: {details}");
    }
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["grpc_status"], 14, "{record}");
    assert_eq!(record["status"], 200, "{record}");
    assert_eq!(record["cause"], "process_down", "{record}");
    assert_eq!(record["id"], id);

    let mut nowhere = call(&[("forwarded", "for=192.0.2.1")]);
    *nowhere.uri_mut() = "http://grpc.test/other.Service/Get".parse().unwrap();
    let (answer, _) = send.send_request(nowhere, true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(field(answer.headers(), "grpc-status"), "12");
    // Who speaks for somebody else is a stranger.
    assert!(!self::details(answer.headers()).contains("DebugInfo"));
    let metrics = metrics(&world).await;
    let line = "goodgate_grpc_calls_total{grpc_status=\"14\",route=\"down\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_that_is_not_answered() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stage::stay(stream).await
    })
    .await;
    let mut send = connect_to(&world).await;
    let began = Instant::now();
    let answer = ask(&mut send, &[("grpc-timeout", "300m")]).await;
    let took = began.elapsed();
    assert!(Duration::from_millis(300) <= took, "{took:?}");
    assert_eq!(field(answer.headers(), "grpc-status"), "4");
    assert!(details(answer.headers()).contains("total_deadline_exceeded"));
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["grpc_status"], 4, "{record}");
    assert_eq!(record["cause"], "total_deadline_exceeded", "{record}");
}

#[tokio::test]
async fn the_callers_deadline_ends_a_stream() {
    let world = world(endless).await;
    let mut send = connect_to(&world).await;
    let answer = ask(&mut send, &[("grpc-timeout", "400m")]).await;
    assert_eq!(field(answer.headers(), "grpc-status"), "");
    let (messages, trailers) = body(answer.into_body()).await.unwrap();
    assert!(messages.starts_with(HELLO));
    assert_eq!(messages.len() % HELLO.len(), 0);
    assert_eq!(field(&trailers, "grpc-status"), "4");
    assert!(details(&trailers).contains("total_deadline_exceeded"));
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["end"], "cut", "{record}");
    assert_eq!(record["grpc_status"], 4, "{record}");
}

#[tokio::test]
async fn a_caller_that_leaves_at_its_deadline_is_recorded_as_that() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |stream| holds(stream, reached.clone())).await;
    let mut send = connect_to(&world).await;
    // One that waits for its deadline, and one that loses interest long before.
    for (deadline, wait) in [("300m", 270), ("60S", 100)] {
        let request = call(&[("grpc-timeout", deadline)]);
        let (_answer, mut up) = send.send_request(request, false).unwrap();
        up.send_data(Bytes::from_static(HELLO), true).unwrap();
        told(&upstream_has_it).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        up.send_reset(Reason::CANCEL);
    }
    let records = records(&world, 2).await;
    let of = |at: usize, key: &str| records[at][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(of(0, "cause"), "total_deadline_exceeded", "{records:?}");
    assert_eq!(of(1, "cause"), "client_closed", "{records:?}");
    assert_eq!(of(1, "end"), "client_closed", "{records:?}");
}

#[tokio::test]
async fn a_connection_on_which_only_callers_give_up_is_left() {
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  timeout = { first_byte = \"400ms\" }\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    for leaves in [false, true] {
        let count = Count::default();
        let counted = count.clone();
        let (gateway, _upstream) = world2(config, move |mut stream: TcpStream| {
            let first = counted.add() == 0;
            async move {
                if !first {
                    return serve2(stream, |_, mut respond| async move {
                        let answer = Response::builder()
                            .header("content-type", "application/grpc")
                            .header("grpc-status", "0");
                        let answer = answer.body(()).expect("it is right");
                        respond.send_response(answer, true).map(drop)
                    })
                    .await;
                }
                stream.write_all(&settings()).await?;
                read_head(&mut stream, true).await?;
                // As behind a firewall that forgot the connection.
                std::future::pending().await
            }
        })
        .await;
        let mut send = connect(gateway.listen).await;
        let began = Instant::now();
        while count.get() < 2 {
            assert!(began.elapsed() < SOON, "all go by the same connection");
            if leaves {
                let request = call(&[("grpc-timeout", "1H")]);
                let (answer, _up) = send.send_request(request, false).unwrap();
                let _ = timeout(Duration::from_millis(50), answer).await;
            } else {
                ask(&mut send, &[("grpc-timeout", "50m")]).await;
            }
        }
        let answer = ask(&mut send, &[]).await;
        assert_eq!(field(answer.headers(), "grpc-status"), "0");
    }
}

/// Answers only after this time.
async fn slow(mut stream: TcpStream, wait: Duration) -> std::io::Result<()> {
    while stage::read_request(&mut stream).await?.is_some() {
        tokio::time::sleep(wait).await;
        stream.write_all(OK.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deadline_stands_above_our_limits_until_the_head() {
    let config = "[upstream.app]\ntargets = [\"{url}\"]\ntimeout = { first_byte = \"300ms\" }\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\ntimeout = { total = \"200ms\" }\n";
    let world = world_with(config, |it| slow(it, Duration::from_millis(700))).await;
    let mut send = connect_to(&world).await;
    // Its caller waits longer, and so do we.
    let answer = ask(&mut send, &[("grpc-timeout", "5S")]).await;
    let (_, trailers) = body(answer.into_body()).await.unwrap();
    assert_eq!(field(&trailers, "grpc-status"), "0");
    // Without a deadline the limit of the upstream holds, and that of the route does not.
    let answer = ask(&mut send, &[]).await;
    assert_eq!(field(answer.headers(), "grpc-status"), "4");
    assert!(details(answer.headers()).contains("response_header_timeout"));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let seen = Seen::default();
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut send = connect_to(&world).await;
    for bad in ["5", "5s", "123456789S", "S", "-1S"] {
        let answer = ask(&mut send, &[("grpc-timeout", bad)]).await;
        assert_eq!(field(answer.headers(), "grpc-status"), "13", "{bad}");
        assert!(field(answer.headers(), "grpc-message").contains("grpc-timeout"), "{bad}");
    }
    assert!(seen.all().is_empty());
    // The connection serves on.
    let answer = ask(&mut send, &[("grpc-timeout", "5S")]).await;
    let (_, trailers) = body(answer.into_body()).await.unwrap();
    assert_eq!(field(&trailers, "grpc-status"), "0");
}

#[tokio::test]
async fn what_is_no_grpc_is_told_as_that() {
    let table = [
        ("HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nbusy", "14"),
        ("HTTP/1.1 404 Nothing\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", "12"),
        ("HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", "16"),
        ("HTTP/1.1 302 Login\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "2"),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "2"),
    ];
    for (answer, code) in table {
        let world = world(move |stream| answer_each(stream, answer, Seen::default())).await;
        let mut send = connect_to(&world).await;
        let reply = ask(&mut send, &[]).await;
        let fields = reply.headers().clone();
        assert_eq!(field(&fields, "grpc-status"), code, "{answer}");
        assert!(field(&fields, "proxy-status").contains("cause=grpc_mismatch"), "{fields:?}");
        let status = answer.split(' ').nth(1).unwrap();
        assert!(field(&fields, "grpc-message").contains(status), "{fields:?}");
        let record = records(&world, 1).await.remove(0);
        assert_eq!(record["cause"], "grpc_mismatch", "{record}");
        assert_eq!(record["fault"], "not_grpc", "{record}");
        assert_eq!(record["upstream_status"].to_string(), status, "{record}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_status() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(CHUNK.as_bytes()).await?;
        stage::end(stream).await
    })
    .await;
    let mut send = connect_to(&world).await;
    let answer = ask(&mut send, &[]).await;
    let (message, trailers) = body(answer.into_body()).await.unwrap();
    assert_eq!(message, HELLO);
    assert_eq!(field(&trailers, "grpc-status"), "14");
    assert!(field(&trailers, "proxy-status").contains("cause=truncated_chunk"), "{trailers:?}");
    assert!(details(&trailers).contains("truncated_chunk"));
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["end"], "cut", "{record}");
    assert_eq!(record["cause"], "truncated_chunk", "{record}");
    assert_eq!(record["grpc_status"], 14, "{record}");
}

#[tokio::test]
async fn an_answer_without_a_status_is_no_success() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\nx-other: 1\r\n\r\n",
    ];
    for answer in answers {
        let world = world(move |stream| answer_each(stream, answer, Seen::default())).await;
        let mut send = connect_to(&world).await;
        let reply = ask(&mut send, &[]).await;
        let (_, trailers) = body(reply.into_body()).await.unwrap();
        assert_eq!(field(&trailers, "grpc-status"), "2", "{answer}");
        let record = records(&world, 1).await.remove(0);
        assert_eq!(record["cause"], "grpc_mismatch", "{record}");
        assert_eq!(record["end"], "cut", "{record}");
    }
}

#[tokio::test]
async fn a_status_in_the_head_is_the_whole_answer() {
    let world = world(|stream| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 5\r\n\
                      grpc-message: no such thing\r\nContent-Length: 0\r\n\r\n";
        answer_each(stream, answer, Seen::default())
    })
    .await;
    let mut send = connect_to(&world).await;
    let answer = ask(&mut send, &[]).await;
    assert_eq!(field(answer.headers(), "grpc-status"), "5");
    assert_eq!(field(answer.headers(), "grpc-message"), "no such thing");
    assert!(answer.into_body().is_end_stream());
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["grpc_status"], 5, "{record}");
    assert_eq!(record["end"], "complete", "{record}");
}

#[tokio::test]
async fn a_client_that_streams_may_rest() {
    let (reached, upstream_has_it) = signal();
    let world = world_with("timeout = { body = \"200ms\" }\n", move |mut stream: TcpStream| {
        let reached = reached.clone();
        async move {
            stage::read_head(&mut stream).await?;
            reached.send(()).map_err(std::io::Error::other)?;
            // To the last chunk of the request.
            let mut read = Vec::new();
            while !read.ends_with(b"0\r\n\r\n") {
                tokio::io::AsyncReadExt::read_buf(&mut stream, &mut read).await?;
            }
            stream.write_all(OK.as_bytes()).await?;
            stage::stay(stream).await
        }
    })
    .await;
    let mut send = connect_to(&world).await;
    let (answer, mut up) = send.send_request(call(&[]), false).unwrap();
    up.send_data(Bytes::from_static(HELLO), false).unwrap();
    told(&upstream_has_it).await;
    // Longer than any other request may.
    tokio::time::sleep(Duration::from_millis(600)).await;
    up.send_data(Bytes::from_static(HELLO), true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    let (_, trailers) = body(answer.into_body()).await.unwrap();
    assert_eq!(field(&trailers, "grpc-status"), "0");
}

#[tokio::test]
async fn both_sides_of_a_call_talk_in_turns() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_head(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        for _ in 0..3 {
            let mut chunk = vec![0; CHUNK.len()];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut chunk).await?;
            assert_eq!(chunk, CHUNK.as_bytes());
            stream.write_all(CHUNK.as_bytes()).await?;
        }
        stream.write_all(b"0\r\ngrpc-status: 0\r\n\r\n").await?;
        stage::stay(stream).await
    })
    .await;
    let mut send = connect_to(&world).await;
    let (answer, mut up) = send.send_request(call(&[]), false).unwrap();
    up.send_data(Bytes::from_static(HELLO), false).unwrap();
    let mut down = timeout(SOON, answer).await.unwrap().unwrap().into_body();
    for last in [false, false, true] {
        let message = timeout(SOON, down.data()).await.unwrap().unwrap().unwrap();
        assert_eq!(message, HELLO);
        if !last {
            up.send_data(Bytes::from_static(HELLO), false).unwrap();
        }
    }
    let (rest, trailers) = body(down).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(field(&trailers, "grpc-status"), "0");
}

#[tokio::test]
async fn a_client_that_still_streams_is_told_what_failed() {
    let port = stage::free_port().unwrap();
    let config = format!(
        "[route.down]\nmatch = \"/*\"\nto = \"http://127.0.0.1:{port}\"\n\
         [route.app]\nmatch = \"/app\"\nto = \"{{url}}\"\n"
    );
    let world = world_with(&config, |_| async { Ok(()) }).await;
    let mut send = connect_to(&world).await;
    for _ in 0..3 {
        let (answer, mut up) = send.send_request(call(&[]), false).unwrap();
        up.send_data(Bytes::from_static(HELLO), false).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(field(answer.headers(), "grpc-status"), "14");
    }
}

/// A stream with a silence in it.
async fn quiet(mut stream: TcpStream) -> std::io::Result<()> {
    stage::read_request(&mut stream).await?;
    stream.write_all(HEAD.as_bytes()).await?;
    stream.write_all(CHUNK.as_bytes()).await?;
    tokio::time::sleep(Duration::from_millis(900)).await;
    stream.write_all(CHUNK.as_bytes()).await?;
    stream.write_all(b"0\r\ngrpc-status: 0\r\n\r\n").await?;
    stage::stay(stream).await
}

#[tokio::test]
async fn a_stream_may_be_as_quiet_as_a_tunnel() {
    for (timeouts, code) in [("idle = \"200ms\"", "0"), ("tunnel = \"200ms\"", "4")] {
        let config = format!(
            "[upstream.app]\ntargets = [\"{{url}}\"]\ntimeout = {{ {timeouts} }}\n\
             [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
        );
        let world = world_with(&config, quiet).await;
        let mut send = connect_to(&world).await;
        // A deadline beyond any clock is none.
        let answer = ask(&mut send, &[("grpc-timeout", "99999999H")]).await;
        let (messages, trailers) = body(answer.into_body()).await.unwrap();
        assert_eq!(field(&trailers, "grpc-status"), code, "{timeouts}");
        assert_eq!(messages.len(), if code == "0" { 20 } else { 10 });
        let record = records(&world, 1).await.remove(0);
        let cause = if code == "0" { Value::Null } else { "body_stall".into() };
        assert_eq!(record["cause"], cause, "{record}");
    }
}

/// What a browser sends: one message, in bytes or in base64.
fn web_call(text: bool, payload: &[u8]) -> Vec<u8> {
    let kind = if text { "application/grpc-web-text+proto" } else { "application/grpc-web+proto" };
    let head = format!(
        "POST /shop.Shop/Get HTTP/1.1\r\nHost: grpc.test\r\nContent-Type: {kind}\r\n\
         Accept: {kind}\r\nX-Grpc-Web: 1\r\nContent-Length: {}\r\n\r\n",
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

/// The messages of a body, and its trailers.
fn frames(answer: &Answer) -> (Vec<u8>, HashMap<String, String>) {
    let text = answer.field("content-type").is_some_and(|it| it.contains("-text"));
    let body = if text { decode(&answer.text()) } else { answer.body.clone() };
    let mut messages = Vec::new();
    let mut trailers = HashMap::new();
    let mut rest = &body[..];
    while let Some((prefix, more)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes")) as usize;
        let (payload, more) = more.split_at(length);
        match prefix[0] {
            0x80 => {
                let block = String::from_utf8_lossy(payload).into_owned();
                let lines = block.lines().filter_map(|it| it.split_once(": "));
                trailers.extend(lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            _ => messages.extend_from_slice(payload),
        }
        rest = more;
    }
    assert!(rest.is_empty(), "{body:?}");
    (messages, trailers)
}

const WEB: &str = "[route.app]\nmatch = \"/*\"\nto = \"{url}\"\ngrpc_web = true\n";
/// `HELLO`, each half in base64 with its own padding.
const HELLO_TEXT: &[u8] = b"AAAAAAU=aGVsbG8=";

#[tokio::test]
async fn browsers_speak_grpc_web_in_bytes_and_in_text() {
    let seen = Seen::default();
    let world = world_with(WEB, {
        let seen = seen.clone();
        move |mut stream: TcpStream| {
            let seen = seen.clone();
            async move {
                while let Some(request) = stage::read_request(&mut stream).await? {
                    seen.add(&request);
                    assert_eq!(request.body, HELLO);
                    stream.write_all(OK.as_bytes()).await?;
                }
                Ok(())
            }
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    for (text, payload) in [(false, HELLO), (true, HELLO_TEXT)] {
        let answer = client.exchange(&web_call(text, payload)).await;
        assert_eq!(answer.status, Some(200));
        let kind =
            if text { "application/grpc-web-text+proto" } else { "application/grpc-web+proto" };
        assert_eq!(answer.field("content-type"), Some(kind));
        assert!(!answer.cut());
        let (message, trailers) = frames(&answer);
        assert_eq!(message, b"hello");
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["x-took"], "7");
    }
    // Text may be cut anywhere on its way.
    for cut in 1..HELLO_TEXT.len() {
        let request = web_call(true, HELLO_TEXT);
        let (one, other) = request.split_at(request.len() - cut);
        client.send(one).await.unwrap();
        tokio::task::yield_now().await;
        client.send(other).await.unwrap();
        let (message, trailers) = frames(&client.answer().await);
        assert_eq!(message, b"hello", "{cut}");
        assert_eq!(trailers["grpc-status"], "0", "{cut}");
    }
    for head in seen.all() {
        assert!(head.contains("content-type: application/grpc+proto\r\n"), "{head}");
        assert!(head.contains("te: trailers\r\n"), "{head}");
    }
    let records = world.gateway.records_soon(2).await;
    assert!(records.iter().all(|it| it["grpc_status"] == 0), "{records:?}");
}

#[tokio::test]
async fn every_end_of_a_call_is_a_frame_of_grpc_web() {
    let trailers_only = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 5\r\n\
                         grpc-message: none\r\nContent-Length: 0\r\n\r\n";
    let page = "HTTP/1.1 404 No\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno";
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 20\r\n\r\n\
               \0\0\0\0\x05hello";
    for (answer, code, message) in
        [(trailers_only, "5", &b""[..]), (page, "12", b""), (cut, "14", b"hello")]
    {
        let world = world_with(WEB, move |mut stream: TcpStream| async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(answer.as_bytes()).await?;
            stage::end(stream).await
        })
        .await;
        for (text, payload) in [(false, HELLO), (true, HELLO_TEXT)] {
            let mut client = world.gateway.client().await.unwrap();
            let reply = client.exchange(&web_call(text, payload)).await;
            assert_eq!(reply.status, Some(200));
            // In the body, where scripts of every origin may read it.
            assert_eq!(reply.field("grpc-status"), None);
            let (found, trailers) = frames(&reply);
            assert_eq!(trailers["grpc-status"], code, "{answer}");
            assert_eq!(found, message, "{answer}");
        }
        let code: u64 = code.parse().unwrap();
        assert!(records(&world, 2).await.iter().all(|it| it["grpc_status"] == code));
    }
}

/// Never silent for long, and never over.
async fn endless(mut stream: TcpStream) -> std::io::Result<()> {
    stage::read_request(&mut stream).await?;
    stream.write_all(HEAD.as_bytes()).await?;
    loop {
        stream.write_all(CHUNK.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_deadline_is_kept_in_grpc_web_and_told_in_its_last_frame() {
    let world = world_with(WEB, endless).await;
    for text in [false, true] {
        let payload = if text { HELLO_TEXT } else { HELLO };
        let request = String::from_utf8(web_call(text, payload)).unwrap();
        let request = request.replace("X-Grpc-Web: 1", "grpc-timeout: 300m");
        let answer = world.gateway.client().await.unwrap().exchange(request.as_bytes()).await;
        assert!(!answer.cut());
        let (messages, trailers) = frames(&answer);
        assert!(messages.starts_with(b"hello"));
        assert_eq!(trailers["grpc-status"], "4");
        assert!(decode_text(&trailers["grpc-status-details-bin"]).contains("google.rpc.ErrorInfo"));
    }
    let records = records(&world, 2).await;
    assert!(records.iter().all(|it| it["end"] == "cut" && it["grpc_status"] == 4), "{records:?}");
}

#[tokio::test]
async fn grpc_web_over_http2_ends_with_a_frame_too() {
    let world = world_with(WEB, |it| answer_each(it, OK, Seen::default())).await;
    let mut send = connect_to(&world).await;
    for (kind, payload) in
        [("application/grpc-web", HELLO), ("application/grpc-web-text", HELLO_TEXT)]
    {
        let mut request = call(&[]);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        let (answer, mut up) = send.send_request(request, false).unwrap();
        up.send_data(Bytes::from_static(payload), true).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(field(answer.headers(), "content-type"), kind);
        let (bytes, trailers) = body(answer.into_body()).await.unwrap();
        assert!(trailers.is_empty());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = if kind.ends_with("-text") { decode_text(&text) } else { text };
        assert!(text.contains("hello"), "{text:?}");
        assert!(text.ends_with("grpc-status: 0\r\nx-took: 7\r\n"), "{text:?}");
    }
}

#[tokio::test]
async fn half_a_message_of_grpc_web_is_cut_visibly() {
    let world = world_with(WEB, |mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(b"7\r\n\0\0\0\0\x05he\r\n").await?;
        stage::end(stream).await
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(&web_call(false, HELLO)).await;
    assert!(answer.cut(), "{answer:?}");
    let record = records(&world, 1).await.remove(0);
    assert_eq!(record["end"], "cut", "{record}");
}

#[tokio::test]
async fn text_that_is_no_base64_is_refused() {
    let world = world_with(WEB, |mut stream: TcpStream| async move {
        let _ = stage::read_request(&mut stream).await;
        stage::stay(stream).await
    })
    .await;
    for bad in [&b"AAAA AU="[..], b"AAAAAAU", b"====", b"\xff\xff\xff\xff"] {
        let mut client = world.gateway.client().await.unwrap();
        let answer = client.exchange(&web_call(true, bad)).await;
        let (_, trailers) = frames(&answer);
        assert_eq!(trailers["grpc-status"], "13", "{bad:?}");
        assert!(trailers["grpc-message"].contains("base64"), "{trailers:?}");
    }
    let records = records(&world, 4).await;
    assert!(records.iter().all(|it| it["cause"] == "malformed_request"), "{records:?}");
}

#[tokio::test]
async fn servers_that_speak_grpc_web_themselves_are_left_to_it() {
    let seen = Seen::default();
    let own = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\n\
               Content-Length: 3\r\n\r\nown";
    let world = world({
        let seen = seen.clone();
        move |stream| answer_each(stream, own, seen.clone())
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(&web_call(false, HELLO)).await;
    assert_eq!(answer.text(), "own");
    let head = seen.all().remove(0);
    assert!(head.contains("content-type: application/grpc-web+proto\r\n"), "{head}");
}

/// A server of gRPC over HTTP/2: each method of `shop.Shop` is one kind of call.
async fn shop(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let seen = request.headers().clone();
    let mut up = request.into_body();
    let mut head = Response::new(());
    let kind = if method == "Page" { "text/html" } else { "application/grpc" };
    head.headers_mut().insert("content-type", kind.parse().expect("a field's value"));
    if method == "Refuse" {
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    if method == "Missing" {
        head.headers_mut().insert("grpc-status", 12.into());
        respond.send_response(head, true)?;
        return Ok(());
    }
    // Who talks answers at once, the others when all is said.
    let mut down = match method.as_str() {
        "Talk" => Some(respond.send_response(head.clone(), false)?),
        _ => None,
    };
    let mut count = 0;
    while let Some(data) = up.data().await {
        let data = data?;
        up.flow_control().release_capacity(data.len())?;
        count += data.len() / HELLO.len();
        if let Some(down) = &mut down {
            down.send_data(data, false)?;
        }
    }
    let mut down = match down {
        Some(down) => down,
        None => respond.send_response(head, false)?,
    };
    let answers = match method.as_str() {
        "Talk" => 0,
        "List" => 3,
        _ => 1,
    };
    for _ in 0..answers {
        down.send_data(Bytes::from_static(HELLO), false)?;
    }
    match method.as_str() {
        "Break" => {
            tokio::time::sleep(stage::BETWEEN_PARTS).await;
            down.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        "Watch" => {
            std::future::poll_fn(|cx| down.poll_reset(cx)).await?;
            return Ok(());
        }
        "Silent" => return down.send_data(Bytes::new(), true),
        _ => {}
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    trailers.insert("x-count", count.into());
    for name in ["te", "grpc-timeout"] {
        if let Some(value) = seen.get(name) {
            trailers.insert(http::HeaderName::from_static(name), value.clone());
        }
    }
    let told = trailers.remove("te").map_or(Vec::new(), |it| it.as_bytes().to_vec());
    trailers.insert("x-te", http::HeaderValue::from_bytes(&told).expect("a field's value"));
    down.send_trailers(trailers)
}

/// Sends so many messages, and gives the messages of the answer and its last fields.
async fn call_shop(
    send: &mut SendRequest<Bytes>,
    method: &str,
    messages: usize,
    fields: &[(&str, &str)],
) -> (Vec<u8>, HeaderMap) {
    let mut request = call(fields);
    *request.uri_mut() = format!("http://grpc.test/shop.Shop/{method}").parse().expect("a URI");
    let (answer, mut up) = send.send_request(request, false).expect("the test can go on");
    for at in 1..=messages {
        up.send_data(Bytes::from_static(HELLO), at == messages).expect("the test can go on");
    }
    let answer = timeout(SOON, answer).await.expect("an answer in time").expect("an answer");
    let head = answer.headers().clone();
    let (messages, trailers) = body(answer.into_body()).await.expect("a whole answer");
    (messages, if trailers.is_empty() { head } else { trailers })
}

#[tokio::test]
async fn every_kind_of_call_passes_over_http2_to_the_server() {
    let (gateway, _upstream) = world2("", |it| serve2(it, shop)).await;
    let mut send = connect(gateway.listen).await;
    let fields = [("grpc-timeout", "5S")];
    for (method, messages, answers) in
        [("Get", 1, 1), ("Put", 5, 1), ("List", 1, 3), ("Talk", 4, 4)]
    {
        let (answer, trailers) = call_shop(&mut send, method, messages, &fields).await;
        assert_eq!(answer, HELLO.repeat(answers), "{method}");
        assert_eq!(field(&trailers, "grpc-status"), "0", "{method}");
        assert_eq!(field(&trailers, "x-count"), messages.to_string(), "{method}");
        assert_eq!(field(&trailers, "x-te"), "trailers", "{method}");
        assert!(field(&trailers, "grpc-timeout").starts_with('4'), "{method}: {trailers:?}");
    }
    let (answer, head) = call_shop(&mut send, "Missing", 1, &[]).await;
    assert!(answer.is_empty());
    assert_eq!(field(&head, "grpc-status"), "12");
    let records = records_of(&gateway, 5).await;
    let codes: Vec<_> = records.iter().map(|it| it["grpc_status"].as_u64()).collect();
    assert_eq!(codes, [Some(0), Some(0), Some(0), Some(0), Some(12)]);
    assert!(records.iter().all(|it| it["end"] == "complete"), "{records:?}");
}

#[tokio::test]
async fn both_sides_talk_in_turns_over_http2() {
    let (gateway, _upstream) = world2("", |it| serve2(it, shop)).await;
    let mut send = connect(gateway.listen).await;
    let mut request = call(&[]);
    *request.uri_mut() = "http://grpc.test/shop.Shop/Talk".parse().unwrap();
    let (answer, mut up) = send.send_request(request, false).unwrap();
    let mut down = timeout(SOON, answer).await.unwrap().unwrap().into_body();
    for _ in 0..3 {
        up.send_data(Bytes::from_static(HELLO), false).unwrap();
        let message = timeout(SOON, down.data()).await.unwrap().unwrap().unwrap();
        down.flow_control().release_capacity(message.len()).unwrap();
        assert_eq!(message, HELLO);
    }
    up.send_data(Bytes::new(), true).unwrap();
    let (rest, trailers) = body(down).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(field(&trailers, "grpc-status"), "0");
    assert_eq!(field(&trailers, "x-count"), "3");
}

#[tokio::test]
async fn what_fails_over_http2_is_told_in_the_trailers() {
    let (gateway, _upstream) = world2("", |it| serve2(it, shop)).await;
    let mut send = connect(gateway.listen).await;
    let table = [
        ("Break", "", "13", "http2_stream_reset"),
        ("Silent", "", "2", "grpc_mismatch"),
        ("Watch", "300m", "4", "total_deadline_exceeded"),
        ("Refuse", "", "14", "http2_stream_reset"),
        ("Page", "", "2", "grpc_mismatch"),
    ];
    for (method, deadline, code, cause) in table {
        let fields = [("grpc-timeout", deadline)];
        let fields = if deadline.is_empty() { &[][..] } else { &fields };
        let (_, last) = call_shop(&mut send, method, 1, fields).await;
        assert_eq!(field(&last, "grpc-status"), code, "{method}: {last:?}");
        let marked = format!("cause={cause}");
        assert!(field(&last, "proxy-status").contains(&marked), "{method}: {last:?}");
        assert!(details(&last).contains(cause), "{method}");
    }
    let records = records_of(&gateway, table.len()).await;
    for (record, (method, _, code, cause)) in records.iter().zip(table) {
        assert_eq!(record["cause"], cause, "{method}: {record}");
        assert_eq!(record["grpc_status"].to_string(), code, "{method}: {record}");
    }
    // A refused stream was tried again, as often as `retry.attempts` has it, before that was told.
    assert_eq!(records[3]["attempts"], 3, "{records:?}");
    // What one caller gave up holds back no other.
    let (answer, _) = call_shop(&mut send, "Get", 1, &[]).await;
    assert_eq!(answer, HELLO);
}

#[tokio::test]
async fn browsers_reach_a_server_of_http2() {
    let config = "[route.app]\nmatch = \"/*\"\nto = \"h2c://{addr}\"\ngrpc_web = true\n";
    let (gateway, _upstream) = world2(config, |it| serve2(it, shop)).await;
    let mut client = gateway.client().await.unwrap();
    for (text, payload) in [(false, HELLO), (true, HELLO_TEXT)] {
        for (method, answers, code) in [("Get", 1, "0"), ("List", 3, "0"), ("Break", 1, "13")] {
            let request = String::from_utf8(web_call(text, payload)).unwrap();
            let request = request.replace("shop.Shop/Get", &format!("shop.Shop/{method}"));
            let answer = client.exchange(request.as_bytes()).await;
            let (messages, trailers) = frames(&answer);
            assert_eq!(messages, b"hello".repeat(answers), "{method}");
            assert_eq!(trailers["grpc-status"], code, "{method}");
        }
    }
}
