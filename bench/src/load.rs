//! What puts load on a proxy for a turn, and what it saw.

use crate::cases::Plan;
use crate::child::Child;
use crate::setting::{Setting, find_program};
use crate::{h2load, wrk};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

/// How much longer than its turn a load generator may take to end.
const DELAY: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Answers that were whole.
    pub(crate) requests: u64,
    /// Of answers, with or without their heads.
    pub(crate) bytes: u64,
    pub(crate) microseconds: u64,
    /// How often each thing went wrong.
    pub(crate) failures: Vec<(u64, &'static str)>,
}

impl Load {
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_micros(self.microseconds.max(1)).as_secs_f64()
    }

    /// What went wrong, in words; empty where nothing did.
    pub(crate) fn faults(&self, plan: &Plan) -> Vec<String> {
        let failures = self.failures.iter().filter(|(count, _)| *count > 0);
        let mut faults: Vec<String> =
            failures.map(|(count, what)| format!("{count} {what}")).collect();
        if self.requests == 0 {
            faults.push("no answers".to_owned());
        }
        if self.bytes < self.requests * plan.answer as u64 {
            faults.push("answers shorter than what the upstream sent".to_owned());
        }
        faults
    }
}

/// Loads `addr` for a turn.
pub(crate) fn put(setting: &Setting, addr: SocketAddr, plan: &Plan, seconds: u32) -> Result<Load> {
    match plan.streams {
        Some(streams) => h2load::run(setting, addr, plan, streams, seconds),
        None => wrk::run(setting, addr, plan, seconds),
    }
}

/// What a load generator has to say.
pub(crate) fn run(
    setting: &Setting,
    name: &str,
    arguments: &[OsString],
    seconds: u32,
) -> Result<String> {
    let program = find_program(name, "on Debian: apt-get install wrk nghttp2-client")?;
    let mut child = Child::start(&setting.place, name, &[setting.load_core], &program, arguments)?;
    let status = child.wait(Duration::from_secs(seconds.into()) + DELAY)?;
    let said = child.said()?;
    if !status.success() {
        bail!("{name} ended with {status}: {}{}", said.trim(), child.last_words());
    }
    Ok(said)
}
