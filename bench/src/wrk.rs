//! The load generator `wrk`, and what it reports.

use crate::cases::Plan;
use crate::child::Child;
use crate::setting::{Setting, find_program};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

/// How much longer than its turn it may take to end.
const DELAY: Duration = Duration::from_secs(15);

/// One line that a machine reads, instead of the report for people.
const REPORT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"bytes":%d,"microseconds":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    e.connect, e.read, e.write, e.timeout, e.status))
end
"#;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Load {
    /// Answers that were whole.
    pub(crate) requests: u64,
    bytes: u64,
    microseconds: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
}

impl Load {
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_micros(self.microseconds.max(1)).as_secs_f64()
    }

    /// What went wrong, in words; empty where nothing did.
    pub(crate) fn faults(&self, plan: &Plan) -> Vec<String> {
        let counts = [
            (self.connect, "failed connects"),
            (self.read, "read errors"),
            (self.write, "write errors"),
            (self.timeout, "time-outs"),
            (self.status, "answers of status 400 and above"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut faults: Vec<String> =
            counts.map(|(count, what)| format!("{count} {what}")).collect();
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
pub(crate) fn run(setting: &Setting, addr: SocketAddr, plan: &Plan, seconds: u32) -> Result<Load> {
    let script = setting.place.write("wrk.lua", &script(plan))?;
    let scheme = if plan.tls { "https" } else { "http" };
    let arguments: [OsString; 6] = [
        "-t1".into(),
        format!("-c{}", plan.connections).into(),
        format!("-d{seconds}s").into(),
        "-s".into(),
        script.into(),
        format!("{scheme}://{addr}{}", plan.path).into(),
    ];
    let program = find_program("wrk", "on Debian: apt-get install wrk")?;
    let mut wrk = Child::start(&setting.place, "wrk", setting.load_core, &program, &arguments)?;
    let status = wrk.wait(Duration::from_secs(seconds.into()) + DELAY)?;
    let said = wrk.said()?;
    if !status.success() {
        bail!("wrk ended with {status}: {}{}", said.trim(), wrk.last_words());
    }
    parse(&said)
}

fn script(plan: &Plan) -> String {
    if plan.upload == 0 {
        return REPORT.to_owned();
    }
    let upload = plan.upload;
    format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"u\", {upload})\n{REPORT}")
}

fn parse(output: &str) -> Result<Load> {
    let line = output.lines().rev().find(|it| it.starts_with('{'));
    let line = line.context("wrk said nothing about its run")?;
    serde_json::from_str(line).with_context(|| format!("reading what wrk said: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;

    fn load(requests: u64, bytes: u64, timeout: u64) -> Load {
        parse(&format!(
            "Running 2s test\n{{\"requests\":{requests},\"bytes\":{bytes},\"microseconds\":2000000,\
             \"connect\":0,\"read\":0,\"write\":0,\"timeout\":{timeout},\"status\":0}}\n"
        ))
        .unwrap()
    }

    #[test]
    fn faults_are_named_and_a_good_run_has_none() {
        let check = |load: Load, expected: &[&str]| {
            assert_eq!(load.faults(&Case::Small.plan()), expected);
        };
        check(load(10, 2_800, 0), &[]);
        check(load(10, 2_800, 3), &["3 time-outs"]);
        check(load(10, 100, 0), &["answers shorter than what the upstream sent"]);
        check(load(0, 0, 0), &["no answers"]);
    }

    #[test]
    fn output_without_the_line_is_an_error() {
        assert!(parse("Running 2s test\n").is_err());
    }
}
