//! The strict front: a request that can be read in two ways is refused, recorded, and never
//! reaches an upstream.

use crate::world::{OK, Seen, World, answer_each, world_with};
use lab::client::{Answer, End};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// A head that should arrive gives this test its meaning.
const GOOD: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Refused {
    status: u16,
    cause: &'static str,
}

const MALFORMED: Refused = Refused { status: 400, cause: "malformed_request" };
const VERSION: Refused = Refused { status: 505, cause: "malformed_request" };

async fn before(config: &str, seen: &Seen) -> World {
    let kept = seen.clone();
    world_with(config, move |stream| answer_each(stream, OK, kept.clone())).await
}

/// Sends each request on a connection of its own; then the upstream has seen nothing, and there is
/// a record for each.
async fn check(config: &str, table: &[(&[u8], Refused)]) {
    let seen = Seen::default();
    let world = before(config, &seen).await;
    for (request, refused) in table {
        let mut client = world.gateway.client().await.expect("it accepts");
        let answer = client.exchange(request).await;
        let shown = request[..request.len().min(200)].escape_ascii().to_string();
        assert_eq!(answer.status, Some(refused.status), "{shown}");
        check_problem(&answer, refused, &shown);
        // Nobody knows where a next request would begin.
        assert_ne!(client.rest().await.1, End::Silent, "{shown}");
    }
    assert_eq!(seen.all(), Vec::<String>::new());
    world.gateway.records_soon(table.len()).await;
    let records = world.gateway.stopped().await.expect("it stops");
    assert_eq!(records.len(), table.len());
    for ((request, refused), record) in table.iter().zip(&records) {
        assert_eq!(record["cause"], refused.cause, "{}", request.escape_ascii());
        assert_eq!(record["status"], refused.status, "{}", request.escape_ascii());
    }
}

#[track_caller]
fn check_problem(answer: &Answer, refused: &Refused, shown: &str) {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    assert_eq!(problem["cause"], refused.cause, "{shown}: {}", answer.text());
    assert_eq!(problem["status"], refused.status, "{shown}");
    assert_eq!(answer.end, End::Whole, "{shown}");
}

#[tokio::test]
async fn a_good_request_passes() {
    let seen = Seen::default();
    let world = before("", &seen).await;
    let mut client = world.gateway.client().await.unwrap();
    assert_eq!(client.exchange(GOOD.as_bytes()).await.status, Some(200));
    assert_eq!(seen.all().len(), 1);
}

#[tokio::test]
async fn two_ways_to_end_a_body_are_refused() {
    // Whatever follows would be a request of its own for a server that reads the other length.
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let framings = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 18446744073709551621",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
    ];
    let requests = framings.map(|it| {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{it}\r\n\r\n0\r\n\r\n{hidden}").into_bytes()
    });
    let table = requests.each_ref().map(|it| (it.as_slice(), MALFORMED));
    check("", &table).await;
}

#[tokio::test]
async fn lines_that_are_read_in_two_ways_are_refused() {
    check(
        "",
        &[
            (b"GET / HTTP/1.1\nHost: a\n\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX(: 1\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x08b\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", MALFORMED),
            (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET /\r\n\r\n", MALFORMED),
            (b"GET / a HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", MALFORMED),
            (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", VERSION),
            (b"GET / http/1.1\r\nHost: a\r\n\r\n", VERSION),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", MALFORMED),
        ],
    )
    .await;
}

#[tokio::test]
async fn one_host_and_no_doubt_about_it() {
    check(
        "",
        &[
            (b"GET / HTTP/1.1\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", MALFORMED),
            (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_size() {
    const TOO_LONG: Refused = Refused { status: 414, cause: "client_header_too_large" };
    const TOO_LARGE: Refused = Refused { status: 431, cause: "client_header_too_large" };
    let uri = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(10_000));
    let field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(101));
    check(
        "",
        &[
            (uri.as_bytes(), TOO_LONG),
            (field.as_bytes(), TOO_LARGE),
            (fields.as_bytes(), TOO_LARGE),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_answered_408() {
    const SLOW: Refused = Refused { status: 408, cause: "client_slow" };
    let config = "[listen.timeout]\nhead = \"200ms\"\n";
    check(config, &[(b"GET / HTTP/1.1\r\nHost: a\r\nX", SLOW), (b"GE", SLOW)]).await;
}

#[tokio::test]
async fn a_body_that_stops_is_answered_408() {
    let config = "[listen.timeout]\nbody = \"200ms\"\n";
    let seen = Seen::default();
    let world = before(config, &seen).await;
    let mut client = world.gateway.client().await.unwrap();
    let part = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";
    let answer = client.exchange(part).await;
    assert_eq!(answer.status, Some(408), "{}", answer.text());
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["cause"], "client_slow");
    assert_eq!(seen.all(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bad_chunk_never_becomes_a_whole_request() {
    let chunks: [&[u8]; 8] = [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
    ];
    let seen = Seen::default();
    let world = before("", &seen).await;
    for body in chunks {
        let mut request =
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        request.extend(body);
        let mut client = world.gateway.client().await.unwrap();
        let answer = client.exchange(&request).await;
        assert_eq!(answer.status, Some(400), "{}", body.escape_ascii());
    }
    // Heads may have arrived; a body that ended did not.
    assert_eq!(seen.all(), Vec::<String>::new());
    let records = world.gateway.records_soon(chunks.len()).await;
    assert_eq!(records.len(), chunks.len());
    assert!(records.iter().all(|it| it["cause"] == "malformed_request"), "{records:?}");
}

#[tokio::test]
async fn a_refused_request_comes_after_the_answers_to_those_before_it() {
    let seen = Seen::default();
    let world = before("", &seen).await;
    let mut client = world.gateway.client().await.unwrap();
    let both = format!("{GOOD}GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    client.send(both.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.status, Some(200));
    assert_eq!(client.answer().await.status, Some(400));
    assert_eq!(world.gateway.records_soon(2).await.len(), 2);
}

#[tokio::test]
async fn a_head_that_comes_in_crumbs_has_no_more_time_than_another() {
    let world = before("[listen.timeout]\nhead = \"200ms\"\n", &Seen::default()).await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
    let crumb = Duration::from_millis(20);
    for _ in 0..100 {
        if let Ok(some) = timeout(crumb, client.some()).await {
            let some = some.unwrap();
            assert!(some.starts_with(b"HTTP/1.1 408"), "{}", some.escape_ascii());
            return;
        }
        client.send(b"x").await.unwrap();
    }
    panic!("each byte bought it more time");
}

#[tokio::test]
async fn empty_lines_before_a_request_are_no_request() {
    let seen = Seen::default();
    let world = before("[listen.timeout]\nhead = \"200ms\"\nidle = \"400ms\"\n", &seen).await;
    let mut client = world.gateway.client().await.unwrap();
    let request = format!("\r\nGET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2_000));
    let answer = client.exchange(request.as_bytes()).await;
    assert_eq!(answer.status, Some(200), "{}", answer.text());
    client.send(b"\r\n").await.unwrap();
    let (rest, end) = client.rest().await;
    assert_eq!((rest.escape_ascii().to_string().as_str(), end), ("", End::Closed));
    assert_eq!(world.gateway.stopped().await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_line_of_via_goes_on() {
    let seen = Seen::default();
    let world = before("", &seen).await;
    let mut client = world.gateway.client().await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 one\r\nVia: 1.1 two\r\n\r\n";
    client.exchange(request).await;
    let head = seen.all().remove(0);
    assert!(head.contains("via: 1.1 one, 1.1 two, 1.1 goodgate"), "{head}");
}

#[tokio::test]
async fn an_upload_that_nobody_reads_gets_its_answer() {
    let config = "[route.only]\nmatch = \"/only\"\nto = \"{url}\"\n";
    let world = before(config, &Seen::default()).await;
    let mut client = world.gateway.client().await.unwrap();
    let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n".to_vec();
    let answer = client.exchange(&request).await;
    assert_eq!((answer.status, answer.end), (Some(404), End::Whole));
    request.clear();
    request.resize(900_000, b'x');
    client.send(&request).await.expect("nobody resets what is still being sent");
    assert_eq!(client.rest().await.1, End::Closed);
}

/// Longer than a connection is idle until what served it is let go of.
const RESTED: Duration = Duration::from_millis(1_300);

#[tokio::test]
async fn a_connection_that_has_rested_is_served_as_before() {
    let seen = Seen::default();
    let world = before("", &seen).await;
    let mut client = world.gateway.client().await.expect("it accepts");
    tokio::time::sleep(RESTED).await;
    assert_eq!(client.exchange(GOOD.as_bytes()).await.status, Some(200));
    tokio::time::sleep(RESTED).await;
    // In two pieces, the first of which wakes it, and with another request behind it.
    let two = GOOD.repeat(2);
    let (first, rest) = two.split_at(7);
    client.send(first.as_bytes()).await.expect("it is open");
    client.send(rest.as_bytes()).await.expect("it is open");
    for _ in 0..2 {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.end), (Some(200), End::Whole));
    }
    tokio::time::sleep(RESTED).await;
    let twice = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(client.exchange(twice).await.status, Some(400));
    assert_ne!(client.rest().await.1, End::Silent);
    assert_eq!(seen.all().len(), 3);
    assert_eq!(world.gateway.records_soon(4).await.len(), 4);
}
