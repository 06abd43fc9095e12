//! Requests that take longer than their callers wait: answered with 202, fetched later.

use crate::http3::{self, Door};
use crate::peer;
use crate::world::{SOON, World, get, signal, told, world_with};
use lab::client::{Answer, Client};
use lab::stage;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

const WHOLE: &str = "HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 5\r\n\r\nwhole";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
/// It breaks off.
const SHORT: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwho";

/// A target that answers when it may, and what it tells of itself.
struct Target {
    world: World,
    /// It has a request.
    has_it: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>>,
    /// The gateway has given one up.
    is_alone: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>>,
    may: Arc<Semaphore>,
}

impl Target {
    /// It answers each request with this, and closes.
    async fn new(later: &str, answer: &'static str) -> Target {
        let (reached, has_it) = signal();
        let (left, is_alone) = signal();
        let may = Arc::new(Semaphore::new(0));
        let allowed = may.clone();
        let world = world_with(&config(later), move |stream| {
            talk(stream, answer, allowed.clone(), [reached.clone(), left.clone()])
        })
        .await;
        Target { world, has_it, is_alone, may }
    }

    async fn client(&self) -> Client {
        self.world.gateway.client().await.expect("it listens")
    }

    /// Asks on a connection of its own, which then ends.
    async fn ask(&self, request: &[u8]) -> Answer {
        self.client().await.exchange(request).await
    }

    /// Answered with 202: where the answer will be.
    async fn begun(&self) -> String {
        let answer = self.ask(PREFERS).await;
        assert_eq!(answer.status, Some(202), "{}", answer.text());
        told(&self.has_it).await;
        place(&answer)
    }

    /// What there is once it is something else than 202.
    async fn fetched(&self, place: &str) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.ask(&get(place)).await;
            if answer.status != Some(202) {
                return answer;
            }
            assert!(began.elapsed() < SOON, "it runs for ever");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The record of the request that was to take long.
    async fn record(&self) -> Value {
        let began = Instant::now();
        loop {
            let records = self.world.gateway.records();
            let mut found = records.into_iter().filter(|it| it["path"] == "/work");
            if let Some(record) = found.next() {
                assert!(found.next().is_none(), "it was recorded twice");
                return record;
            }
            assert!(began.elapsed() < SOON, "it was not recorded");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn config(later: &str) -> String {
    format!(
        "[shutdown]\ngrace = \"0s\"\nidle = \"0s\"\ndeadline = \"2s\"\n[route.app]\nmatch = \"/*\"\n\
         to = \"{{url}}\"\nretry = {{ attempts = 1 }}\n{later}\n"
    )
}

async fn talk(
    mut stream: TcpStream,
    answer: &'static str,
    may: Arc<Semaphore>,
    [reached, left]: [mpsc::UnboundedSender<()>; 2],
) -> io::Result<()> {
    if stage::read_request(&mut stream).await?.is_none() {
        return Ok(());
    }
    reached.send(()).map_err(io::Error::other)?;
    let mut more = [0];
    tokio::select! {
        permit = may.acquire() => permit.map_err(io::Error::other)?.forget(),
        // Nothing follows but the end.
        _ = stream.read(&mut more) => return left.send(()).map_err(io::Error::other),
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

const PREFERS: &[u8] = b"POST /work HTTP/1.1\r\nHost: lab.test\r\nPrefer: respond-async\r\n\
                         Content-Length: 4\r\n\r\nwork";
const WAITS: &[u8] = b"POST /work HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 4\r\n\r\nwork";
const ONLY_WHO_ASKS: &str = "later = { after = \"30s\", total = \"1m\" }";

#[track_caller]
fn place(answer: &Answer) -> String {
    let place = answer.field("location").expect("it says where");
    assert!(place.starts_with("/.well-known/goodgate/later/"), "{place}");
    place.to_owned()
}

#[track_caller]
fn check_whole(answer: &Answer) {
    assert_eq!((answer.status, &*answer.text()), (Some(200), "whole"), "{}", answer.head);
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, cause: &str) {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    assert_eq!(answer.status, Some(status), "{}", answer.text());
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!((&problem["cause"], &problem["status"]), (&cause.into(), &status.into()));
}

#[tokio::test]
async fn what_takes_long_is_answered_with_202_and_fetched_later() {
    let target = Target::new("later = { after = \"100ms\" }", WHOLE).await;
    let mut client = target.client().await;
    let answer = client.exchange(WAITS).await;
    assert_eq!(answer.status, Some(202), "{}", answer.text());
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("preference-applied"), None);
    let place = place(&answer);
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((&body["status"], &body["url"]), (&"running".into(), &place.clone().into()));
    assert_eq!(body["request_id"].as_str(), answer.field("x-request-id"));
    // The connection goes on.
    let state = client.exchange(&get(&place)).await;
    assert_eq!((state.status, state.field("location")), (Some(202), Some(&*place)));
    target.may.add_permits(1);
    let fetched = target.fetched(&place).await;
    check_whole(&fetched);
    assert_eq!(fetched.field("x-own"), Some("1"));
    assert_ne!(fetched.field("x-request-id"), answer.field("x-request-id"));
    // Whoever broke off may fetch it again.
    check_whole(&target.ask(&get(&place)).await);
    let record = target.record().await;
    assert_eq!((&record["status"], &record["end"]), (&200.into(), &"complete".into()), "{record}");
    assert_eq!(record["id"].as_str(), answer.field("x-request-id"));
    let (told, took) = (record["later_ms"].as_f64(), record["took_ms"].as_f64());
    assert!(told.is_some_and(|it| (100.0..5_000.0).contains(&it)), "{record}");
    assert!(told < took, "{record}");
}

#[tokio::test]
async fn a_caller_that_prefers_so_is_told_at_once() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let answer = target.ask(PREFERS).await;
    assert_eq!(answer.status, Some(202), "{}", answer.text());
    assert_eq!(answer.field("preference-applied"), Some("respond-async"));
    target.may.add_permits(1);
    check_whole(&target.fetched(&place(&answer)).await);
}

#[tokio::test]
async fn what_does_not_take_long_is_answered_as_ever() {
    let target = Target::new(ONLY_WHO_ASKS, CHUNKED).await;
    target.may.add_permits(1);
    check_whole(&target.ask(WAITS).await);
    let record = target.record().await;
    assert_eq!((&record["status"], &record["later_ms"]), (&200.into(), &Value::Null), "{record}");
}

#[tokio::test]
async fn work_that_is_given_up_ends_at_once() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let place = target.begun().await;
    let delete = format!("DELETE {place} HTTP/1.1\r\nHost: lab.test\r\n\r\n");
    assert_eq!(target.ask(delete.as_bytes()).await.status, Some(204));
    told(&target.is_alone).await;
    check_problem(&target.ask(&get(&place)).await, 404, "no_route_matched");
    assert_eq!(target.ask(delete.as_bytes()).await.status, Some(404));
    let record = target.record().await;
    assert_eq!(
        (&record["end"], &record["cause"]),
        (&"client_closed".into(), &"client_closed".into())
    );
    assert!(record["later_ms"].is_number(), "{record}");
    let put = format!("PUT {place} HTTP/1.1\r\nHost: lab.test\r\n\r\n");
    assert_eq!(target.ask(put.as_bytes()).await.status, Some(404));
}

#[tokio::test]
async fn only_some_methods_are_for_an_answer() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let place = target.begun().await;
    let put = format!("PUT {place} HTTP/1.1\r\nHost: lab.test\r\n\r\n");
    let answer = target.ask(put.as_bytes()).await;
    assert_eq!((answer.status, answer.field("allow")), (Some(405), Some("DELETE, GET, HEAD")));
}

#[tokio::test]
async fn what_is_too_many_waits_as_ever() {
    let target = Target::new("later = { after = \"50ms\", requests = 1 }", WHOLE).await;
    let place = target.begun().await;
    let waiting = async {
        let answer = target.ask(PREFERS).await;
        check_whole(&answer);
        assert_eq!(answer.field("location"), None);
    };
    let releasing = async {
        told(&target.has_it).await;
        sleep(Duration::from_millis(200)).await;
        target.may.add_permits(2);
    };
    tokio::join!(waiting, releasing);
    check_whole(&target.fetched(&place).await);
}

#[tokio::test]
async fn work_goes_on_over_a_reload() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let place = target.begun().await;
    let told = "[route.app]\nmatch = \"/*\"\nanswer = { status = 200, body = \"another\" }\n";
    let done = target.world.gateway.reload(told).await.expect("it runs");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(target.ask(WAITS).await.text(), "another");
    assert_eq!(target.ask(&get(&place)).await.status, Some(202));
    target.may.add_permits(1);
    check_whole(&target.fetched(&place).await);
}

#[tokio::test]
async fn who_leaves_before_it_was_told_has_given_it_up() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let mut client = target.client().await;
    client.send(WAITS).await.expect("it reads");
    told(&target.has_it).await;
    client.leave().expect("it is open");
    told(&target.is_alone).await;
    let record = target.record().await;
    assert_eq!((&record["cause"], &record["later_ms"]), (&"client_closed".into(), &Value::Null));
}

#[tokio::test]
async fn nobody_is_told_before_the_upload_is_over() {
    let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
    let mut client = target.client().await;
    let (first, last) = PREFERS.split_at(PREFERS.len() - 2);
    client.send(first).await.expect("it reads");
    let early = timeout(Duration::from_millis(300), client.some()).await;
    assert!(early.is_err(), "{early:?}");
    client.send(last).await.expect("it reads");
    let answer = client.answer().await;
    assert_eq!(answer.status, Some(202), "{}", answer.text());
    target.may.add_permits(1);
    check_whole(&target.fetched(&place(&answer)).await);
}

#[tokio::test]
async fn work_that_fails_is_explained_to_who_fetches_it() {
    for (later, answer, cause) in [
        (ONLY_WHO_ASKS, "", "premature_close"),
        (ONLY_WHO_ASKS, SHORT, "truncated_chunk"),
        ("later = { after = \"30s\", answer = 4 }", WHOLE, "response_body_too_large"),
        ("later = { after = \"30s\", answer = 4 }", CHUNKED, "response_body_too_large"),
    ] {
        let target = Target::new(later, answer).await;
        let place = target.begun().await;
        target.may.add_permits(1);
        check_problem(&target.fetched(&place).await, 502, cause);
        assert_eq!(target.record().await["cause"], cause);
    }
}

#[tokio::test]
async fn work_has_a_limit_of_its_own() {
    let later = "later = { after = \"50ms\", total = \"300ms\" }\ntimeout = { total = \"100ms\" }";
    let target = Target::new(later, WHOLE).await;
    let place = target.begun().await;
    let answer = target.fetched(&place).await;
    check_problem(&answer, 504, "total_deadline_exceeded");
    assert!(answer.text().contains("later.total"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time() {
    let target = Target::new("later = { after = \"50ms\", keep = \"300ms\" }", WHOLE).await;
    let place = target.begun().await;
    target.may.add_permits(1);
    check_whole(&target.fetched(&place).await);
    let began = Instant::now();
    while target.ask(&get(&place)).await.status != Some(404) {
        assert!(began.elapsed() < SOON, "it is kept for ever");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_caller_with_less_time_is_not_told() {
    let target = Target::new("later = { after = \"10s\" }", WHOLE).await;
    let request = "POST /work HTTP/1.1\r\nHost: lab.test\r\nX-Request-Timeout-Ms: 200\r\n\
                   Content-Length: 0\r\n\r\n";
    let answer = target.ask(request.as_bytes()).await;
    assert_eq!(answer.status, Some(504), "{}", answer.text());
}

#[tokio::test]
async fn the_end_waits_for_work_and_then_cuts_it() {
    for (is_done, end, cause) in
        [(true, "complete", Value::Null), (false, "cut", "gateway_draining".into())]
    {
        let target = Target::new(ONLY_WHO_ASKS, WHOLE).await;
        target.begun().await;
        target.world.gateway.terminate();
        if is_done {
            sleep(Duration::from_millis(300)).await;
            target.may.add_permits(1);
        }
        let record = target.record().await;
        assert_eq!((&record["end"], &record["cause"]), (&end.into(), &cause), "{record}");
    }
}

#[tokio::test]
async fn streams_of_http2_are_told_each() {
    let target = Target::new("later = { after = \"50ms\" }", WHOLE).await;
    let mut send = peer::connect_to(&target.world).await;
    let mut places = Vec::new();
    for _ in 0..2 {
        let answer = peer::get(&mut send, "/work").await;
        assert_eq!(answer.status(), 202);
        let place = answer.headers()["location"].to_str().expect("text").to_owned();
        let (text, _) = peer::body(answer.into_body()).await.expect("a whole body");
        assert!(text.contains(&place), "{text}");
        assert_eq!(peer::get(&mut send, &place).await.status(), 202);
        places.push(place);
    }
    target.may.add_permits(2);
    for place in places {
        check_whole(&target.fetched(&place).await);
        let answer = peer::get(&mut send, &place).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["x-own"].as_bytes()),
            (200, &b"1"[..])
        );
        assert_eq!(peer::body(answer.into_body()).await.expect("a whole body").0, "whole");
    }
}

#[tokio::test]
async fn a_stream_of_http3_is_told_too() {
    let (reached, _has_it) = signal();
    let (left, _is_alone) = signal();
    let may = Arc::new(Semaphore::new(0));
    let allowed = may.clone();
    let config = config("later = { after = \"50ms\" }");
    let door = Door::with("later", "", &config, move |stream| {
        talk(stream, WHOLE, allowed.clone(), [reached.clone(), left.clone()])
    })
    .await;
    let mut send = door.client().await;
    let mut stream = http3::asked(&mut send, "/work").await;
    let told = http3::answer(&mut stream).await;
    assert_eq!(told.status(), 202);
    let place = told.headers()["location"].to_str().expect("text").to_owned();
    assert!(http3::body(&mut stream).await.expect("a whole body").0.contains(&place));
    may.add_permits(1);
    let began = Instant::now();
    loop {
        let mut stream = http3::asked(&mut send, &place).await;
        let status = http3::answer(&mut stream).await.status();
        let (text, _) = http3::body(&mut stream).await.expect("a whole body");
        if status == 200 {
            return assert_eq!(text, "whole");
        }
        assert!(status == 202 && began.elapsed() < SOON, "{status}");
        sleep(Duration::from_millis(20)).await;
    }
}
