//! What the gateway holds at a moment.

use anyhow::{Context as _, Result};
use lab::client::Client;
use lab::gateway::Gateway;
use serde::Serialize;
use std::fs::{read_dir, read_to_string};
use std::time::Duration;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Bytes.
    pub(super) resident: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    /// Of clients.
    pub(super) connections: u64,
    /// To targets.
    pub(super) upstream: u64,
    /// Lines of the access log that were not written.
    pub(super) dropped: u64,
    /// That clients have made so far.
    pub(super) requests: u64,
}

impl Sample {
    pub(super) async fn take(gateway: &Gateway, at: Duration, requests: u64) -> Result<Sample> {
        let pid = gateway.pid().context("the gateway has ended")?;
        let metrics = metrics(gateway).await?;
        let status = read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name| number(&status, name).with_context(|| format!("no `{name}`"));
        Ok(Sample {
            seconds: at.as_secs_f64(),
            resident: field("VmRSS:")? * 1024,
            descriptors: read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            threads: field("Threads:")?,
            connections: sum(&metrics, "goodgate_connections"),
            upstream: sum(&metrics, "goodgate_upstream_connections"),
            dropped: sum(&metrics, "goodgate_log_dropped_total"),
            requests,
        })
    }

    pub(super) fn title() -> String {
        row(&["s", "MiB", "descriptors", "threads", "clients", "upstream", "requests"]
            .map(str::to_owned))
    }

    pub(super) fn text(&self) -> String {
        let mib = self.resident as f64 / 1024.0 / 1024.0;
        row(&[
            format!("{:.0}", self.seconds),
            format!("{mib:.1}"),
            self.descriptors.to_string(),
            self.threads.to_string(),
            self.connections.to_string(),
            self.upstream.to_string(),
            self.requests.to_string(),
        ])
    }
}

fn row(cells: &[String; 7]) -> String {
    cells.iter().map(|it| format!("{it:>12}")).collect()
}

async fn metrics(gateway: &Gateway) -> Result<String> {
    let ask = b"GET /metrics HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n";
    let answer = Client::connect(gateway.status).await?.exchange(ask).await;
    anyhow::ensure!(answer.status == Some(200), "/metrics answers {}", answer.words());
    Ok(answer.text())
}

/// Over all labels.
fn sum(metrics: &str, name: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.parse::<u64>().ok()
    });
    values.sum()
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|it| it.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// By how much memory grew from the first of these to the last, by the line with the least squares.
pub(super) fn growth(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, memory) = (mean(|it| it.seconds), mean(|it| it.resident as f64));
    let spread = samples.iter().map(|it| (it.seconds - time).powi(2)).sum::<f64>();
    let (Some(first), Some(last), true) = (samples.first(), samples.last(), 0.0 < spread) else {
        return 0.0;
    };
    let common = samples.iter().map(|it| (it.seconds - time) * (it.resident as f64 - memory));
    common.sum::<f64>() / spread * (last.seconds - first.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_line_and_not_of_one_sample() {
        let at = |second: u32, resident| Sample {
            seconds: f64::from(second),
            resident,
            ..Sample::default()
        };
        let rising: Vec<Sample> = (0..10).map(|it| at(it, 1_000 + 100 * u64::from(it))).collect();
        assert!((growth(&rising) - 900.0).abs() < 1e-6);
        let mut flat: Vec<Sample> = (0..11).map(|it| at(it, 1_000)).collect();
        flat[5].resident = 9_000;
        assert!(growth(&flat).abs() < 1e-6);
        assert_eq!(growth(&rising[..1]), 0.0);
        assert_eq!(growth(&[]), 0.0);
    }

    #[test]
    fn numbers_are_summed_over_labels_and_not_over_other_names() {
        let text = "a_b{x=\"1\"} 2\na_b{x=\"} \"} 3\na_b_c 9\na 4\n";
        assert_eq!((sum(text, "a_b"), sum(text, "a"), sum(text, "z")), (5, 4, 0));
    }
}
