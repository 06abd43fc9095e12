//! The load generator `wrk`, and what it reports.

use crate::cases::Plan;
use crate::load::{self, Load};
use crate::setting::Setting;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::ffi::OsString;
use std::net::SocketAddr;

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

#[derive(Deserialize)]
struct Report {
    requests: u64,
    bytes: u64,
    microseconds: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
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
    parse(&load::run(setting, "wrk", &arguments, seconds)?)
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
    let it: Report =
        serde_json::from_str(line).with_context(|| format!("reading what wrk said: {line}"))?;
    Ok(Load {
        requests: it.requests,
        bytes: it.bytes,
        microseconds: it.microseconds,
        failures: vec![
            (it.connect, "failed connects"),
            (it.read, "read errors"),
            (it.write, "write errors"),
            (it.timeout, "time-outs"),
            (it.status, "answers of status 400 and above"),
        ],
    })
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
