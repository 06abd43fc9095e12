//! Answers that are kept for when the upstream fails.

use crate::http3::{self, Door};
use crate::peer;
use crate::world::{SOON, Seen};
use lab::client::{Answer, Client, End};
use lab::gateway::Gateway;
use lab::stage::{self, Request, Task};
use serde_json::Value;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How a target treats requests.
#[derive(Clone)]
enum Mood {
    /// It answers with these fields, and the target in its body.
    Well(&'static str),
    Says(&'static str),
    Reset,
    Silent,
}

/// A target whose mood changes.
struct Target {
    url: String,
    mood: Arc<Mutex<Mood>>,
    seen: Seen,
    task: Option<Task>,
}

impl Target {
    fn new() -> Target {
        let listener = stage::listener().expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (mood, seen) = (Arc::new(Mutex::new(Mood::Well(""))), Seen::default());
        let (moods, sees) = (mood.clone(), seen.clone());
        let task = stage::serve(listener, move |stream| talk(stream, moods.clone(), sees.clone()));
        Target { url, mood, seen, task: Some(task) }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panics with it") = mood;
    }

    fn dies(&mut self) {
        self.task = None;
    }
}

async fn talk(mut stream: TcpStream, mood: Arc<Mutex<Mood>>, seen: Seen) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        seen.add(&request);
        let mood = mood.lock().expect("nobody panics with it").clone();
        match mood {
            Mood::Well(fields) => stream.write_all(well(&request, fields).as_bytes()).await?,
            Mood::Says(answer) => {
                stream.write_all(answer.as_bytes()).await?;
                if !answer.contains("Content-Length") || answer.contains("cut") {
                    return stage::end(stream).await;
                }
            }
            Mood::Reset => return stage::reset(stream),
            Mood::Silent => return stage::stay(stream).await,
        }
    }
    Ok(())
}

/// `/large/N` has so many bytes more.
fn well(request: &Request, fields: &str) -> String {
    let more = request.target().strip_prefix("/large/").and_then(|it| it.split('/').next());
    let more = more.and_then(|it| it.parse().ok()).unwrap_or(0);
    let language = request.field("accept-language").unwrap_or("-");
    let text = format!("{} {language} {}", request.target(), "x".repeat(more));
    let length = text.len();
    let body = if request.method() == "HEAD" { "" } else { &text };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

const STALE: &str = "stale = {}";

fn config(target: &Target, stale: &str) -> String {
    config_with(target, "", stale)
}

fn config_with(target: &Target, upstream: &str, stale: &str) -> String {
    format!(
        "[upstream.app]\ntargets = [{:?}]\nqueue = {{ gone = \"0s\", requests = 0 }}\n\
         timeout = {{ first_byte = \"200ms\" }}\n{upstream}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\nretry = {{ attempts = 1 }}\n{stale}\n",
        target.url
    )
}

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn ask(gateway: &Gateway, method: &str, path: &str, fields: &str) -> Answer {
    let mut client = gateway.client().await.expect("it listens");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: lab.test\r\n{fields}\r\n");
    client.exchange(request.as_bytes()).await
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    ask(gateway, "GET", path, "").await
}

#[track_caller]
fn is_stale(answer: &Answer, path: &str) {
    assert_eq!((answer.status, &answer.end), (Some(200), &End::Whole), "{}", answer.words());
    assert!(answer.text().starts_with(path), "{}", answer.words());
    let marked = answer.field("cache-status").unwrap_or_default();
    assert!(marked.starts_with("goodgate; hit; ttl="), "{}", answer.head);
    assert!(marked.ends_with("; detail=stale-if-error"), "{}", answer.head);
    assert!(answer.field("age").is_some_and(|it| it.parse::<u64>().is_ok()), "{}", answer.head);
}

#[track_caller]
fn is_fresh(answer: &Answer) {
    assert_eq!(answer.status, Some(200), "{} {}", answer.head, answer.text());
    assert_eq!(answer.field("cache-status"), None, "{}", answer.head);
}

#[track_caller]
fn failed(answer: &Answer) {
    assert!(answer.status.is_some_and(|it| 500 <= it), "{}", answer.words());
    assert_eq!(answer.field("cache-status"), None, "{}", answer.head);
}

/// What was kept, and why it was given, stands in the record of the request.
#[track_caller]
fn is_told(record: &Value, cause: &str) {
    assert_eq!((&record["status"], &record["stale"]), (&200.into(), &true.into()), "{record}");
    let prevented = record["prevented"].as_array().and_then(|it| it.last()).expect("one at least");
    assert_eq!(prevented["by"], "stale", "{record}");
    assert_eq!(prevented["cause"], cause, "{record}");
    assert_eq!((&record["cause"], &record["end"]), (&Value::Null, &"complete".into()), "{record}");
}

#[tokio::test]
async fn an_answer_that_was_kept_stands_in_for_each_failure() {
    const BUSY: &str = "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy";
    const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\ncut";
    const BROKEN: &str = "HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nsorry";
    let moods = [
        Mood::Reset,
        Mood::Says(BUSY),
        Mood::Says(BROKEN),
        Mood::Silent,
        Mood::Says("220 mail\r\n\r\n"),
        Mood::Says(CUT),
    ];
    for mood in moods {
        let target = Target::new();
        let gateway = start(&config(&target, STALE)).await;
        let first = get(&gateway, "/a?b=1").await;
        is_fresh(&first);
        target.is(mood);
        let second = get(&gateway, "/a?b=1").await;
        is_stale(&second, "/a?b=1");
        assert_eq!(second.body, first.body);
        failed_or_cut(&get(&gateway, "/another").await);
        let records = gateway.records_soon(3).await;
        // The same as of the one for which nothing was kept.
        let (record, other) = (&records[1], &records[2]);
        is_told(record, other["cause"].as_str().unwrap_or_default());
        assert_eq!((&record["attempts"], &record["fault"]), (&1.into(), &other["fault"]));
    }
}

#[track_caller]
fn failed_or_cut(answer: &Answer) {
    assert!(answer.status != Some(200) || answer.end != End::Whole, "{}", answer.words());
}

#[tokio::test]
async fn an_app_that_is_down_is_answered_for_and_counted() {
    let mut target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    is_fresh(&get(&gateway, "/").await);
    target.dies();
    let answer = get(&gateway, "/").await;
    is_stale(&answer, "/");
    let via = answer.fields("via");
    assert_eq!(via.len(), 1, "{}", answer.head);
    assert_eq!(answer.field("proxy-status"), None);
    let records = gateway.records_soon(2).await;
    is_told(&records[1], "process_down");
    assert_eq!(records[1]["fault"], "connection_refused", "{}", records[1]);
    let mut client = Client::connect(gateway.status).await.unwrap();
    let metrics =
        client.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let line =
        "goodgate_prevented_failures_total{cause=\"process_down\",by=\"stale\",route=\"app\"} 1";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    assert!(!metrics.text().contains("goodgate_failures_total{"), "{}", metrics.text());
}

#[tokio::test]
async fn nothing_that_was_kept_is_given_while_the_upstream_answers() {
    let target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    for _ in 0..3 {
        let answer = ask(&gateway, "GET", "/", "Cache-Control: max-stale=99\r\n").await;
        is_fresh(&answer);
        assert_eq!(answer.field("age"), None);
    }
    assert_eq!(target.seen.all().len(), 3);
    target.is(Mood::Says("HTTP/1.1 429 X\r\nContent-Length: 4\r\n\r\nslow"));
    assert_eq!(get(&gateway, "/").await.status, Some(429));
}

#[tokio::test]
async fn a_request_that_finds_no_place_gets_what_was_kept() {
    let target = Target::new();
    let limit = "concurrency = { adaptive = false, requests = 1 }\n";
    let config = config_with(&target, limit, STALE).replace("200ms", "20s");
    let gateway = start(&config).await;
    is_fresh(&get(&gateway, "/").await);
    target.is(Mood::Silent);
    let mut held = gateway.client().await.unwrap();
    held.send(b"GET /held HTTP/1.1\r\nHost: lab.test\r\n\r\n").await.unwrap();
    let began = Instant::now();
    while target.seen.all().len() < 2 {
        assert!(began.elapsed() < SOON);
        sleep(Duration::from_millis(5)).await;
    }
    is_stale(&get(&gateway, "/").await, "/");
    let refused = get(&gateway, "/another").await;
    assert_eq!(refused.status, Some(503));
    let records = gateway.records_soon(3).await;
    is_told(&records[1], "gateway_queue_timeout");
    assert_eq!(records[1]["attempts"], 0, "{}", records[1]);
}

#[tokio::test]
async fn what_is_too_old_is_not_given() {
    let mut target = Target::new();
    let gateway = start(&config(&target, "stale = { for = \"700ms\" }")).await;
    is_fresh(&get(&gateway, "/").await);
    // It says less than the route does.
    target.is(Mood::Well("Cache-Control: max-age=0, stale-if-error=1\r\n"));
    let longer = start(&config(&target, STALE)).await;
    is_fresh(&get(&longer, "/").await);
    target.is(Mood::Well("Cache-Control: max-age=1, must-revalidate\r\n"));
    is_fresh(&get(&longer, "/checked").await);
    target.is(Mood::Well("Cache-Control: stale-if-error=0\r\n"));
    is_fresh(&get(&longer, "/never").await);
    target.dies();
    is_stale(&get(&gateway, "/").await, "/");
    is_stale(&get(&longer, "/").await, "/");
    is_stale(&get(&longer, "/checked").await, "/checked");
    failed(&get(&longer, "/never").await);
    sleep(Duration::from_millis(1_100)).await;
    failed(&get(&gateway, "/").await);
    failed(&get(&longer, "/").await);
    failed(&get(&longer, "/checked").await);
}

/// Fields of a first answer and of both requests; whether the second request gets it again.
async fn check(answer: &'static str, first: &str, second: &str, expected: bool) {
    let mut target = Target::new();
    target.is(Mood::Well(answer));
    let gateway = start(&config(&target, STALE)).await;
    is_fresh(&ask(&gateway, "GET", "/", first).await);
    target.dies();
    let again = ask(&gateway, "GET", "/", second).await;
    let got = again.field("cache-status").is_some();
    assert_eq!(got, expected, "{answer:?} {first:?} {second:?}: {}", again.words());
}

#[tokio::test]
async fn what_is_for_one_caller_is_given_to_none() {
    for answer in [
        "Cache-Control: private\r\n",
        "Cache-Control: no-store\r\n",
        "Cache-Control: no-cache\r\n",
        "Set-Cookie: sid=1\r\n",
        "Vary: *\r\n",
        "Vary: X-Forwarded-For\r\n",
    ] {
        check(answer, "", "", false).await;
    }
    let (known, session) = ("Authorization: Bearer x\r\n", "Cookie: sid=1\r\n");
    const PUBLIC: &str = "Cache-Control: public, max-age=60\r\n";
    for who in [known, session] {
        check("", who, "", false).await;
        check("", "", who, false).await;
        check(PUBLIC, who, who, true).await;
    }
    check("", "Cookie: goodgate~app=0123\r\n", "Cookie: goodgate~app=4567\r\n", true).await;
}

#[tokio::test]
async fn callers_may_want_nothing_old() {
    check("", "", "Cache-Control: no-cache\r\n", false).await;
    check("", "", "Cache-Control: stale-if-error=0\r\n", false).await;
    check("", "", "Cache-Control: only-if-cached\r\n", false).await;
    check("", "", "Cache-Control: stale-if-error=60\r\n", true).await;
    check("", "Cache-Control: no-store\r\n", "", false).await;
    check("", "", "Range: bytes=0-1\r\n", false).await;
    check("", "Range: bytes=0-1\r\n", "", false).await;
    check("", "", "Content-Length: 2\r\n\r\nab", false).await;
}

#[tokio::test]
async fn answers_that_vary_are_given_to_those_who_asked_alike() {
    let mut target = Target::new();
    target.is(Mood::Well("Vary: Accept-Language\r\n"));
    let gateway = start(&config(&target, STALE)).await;
    let fields = |language| format!("Accept-Language: {language}\r\n");
    for language in ["en", "tr"] {
        is_fresh(&ask(&gateway, "GET", "/", &fields(language)).await);
    }
    target.dies();
    for language in ["tr", "en", "tr"] {
        let answer = ask(&gateway, "GET", "/", &fields(language)).await;
        is_stale(&answer, &format!("/ {language}"));
    }
    failed(&ask(&gateway, "GET", "/", &fields("de")).await);
    failed(&get(&gateway, "/").await);
}

#[tokio::test]
async fn a_url_is_more_than_its_path() {
    let mut target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    is_fresh(&get(&gateway, "/a?b=1").await);
    target.dies();
    is_stale(&get(&gateway, "/a?b=1").await, "/a?b=1");
    failed(&get(&gateway, "/a?b=2").await);
    failed(&get(&gateway, "/a").await);
    let mut client = gateway.client().await.unwrap();
    let other = client.exchange(b"GET /a?b=1 HTTP/1.1\r\nHost: other.test\r\n\r\n").await;
    failed(&other);
}

#[tokio::test]
async fn methods_that_change_something_are_never_answered_from_before() {
    let target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    for path in ["/a", "/b", "/c"] {
        is_fresh(&get(&gateway, path).await);
    }
    is_fresh(&ask(&gateway, "POST", "/a", "Content-Length: 0\r\n").await);
    target.is(Mood::Says("HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\nnone"));
    assert_eq!(get(&gateway, "/b").await.status, Some(404));
    target.is(Mood::Reset);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        failed(&ask(&gateway, method, "/c", "Content-Length: 0\r\n").await);
    }
    // What was changed, or is gone, is not as it was.
    failed(&get(&gateway, "/a").await);
    failed(&get(&gateway, "/b").await);
    is_stale(&get(&gateway, "/c").await, "/c");
}

#[tokio::test]
async fn the_head_of_what_was_kept_is_given_to_head() {
    let mut target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    is_fresh(&get(&gateway, "/a").await);
    is_fresh(&ask(&gateway, "HEAD", "/b", "").await);
    target.dies();
    let mut client = gateway.client().await.unwrap();
    for _ in 0..2 {
        let head = client.exchange(b"HEAD /a HTTP/1.1\r\nHost: lab.test\r\n\r\n").await;
        assert_eq!((head.status, head.field("content-length")), (Some(200), Some("5")));
        assert!(head.field("cache-status").is_some(), "{}", head.head);
    }
    failed(&get(&gateway, "/b").await);
}

#[tokio::test]
async fn only_whole_answers_are_kept() {
    let target = Target::new();
    let gateway = start(&config(&target, "stale = { answer = \"4 KiB\" }")).await;
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\ncut";
    target.is(Mood::Says(cut));
    failed_or_cut(&get(&gateway, "/cut").await);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n/chun\r\n";
    target.is(Mood::Says(chunked));
    failed_or_cut(&get(&gateway, "/chunked-and-cut").await);
    target.is(Mood::Says("HTTP/1.1 200 OK\r\n\r\n/until the end"));
    is_fresh(&get(&gateway, "/open-ended").await);
    target.is(Mood::Says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n/who\r\n2\r\nle\r\n0\r\n\r\n",
    ));
    is_fresh(&get(&gateway, "/whole").await);
    target.is(Mood::Well(""));
    is_fresh(&get(&gateway, "/large/5000").await);
    is_fresh(&get(&gateway, "/large/4000").await);
    // Whoever leaves does not take what was begun.
    let mut leaver = gateway.client().await.unwrap();
    leaver.send(b"GET /large/4001 HTTP/1.1\r\nHost: lab.test\r\n\r\n").await.unwrap();
    leaver.head().await;
    leaver.leave().unwrap();
    target.is(Mood::Says("HTTP/1.1 301 X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(get(&gateway, "/moved").await.status, Some(301));
    target.is(Mood::Reset);
    for path in ["/cut", "/chunked-and-cut", "/open-ended", "/large/5000"] {
        failed(&get(&gateway, path).await);
    }
    is_stale(&get(&gateway, "/whole").await, "/whole");
    let large = get(&gateway, "/large/4000").await;
    is_stale(&large, "/large/4000");
    assert!(4_000 < large.body.len());
    let moved = get(&gateway, "/moved").await;
    assert_eq!((moved.status, moved.field("location")), (Some(301), Some("/x")));
    assert!(moved.field("cache-status").is_some(), "{}", moved.head);
}

#[tokio::test]
async fn what_was_not_asked_for_the_longest_makes_room() {
    let mut target = Target::new();
    let stale = "stale = { size = \"64 KiB\", answer = \"16 KiB\" }";
    let gateway = start(&config(&target, stale)).await;
    let path = |at: usize| format!("/large/8000/{at}");
    for at in 0..20 {
        is_fresh(&get(&gateway, &path(at)).await);
    }
    target.dies();
    let mut kept = Vec::new();
    for at in 0..20 {
        if get(&gateway, &path(at)).await.field("cache-status").is_some() {
            kept.push(at);
        }
    }
    // Seven of them have room.
    assert_eq!(kept, (13..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_kept_stays_through_reloads_until_its_route_keeps_nothing() {
    let mut target = Target::new();
    let with = config(&target, STALE);
    let gateway = start(&with).await;
    is_fresh(&get(&gateway, "/").await);
    target.dies();
    let reload = async |config: &str| {
        let output = gateway.reload(config).await.expect("the command runs");
        assert!(output.status.success(), "{}", gateway.said());
    };
    reload(&with.replace("stale = {}", "stale = { for = \"1h\" }")).await;
    is_stale(&get(&gateway, "/").await, "/");
    reload(&with.replace("stale = {}", "")).await;
    failed(&get(&gateway, "/").await);
    reload(&with).await;
    failed(&get(&gateway, "/").await);
}

#[tokio::test]
async fn a_route_that_leads_elsewhere_has_other_answers() {
    let mut target = Target::new();
    let with = config(&target, STALE);
    let gateway = start(&with).await;
    is_fresh(&get(&gateway, "/").await);
    target.dies();
    let elsewhere = with.replace("app\"\nretry", "app\"\nhost = \"b.test\"\nretry");
    let output = gateway.reload(&elsewhere).await.expect("the command runs");
    assert!(output.status.success(), "{}", gateway.said());
    failed(&get(&gateway, "/").await);
}

#[tokio::test]
async fn cores_keep_together() {
    let mut target = Target::new();
    let without_limit = "concurrency = { adaptive = false }\n";
    let mut gateway = start(&config_with(&target, without_limit, STALE)).await;
    let status = gateway.take_over(2, SOON).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(status.success());
    let burst = async |fresh: bool| {
        let mut callers = JoinSet::new();
        for _ in 0..32 {
            let mut client = gateway.client().await.expect("it listens");
            callers.spawn(async move {
                let mut all = Vec::new();
                for at in 0..10 {
                    let request = format!("GET /large/2000/{at} HTTP/1.1\r\nHost: x\r\n\r\n");
                    all.push(client.exchange(request.as_bytes()).await);
                }
                all
            });
        }
        for answer in callers.join_all().await.into_iter().flatten() {
            if fresh {
                is_fresh(&answer);
            } else {
                is_stale(&answer, "/large/2000/");
            }
        }
    };
    burst(true).await;
    target.dies();
    burst(false).await;
}

#[tokio::test]
async fn clients_of_http2_are_answered_the_same() {
    let mut target = Target::new();
    let gateway = start(&config(&target, STALE)).await;
    let mut send = peer::connect(gateway.listen).await;
    let first = peer::get(&mut send, "/large/200000").await;
    assert_eq!(first.headers().get("cache-status"), None);
    let first = peer::body(first.into_body()).await.expect("a whole body").0;
    target.dies();
    let again = peer::get(&mut send, "/large/200000").await;
    assert_eq!(again.status(), 200);
    assert!(again.headers().contains_key("cache-status"), "{:?}", again.headers());
    assert_eq!(peer::body(again.into_body()).await.expect("a whole body").0, first);
}

#[tokio::test]
async fn clients_of_http3_are_answered_the_same() {
    let mood = Arc::new(Mutex::new(Mood::Well("")));
    let (moods, seen) = (mood.clone(), Seen::default());
    let config =
        "[route.app]\nmatch = \"/*\"\nto = \"{url}\"\nretry = { attempts = 1 }\nstale = {}\n";
    let talk = move |stream| talk(stream, moods.clone(), seen.clone());
    let door = Door::with("stale", "", config, talk).await;
    let mut send = door.client().await;
    let mut bodies = Vec::new();
    for kept in [false, true] {
        let mut stream = http3::asked(&mut send, "/large/200000").await;
        let answer = http3::answer(&mut stream).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().contains_key("cache-status"), kept);
        bodies.push(http3::body(&mut stream).await.expect("a whole body").0);
        *mood.lock().expect("nobody panics with it") = Mood::Reset;
    }
    assert_eq!(bodies[0], bodies[1]);
}
