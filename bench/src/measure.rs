//! One turn of one proxy: load it, and read what that cost.

use crate::cases::{Plan, Unit};
use crate::client::Connection;
use crate::load::{self, Load};
use crate::process;
use crate::proxies::Proxy;
use crate::setting::Setting;
use anyhow::{Context as _, Result};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Turn {
    /// CPU time per unit; `None` where the turn failed.
    pub(crate) cost_ns: Option<f64>,
    /// Units in a second.
    pub(crate) rate: Option<f64>,
    /// The part of CPU time that the busiest thread took.
    pub(crate) busiest: Option<f64>,
    /// In words; a turn with any is no measurement.
    pub(crate) faults: Vec<String>,
}

/// A turn that cannot be carried out is a turn that failed: the other proxies go on.
pub(crate) fn turn(setting: &Setting, proxy: &mut Proxy, plan: &Plan, seconds: u32) -> Turn {
    attempt(setting, proxy, plan, seconds)
        .unwrap_or_else(|error| Turn { faults: vec![format!("{error:#}")], ..Turn::default() })
}

fn attempt(setting: &Setting, proxy: &mut Proxy, plan: &Plan, seconds: u32) -> Result<Turn> {
    proxy.check_running()?;
    if let Some(log) = &proxy.log {
        log.clear()?;
    }
    let chunks = sent_chunks(setting, plan)?;
    let before = proxy.cpu_time()?;
    let threads = process::thread_times(proxy.pid());
    let load = load::put(setting, proxy.addr(plan), plan, seconds)?;
    let mut faults = load.faults(plan);
    // The log is awaited first, so that the time it takes to write it out counts.
    faults.extend(missing_lines(proxy, &load)?);
    let used = proxy.cpu_time()? - before;
    let busiest = process::busiest(&threads, &process::thread_times(proxy.pid()));
    proxy.check_running()?;
    if used.lost_threads() {
        faults.push("threads ended in the turn and took their CPU time with them".to_owned());
    }
    let units = match plan.unit {
        Unit::Request => load.requests,
        Unit::Chunk => sent_chunks(setting, plan)? - chunks,
    };
    let units = units as f64;
    let worked = units > 0.0;
    let cost_ns = worked.then(|| used.threads_ns as f64 / units);
    Ok(Turn { cost_ns, rate: worked.then(|| units / load.seconds()), busiest, faults })
}

/// A log that loses lines is cheaper than one that does not.
fn missing_lines(proxy: &Proxy, load: &Load) -> Result<Option<String>> {
    let Some(log) = &proxy.log else { return Ok(None) };
    let lines = log.lines(load.requests)?;
    let missing = lines < load.requests;
    Ok(missing.then(|| format!("{lines} log lines for {} requests", load.requests)))
}

/// Chunks are counted where they begin: when a turn ends, streams are cut that also cost something.
fn sent_chunks(setting: &Setting, plan: &Plan) -> Result<u64> {
    if plan.unit == Unit::Request {
        return Ok(0);
    }
    let answer = Connection::open(setting.upstream_addr)?.get("/sent-chunks")?;
    let text = String::from_utf8(answer.start)?;
    text.parse().context("reading how many chunks were sent")
}
