//! Reloads and restarts under load: no client fails.

use crate::doors::Papers;
use lab::gateway::Gateway;
use lab::load::{Goal, Load};
use lab::stage::{self, Task};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::BufStream;
use tokio::net::TcpStream;

/// How long a process may take to end after it was succeeded: its last clients ask once a second.
const LEAVES_WITHIN: Duration = Duration::from_secs(20);

/// Between two requests of a client of the load that uploads.
const GAP: Duration = Duration::from_secs(1);

/// What may be under way at a time where each request has a connection of its own.
const MOST: usize = 1_000;

/// New connections a second. The machine that tests run on is busy and its programs are not optimized:
/// `LOAD_PER_SECOND` says what another one carries.
fn per_second() -> u32 {
    std::env::var("LOAD_PER_SECOND").ok().and_then(|it| it.parse().ok()).unwrap_or(200)
}

/// Two targets that answer well, one of which the gateway sends to.
struct Targets([(String, Task); 2]);

impl Targets {
    fn new() -> Targets {
        Targets([(); 2].map(|()| {
            let listener = stage::listener().expect("a free port");
            let url = format!("http://{}", listener.local_addr().expect("it is bound"));
            let talk = |stream: TcpStream| stage::answer_well(BufStream::new(stream));
            (url, stage::serve(listener, talk))
        }))
    }

    /// A configuration whose one route goes to the one or the other.
    fn config(&self, which: usize) -> String {
        let (url, _) = &self.0[which % 2];
        format!("[route.app]\nmatch = \"/*\"\nto = \"{url}\"\n")
    }
}

/// Loads at the same time, each with what it is called.
struct Loads(Vec<(&'static str, Load)>);

impl Loads {
    fn three(gateway: &Gateway) -> Loads {
        let goal = Goal::plain(gateway.listen);
        Loads(vec![
            ("kept connections", Load::kept(&goal, 8)),
            ("new connections", Load::fresh(&goal, per_second(), MOST)),
            ("uploads with pauses", Load::paced(&goal, 20, GAP)),
        ])
    }

    /// Until each of them has had answers since now.
    async fn go_on(&self) {
        for (name, load) in &self.0 {
            assert!(load.answers_more(5).await, "{name}: no more answers; {}", load.tally());
        }
    }

    /// Ends them; how many answers there were.
    async fn none_failed(self) -> u64 {
        let mut answered = 0;
        for (name, load) in self.0 {
            let tally = load.stop().await;
            assert_eq!(tally.failed(), 0, "{name}: {tally}");
            assert!(0 < tally.answered(), "{name}: {tally}");
            answered += tally.answered();
        }
        answered
    }
}

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn take_over(gateway: &mut Gateway, workers: usize) {
    let ended = gateway.take_over(workers, LEAVES_WITHIN).await;
    let status = ended.unwrap_or_else(|error| panic!("{error}"));
    assert!(status.success(), "the process before ended with {status}");
}

/// Every answer that a client got has its record, and nothing else has one.
async fn all_recorded(gateway: Gateway, answered: u64) {
    let records = gateway.stopped().await.expect("it ends");
    assert_eq!(records.len() as u64, answered);
}

#[tokio::test]
async fn reloads_lose_no_request() {
    let targets = Targets::new();
    let mut gateway = start(&targets.config(0)).await;
    let loads = Loads::three(&gateway);
    loads.go_on().await;
    for round in 0..10 {
        let config = targets.config(round + 1);
        gateway.hang_up(&config, round).await.unwrap_or_else(|error| panic!("{error}"));
        loads.go_on().await;
    }
    for round in 0..10 {
        let output = gateway.reload(&targets.config(round + 1)).await.expect("the command runs");
        assert!(output.status.success(), "{output:?}");
        loads.go_on().await;
    }
    let answered = loads.none_failed().await;
    all_recorded(gateway, answered).await;
}

async fn restarts(workers: impl Fn(usize) -> usize) {
    let targets = Targets::new();
    let mut gateway = start(&targets.config(0)).await;
    let loads = Loads::three(&gateway);
    loads.go_on().await;
    for round in 0..20 {
        take_over(&mut gateway, workers(round)).await;
        loads.go_on().await;
    }
    let answered = loads.none_failed().await;
    all_recorded(gateway, answered).await;
}

#[tokio::test]
async fn restarts_lose_no_request() {
    restarts(|_| 1).await;
}

#[tokio::test]
async fn restarts_with_another_number_of_workers_lose_no_request() {
    restarts(|round| [2, 4, 1, 3, 1][round % 5]).await;
}

#[tokio::test]
async fn tls_and_http2_lose_no_request_either() {
    let targets = Targets::new();
    let papers = Papers::new("restarts-tls");
    let (https, address) = papers.https("");
    let mut gateway = start(&format!("{https}{}", targets.config(0))).await;
    let goal = |protocol: &[u8]| {
        let name = ServerName::try_from("one.test").expect("it is a name");
        Goal::tls(address, name, papers.caller(false, &[protocol]))
    };
    let plain = Goal::plain(gateway.listen);
    let loads = Loads(vec![
        ("kept connections over TLS", Load::kept(&goal(b"http/1.1"), 4)),
        ("new connections over TLS", Load::fresh(&goal(b"http/1.1"), per_second() / 10, MOST)),
        ("uploads with pauses over TLS", Load::paced(&goal(b"http/1.1"), 10, GAP)),
        ("streams", Load::streams(&plain, 2, 4, Duration::ZERO)),
        ("streams over TLS", Load::streams(&goal(b"h2"), 2, 4, Duration::ZERO)),
    ]);
    loads.go_on().await;
    for round in 0..5 {
        take_over(&mut gateway, 1 + round % 2).await;
        loads.go_on().await;
        let config = format!("{https}{}", targets.config(round));
        gateway.hang_up(&config, 0).await.unwrap_or_else(|error| panic!("{error}"));
        loads.go_on().await;
    }
    let answered = loads.none_failed().await;
    all_recorded(gateway, answered).await;
}

/// That the loads above see what is lost.
#[tokio::test]
async fn a_gateway_that_is_killed_loses_requests() {
    let targets = Targets::new();
    let mut gateway = start(&targets.config(0)).await;
    let mut loads = Loads::three(&gateway);
    loads.0.push(("streams", Load::streams(&Goal::plain(gateway.listen), 2, 4, Duration::ZERO)));
    for _ in 0..3 {
        loads.go_on().await;
        gateway.kill_and_start().await.unwrap_or_else(|error| panic!("{error}"));
        loads.go_on().await;
    }
    for (name, load) in loads.0 {
        let tally = load.stop().await;
        // Whoever pauses is unlikely to be at it just then, and sees an end between two requests.
        let seen = tally.failed() + if name.starts_with("uploads") { tally.closed_idle } else { 0 };
        assert!(0 < seen, "{name}: {tally}");
    }
}

/// Nothing listens where nothing was started.
#[tokio::test]
async fn nobody_there_is_a_loss() {
    let port = stage::free_port().expect("a free port");
    let goal = Goal::plain(SocketAddr::from(([127, 0, 0, 1], port)));
    let load = Load::fresh(&goal, 100, MOST);
    let began = tokio::time::Instant::now();
    while load.tally().failed() == 0 {
        assert!(began.elapsed() < LEAVES_WITHIN, "{}", load.tally());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(load.stop().await.answered(), 0);
}
