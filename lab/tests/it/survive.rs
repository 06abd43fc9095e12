//! What its own host, its clients and its own mistakes do to a gateway: it answers, says so, and
//! recovers.

mod clients;
mod floods;
mod host;
mod log;
mod names;
mod panics;
mod trickles;

use crate::world::{SOON, World, get, world_under};
use lab::client::{Answer, Client};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Waits until something is true; what it is not, else.
async fn until(within: Duration, what: &str, mut is_true: impl AsyncFnMut() -> Result<(), String>) {
    let began = Instant::now();
    loop {
        match is_true().await {
            Ok(()) => return,
            Err(why) => assert!(began.elapsed() < within, "{what}: {why}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the gateway has said this, which it then says on one line only.
async fn until_it_said(world: &World, words: &str, within: Duration) {
    until(within, words, async || {
        let said = world.gateway.said();
        said.contains(words).then_some(()).ok_or(said)
    })
    .await;
}

#[track_caller]
fn check_said_once(world: &World, words: &str) {
    let said = world.gateway.said();
    assert_eq!(said.lines().filter(|it| it.contains(words)).count(), 1, "{said}");
}

/// Asks on a connection of its own.
async fn ask(world: &World, path: &str) -> Answer {
    let mut client = world.gateway.client().await.expect("it accepts");
    client.exchange(&get(path)).await
}

/// Asks until it is answered so.
async fn until_status(world: &World, path: &str, status: u16, within: Duration) {
    until(within, "the status", async || {
        let answer = ask(world, path).await;
        (answer.status == Some(status)).then_some(()).ok_or_else(|| answer.words())
    })
    .await;
}

/// A number of `/metrics`, 0 where there is none.
async fn metric(world: &World, name: &str) -> f64 {
    let Ok(mut client) = Client::connect(world.gateway.status).await else {
        return f64::NAN;
    };
    let text = client.exchange(&get("/metrics")).await.text();
    let line = text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|it| it.parse().ok()).unwrap_or_default()
}

async fn until_metric(world: &World, name: &str, is_good: impl Fn(f64) -> bool) {
    until(SOON, name, async || {
        let value = metric(world, name).await;
        is_good(value).then_some(()).ok_or_else(|| value.to_string())
    })
    .await;
}

fn problem(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Files that the gateway has open.
fn descriptors(world: &World) -> usize {
    let pid = world.gateway.pid().expect("it runs");
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours").count()
}

/// What it takes of memory, in bytes.
fn resident(world: &World) -> usize {
    let pid = world.gateway.pid().expect("it runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is ours");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.trim().strip_suffix(" kB")).and_then(|it| it.parse().ok());
    1024 * kib.unwrap_or(0_usize)
}

/// Seconds of processor time that it has used.
fn processor(world: &World) -> f64 {
    let pid = world.gateway.pid().expect("it runs");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is ours");
    // After the name, which may hold anything: fields 14 and 15 of proc_pid_stat(5).
    let fields = stat.rsplit_once(')').map_or("", |it| it.1).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    ticks / 100.0
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
