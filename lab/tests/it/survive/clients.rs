//! Hundreds of clients that are slow on purpose, as `slowhttptest` makes them: each is ended by a
//! named limit, and whoever is honest is answered at once meanwhile.

use super::{descriptors, until, until_metric};
use crate::doors::Papers;
use crate::world::{World, get, world_with};
use lab::client::Client;
use lab::stage;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// Short, so that each ends within the test.
const LIMITS: &str = "timeout = { head = \"2s\", body = \"2s\", idle = \"2s\" }\n";

/// Connections to the target are counted with those of clients, so none rests there for long. What one
/// attack asks for at once on a busy machine may wait as long as an honest client does.
const UPSTREAM: &str = "[upstream.app]\ntargets = [\"{url}\"]\npool = { idle_for = \"1s\" }\n\
                        queue = { full = \"2s\" }\n\
                        [route.app]\nmatch = \"/*\"\nto = \"app\"\n";

const CLIENTS: usize = 500;

/// How long an honest client waits at the most, beside so many slow ones on the same core. On a machine
/// with nothing else to do it is a tenth of that.
const QUICK: Duration = Duration::from_secs(2);

/// More than is kept of an answer for a client that does not take it.
const LARGE: usize = 1 << 20;

async fn talk(mut stream: TcpStream) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        let size = if request.target() == "/large" { LARGE } else { 2 };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        // The attack with ranges asks by HEAD; a body behind that would be read as the next answer.
        if request.method() != "HEAD" {
            stream.write_all(&vec![b'x'; size]).await?;
        }
    }
    Ok(())
}

/// Plays one attack; `kind` is what of `slowhttptest` makes it.
async fn check(kind: &str, tls: bool) {
    let papers = tls.then(|| Papers::new("slow"));
    let (settings, https): (_, Option<SocketAddr>) = match &papers {
        Some(papers) => {
            let (settings, at) = papers.https("");
            (format!("{settings}{LIMITS}"), Some(at))
        }
        None => (LIMITS.to_owned(), None),
    };
    let world = world_with(&format!("{settings}{UPSTREAM}"), talk).await;
    assert_eq!(super::ask(&world, "/").await.status, Some(200));
    let before = descriptors(&world);
    let url = match https {
        Some(at) => format!("https://{at}/large"),
        None => format!("http://{}/large", world.gateway.listen),
    };
    let mut command = Command::new("slowhttptest");
    command.args(["-c", &CLIENTS.to_string(), "-r", &CLIENTS.to_string(), "-u", &url]);
    command.args(["-l", "10", "-p", "2", "-i", "1"]).args(kind.split(' '));
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut attack = command.kill_on_drop(true).spawn().expect("slowhttptest is installed");
    until_metric(&world, "goodgate_connections", |it| CLIENTS as f64 / 10.0 < it).await;
    let slowest = honest(&world, Duration::from_secs(5)).await;
    drop(attack.kill().await);
    assert!(slowest < QUICK, "{kind}: {slowest:?}");
    until(Duration::from_secs(15), "all are gone", async || {
        let now = descriptors(&world);
        (now <= before + 2).then_some(()).ok_or_else(|| format!("{now} open, {before} before"))
    })
    .await;
}

/// Asks again and again; how long the slowest took.
async fn honest(world: &World, length: Duration) -> Duration {
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < length {
        let asked = Instant::now();
        let mut client = Client::connect(world.gateway.listen).await.expect("it accepts");
        let answer = client.exchange(&get("/")).await;
        assert_eq!(answer.status, Some(200), "{}", answer.text());
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads() {
    check("-H", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_under_tls() {
    check("-H", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies() {
    check("-B -s 8192", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_under_tls() {
    check("-B -s 8192", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ranges() {
    check("-R -a 1 -b 1000", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reading() {
    check("-X -w 512 -y 1024 -n 1 -z 32 -k 1", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reading_under_tls() {
    check("-X -w 512 -y 1024 -n 1 -z 32 -k 1", true).await;
}
