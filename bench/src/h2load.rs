//! The load generator `h2load`, for clients that speak HTTP/2, and what it reports.

use crate::cases::Plan;
use crate::load::{self, Load};
use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::net::SocketAddr;

/// Loads `addr` for a turn.
pub(crate) fn run(
    setting: &Setting,
    addr: SocketAddr,
    plan: &Plan,
    streams: u32,
    seconds: u32,
) -> Result<Load> {
    let scheme = if plan.tls { "https" } else { "http" };
    let arguments: [OsString; 5] = [
        "-t1".into(),
        format!("-c{}", plan.connections).into(),
        format!("-m{streams}").into(),
        format!("-D{seconds}").into(),
        format!("{scheme}://{addr}{}", plan.path).into(),
    ];
    parse(&load::run(setting, "h2load", &arguments, seconds)?, seconds)
}

/// `seconds`: what is counted is counted for exactly so long, though it takes longer to end.
fn parse(output: &str, seconds: u32) -> Result<Load> {
    let spoken = line(output, "Application protocol:")?.trim();
    ensure!(["h2", "h2c"].contains(&spoken), "it was `{spoken}` that was spoken, not HTTP/2");
    let requests = line(output, "requests:")?;
    let statuses = line(output, "status codes:")?;
    let traffic = line(output, "traffic:")?;
    let bytes = traffic.rsplit_once('(').and_then(|(_, it)| it.split_once(')'));
    let bytes = bytes.with_context(|| format!("reading what h2load said: {traffic}"))?.0;
    Ok(Load {
        requests: count(requests, "succeeded")?,
        bytes: bytes.parse().with_context(|| format!("reading what h2load said: {traffic}"))?,
        microseconds: u64::from(seconds) * 1_000_000,
        failures: vec![
            // Those that failed are those that were in error, or had such a status.
            (count(requests, "errored")?, "requests without a whole answer"),
            (count(requests, "timeout")?, "time-outs"),
            (count(statuses, "4xx")? + count(statuses, "5xx")?, "answers of status 400 and above"),
        ],
    })
}

fn line<'a>(output: &'a str, start: &str) -> Result<&'a str> {
    let line = output.lines().find_map(|it| it.strip_prefix(start));
    line.with_context(|| format!("h2load said nothing of `{start}`"))
}

/// The number before a word.
fn count(line: &str, word: &str) -> Result<u64> {
    let parts = line.split(',').map(str::trim);
    let number = parts.filter_map(|it| it.strip_suffix(word)).find_map(|it| it.trim().parse().ok());
    number.with_context(|| format!("h2load said nothing of `{word}`: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;

    fn output(protocol: &str, requests: &str, statuses: &str, data: u64) -> String {
        format!(
            "starting benchmark...\nApplication protocol: {protocol}\n\
             finished in 1.01s, 40702.00 req/s, 2.87MB/s\n\
             requests: 10 total, 12 started, {requests}, 0 timeout\n\
             status codes: {statuses}\n\
             traffic: 2.87MB (3012397) total, 1.86MB (1953744) headers (space savings 51.02%), \
             317.98KB ({data}) data\n"
        )
    }

    #[test]
    fn a_good_run_has_no_faults_and_others_are_named() {
        let check = |requests, statuses, data, expected: &[&str]| {
            let load = parse(&output("h2c", requests, statuses, data), 2).unwrap();
            assert_eq!(load.faults(&Case::H2.plan()), expected, "{requests}, {statuses}");
        };
        let good = "10 done, 10 succeeded, 0 failed, 0 errored";
        let all_good = "10 2xx, 0 3xx, 0 4xx, 0 5xx";
        check(good, all_good, 1_280, &[]);
        check(good, all_good, 1_279, &["answers shorter than what the upstream sent"]);
        let cut = "10 done, 8 succeeded, 2 failed, 2 errored";
        check(cut, "8 2xx, 0 3xx, 0 4xx, 0 5xx", 1_280, &["2 requests without a whole answer"]);
        let refused = "10 done, 7 succeeded, 3 failed, 0 errored";
        let statuses = "7 2xx, 0 3xx, 1 4xx, 2 5xx";
        check(refused, statuses, 1_280, &["3 answers of status 400 and above"]);
    }

    #[test]
    fn what_is_not_a_run_over_http2_is_an_error() {
        let good = "10 done, 10 succeeded, 0 failed, 0 errored";
        let statuses = "10 2xx, 0 3xx, 0 4xx, 0 5xx";
        assert!(parse(&output("http/1.1", good, statuses, 1_280), 2).is_err());
        assert!(parse("starting benchmark...\n", 2).is_err());
    }
}
