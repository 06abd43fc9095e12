//! The gateway under mixed load with faults for a long time: what it holds must not grow, and every
//! request must have its record.

mod samples;
mod targets;
mod visitors;

use crate::arguments::Soak;
use crate::idle::{allow_files, client_tls};
use crate::workplace::Workplace;
use crate::{Verdict, output};
use anyhow::{Context as _, Result, bail};
use lab::gateway::Gateway;
use lab::load::{Goal, Load};
use rustls::pki_types::ServerName;
use samples::{Sample, growth};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use targets::Targets;
use tokio::time::{Instant, interval_at, sleep};
use visitors::Visitors;

const BETWEEN_SAMPLES: Duration = Duration::from_secs(10);
const BETWEEN_RELOADS: Duration = Duration::from_secs(60);
/// Of the clients that ask in good order.
const GAP: Duration = Duration::from_millis(50);
const NEW_CONNECTIONS: u32 = 50;
const MOST: usize = 1_000;
const VISITORS: usize = 16;
/// Files that are open on either side.
const FILES: u64 = 8_192;

/// How much memory may grow over the second half, by the line through its samples. What is used and
/// given back by turns moves it by about as much.
const GROWTH: f64 = 4.0 * 1024.0 * 1024.0;

/// How long idle connections to targets may be kept when the load has ended.
const CALM: Duration = Duration::from_secs(120);
/// How long stopping may take without a client.
const STOP: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
struct Results {
    minutes: u32,
    samples: Vec<Sample>,
    /// What came of the clients in good order, by load.
    loads: Vec<(String, String)>,
    /// Requests whose fate clients saw, and lines of the access log.
    requests: u64,
    records: u64,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    found: String,
    kept: bool,
}

pub(crate) fn run(asked: &Soak) -> Result<Verdict> {
    allow_files(FILES)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let results = runtime.block_on(soak(asked))?;
    output::results(asked.json, &results, text)?;
    let broken = results.checks.iter().any(|it| !it.kept);
    Ok(if broken { Verdict::Broken } else { Verdict::Kept })
}

async fn soak(asked: &Soak) -> Result<Results> {
    let place = Workplace::new()?;
    place.write_certificate()?;
    let targets = Targets::start()?;
    let https = SocketAddr::from((Ipv4Addr::LOCALHOST, lab::stage::free_port()?));
    let config = |round: u32| {
        let listener = format!(
            "https = {{ addr = \"{https}\", cert = \"{0}/cert.pem\", key = \"{0}/key.pem\" }}\n",
            place.path().display()
        );
        format!("{listener}{}", targets.configuration(round))
    };
    let gateway = Gateway::start(&config(0)).await?;
    let before = Sample::take(&gateway, Duration::ZERO, 0).await?;
    let loads = loads(&gateway, https, &place)?;
    let visitors = Visitors::start(gateway.listen, VISITORS);
    let samples = watch(asked, &gateway, config, || {
        loads.iter().map(|(_, it)| it.tally().asked()).sum::<u64>() + visitors.asked()
    });
    let samples = samples.await?;
    let mut requests = visitors.stop().await;
    let mut told = Vec::new();
    let mut lost = 0;
    for (name, load) in loads {
        let tally = load.stop().await;
        requests += tally.asked();
        lost += tally.failed();
        told.push((name.to_owned(), tally.to_string()));
    }
    let after = calm(&gateway, &before, requests).await?;
    let mut checks = vec![
        memory(&samples),
        Check {
            what: "descriptors are back where they began",
            found: format!("{} before, {} after", before.descriptors, after.descriptors),
            kept: after.descriptors <= before.descriptors,
        },
        Check {
            what: "no client in good order failed",
            found: format!("{lost} requests failed"),
            kept: lost == 0,
        },
        Check {
            what: "no line of the log was dropped",
            found: format!("{} dropped", after.dropped),
            kept: after.dropped == 0,
        },
    ];
    let mut gateway = gateway;
    gateway.terminate();
    let status = gateway.ended(STOP).await?;
    let records = gateway.record_count()?;
    checks.push(Check {
        what: "every request has one record",
        found: format!("{requests} requests, {records} records"),
        kept: requests == records,
    });
    let said = gateway.said();
    let panics = said.matches("panicked").count();
    checks.push(Check {
        what: "it said nothing of a panic and ended well",
        found: format!("{panics} panics, ended with {status}"),
        kept: panics == 0 && status.success(),
    });
    Ok(Results { minutes: asked.minutes, samples, loads: told, requests, records, checks })
}

/// Clients in good order, which must not fail.
fn loads(
    gateway: &Gateway,
    https: SocketAddr,
    place: &Workplace,
) -> Result<Vec<(&'static str, Load)>> {
    let tls = |protocol: &[u8]| {
        let mut config = client_tls(&place.file("cert.pem"))?;
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        anyhow::Ok(Goal::tls(https, name, config))
    };
    let plain = Goal::plain(gateway.listen);
    Ok(vec![
        ("kept connections", Load::paced(&plain, 20, GAP)),
        ("kept connections over TLS", Load::paced(&tls(b"http/1.1")?, 10, GAP)),
        ("seldom used connections", Load::paced(&plain, 50, 100 * GAP)),
        ("new connections", Load::fresh(&plain, NEW_CONNECTIONS, MOST)),
        ("new connections over TLS", Load::fresh(&tls(b"http/1.1")?, NEW_CONNECTIONS / 5, MOST)),
        ("streams", Load::streams(&plain, 2, 4, GAP)),
        ("streams over TLS", Load::streams(&tls(b"h2")?, 2, 4, GAP)),
    ])
}

/// Takes samples until the time is over, and reloads now and then.
async fn watch(
    asked: &Soak,
    gateway: &Gateway,
    config: impl Fn(u32) -> String,
    requests: impl Fn() -> u64,
) -> Result<Vec<Sample>> {
    let began = Instant::now();
    let end = began + Duration::from_secs(60 * u64::from(asked.minutes));
    let mut moments = interval_at(began + BETWEEN_SAMPLES, BETWEEN_SAMPLES);
    let mut reload_at = began + BETWEEN_RELOADS / 2;
    let (mut samples, mut rounds) = (Vec::new(), 0);
    output::progress(&Sample::title());
    while Instant::now() < end {
        moments.tick().await;
        if reload_at <= Instant::now() {
            reload_at += BETWEEN_RELOADS;
            rounds += 1;
            let done = gateway.reload(&config(rounds)).await?;
            if !done.status.success() {
                bail!("the reload failed: {}", String::from_utf8_lossy(&done.stderr));
            }
        }
        let sample = Sample::take(gateway, began.elapsed(), requests()).await;
        let sample = sample.with_context(|| format!("the gateway said: {}", gateway.said()))?;
        output::progress(&sample.text());
        samples.push(sample);
    }
    Ok(samples)
}

/// Once no more is held than before, or for as long as idle connections may be kept.
async fn calm(gateway: &Gateway, before: &Sample, requests: u64) -> Result<Sample> {
    let began = Instant::now();
    loop {
        let sample = Sample::take(gateway, began.elapsed(), requests).await?;
        if sample.descriptors <= before.descriptors || CALM < began.elapsed() {
            return Ok(sample);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn memory(samples: &[Sample]) -> Check {
    let half = &samples[samples.len() / 2..];
    let grown = growth(half);
    Check {
        what: "memory does not grow in the second half",
        found: format!("{:+.2} MiB, {:.0} allowed", grown / MIB, GROWTH / MIB),
        kept: grown <= GROWTH,
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn text(results: &Results) -> String {
    let Results { minutes, samples, loads, requests, records, checks } = results;
    let mut text = format!("{minutes} minutes\n\n{}\n", Sample::title());
    for sample in samples {
        text += &format!("{}\n", sample.text());
    }
    text.push('\n');
    for (name, tally) in loads {
        text += &format!("{name}: {tally}\n");
    }
    text += &format!("\n{requests} requests, {records} records\n\n");
    for Check { what, found, kept } in checks {
        let mark = if *kept { "yes" } else { "NO " };
        text += &format!("{mark}  {what}: {found}\n");
    }
    text
}
