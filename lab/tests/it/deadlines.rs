//! How long callers wait, and what targets are told of it.

use crate::world::{OK, Seen, answer_each, get, holds, signal, told, world, world_with};
use lab::client::Answer;
use lab::stage;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

fn asking(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: lab.test\r\n{fields}\r\n").into_bytes()
}

/// The value of a field of a head that an upstream saw.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|it| it.split_once(": "));
    lines.find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1)
}

#[track_caller]
fn check_cause(answer: &Answer, status: u16, cause: &str) {
    assert_eq!(answer.status, Some(status), "{}", answer.text());
    let marked = format!("cause={cause}");
    let told = answer.field("proxy-status").unwrap_or_default();
    assert!(told.contains(&marked), "{told}");
}

#[tokio::test]
async fn what_is_left_shrinks_from_try_to_try() {
    const SLOW: Duration = Duration::from_millis(300);
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world(move |mut stream| {
        let seen = kept.clone();
        async move {
            let first = seen.all().is_empty();
            while let Some(request) = stage::read_request(&mut stream).await? {
                seen.add(&request);
                if first {
                    sleep(SLOW).await;
                    return Ok(());
                }
                stream.write_all(OK.as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    let mut client = world.gateway.client().await.expect("it listens");
    let fields = "X-Request-Timeout-Ms: 8000\r\nX-Request-Timeout: 9.5\r\n\
                  x-stainless-read-timeout: 600\r\nX_Request_Timeout_Ms: 1\r\n";
    assert_eq!(client.exchange(&asking(fields)).await.status, Some(200));
    let [first, second] = &seen.all()[..] else {
        panic!("it was not tried twice: {:?}", seen.all());
    };
    let left = |head: &str| -> u64 {
        let text = field(head, "x-request-timeout-ms").expect("it is told");
        text.parse().expect("a number")
    };
    assert!((7_000..=8_000).contains(&left(first)), "{first}");
    assert!(left(second) + 300 <= left(first), "{first}{second}");
    for head in [first, second] {
        let seconds = field(head, "x-request-timeout").expect("it is told in these words too");
        let seconds: f64 = seconds.parse().expect("a number");
        assert!((seconds - left(head) as f64 / 1e3).abs() < 0.01, "{head}");
        assert_eq!(field(head, "x-stainless-read-timeout"), Some("600"), "{head}");
        assert_eq!(field(head, "x_request_timeout_ms"), None, "{head}");
    }
    assert_eq!(field(first, "x-request-attempt"), None, "{first}");
    assert_eq!(field(second, "x-request-attempt"), Some("2/3"), "{second}");
}

#[tokio::test]
async fn a_target_is_told_the_time_of_its_route() {
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world(move |stream| answer_each(stream, OK, kept.clone())).await;
    let mut client = world.gateway.client().await.expect("it listens");
    // The caller's own count of its tries stays where we do not repeat.
    for fields in ["X-Request-Attempt: 2/5\r\n", "X-Request-Timeout-Ms: 600000\r\n"] {
        assert_eq!(client.exchange(&asking(fields)).await.status, Some(200));
    }
    for head in seen.all() {
        let left = field(&head, "x-request-timeout-ms").and_then(|it| it.parse().ok());
        assert!(left.is_some_and(|it: u64| (80_000..=90_000).contains(&it)), "{head}");
    }
    assert_eq!(field(&seen.all()[0], "x-request-attempt"), Some("2/5"));
}

#[tokio::test]
async fn a_caller_is_answered_when_its_time_is_over() {
    let (reached, _upstream_has_it) = signal();
    let world = world(move |stream| holds(stream, reached.clone())).await;
    for fields in ["X-Request-Timeout-Ms: 200\r\n", "x-stainless-read-timeout: 0.2\r\n"] {
        let mut client = world.gateway.client().await.expect("it listens");
        let began = Instant::now();
        let answer = client.exchange(&asking(fields)).await;
        check_cause(&answer, 504, "total_deadline_exceeded");
        assert!(answer.text().contains("the caller's 200 ms passed"), "{}", answer.text());
        assert!(Duration::from_millis(200) <= began.elapsed());
    }
    let records = world.gateway.records_soon(2).await;
    assert!(records.iter().all(|it| it["cause"] == "total_deadline_exceeded"), "{records:?}");
}

#[tokio::test]
async fn a_caller_cannot_make_its_time_longer() {
    let (reached, _upstream_has_it) = signal();
    let config = "[route.app]\nmatch = \"/*\"\nto = \"{url}\"\ntimeout = { total = \"300ms\" }\n";
    let world = world_with(config, move |stream| holds(stream, reached.clone())).await;
    let mut client = world.gateway.client().await.expect("it listens");
    let answer = client.exchange(&asking("X-Request-Timeout-Ms: 60000\r\n")).await;
    check_cause(&answer, 504, "total_deadline_exceeded");
    assert!(answer.text().contains("the route's 300 ms passed"), "{}", answer.text());
}

#[tokio::test]
async fn a_request_whose_time_is_over_goes_nowhere() {
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world(move |stream| answer_each(stream, OK, kept.clone())).await;
    let mut client = world.gateway.client().await.expect("it listens");
    for text in ["0", "-1"] {
        let answer = client.exchange(&asking(&format!("X-Request-Timeout-Ms: {text}\r\n"))).await;
        check_cause(&answer, 504, "total_deadline_exceeded");
    }
    assert_eq!(client.exchange(&asking("X-Request-Timeout-Ms: soon\r\n")).await.status, Some(200));
    assert_eq!(seen.all().len(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_when_its_time_is_over_is_recorded_as_that() {
    let (reached, upstream_has_it) = signal();
    let world = world(move |stream| holds(stream, reached.clone())).await;
    for (fields, wait) in [("X-Request-Timeout-Ms: 300\r\n", 280), ("", 100)] {
        let mut client = world.gateway.client().await.expect("it listens");
        client.send(&asking(fields)).await.expect("it reads");
        told(&upstream_has_it).await;
        sleep(Duration::from_millis(wait)).await;
        client.leave().expect("it is open");
    }
    let records = world.gateway.records_soon(2).await;
    assert_eq!(records[0]["cause"], "total_deadline_exceeded", "{records:?}");
    assert_eq!(records[1]["cause"], "client_closed", "{records:?}");
}

#[tokio::test]
async fn what_comes_out_of_an_upgrade_is_not_waited_for() {
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world(move |stream| answer_each(stream, OK, kept.clone())).await;
    let mut client = world.gateway.client().await.expect("it listens");
    let fields = "Connection: upgrade\r\nUpgrade: chat\r\n";
    assert_eq!(client.exchange(&asking(fields)).await.status, Some(200));
    assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    let told = |head: &String| field(head, "x-request-timeout-ms").is_some();
    assert_eq!(seen.all().iter().map(told).collect::<Vec<_>>(), [false, true]);
}
