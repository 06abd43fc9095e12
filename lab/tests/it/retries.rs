//! What is tried again, who is taken out, and what waits: failures that callers do not see.

use crate::world::{OK, Seen, World, get, world_with};
use lab::client::{Answer, Client};
use lab::gateway::Gateway;
use lab::stage::{self, Task};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const GO_ON: &str = "the test can go on";

fn post(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 4\r\n{fields}\r\nbody")
        .into_bytes()
}

/// What the first connections come to; those after them are served well.
#[derive(Clone, Copy)]
enum Trouble {
    Reset,
    /// Less than it said.
    Short,
    Answer(&'static str),
}

async fn talk(mut stream: TcpStream, trouble: Option<Trouble>, seen: Seen) -> io::Result<()> {
    let Some(trouble) = trouble else {
        return crate::world::answer_each(stream, OK, seen).await;
    };
    let Some(request) = stage::read_request(&mut stream).await? else {
        return Ok(());
    };
    seen.add(&request);
    match trouble {
        Trouble::Reset => stage::reset(stream),
        Trouble::Short => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour").await?;
            stage::end(stream).await
        }
        Trouble::Answer(answer) => {
            stream.write_all(answer.as_bytes()).await?;
            stage::end(stream).await
        }
    }
}

/// A gateway before a target of which the first `count` connections come to this.
async fn troubled(config: &str, trouble: Trouble, count: usize) -> (World, Seen) {
    let (seen, connections) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let kept = seen.clone();
    let world = world_with(config, move |stream| {
        let at = connections.fetch_add(1, Relaxed);
        talk(stream, (at < count).then_some(trouble), kept.clone())
    })
    .await;
    (world, seen)
}

async fn ask(world: &World, request: &[u8]) -> Answer {
    let mut client = world.gateway.client().await.expect(GO_ON);
    client.exchange(request).await
}

async fn record(world: &World) -> Value {
    world.gateway.records_soon(1).await[0].clone()
}

/// Status, how often the target saw the request, and what the record says was prevented.
async fn check(trouble: Trouble, request: &[u8], expected: (u16, usize, &[&str])) -> Value {
    let (world, seen) = troubled("", trouble, 1).await;
    let answer = ask(&world, request).await;
    let record = record(&world).await;
    let prevented = record["prevented"].as_array().cloned().unwrap_or_default();
    let causes: Vec<&str> = prevented.iter().filter_map(|it| it["cause"].as_str()).collect();
    let found = (answer.status.unwrap_or_default(), seen.all().len(), &causes[..]);
    assert_eq!(found, expected, "{record}");
    record
}

#[tokio::test]
async fn what_may_be_repeated_is_and_its_failure_is_counted_as_prevented() {
    let get = get("/");
    check(Trouble::Reset, &get, (200, 2, &["connection_reset"])).await;
    check(Trouble::Short, &get, (200, 2, &["content_length_short"])).await;
    let refusing = Trouble::Answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    check(refusing, &get, (200, 2, &["upstream_own_5xx"])).await;
    let keyed = post("Idempotency-Key: \"a\"\r\n");
    check(Trouble::Reset, &keyed, (200, 2, &["connection_reset"])).await;
}

#[tokio::test]
async fn what_may_not_be_repeated_is_never_sent_twice() {
    check(Trouble::Reset, &post(""), (502, 1, &[])).await;
    let record = check(Trouble::Short, &post(""), (502, 1, &[])).await;
    assert_eq!(record["cause"], "content_length_short");
    let refusing = Trouble::Answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    check(refusing, &post(""), (503, 1, &[])).await;
    let own = Trouble::Answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    check(own, &get("/"), (500, 1, &[])).await;
}

#[tokio::test]
async fn a_target_says_itself_whether_to_try_again() {
    let yes = "HTTP/1.1 503 Busy\r\nX-Should-Retry: true\r\nContent-Length: 0\r\n\r\n";
    check(Trouble::Answer(yes), &post(""), (200, 2, &["upstream_own_5xx"])).await;
    let no = "HTTP/1.1 503 Busy\r\nX-Should-Retry: false\r\nContent-Length: 0\r\n\r\n";
    check(Trouble::Answer(no), &get("/"), (503, 1, &[])).await;
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_made() {
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let began = Instant::now();
    check(Trouble::Answer(busy), &get("/"), (200, 2, &["upstream_own_5xx"])).await;
    assert!(Duration::from_secs(1) <= began.elapsed());
    let later = "HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    check(Trouble::Answer(later), &get("/"), (503, 1, &[])).await;
}

#[tokio::test]
async fn why_nothing_was_tried_again_is_told() {
    let route = |retry: &str| {
        format!("[route.app]\nmatch = \"/*\"\nto = \"{{url}}\"\nretry = {{ {retry} }}\n")
    };
    let table = [
        ("attempts = 2", get("/"), "attempts"),
        ("body = \"2 B\"", post("Idempotency-Key: \"a\"\r\n"), "body"),
    ];
    for (retry, request, reason) in table {
        let (world, _) = troubled(&route(retry), Trouble::Reset, 9).await;
        let answer = ask(&world, &request).await;
        assert_eq!(answer.status, Some(502), "{}", answer.text());
        assert!(
            answer.text().contains(&format!("\"not_repeated\": \"{reason}\"")),
            "{}",
            answer.text()
        );
        assert_eq!(record(&world).await["not_repeated"], reason);
    }
}

#[tokio::test]
async fn a_storm_stays_within_the_budget() {
    let (world, seen) = troubled("", Trouble::Reset, 10_000).await;
    let mut client = world.gateway.client().await.expect(GO_ON);
    const REQUESTS: usize = 80;
    for _ in 0..REQUESTS {
        assert_eq!(client.exchange(&get("/")).await.status, Some(502));
    }
    let tries = seen.all().len();
    assert!(tries <= REQUESTS + REQUESTS / 5 + 20, "{tries} tries for {REQUESTS} requests");
    let mut pages = Client::connect(world.gateway.status).await.expect(GO_ON);
    let metrics = pages.exchange(&get("/metrics")).await.text();
    let line = "goodgate_not_repeated_total{reason=\"budget\"} ";
    let count = metrics.lines().find_map(|it| it.strip_prefix(line)).unwrap_or("0").to_owned();
    assert_ne!(count, "0", "{metrics}");
}

/// A listener where one has just gone, as soon as it has.
async fn again_at(at: SocketAddr) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(at).await {
            Ok(listener) => return listener,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A target that refuses everything at its socket, beside one that is well.
async fn beside(config: &str, ill: SocketAddr) -> (Gateway, Task, Seen) {
    let (listener, seen) = (stage::listener().expect(GO_ON), Seen::default());
    let well = listener.local_addr().expect(GO_ON);
    let kept = seen.clone();
    let task = stage::serve(listener, move |stream| talk(stream, None, kept.clone()));
    let config = format!(
        "[upstream.app]\ntargets = [\"http://{ill}\", \"http://{well}\"]\n{config}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    );
    let gateway = Gateway::start(&config).await.expect(GO_ON);
    (gateway, task, seen)
}

#[tokio::test]
async fn a_target_that_fails_is_taken_out_and_comes_back_by_a_trial() {
    let (listener, tried) = (stage::listener().expect(GO_ON), Arc::new(AtomicUsize::new(0)));
    let ill = listener.local_addr().expect(GO_ON);
    let count = tried.clone();
    let resets = stage::serve(listener, move |stream| {
        count.fetch_add(1, Relaxed);
        async { stage::reset(stream) }
    });
    let eject = "eject = { after = 2, first = \"300ms\" }\nslow_start = \"0s\"";
    let (gateway, _well, _) = beside(eject, ill).await;
    let mut client = gateway.client().await.expect(GO_ON);
    for _ in 0..40 {
        assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    }
    assert!(tried.load(Relaxed) <= 4, "{} tries at a target that is out", tried.load(Relaxed));
    drop(resets);
    let listener = again_at(ill).await;
    let seen = Seen::default();
    let kept = seen.clone();
    let _back = stage::serve(listener, move |stream| talk(stream, None, kept.clone()));
    let began = Instant::now();
    while seen.all().len() < 5 {
        assert!(began.elapsed() < Duration::from_secs(20), "it never came back");
        assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    }
}

#[tokio::test]
async fn requests_wait_for_the_only_target_while_it_restarts() {
    let seen = Seen::default();
    let listener = stage::listener().expect(GO_ON);
    let at = listener.local_addr().expect(GO_ON);
    let kept = seen.clone();
    let first = stage::serve(listener, move |stream| talk(stream, None, kept.clone()));
    let config = format!("[route.app]\nmatch = \"/*\"\nto = \"http://{at}\"\n");
    let gateway = Gateway::start(&config).await.expect(GO_ON);
    let mut client = gateway.client().await.expect(GO_ON);
    assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    drop(first);
    let mut waiting = Vec::new();
    for request in [get("/"), post("")] {
        let mut client = gateway.client().await.expect(GO_ON);
        waiting.push(tokio::spawn(async move { client.exchange(&request).await.status }));
    }
    // Both are in the queue for it, as the gateway itself tells.
    let began = Instant::now();
    loop {
        let mut pages = Client::connect(gateway.status).await.expect(GO_ON);
        let metrics = pages.exchange(&get("/metrics")).await.text();
        let waits = |it: &str| it.starts_with("goodgate_queue_waiting") && it.ends_with("} 2");
        if metrics.lines().any(|it| waits(it) && it.contains("for=\"return\"")) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listener = again_at(at).await;
    let kept = seen.clone();
    let _second = stage::serve(listener, move |stream| talk(stream, None, kept.clone()));
    for one in waiting {
        assert_eq!(one.await.expect(GO_ON), Some(200));
    }
    let records = gateway.records_soon(3).await;
    let waited = |it: &&Value| it["prevented"][0]["by"] == "wait";
    assert_eq!(records.iter().filter(waited).count(), 2, "{records:#?}");
}

#[tokio::test]
async fn who_was_never_there_is_not_waited_for() {
    let at = stage::free_port().expect(GO_ON);
    let config = format!("[route.app]\nmatch = \"/*\"\nto = \"http://127.0.0.1:{at}\"\n");
    let gateway = Gateway::start(&config).await.expect(GO_ON);
    let mut client = gateway.client().await.expect(GO_ON);
    let began = Instant::now();
    assert_eq!(client.exchange(&get("/")).await.status, Some(502));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_place_that_is_free_when_an_answer_has_ended_is_given_to_who_waits() {
    let config = "[upstream.app]\ntargets = [\"{url}\"]\n\
                  concurrency = { adaptive = false, requests = 1 }\nqueue = { full = \"5s\" }\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let (go_on, gate) = crate::world::signal();
    let world = world_with(config, move |mut stream| {
        let gate = gate.clone();
        async move {
            while let Some(request) = stage::read_request(&mut stream).await? {
                if request.target() != "/slow" {
                    stream.write_all(OK.as_bytes()).await?;
                    continue;
                }
                let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
                stream.write_all(half).await?;
                crate::world::told(&gate).await;
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    let mut first = world.gateway.client().await.expect(GO_ON);
    first.send(&get("/slow")).await.expect(GO_ON);
    assert_eq!(first.head().await.status, Some(200));
    let mut second = world.gateway.client().await.expect(GO_ON);
    let began = Instant::now();
    let waits = tokio::spawn(async move { second.exchange(&get("/")).await.status });
    let mut pages = Client::connect(world.gateway.status).await.expect(GO_ON);
    let waiting = |it: &str| it.contains("for=\"place\"") && it.ends_with("} 1");
    loop {
        let metrics = pages.exchange(&get("/metrics")).await.text();
        if metrics.lines().any(|it| it.starts_with("goodgate_queue_waiting{") && waiting(it)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{metrics}");
    }
    go_on.send(()).expect(GO_ON);
    assert_eq!(waits.await.expect(GO_ON), Some(200));
}
