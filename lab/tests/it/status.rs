//! `/livez`, `/readyz` and `/metrics`: what they say, and that they agree with the records.

use crate::world::{SOON, World, get, world, world_with};
use lab::client::Client;
use lab::stage;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

async fn page(world: &World, path: &str) -> (Option<u16>, String) {
    let mut client = Client::connect(world.gateway.status).await.expect("the status listener");
    let answer = client.exchange(&get(path)).await;
    (answer.status, answer.text())
}

/// The page once it says this. Numbers are there a moment after the answer is.
async fn until_it_says(world: &World, line: &str) {
    let began = Instant::now();
    loop {
        let (_, text) = page(world, "/metrics").await;
        if text.lines().any(|it| it == line) {
            return;
        }
        assert!(began.elapsed() < SOON, "no line {line} in\n{text}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn it_lives_and_is_ready_and_has_no_other_pages() {
    let world = world(stage::answer_well::<TcpStream>).await;
    assert_eq!(page(&world, "/livez").await.0, Some(200));
    assert_eq!(page(&world, "/readyz").await.0, Some(200));
    assert_eq!(page(&world, "/").await.0, Some(404));
}

#[tokio::test]
async fn metrics_count_what_the_records_say() {
    let world = world(stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.expect("it listens");
    for _ in 0..3 {
        assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    }
    let strange = b"BREW / HTTP/1.1\r\nHost: lab.test\r\n\r\n";
    assert_eq!(client.exchange(strange).await.status, Some(200));
    assert_eq!(world.gateway.records_soon(4).await.len(), 4);
    let counted = |method| {
        format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",\
             http_response_status_code=\"200\",http_route=\"app\"}}"
        )
    };
    until_it_says(&world, &format!("{} 3", counted("GET"))).await;
    until_it_says(&world, &format!("{} 1", counted("_OTHER"))).await;
    until_it_says(&world, "goodgate_attempts_total 4").await;
    until_it_says(&world, "goodgate_connections 1").await;
}

#[tokio::test]
async fn a_target_that_refuses_is_passed_over_and_counted() {
    let closed = stage::free_port().expect("a free port");
    let config = format!(
        "[upstream.two]\ntargets = [\"http://127.0.0.1:{closed}\", \"{{url}}\"]\n\
         balance = \"round_robin\"\n[route.app]\nmatch = \"/*\"\nto = \"two\"\n"
    );
    let world = world_with(&config, stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.expect("it listens");
    for _ in 0..4 {
        assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    }
    let records = world.gateway.records_soon(4).await;
    let twice = records.iter().filter(|it| it["attempts"] == 2).count();
    assert!(0 < twice, "{records:#?}");
    assert!(records.iter().all(|it| it["cause"].is_null()), "{records:#?}");
    until_it_says(&world, &format!("goodgate_retries_total {twice}")).await;
}

#[tokio::test]
async fn a_post_that_was_sent_is_not_sent_again() {
    let closing = |mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        std::io::Result::Ok(())
    };
    let config = "[upstream.two]\ntargets = [\"{url}\", \"{url}/again\"]\n\
                  [route.app]\nmatch = \"/*\"\nto = \"two\"\n";
    let world = world_with(config, closing).await;
    let mut client = world.gateway.client().await.expect("it listens");
    let post = b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(client.exchange(post).await.status, Some(502));
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["attempts"], 1, "{records:#?}");
}
