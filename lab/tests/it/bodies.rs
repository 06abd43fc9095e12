//! Bodies, both ways: every framing arrives as it was meant, and as soon as it is there.

use crate::world::{OK, SOON, Seen, answer_each, echo, get, signal, told, world};
use lab::client::{Client, End};
use lab::stage;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_event_arrives_before_the_next_is_sent() {
    let (go_on, wait) = signal();
    let world = world(move |mut stream: TcpStream| {
        let wait = wait.clone();
        async move {
            stage::read_request(&mut stream).await?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(b"9\r\ndata: 1\n\n\r\n").await?;
            told(&wait).await;
            stream.write_all(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n").await
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&get("/events")).await.unwrap();
    let before = read_until(&mut client, "data: 1").await;
    assert!(!before.contains("data: 2"), "{before}");
    go_on.send(()).unwrap();
    read_until(&mut client, "data: 2").await;
}

async fn read_until(client: &mut Client, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let bytes = client.some().await.unwrap_or_else(|end| panic!("{end:?} after {all:?}"));
        all += &String::from_utf8_lossy(&bytes);
    }
    all
}

#[tokio::test]
async fn every_framing_of_an_answer_arrives_whole() {
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
        ),
    ];
    for (raw, body) in table {
        let world = world(move |mut stream: TcpStream| async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(raw.as_bytes()).await?;
            stage::end(stream).await
        })
        .await;
        let mut client = world.gateway.client().await.unwrap();
        let answer = client.exchange(&get("/")).await;
        assert_eq!((answer.text().as_str(), answer.end), (body, End::Whole), "{raw:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_the_connection_usable() {
    let table = [
        (
            &b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"),
    ];
    for (request, raw) in table {
        let seen = Seen::default();
        let world = world(move |stream| answer_each(stream, raw, seen.clone())).await;
        let mut client = world.gateway.client().await.unwrap();
        for _ in 0..2 {
            let answer = client.exchange(request).await;
            assert_eq!(answer.status, raw[9..12].parse().ok(), "{raw:?}");
            assert_eq!(answer.end, End::Whole, "{raw:?}");
        }
    }
}

#[tokio::test]
async fn the_length_of_an_answer_to_head_is_kept() {
    let raw = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let world = world(move |stream| answer_each(stream, raw, Seen::default())).await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.field("content-length"), Some("5"));
}

#[tokio::test]
async fn every_framing_of_a_request_arrives_whole() {
    let table = [
        ("Content-Length: 5\r\n\r\nhello", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "hello"),
        ("Content-Length: 0\r\n\r\n", ""),
        ("\r\n", ""),
    ];
    let world = world(echo).await;
    for (rest, body) in table {
        let mut client = world.gateway.client().await.unwrap();
        let request = format!("POST /x HTTP/1.1\r\nHost: a\r\n{rest}");
        let answer = client.exchange(request.as_bytes()).await;
        assert_eq!(answer.text(), format!("POST /x a {body}"), "{rest:?}");
    }
}

#[tokio::test]
async fn eight_megabytes_arrive_as_they_were_sent() {
    const SIZE: usize = 8 << 20;
    let world = world(echo).await;
    let mut client = world.gateway.client().await.unwrap();
    let mut request =
        format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    let body: Vec<u8> = (0..SIZE).map(|at| b'a' + (at % 23) as u8).collect();
    request.extend(&body);
    let answer = client.exchange(&request).await;
    assert_eq!(answer.end, End::Whole);
    let back = answer.body.strip_prefix(b"POST /x a ").expect("the echo");
    assert!(back == body, "the body was changed on its way");
}

#[tokio::test]
async fn trailers_reach_a_client_that_asks_for_them() {
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
               2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
    let world = world(move |stream| answer_each(stream, raw, Seen::default())).await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.trailers.to_ascii_lowercase(), "x-sum: 1\r\n");
}

#[tokio::test]
async fn an_answer_comes_while_the_upload_goes_on() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await?;
        stage::stay(stream).await
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    // Of a hundred bytes only ten are sent.
    let part = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n0123456789";
    let answer = client.exchange(part).await;
    assert_eq!((answer.status, answer.text().as_str()), (Some(401), "no"));
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let world = world(|mut stream: TcpStream| async move {
        let head = stage::read_head(&mut stream).await?.unwrap_or_default();
        if head.to_ascii_lowercase().contains("100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = [0; 2];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await?;
        stream.write_all(OK.as_bytes()).await?;
        stage::stay(stream).await
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    read_until(&mut client, "HTTP/1.1 100").await;
    let answer = client.exchange(b"hi").await;
    assert_eq!((answer.status, answer.text().as_str()), (Some(200), "ok"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = world(echo).await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&[get("/1"), get("/2"), get("/3")].concat()).await.unwrap();
    for number in 1..=3 {
        assert_eq!(client.answer().await.text(), format!("GET /{number} lab.test "));
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_is_sent_no_chunks() {
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let world = world(move |stream| answer_each(stream, raw, Seen::default())).await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!((answer.text().as_str(), answer.end), ("ok", End::Whole));
}

#[tokio::test]
async fn a_cut_answer_is_reset_where_fin_would_look_like_its_end() {
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            .await?;
        tokio::time::sleep(stage::BETWEEN_PARTS).await;
        stage::end(stream).await
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.text().as_str(), answer.end), ("ok", End::Reset));
}

#[tokio::test]
async fn fields_of_one_connection_stay_on_it() {
    let seen = Seen::default();
    let raw = "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
               X-End: 1\r\nContent-Length: 2\r\n\r\nok";
    let kept = seen.clone();
    let world = world(move |stream| answer_each(stream, raw, kept.clone())).await;
    let mut client = world.gateway.client().await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
                   X-Also: 1\r\nTE: gzip\r\nUpgrade: foo\r\nProxy-Connection: close\r\n\r\n";
    let answer = client.exchange(request.as_bytes()).await;
    assert_eq!((answer.field("x-hop"), answer.field("x-end")), (None, Some("1")));
    assert_eq!(answer.field("keep-alive"), None);
    let head = seen.all().concat().to_ascii_lowercase();
    assert!(head.contains("x-also: 1"), "{head}");
    for field in ["x-mine", "\r\nte:", "\r\nupgrade:", "proxy-connection"] {
        assert!(!head.contains(field), "{field} in {head}");
    }
}

#[tokio::test]
async fn an_upstream_that_ends_with_fin_gives_no_half_answers() {
    // The control for the scenes that cut: the same bytes, whole.
    let world = world(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await?;
        tokio::time::sleep(stage::BETWEEN_PARTS).await;
        stream.write_all(b"cd").await?;
        stage::end(stream).await
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let answer = client.exchange(&get("/")).await;
    assert_eq!((answer.text().as_str(), answer.end), ("abcd", End::Whole));
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "complete");
}

#[tokio::test]
async fn a_length_is_handed_on_as_one_number() {
    for written in ["5, 5", "005", "5\r\nContent-Length: 5", "5\r\nConnection: content-length"] {
        let world = world(move |mut stream: TcpStream| async move {
            stage::read_request(&mut stream).await?;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {written}\r\n\r\nhello");
            stream.write_all(answer.as_bytes()).await?;
            stage::end(stream).await
        })
        .await;
        let mut client = world.gateway.client().await.unwrap();
        let answer = client.exchange(&get("/")).await;
        assert_eq!(answer.fields("content-length"), ["5"], "{written:?}");
        assert_eq!((answer.text().as_str(), answer.end), ("hello", End::Whole), "{written:?}");
    }
}

#[tokio::test]
async fn a_trailer_cannot_say_what_a_head_may_not() {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = seen.clone();
    let world = world(move |mut stream: TcpStream| {
        let kept = kept.clone();
        async move {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n0\r\nx-sum: 1\r\n\r\n")
                && stream.read_buf(&mut bytes).await? != 0
            {}
            *kept.lock().expect("nobody panics with it") = String::from_utf8_lossy(&bytes).into();
            stream.write_all(OK.as_bytes()).await
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\
                    Host: other\r\nContent-Length: 9\r\nX-Forwarded-For: 192.0.2.9\r\nX-Sum: 1\r\n\r\n";
    let answer = client.exchange(request).await;
    let seen = seen.lock().expect("nobody panics with it").clone();
    assert_eq!(answer.status, Some(200), "{seen}");
}

/// Whoever cut one lately has its small answers held back until they are whole, and no longer.
#[tokio::test]
async fn an_answer_that_is_whole_is_not_held_back() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let world = world(|mut stream: TcpStream| async move {
        while let Some(request) = stage::read_request(&mut stream).await? {
            let cut = request.target() == "/cut";
            let rest = if cut { "9\r\nshort" } else { "2\r\nok\r\n0\r\n\r\n" };
            stream.write_all(format!("{HEAD}{rest}").as_bytes()).await?;
            if cut {
                return stage::end(stream).await;
            }
        }
        Ok(())
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    assert_ne!(client.exchange(&get("/cut")).await.end, End::Whole);
    for _ in 0..2 {
        let mut client = world.gateway.client().await.unwrap();
        let answer = tokio::time::timeout(SOON, client.exchange(&get("/whole"))).await;
        assert_eq!(answer.expect("an answer in time").text(), "ok");
    }
}
