//! Answers of a hostile upstream: what it says beyond one answer reaches nobody else, and what can
//! be read in two ways is no answer.

use crate::world::{SOON, World, get, signal, told, world};
use lab::client::{Client, End};
use lab::stage::{self, Request};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The answer that must never be anybody's.
const HIDDEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSMUGGLED";

/// What the caller must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// This body, whole.
    Whole(&'static str),
    /// A 502 of ours.
    Refused,
    /// An answer that does not look whole.
    Cut,
}
use Gets::{Cut, Refused, Whole};

/// Asks for `/first`, gets what is to be tried; then somebody else asks.
async fn check(table: &[(&str, Gets)]) {
    let cases: Vec<String> = table.iter().map(|(it, _)| it.replace("{hidden}", HIDDEN)).collect();
    let world = hostile(cases.clone()).await;
    for (at, (_, gets)) in table.iter().enumerate() {
        let case = cases[at].escape_debug().to_string();
        let mut client = world.gateway.client().await.expect("it accepts");
        let answer = client.exchange(&get(&format!("/first/{at}"))).await;
        match gets {
            Whole(body) => {
                assert_eq!((answer.text().as_str(), answer.end), (*body, End::Whole), "{case}");
                let bare = answer.head.replace("\r\n", "").contains(['\r', '\n']);
                assert!(!bare, "{case}: {}", answer.head);
                // RFC 9110 8.6: a caller might wait for them.
                let none = answer.status != Some(204) || answer.field("content-length").is_none();
                assert!(none, "{case}: {}", answer.head);
                assert!(answer.fields("content-length").len() <= 1, "{case}: {}", answer.head);
            }
            Refused => assert_eq!(answer.status, Some(502), "{case}: {}", answer.text()),
            Cut => assert!(answer.cut(), "{case}: {answer:?}"),
        }
        let hidden = answer.text().contains("SMUGGLED");
        assert!(!(hidden && matches!(gets, Whole(_))), "{case}: {}", answer.text());
        if !answer.cut() {
            is_answered(&mut client, &format!("/own/{at}"), &case).await;
        }
        let mut other = world.gateway.client().await.expect("it accepts");
        is_answered(&mut other, &format!("/other/{at}"), &case).await;
    }
    let cut = table.iter().filter(|(_, gets)| *gets == Cut).count();
    let begun = table.len() * 3 - cut;
    let records = world.gateway.records_soon(begun).await;
    assert_eq!(records.len(), begun, "{records:?}");
}

async fn is_answered(client: &mut Client, target: &str, case: &str) {
    let answer = client.exchange(&get(target)).await;
    assert_eq!(answer.text(), format!("GET {target}"), "{case}: {}", answer.head);
}

/// Answers `/first/N` with the Nth case, and everything else with what it was asked.
async fn hostile(cases: Vec<String>) -> World {
    world(move |mut stream: TcpStream| {
        let cases = cases.clone();
        async move {
            while let Some(request) = stage::read_request(&mut stream).await? {
                let number = request.target().strip_prefix("/first/");
                let case = number.and_then(|it| cases.get(it.parse::<usize>().ok()?));
                // Latin-1, so that a case may hold any byte.
                let bytes: Vec<u8> = match case {
                    Some(case) => case.chars().filter_map(|it| u8::try_from(it).ok()).collect(),
                    None => own(&request),
                };
                stream.write_all(&bytes).await?;
            }
            Ok(())
        }
    })
    .await
}

fn own(request: &Request) -> Vec<u8> {
    let text = format!("GET {}", request.target());
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

#[tokio::test]
async fn an_answer_that_ends_in_two_ways_is_none() {
    check(&[
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 60\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 60\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 02, 2\r\n\r\nok", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nok{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked \r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole("ok")),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole("ok")),
    ])
    .await;
}

#[tokio::test]
async fn a_head_that_is_read_in_two_ways_is_none() {
    check(&[
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nSMUGGLED\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\n: y\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("ICY 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        // Some apps end their lines so; to the caller they end as they should.
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok", Whole("ok")),
    ])
    .await;
}

#[tokio::test]
async fn interim_answers_are_no_answers() {
    let many = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200) + HIDDEN;
    check(&[
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole("ok")),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 8\r\n\r\nSMUGGLEDHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n{hidden}", Refused),
        ("HTTP/1.1 103 Early Hints\r\n\r\nSMUGGLED\r\n\r\n", Refused),
        (&many, Refused),
    ])
    .await;
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys() {
    check(&[
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{hidden}", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n{hidden}", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{hidden}", Whole("ok")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 60\r\n\r\n{hidden}", Whole("ok")),
        ("HTTP/1.1 204 No Content\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 304 Not Modified\r\n\r\n{hidden}", Whole("")),
        ("HTTP/1.1 302 Found\r\nLocation: /%0d%0aSMUGGLED:%201\r\nContent-Length: 0\r\n\r\n{hidden}", Whole("")),
    ])
    .await;
}

#[tokio::test]
async fn a_chunk_of_an_answer_that_is_read_in_two_ways_ends_it() {
    let ok = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        "0x2\r\nok\r\n0\r\n\r\n{hidden}",
        "2 \r\nok\r\n0\r\n\r\n{hidden}",
        "+2\r\nok\r\n0\r\n\r\n{hidden}",
        "-2\r\nok\r\n0\r\n\r\n{hidden}",
        "2\nok\r\n0\r\n\r\n{hidden}",
        "2\r\nok\n0\r\n\r\n{hidden}",
        "2\r\nokXX0\r\n\r\n{hidden}",
        "2;a\nok\r\n0\r\n\r\n{hidden}",
        "2\r\nok\r\n0\n\n{hidden}",
        "2\r\nok\r\n0\r\nX: y\n\r\n{hidden}",
        "10000000000000002\r\nok\r\n0\r\n\r\n{hidden}",
        "\r\n2\r\nok\r\n0\r\n\r\n{hidden}",
    ];
    let cases = bodies.map(|it| format!("{ok}{it}"));
    let table = cases.each_ref().map(|it| (it.as_str(), Cut));
    check(&table).await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_whatever_it_says() {
    for length in ["Content-Length: 60", "Transfer-Encoding: chunked", "X: y"] {
        let case = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n{HIDDEN}");
        let world = hostile(vec![case]).await;
        let mut client = world.gateway.client().await.unwrap();
        client.send(b"HEAD /first/0 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(client.head().await.status, Some(200), "{length}");
        is_answered(&mut client, "/own", length).await;
        let mut other = world.gateway.client().await.unwrap();
        is_answered(&mut other, "/other", length).await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_its_request_is_nobodys() {
    let ((go_on, wait), (sent, it_is_sent)) = (signal(), signal());
    let world = world(move |mut stream: TcpStream| {
        let (wait, sent) = (wait.clone(), sent.clone());
        async move {
            while let Some(request) = stage::read_request(&mut stream).await? {
                stream.write_all(&own(&request)).await?;
                if request.target() == "/first" {
                    told(&wait).await;
                    stream.write_all(HIDDEN.as_bytes()).await?;
                    sent.send(()).map_err(io::Error::other)?;
                }
            }
            Ok(())
        }
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    is_answered(&mut client, "/first", "first").await;
    // The answer before it is whole: it is no surplus of that one.
    go_on.send(()).unwrap();
    told(&it_is_sent).await;
    is_answered(&mut client, "/own", "own").await;
    let mut other = world.gateway.client().await.unwrap();
    is_answered(&mut other, "/other", "other").await;
}

#[tokio::test]
async fn a_body_that_an_upstream_does_not_look_for_begins_nobodys_request() {
    let hidden = "GET /SMUGGLED HTTP/1.1\r\nX: ";
    for method in ["GET", "HEAD", "OPTIONS"] {
        let world = world(|mut stream: TcpStream| async move {
            // Heads only: a body is read as what comes next.
            while let Some(head) = stage::read_head(&mut stream).await? {
                let words: Vec<&str> = head.split(' ').take(2).collect();
                let text = if words[0] == "HEAD" { "" } else { &words.join(" ") };
                let length = words.join(" ").len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
                stream.write_all(answer.as_bytes()).await?;
            }
            Ok(())
        })
        .await;
        for framing in [
            format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
                hidden.len()
            ),
        ] {
            let mut client = world.gateway.client().await.unwrap();
            let request = format!("{method} /first HTTP/1.1\r\nHost: a\r\n{framing}");
            client.send(request.as_bytes()).await.unwrap();
            assert_eq!(client.head().await.status, Some(200), "{method}");
            let mut other = world.gateway.client().await.unwrap();
            is_answered(&mut other, "/other", method).await;
        }
    }
}

#[tokio::test]
async fn a_switch_that_was_asked_for_in_http_10_is_none() {
    let world = world(|mut stream: TcpStream| async move {
        while let Some(request) = stage::read_request(&mut stream).await? {
            if request.field("upgrade").is_none() {
                stream.write_all(&own(&request)).await?;
                continue;
            }
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                          Upgrade: websocket\r\n\r\n";
            stream.write_all(answer.as_bytes()).await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
        }
        Ok(())
    })
    .await;
    let mut client = world.gateway.client().await.unwrap();
    let ask = "GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, upgrade\r\n\
               Upgrade: websocket\r\n\r\n";
    let answer = timeout(SOON, client.exchange(ask.as_bytes())).await.unwrap();
    assert_eq!(answer.text(), "GET /old");
}

#[tokio::test]
async fn a_trailer_of_a_connection_breaks_no_stream() {
    let case = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                Connection: close\r\nTransfer-Encoding: chunked\r\nX-Sum: 1\r\n\r\n";
    let world = hostile(vec![case.to_owned()]).await;
    let stream = TcpStream::connect(world.gateway.listen).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut send: h2::client::SendRequest<bytes::Bytes> = send.ready().await.unwrap();
    let request = http::Request::get("http://a.test/first/0").body(()).unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    let mut body = timeout(SOON, answer).await.unwrap().unwrap().into_body();
    let data = timeout(SOON, body.data()).await.unwrap().unwrap().unwrap();
    assert_eq!(data, "ok");
    assert!(body.data().await.is_none());
    let trailers = timeout(SOON, body.trailers()).await.unwrap().unwrap().unwrap();
    assert_eq!(trailers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
}

#[tokio::test]
async fn a_body_that_had_no_leave_is_not_sent_after_the_answer() {
    let (sent, mut came) = tokio::sync::mpsc::unbounded_channel();
    let world = world(move |mut stream: TcpStream| {
        let sent = sent.clone();
        async move {
            if let Some(head) = stage::read_head(&mut stream).await? {
                let target = head.split(' ').nth(1).unwrap_or_default();
                let text = format!("GET {target}");
                let length = text.len();
                let answer = format!("HTTP/1.1 401 No\r\nContent-Length: {length}\r\n\r\n{text}");
                stream.write_all(answer.as_bytes()).await?;
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await?;
                sent.send(rest).map_err(io::Error::other)?;
            }
            Ok(())
        }
    })
    .await;
    let hidden = "GET /SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n";
    for framing in [
        format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()),
    ] {
        let mut client = world.gateway.client().await.unwrap();
        let ask = format!("POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}");
        let answer = client.exchange(ask.as_bytes()).await;
        assert_eq!((answer.status, answer.end), (Some(401), End::Whole), "{}", answer.text());
        let rest: Vec<u8> = timeout(SOON, came.recv()).await.expect("it ends").unwrap();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
    assert_eq!(world.gateway.records_soon(2).await.len(), 2);
}
