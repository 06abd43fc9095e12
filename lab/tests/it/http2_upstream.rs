//! HTTP/2 to upstreams: requests share connections, within the limits of both sides, and what the
//! other side did not process is sent again.

use crate::peer::{Count, body, connect, each, echo2, get, request, say, serve2, world2, writes};
use crate::world::{SOON, echo, signal, told};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Method, Response};
use lab::client::request_for;
use lab::frames::{STATUS_200, field, frame, read_head, settings};
use lab::gateway::Gateway;
use lab::scene::Ask;
use lab::stage;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn ask(gateway: &Gateway, path: &str, ask: Ask) -> lab::client::Answer {
    let mut client = gateway.client().await.expect("the test can go on");
    timeout(SOON, client.exchange(&request_for(path, ask))).await.expect("an answer in time")
}

#[tokio::test]
async fn clients_of_both_versions_share_one_connection() {
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        serve2(stream, echo2)
    })
    .await;
    let answer = ask(&gateway, "/a?x=1", Ask::Get).await;
    assert_eq!(answer.text(), "GET /a?x=1 lab.test 0 - -");
    let answer = ask(&gateway, "/b", Ask::Post).await;
    assert_eq!(answer.text(), "POST /b lab.test 2 - -");
    let mut send = connect(gateway.listen).await;
    for path in ["/c", "/d"] {
        let answer = get(&mut send, path).await;
        let (text, trailers) = body(answer.into_body()).await.unwrap();
        assert_eq!(text, format!("GET {path} h2.test 0 - -"));
        assert_eq!(trailers["x-after"], "all");
    }
    assert_eq!(count.get(), 1);
    let records = gateway.records_soon(4).await;
    assert!(records.iter().all(|it| it["end"] == "complete"), "{records:?}");
    assert_eq!(records[3]["reused"], true);
    let versions = |at: usize| (&records[at]["version"], &records[at]["upstream_version"]);
    let (one, two) = ("HTTP/1.1".into(), "HTTP/2".into());
    assert_eq!((versions(0), versions(3)), ((&one, &two), (&two, &two)));
}

#[tokio::test]
async fn many_at_once_share_one_connection_from_the_first_moment() {
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        serve2(stream, echo2)
    })
    .await;
    let mut send = connect(gateway.listen).await;
    let asked: Vec<_> = (0..50)
        .map(|at| send.send_request(request(Method::GET, &format!("/{at}")), true).unwrap().0)
        .collect();
    for (at, answer) in asked.into_iter().enumerate() {
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        let (text, _) = body(answer.into_body()).await.unwrap();
        assert_eq!(text, format!("GET /{at} h2.test 0 - -"));
    }
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn a_body_goes_up_in_pieces_with_its_trailers() {
    let (gateway, _upstream) = world2("", |stream| serve2(stream, echo2)).await;
    let mut send = connect(gateway.listen).await;
    for length in [None, Some(600_000)] {
        let mut head = request(Method::POST, "/up");
        head.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        if let Some(length) = length {
            head.headers_mut().insert("content-length", HeaderValue::from(length));
        }
        let (answer, mut up) = send.send_request(head, false).unwrap();
        let mut left = Bytes::from(vec![b'x'; 600_000]);
        while !left.is_empty() {
            up.reserve_capacity(left.len());
            let room = poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
            up.send_data(left.split_to(room.min(left.len())), false).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("600000"));
        // It must not say anew where the request came from.
        trailers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        up.send_trailers(trailers).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        let (text, _) = body(answer.into_body()).await.unwrap();
        assert_eq!(text, "POST /up h2.test 600000 600000 trailers");
    }
}

#[tokio::test]
async fn an_upload_by_http_1_arrives_whole() {
    let (gateway, _upstream) = world2("", |stream| serve2(stream, echo2)).await;
    let answer = ask(&gateway, "/up", Ask::Upload(700_000)).await;
    assert_eq!(answer.text(), "POST /up lab.test 700000 - -");
    let mut client = gateway.client().await.unwrap();
    let chunked = b"POST /up HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n";
    let answer = client.exchange(chunked).await;
    assert_eq!(answer.text(), "POST /up lab.test 5 5 -");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_holds_back_no_other() {
    let (gateway, _upstream) = world2("", |stream| {
        serve2(stream, |request, mut respond| async move {
            if request.uri().path() != "/large" {
                return say(&mut respond, "small");
            }
            let mut send = respond.send_response(Response::new(()), false)?;
            let mut left = Bytes::from(vec![b'x'; 8 << 20]);
            while !left.is_empty() {
                send.reserve_capacity(left.len());
                let Some(room) = poll_fn(|cx| send.poll_capacity(cx)).await else {
                    return Ok(());
                };
                let piece = left.split_to(room?.min(left.len()));
                send.send_data(piece, left.is_empty())?;
            }
            Ok(())
        })
    })
    .await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut client = gateway.client().await.unwrap();
        client.send(&request_for("/large", Ask::Get)).await.unwrap();
        // Its head and no more.
        client.some().await.unwrap();
        stalled.push(client);
    }
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "/small", Ask::Get).await.text(), "small");
    }
}

#[tokio::test]
async fn another_connection_is_opened_before_the_limit_of_the_target() {
    let count = Count::default();
    let counted = count.clone();
    let (go_on, wait) = signal();
    let (arrived, all) = signal();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        let (wait, arrived) = (wait.clone(), arrived.clone());
        async move {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(5);
            let shaken = builder.handshake(stream).await.map_err(std::io::Error::other)?;
            each(shaken, move |_, mut respond| {
                let (wait, arrived) = (wait.clone(), arrived.clone());
                async move {
                    arrived.send(()).expect("the test listens");
                    told(&wait).await;
                    say(&mut respond, "ok")
                }
            })
            .await
        }
    })
    .await;
    let mut send = connect(gateway.listen).await;
    let asked: Vec<_> =
        (0..12).map(|_| send.send_request(request(Method::POST, "/"), true).unwrap().0).collect();
    for _ in 0..12 {
        told(&all).await;
    }
    for _ in 0..12 {
        go_on.send(()).unwrap();
    }
    for answer in asked {
        assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 200);
    }
    // Four of five on each, for 80 % is where another one begins.
    assert_eq!(count.get(), 3);
}

#[tokio::test]
async fn where_no_more_may_be_opened_the_rest_of_the_limit_is_used() {
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  pool = { connections = 1, streams = 5 }\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let (go_on, wait) = signal();
    let (gateway, _upstream) = world2(config, move |stream| {
        let wait = wait.clone();
        serve2(stream, move |_, mut respond| {
            let wait = wait.clone();
            async move {
                told(&wait).await;
                say(&mut respond, "ok")
            }
        })
    })
    .await;
    let mut send = connect(gateway.listen).await;
    let mut asked: Vec<_> =
        (0..6).map(|_| send.send_request(request(Method::GET, "/"), true).unwrap().0).collect();
    let refused = timeout(SOON, asked.pop().unwrap()).await.unwrap().unwrap();
    assert_eq!(refused.status(), 503);
    for _ in 0..5 {
        go_on.send(()).unwrap();
    }
    for answer in asked {
        assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 200);
    }
}

/// A connection whose first request is not processed, which is said so; those after it are.
async fn not_processed(stream: TcpStream, refuse: Vec<u8>, first: bool) -> std::io::Result<()> {
    if first { writes(stream, vec![refuse]).await } else { serve2(stream, echo2).await }
}

async fn check_sent_again(refuse: Vec<u8>) {
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) =
        world2("", move |stream| not_processed(stream, refuse.clone(), counted.add() == 0)).await;
    let answer = ask(&gateway, "/", Ask::Post).await;
    assert_eq!(answer.text(), "POST / lab.test 2 - -");
    assert_eq!(count.get(), 2);
    assert_eq!(gateway.records_soon(1).await[0]["attempts"], 2);
}

#[tokio::test]
async fn a_refused_post_is_sent_again() {
    check_sent_again(frame(3, 0, 1, &7_u32.to_be_bytes())).await;
}

#[tokio::test]
async fn a_post_above_the_last_of_a_goaway_is_sent_again() {
    check_sent_again(frame(7, 0, 0, &[0; 8])).await;
}

#[tokio::test]
async fn a_reset_post_is_not_sent_again() {
    let count = Count::default();
    let counted = count.clone();
    let reset = frame(3, 0, 1, &2_u32.to_be_bytes());
    let (gateway, _upstream) =
        world2("", move |stream| not_processed(stream, reset.clone(), counted.add() == 0)).await;
    let answer = ask(&gateway, "/", Ask::Post).await;
    assert_eq!(answer.status, Some(502), "{}", answer.text());
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn a_body_that_was_taken_in_part_goes_whole_to_a_target_of_another_version() {
    let listener = stage::listener().unwrap();
    let other = listener.local_addr().unwrap();
    let _other = stage::serve(listener, echo);
    let config = format!(
        "[upstream.app]\ntargets = [\"h2c://{{addr}}\", \"http://{other}\"]\n\
         balance = \"round_robin\"\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    );
    let (taken, was_taken) = signal();
    let (gateway, _upstream) = world2(&config, move |stream| {
        let taken = taken.clone();
        serve2(stream, move |request, mut respond| {
            let taken = taken.clone();
            async move {
                let first = request.into_body().data().await;
                assert_eq!(first.expect("some of it")?, "abc");
                taken.send(()).expect("the test listens");
                respond.send_reset(Reason::REFUSED_STREAM);
                Ok(())
            }
        })
    })
    .await;
    let chunked =
        ["Transfer-Encoding: chunked", "3\r\nabc\r\n", "2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n"];
    for [framing, begin, rest] in [["Content-Length: 5", "abc", "de"], chunked] {
        let mut client = gateway.client().await.unwrap();
        let head = format!("POST /up HTTP/1.1\r\nHost: lab.test\r\n{framing}\r\n\r\n{begin}");
        client.send(head.as_bytes()).await.unwrap();
        told(&was_taken).await;
        client.send(rest.as_bytes()).await.unwrap();
        assert_eq!(client.answer().await.text(), "POST /up lab.test abcde", "{framing}");
    }
}

/// Answers at once, and then says back what it takes, of which little comes at a time.
async fn says_back_slowly(stream: TcpStream) -> std::io::Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(3);
    let shaken = builder.handshake(stream).await.map_err(std::io::Error::other)?;
    each(shaken, |request, mut respond| async move {
        let mut send = respond.send_response(Response::new(()), false)?;
        let mut body = request.into_body();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            send.send_data(data, false)?;
        }
        send.send_data(Bytes::new(), true)
    })
    .await
}

#[tokio::test]
async fn a_body_goes_whole_though_the_answer_begins_before_all_is_sent_again() {
    let listener = stage::listener().unwrap();
    let slow = listener.local_addr().unwrap();
    let _slow = stage::serve(listener, says_back_slowly);
    let config = format!(
        "[upstream.app]\ntargets = [\"h2c://{slow}\", \"h2c://{{addr}}\"]\n\
         balance = \"round_robin\"\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    );
    let (gateway, _upstream) = world2(&config, |stream| {
        serve2(stream, |request, mut respond| async move {
            let mut body = request.into_body();
            let mut taken = 0;
            while taken < 18 {
                taken += body.data().await.expect("some of it")?.len();
            }
            respond.send_reset(Reason::REFUSED_STREAM);
            Ok(())
        })
    })
    .await;
    // From here on the gateway knows how little the first target takes.
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(200));
    let mut client = gateway.client().await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let begin = ["abc", "def", "ghi", "jkl", "mno", "pqr"].map(|it| format!("3\r\n{it}\r\n"));
    client.send([head, &begin.concat()].concat().as_bytes()).await.unwrap();
    let (answer, rest) = (client.head().await, b"3\r\nstu\r\n0\r\n\r\n");
    assert_eq!(answer.status, Some(200));
    client.send(rest).await.unwrap();
    let mut all = answer.body;
    while !all.ends_with(b"0\r\n\r\n") {
        all.extend(timeout(SOON, client.some()).await.expect("more in time").unwrap());
    }
    let all = String::from_utf8(all).unwrap();
    let text: String = all.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(text, "abcdefghijklmnopqrstu", "{all}");
}

#[tokio::test]
async fn a_large_upload_that_is_refused_is_not_sent_again_in_part() {
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2("", move |stream| {
        let first = counted.add() == 0;
        serve2(stream, move |request, mut respond| async move {
            let mut body = request.into_body();
            let mut taken = 0;
            while let Some(data) = body.data().await {
                let length = data?.len();
                body.flow_control().release_capacity(length)?;
                taken += length;
                if first && 100_000 < taken {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    return Ok(());
                }
            }
            say(&mut respond, "ok")
        })
    })
    .await;
    let answer = ask(&gateway, "/up", Ask::Upload(300_000)).await;
    assert_eq!(answer.status, Some(503), "{}", answer.text());
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(gateway.records_soon(1).await[0]["cause"], "http2_stream_reset");
}

#[tokio::test]
async fn a_connection_that_says_goodbye_finishes_what_it_has() {
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        async move {
            let mut connection =
                h2::server::handshake(stream).await.map_err(std::io::Error::other)?;
            while let Some(accepted) = connection.accept().await {
                let (_, mut respond) = accepted.map_err(std::io::Error::other)?;
                connection.graceful_shutdown();
                say(&mut respond, "last").map_err(std::io::Error::other)?;
            }
            Ok(())
        }
    })
    .await;
    for _ in 0..4 {
        assert_eq!(ask(&gateway, "/", Ask::Post).await.text(), "last");
    }
    assert_eq!(count.get(), 4);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream_and_no_other() {
    let (begun, wait) = signal();
    let (reset, was_reset) = signal();
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        let (begun, reset) = (begun.clone(), reset.clone());
        serve2(stream, move |request, mut respond| {
            let (begun, reset) = (begun.clone(), reset.clone());
            async move {
                if request.uri().path() == "/fast" {
                    return say(&mut respond, "fast");
                }
                begun.send(()).expect("the test listens");
                let reason = poll_fn(|cx| respond.poll_reset(cx)).await?;
                assert_eq!(reason, Reason::CANCEL);
                reset.send(()).expect("the test listens");
                Ok(())
            }
        })
    })
    .await;
    let mut client = gateway.client().await.unwrap();
    client.send(&request_for("/slow", Ask::Get)).await.unwrap();
    told(&wait).await;
    client.leave().unwrap();
    told(&was_reset).await;
    assert_eq!(ask(&gateway, "/fast", Ask::Get).await.text(), "fast");
    assert_eq!(count.get(), 1);
    let records = gateway.records_soon(2).await;
    assert!(records.iter().any(|it| it["end"] == "client_closed"), "{records:?}");
}

#[tokio::test]
async fn an_idle_connection_is_not_used_beyond_its_time() {
    let count = Count::default();
    let counted = count.clone();
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  pool = { idle_for = \"40ms\" }\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let (closed, was_closed) = signal();
    let (gateway, _upstream) = world2(config, move |stream| {
        counted.add();
        let closed = closed.clone();
        async move {
            serve2(stream, echo2).await?;
            closed.send(()).map_err(std::io::Error::other)
        }
    })
    .await;
    ask(&gateway, "/", Ask::Get).await;
    told(&was_closed).await;
    ask(&gateway, "/", Ask::Get).await;
    assert_eq!(count.get(), 2);
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_any_more_is_left() {
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  timeout = { first_byte = \"200ms\" }\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let count = Count::default();
    let counted = count.clone();
    let (gateway, _upstream) = world2(config, move |mut stream: TcpStream| {
        let first = counted.add() == 0;
        async move {
            if !first {
                return serve2(stream, echo2).await;
            }
            stream.write_all(&settings()).await?;
            read_head(&mut stream, true).await?;
            // As behind a firewall that forgot the connection.
            std::future::pending().await
        }
    })
    .await;
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(504));
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(200));
    assert_eq!(count.get(), 2);
}

#[tokio::test]
async fn a_body_waits_for_leave_to_be_sent() {
    let (gateway, _upstream) = world2("", |stream| {
        serve2(stream, |request, mut respond| async move {
            if request.uri().path() == "/no" {
                let no = Response::builder().status(413).body(()).expect("it is right");
                respond.send_response(no, true)?;
                return Ok(());
            }
            let go_on = Response::builder().status(100).body(()).expect("it is right");
            respond.send_informational(go_on)?;
            echo2(request, respond).await
        })
    })
    .await;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 5\r\n\
             Expect: 100-continue\r\n\r\n"
        )
    };
    let mut client = gateway.client().await.unwrap();
    client.send(head("/yes").as_bytes()).await.unwrap();
    let began = std::time::Instant::now();
    let interim = String::from_utf8(client.some().await.unwrap()).unwrap();
    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    assert!(began.elapsed() < Duration::from_millis(900), "it waited for its patience to end");
    client.send(b"hello").await.unwrap();
    assert_eq!(client.answer().await.text(), "POST /yes lab.test 5 - -");
    let mut client = gateway.client().await.unwrap();
    client.send(head("/no").as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.status, Some(413));
}

#[tokio::test]
async fn an_early_answer_ends_the_upload_that_nobody_reads() {
    let (gateway, _upstream) = world2("", |stream| {
        serve2(stream, |_, mut respond| async move {
            let no = Response::builder().status(413).body(()).expect("it is right");
            // The request goes with this, and its stream with NO_ERROR.
            respond.send_response(no, true).map(drop)
        })
    })
    .await;
    let answer = ask(&gateway, "/up", Ask::Upload(3_000_000)).await;
    assert_eq!(answer.status, Some(413));
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(413));
}

#[tokio::test]
async fn a_flood_of_frames_from_a_target_is_ended() {
    let config = "[limits]\nhttp2 = { controls = 50 }\n[route.app]\nmatch = \"/*\"\n\
                  to = \"h2c://{addr}\"\n";
    let pings = frame(6, 0, 0, &[0; 8]).repeat(60);
    let (gateway, _upstream) =
        world2(config, move |stream| writes(stream, vec![pings.clone()])).await;
    let answer = ask(&gateway, "/", Ask::Get).await;
    assert_eq!(answer.status, Some(502));
    assert_eq!(gateway.records_soon(1).await[0]["cause"], "http2_protocol_error");
}

#[tokio::test]
async fn what_a_target_breaks_is_named() {
    let head = |fields: &[u8]| frame(1, 5, 1, fields);
    let open = |fields: &[u8]| frame(1, 4, 1, fields);
    let with = |name: &str, value: &str| [STATUS_200, &field(name, value)].concat();
    let data = |flags, text: &[u8]| frame(0, flags, 1, text);
    let many = (0..210)
        .fold(STATUS_200.to_vec(), |all, it| [all, field(&format!("x-{it}"), "a")].concat());
    let reset = |code: u32| frame(3, 0, 1, &code.to_be_bytes());
    let one = |frames: Vec<u8>| vec![frames];
    let lengths = [with("content-length", "1"), field("content-length", "2")].concat();
    let too_large = vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let table: Vec<(&str, Vec<Vec<u8>>, u16, &str)> = vec![
        ("an upper-case name", one(head(&with("X-Up", "a"))), 502, "http2_protocol_error"),
        ("a hop's field", one(head(&with("connection", "x"))), 502, "invalid_header_line"),
        ("no status", one(head(&field("x", "a"))), 502, "invalid_header_line"),
        ("two lengths", one(head(&lengths)), 502, "invalid_header_line"),
        ("no length", one(head(&with("content-length", "x"))), 502, "invalid_header_line"),
        ("too many fields", one(head(&many)), 502, "header_too_big"),
        ("INTERNAL_ERROR", one(reset(2)), 502, "http2_stream_reset"),
        ("ENHANCE_YOUR_CALM", one(reset(11)), 503, "http2_stream_reset"),
        ("a large frame", one(too_large), 502, "http2_protocol_error"),
        ("DATA before a head", one(data(1, b"x")), 502, "http2_protocol_error"),
        ("no such table", one(head(&[0xff, 0xff, 0x0f])), 502, "http2_protocol_error"),
        (
            "a short body",
            vec![open(&with("content-length", "9")), data(1, b"four")],
            502,
            "content_length_short",
        ),
        (
            "a short body of a large answer",
            vec![open(&with("content-length", "99999")), data(1, b"four")],
            200,
            "content_length_short",
        ),
        ("a cut body", vec![open(STATUS_200), data(0, b"four")], 200, "response_truncated"),
        (
            "a body that is reset",
            vec![open(STATUS_200), data(0, b"four"), reset(2)],
            200,
            "http2_stream_reset",
        ),
        ("nothing", Vec::new(), 502, "premature_close"),
    ];
    for (about, frames, status, cause) in table {
        let (gateway, _upstream) = world2("", move |stream| writes(stream, frames.clone())).await;
        let answer = ask(&gateway, "/", Ask::Get).await;
        let record = &gateway.records_soon(1).await[0];
        assert_eq!(
            (answer.status, record["cause"].as_str()),
            (Some(status), Some(cause)),
            "{about}: {record}"
        );
        assert_eq!(answer.cut(), status == 200, "{about}");
    }
}

#[tokio::test]
async fn a_server_of_http_1_is_known_by_its_answer() {
    let (gateway, _upstream) = world2("", |mut stream: TcpStream| async move {
        stage::read_head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await?;
        stage::end(stream).await
    })
    .await;
    let answer = ask(&gateway, "/", Ask::Get).await;
    assert_eq!(answer.status, Some(502));
    assert!(answer.text().contains("http2_to_http1"), "{}", answer.text());
}

/// Says back what it hears, on streams that are asked to go on with a WebSocket.
async fn talks_back(stream: TcpStream) -> std::io::Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.enable_connect_protocol();
    let shaken = builder.handshake(stream).await.map_err(std::io::Error::other)?;
    each(shaken, |request, mut respond| async move {
        let protocol = request.extensions().get::<h2::ext::Protocol>();
        let asked = protocol.is_some_and(|it| it.as_str() == "websocket");
        if !asked || request.headers().contains_key("sec-websocket-key") {
            let no = Response::builder().status(400).body(()).expect("it is right");
            return respond.send_response(no, true).map(drop);
        }
        let mut send = respond.send_response(Response::new(()), false)?;
        let mut body = request.into_body();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            send.send_data(data, false)?;
        }
        send.send_data(Bytes::from_static(b"bye"), true)
    })
    .await
}

/// The example of RFC 6455 1.3.
const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: lab.test\r\nConnection: Upgrade\r\n\
                         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_websocket_becomes_a_stream() {
    let (gateway, _upstream) = world2("", talks_back).await;
    let mut client = gateway.client().await.unwrap();
    client.send(UPGRADE).await.unwrap();
    let answer = client.head().await;
    assert_eq!(answer.status, Some(101), "{}", answer.words());
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    client.send(b"hello ").await.unwrap();
    client.finish().await.unwrap();
    assert_eq!(client.rest().await.0, b"hello bye");
    let record = &gateway.records_soon(1).await[0];
    assert_eq!((&record["end"], &record["status"]), (&"complete".into(), &101.into()), "{record}");
}

#[tokio::test]
async fn a_stream_that_asks_for_a_websocket_stays_one() {
    let (gateway, _upstream) = world2("", talks_back).await;
    let mut send = connect(gateway.listen).await;
    let mut asked = request(Method::CONNECT, "/chat");
    asked.extensions_mut().insert(h2::ext::Protocol::from("websocket"));
    let (answer, mut up) = send.send_request(asked, false).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    up.send_data(Bytes::from_static(b"hello "), true).unwrap();
    assert_eq!(body(answer.into_body()).await.unwrap().0, "hello bye");
}

#[tokio::test]
async fn a_target_without_extended_connect_is_named() {
    let (gateway, _upstream) = world2("", |stream| serve2(stream, echo2)).await;
    let mut client = gateway.client().await.unwrap();
    let answer = client.exchange(UPGRADE).await;
    assert_eq!(answer.status, Some(502));
    assert!(answer.text().contains("upgrade_not_forwarded"), "{}", answer.text());
    // Its ordinary requests are answered by the same connection.
    assert_eq!(ask(&gateway, "/", Ask::Get).await.text(), "GET / lab.test 0 - -");
}

#[tokio::test]
async fn a_head_above_the_limit_is_not_taken() {
    let config = "[limits]\nresponse_head = \"1KiB\"\n[route.app]\nmatch = \"/*\"\n\
                  to = \"h2c://{addr}\"\n";
    let fields = field("x-large", &"a".repeat(100)).repeat(12);
    let head = frame(1, 5, 1, &[STATUS_200, &fields].concat());
    let (gateway, _upstream) =
        world2(config, move |stream| writes(stream, vec![head.clone()])).await;
    let answer = ask(&gateway, "/", Ask::Get).await;
    assert_eq!(answer.status, Some(502));
    assert!(answer.text().contains("header_too_big"), "{}", answer.text());
    assert!(answer.text().contains("limits.response_head"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_is_whole_with_the_last_byte_that_it_declares() {
    let head =
        |length: &str| frame(1, 4, 1, &[STATUS_200, &field("content-length", length)[..]].concat());
    let end = || frame(0, 1, 1, &[]);
    let data = frame(0, 0, 1, b"four");
    let table = [
        ("four", vec![head("4"), data.clone(), end()]),
        ("four", vec![[head("4"), data.clone(), end()].concat()]),
        ("four", vec![[head("4"), data].concat(), end()]),
        ("", vec![head("0"), end()]),
    ];
    for (expected, frames) in table {
        let (gateway, _upstream) = world2("", move |stream| writes(stream, frames.clone())).await;
        let answer = ask(&gateway, "/", Ask::Get).await;
        assert_eq!((answer.status, &*answer.text()), (Some(200), expected));
        assert!(!answer.cut());
        let record = &gateway.records_soon(1).await[0];
        assert_eq!(record["end"], "complete", "{record}");
    }
}

#[tokio::test]
async fn an_answer_without_content_says_no_length_of_it() {
    let head = |status: &str, length: &str| {
        let fields = [field(":status", status), field("content-length", length)].concat();
        vec![frame(1, 5, 1, &fields)]
    };
    let length = |frames: Vec<Vec<u8>>| async move {
        let (gateway, _upstream) = world2("", move |stream| writes(stream, frames.clone())).await;
        let answer = ask(&gateway, "/", Ask::Get).await;
        (answer.status, answer.field("content-length").map(str::to_owned))
    };
    assert_eq!(length(head("204", "0")).await, (Some(204), None));
    assert_eq!(length(head("204", "7")).await, (Some(204), None));
    assert_eq!(length(head("200", "")).await, (Some(200), Some("0".to_owned())));
    let frames = head("204", "7");
    let (gateway, _upstream) = world2("", move |stream| writes(stream, frames.clone())).await;
    let answer = get(&mut connect(gateway.listen).await, "/").await;
    assert!(!answer.headers().contains_key("content-length"), "{answer:?}");
}

/// Answers requests when they have been taken back, until there were so many.
async fn answers_too_late(
    mut stream: TcpStream,
    most: usize,
    seen: tokio::sync::mpsc::UnboundedSender<()>,
) -> std::io::Result<()> {
    stream.write_all(&settings()).await?;
    stream.read_exact(&mut [0; 24]).await?;
    let mut late = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, _, id @ ..] = head;
        stream.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).await?;
        late += usize::from(kind == 3);
        if kind == 3 || (kind == 1 && late == most) {
            stream.write_all(&frame(1, 5, u32::from_be_bytes(id), STATUS_200)).await?;
        }
        if matches!(kind, 1 | 3) {
            seen.send(()).map_err(std::io::Error::other)?;
        }
    }
}

#[tokio::test]
async fn answers_that_come_too_late_end_no_connection() {
    const ROUNDS: usize = 25;
    const AT_ONCE: usize = 50;
    let count = Count::default();
    let counted = count.clone();
    let (seen, was_seen) = signal();
    let (gateway, _upstream) = world2("", move |stream| {
        counted.add();
        answers_too_late(stream, ROUNDS * AT_ONCE, seen.clone())
    })
    .await;
    for _ in 0..ROUNDS {
        let mut send = connect(gateway.listen).await;
        let asked: Vec<_> = (0..AT_ONCE)
            .map(|_| send.send_request(request(Method::GET, "/"), true).unwrap())
            .collect();
        for _ in 0..AT_ONCE {
            told(&was_seen).await;
        }
        drop(asked);
        for _ in 0..AT_ONCE {
            told(&was_seen).await;
        }
    }
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(200));
    assert_eq!(count.get(), 1);
}

#[tokio::test]
async fn a_target_that_takes_no_streams_at_the_moment_is_asked_over_another_connection() {
    let count = Count::default();
    let counted = count.clone();
    let (heard, was_heard) = signal();
    let (gateway, _upstream) = world2("", move |mut stream: TcpStream| {
        let first = counted.add() == 0;
        let heard = heard.clone();
        async move {
            if !first {
                return serve2(stream, echo2).await;
            }
            stream.write_all(&settings()).await?;
            read_head(&mut stream, true).await?;
            let none = frame(4, 0, 0, &[0, 3, 0, 0, 0, 0]);
            let ping = frame(6, 0, 0, &[7; 8]);
            let answer = frame(1, 5, 1, STATUS_200);
            stream.write_all(&[none, answer, ping].concat()).await?;
            // The answer to the ping comes after that to the SETTINGS.
            let mut byte = [0; 17];
            while !byte.ends_with(&[7; 8]) {
                byte.rotate_left(1);
                stream.read_exact(&mut byte[16..]).await?;
            }
            heard.send(()).map_err(std::io::Error::other)?;
            std::future::pending().await
        }
    })
    .await;
    assert_eq!(ask(&gateway, "/", Ask::Get).await.status, Some(200));
    told(&was_heard).await;
    assert_eq!(ask(&gateway, "/b", Ask::Get).await.text(), "GET /b lab.test 0 - -");
    assert_eq!(count.get(), 2);
}

#[tokio::test]
async fn a_host_that_http2_cannot_carry_is_the_callers() {
    let (gateway, _upstream) = world2("", |stream| serve2(stream, echo2)).await;
    for (host, status) in [("a%41.test", 400), ("a.test:", 200), ("a.test:99999", 200)] {
        let mut client = gateway.client().await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = client.exchange(head.as_bytes()).await;
        assert_eq!(answer.status, Some(status), "{host}: {}", answer.text());
        assert!(!answer.text().contains("gateway_bug"), "{host}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_target_that_has_not_spoken_is_not_said_to_take_no_upgrades() {
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  timeout = { first_byte = \"200ms\" }\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let (gateway, _upstream) = world2(config, |mut stream: TcpStream| async move {
        stream.read_exact(&mut [0; 24]).await?;
        std::future::pending().await
    })
    .await;
    let mut client = gateway.client().await.unwrap();
    let answer = client.exchange(UPGRADE).await;
    assert_eq!(answer.status, Some(504), "{}", answer.text());
    let (gateway, _upstream) = world2("", |mut stream: TcpStream| async move {
        stream.read_exact(&mut [0; 24]).await?;
        stage::end(stream).await
    })
    .await;
    let mut client = gateway.client().await.unwrap();
    let answer = client.exchange(UPGRADE).await;
    assert_eq!(answer.status, Some(502));
    assert!(!answer.text().contains("upgrade_not_forwarded"), "{}", answer.text());
}

#[tokio::test]
async fn an_upgrade_waits_for_all_of_the_settings() {
    let (gateway, _upstream) = world2("", |mut stream: TcpStream| async move {
        let settings = frame(4, 0, 0, &[0, 8, 0, 0, 0, 1]);
        let (one, other) = settings.split_at(11);
        stream.write_all(one).await?;
        tokio::time::sleep(stage::BETWEEN_PARTS).await;
        stream.write_all(other).await?;
        read_head(&mut stream, true).await?;
        stream.write_all(&frame(1, 5, 1, STATUS_200)).await?;
        stage::end(stream).await
    })
    .await;
    let mut client = gateway.client().await.unwrap();
    client.send(UPGRADE).await.unwrap();
    assert_eq!(client.head().await.status, Some(101));
}

#[tokio::test]
async fn a_target_that_takes_no_bytes_is_left_for_good() {
    let config = "[upstream.app]\ntargets = [\"h2c://{addr}\"]\n\
                  timeout = { send = \"200ms\" }\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let (left, was_left) = signal();
    let (gateway, _upstream) = world2(config, move |mut stream: TcpStream| {
        let left = left.clone();
        async move {
            let wide = frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
            let wider = frame(8, 0, 0, &0x7fff_0000_u32.to_be_bytes());
            stream.write_all(&[wide, wider].concat()).await?;
            read_head(&mut stream, true).await?;
            // It reads no more. That the other end has gone shows in writing.
            while stream.write_all(&frame(0x20, 0, 0, b"")).await.is_ok() {
                tokio::time::sleep(stage::BETWEEN_PARTS).await;
            }
            left.send(()).map_err(std::io::Error::other)
        }
    })
    .await;
    let mut send = connect(gateway.listen).await;
    let (answer, mut up) = send.send_request(request(Method::POST, "/up"), false).unwrap();
    tokio::spawn(async move {
        loop {
            up.reserve_capacity(1 << 16);
            let Some(Ok(room)) = poll_fn(|cx| up.poll_capacity(cx)).await else {
                return;
            };
            if up.send_data(Bytes::from(vec![b'x'; room]), false).is_err() {
                return;
            }
        }
    });
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 504);
    told(&was_left).await;
}
