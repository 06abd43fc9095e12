//! Numbers for Prometheus, recorded from the finished exchange, so that they and the records cannot
//! disagree. Each core keeps its own; they are added up when they are read.

use crate::refuse::answer_row;
use exchange::{
    By, End, Exchange, LiveState, LiveTarget, LiveUpstream, Maker, Phase, Prevented, Unrepeated,
};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Upper bounds in seconds: those that OpenTelemetry's HTTP conventions advise, and longer ones for
/// routes that stream.
const BOUNDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

/// The numbers of one core.
#[derive(Default)]
pub(crate) struct Shard(Mutex<Numbers>);

#[derive(Default)]
struct Numbers {
    requests: HashMap<Series, Histogram>,
    failures: HashMap<Failure, u64>,
    prevented: HashMap<Absorbed, u64>,
    calls: HashMap<Calls, u64>,
    phases: [Histogram; Phase::ALL.len()],
    unrepeated: [u64; Unrepeated::ALL.len()],
    attempts: u64,
    retries: u64,
    reused: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Series {
    route: Option<Arc<str>>,
    method: &'static str,
    status: u16,
    error: Option<&'static str>,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Failure {
    route: Option<Arc<str>>,
    upstream: Option<Arc<str>>,
    cause: &'static str,
    side: &'static str,
}

/// Failures that callers did not see.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Absorbed {
    route: Option<Arc<str>>,
    cause: &'static str,
    by: By,
}

/// gRPC calls of one outcome.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Calls {
    route: Option<Arc<str>>,
    /// `None` for a code that gRPC does not have.
    code: Option<u32>,
}

/// Codes of gRPC end here; others would be series without end.
const LAST_CODE: u32 = 16;

#[derive(Clone, Default)]
struct Histogram {
    counts: [u64; BOUNDS.len() + 1],
    micros: u64,
}

impl Histogram {
    fn add(&mut self, micros: u64) {
        let seconds = micros as f64 / 1e6;
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[at] += 1;
        self.micros += micros;
    }

    fn absorb(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.micros += other.micros;
    }
}

impl Shard {
    pub(crate) fn record(&self, exchange: &Exchange) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = Series {
            route: exchange.route.clone(),
            method: known_method(&exchange.request.method),
            status: exchange.answer.as_ref().map_or(499, |it| it.status),
            error: error_type(exchange),
        };
        numbers.requests.entry(series).or_default().add(exchange.took);
        if let (true, Some(cause), Some(side)) = (counts(exchange), exchange.cause, exchange.side) {
            let (route, upstream) = (exchange.route.clone(), exchange.upstream.clone());
            *numbers.failures.entry(Failure { route, upstream, cause, side }).or_default() += 1;
        }
        for Prevented { cause, by } in exchange.prevented.iter().copied() {
            let absorbed = Absorbed { route: exchange.route.clone(), cause, by };
            *numbers.prevented.entry(absorbed).or_default() += 1;
        }
        if let Some(code) = exchange.answer.as_ref().and_then(|it| it.grpc_status) {
            let code = Some(code).filter(|it| *it <= LAST_CODE);
            *numbers.calls.entry(Calls { route: exchange.route.clone(), code }).or_default() += 1;
        }
        for (phase, spent) in exchange.all_phases().iter() {
            numbers.phases[phase as usize].add(spent);
        }
        if let Some(it) = exchange.unrepeated {
            numbers.unrepeated[it as usize] += 1;
        }
        numbers.attempts += exchange.attempts.len() as u64;
        numbers.retries += exchange.attempts.len().saturating_sub(1) as u64;
        numbers.reused += exchange.attempts.iter().filter(|it| it.reused()).count() as u64;
        numbers.bytes_in += exchange.request.head_bytes + exchange.request.body_bytes;
        numbers.bytes_out += exchange.answer.as_ref().map_or(0, |it| it.body_bytes);
    }
}

/// Everything with a cause counts, except an answer that was whole all the same.
fn counts(exchange: &Exchange) -> bool {
    exchange.failed()
        || matches!(exchange.end, End::ClientClosed(_))
        || exchange
            .answer
            .as_ref()
            .is_some_and(|it| it.made_by == Maker::Upstream && 500 <= it.status)
}

/// `error.type` of OpenTelemetry: the RFC 9209 type of a failure of ours, the status of one that
/// is the upstream's.
fn error_type(exchange: &Exchange) -> Option<&'static str> {
    match (&exchange.stop, exchange.end) {
        (Some(stop), _) => Some(answer_row(stop).error),
        (None, End::ClientClosed(_)) => Some("client_closed"),
        (None, _) => None,
    }
}

/// Methods that are not known would be series without end.
fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

/// What is read besides the shards.
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) log_dropped: u64,
    /// What our own host was short of, by its kind.
    pub(crate) troubles: Vec<(&'static str, u64)>,
    pub(crate) front_errors: u64,
    /// Connections of HTTP/2 that were ended for a flood, by its kind.
    pub(crate) floods: Vec<(&'static str, u64)>,
    pub(crate) http3_floods: Vec<(&'static str, u64)>,
    pub(crate) upstreams: Vec<LiveUpstream>,
}

/// A target and its labels.
type Labelled<'a> = (String, &'a LiveTarget);

/// All of them.
fn labelled(upstreams: &[LiveUpstream]) -> Vec<Labelled<'_>> {
    let of = |upstream: &LiveUpstream, target: &LiveTarget| {
        let mut labels = upstream_label(upstream);
        label(&mut labels, "target", Some(&target.target));
        labels
    };
    let all = upstreams.iter().flat_map(|it| it.targets.iter().map(move |target| (it, target)));
    all.map(|(upstream, target)| (of(upstream, target), target)).collect()
}

fn upstream_label(upstream: &LiveUpstream) -> String {
    let mut labels = String::new();
    label(&mut labels, "upstream", Some(&upstream.name));
    labels
}

/// The text format of Prometheus, version 0.0.4.
pub(crate) fn render(shards: &[Arc<Shard>], gauges: &Gauges) -> String {
    let mut all = Numbers::default();
    for shard in shards {
        let numbers = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.absorb(&numbers);
    }
    let mut out = String::with_capacity(16 * 1024);
    all.render(&mut out);
    gauges.render(&mut out);
    out
}

impl Numbers {
    fn absorb(&mut self, other: &Numbers) {
        for (series, histogram) in &other.requests {
            self.requests.entry(series.clone()).or_default().absorb(histogram);
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(failure.clone()).or_default() += count;
        }
        for (absorbed, count) in &other.prevented {
            *self.prevented.entry(absorbed.clone()).or_default() += count;
        }
        for (calls, count) in &other.calls {
            *self.calls.entry(calls.clone()).or_default() += count;
        }
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.absorb(theirs);
        }
        for (mine, theirs) in self.unrepeated.iter_mut().zip(other.unrepeated) {
            *mine += theirs;
        }
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.reused += other.reused;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }

    fn render(&self, out: &mut String) {
        about(
            out,
            "http_server_request_duration_seconds",
            "histogram",
            "Time from the first byte of a request to the last of its answer.",
        );
        let mut requests: Vec<_> = self.requests.iter().collect();
        requests.sort_by(|a, b| a.0.cmp(b.0));
        for (series, histogram) in requests {
            let mut labels = format!(
                "http_request_method=\"{}\",http_response_status_code=\"{}\"",
                series.method, series.status
            );
            label(&mut labels, "http_route", series.route.as_deref());
            label(&mut labels, "error_type", series.error);
            histogram.render(out, "http_server_request_duration_seconds", &labels);
        }
        about(
            out,
            "goodgate_phase_duration_seconds",
            "histogram",
            "Time that requests spent in each phase, over all their attempts.",
        );
        for phase in Phase::ALL {
            let labels = format!("phase=\"{}\"", phase.name());
            self.phases[phase as usize].render(out, "goodgate_phase_duration_seconds", &labels);
        }
        about(
            out,
            "goodgate_failures_total",
            "counter",
            "Requests that did not end well, by their cause.",
        );
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort();
        for (failure, count) in failures {
            let mut labels = format!("cause=\"{}\",side=\"{}\"", failure.cause, failure.side);
            label(&mut labels, "route", failure.route.as_deref());
            label(&mut labels, "upstream", failure.upstream.as_deref());
            let _ = writeln!(out, "goodgate_failures_total{{{labels}}} {count}");
        }
        about(
            out,
            "goodgate_prevented_failures_total",
            "counter",
            "Failures that callers did not see, by their cause and by what prevented them.",
        );
        let mut prevented: Vec<_> = self.prevented.iter().collect();
        prevented.sort();
        for (absorbed, count) in prevented {
            let mut labels = format!("cause=\"{}\",by=\"{}\"", absorbed.cause, absorbed.by.name());
            label(&mut labels, "route", absorbed.route.as_deref());
            let _ = writeln!(out, "goodgate_prevented_failures_total{{{labels}}} {count}");
        }
        about(
            out,
            "goodgate_not_repeated_total",
            "counter",
            "Requests that were not tried again though that would have been right, by what was in the way.",
        );
        for (it, count) in Unrepeated::ALL.iter().zip(self.unrepeated) {
            let _ =
                writeln!(out, "goodgate_not_repeated_total{{reason=\"{}\"}} {count}", it.name());
        }
        about(out, "goodgate_grpc_calls_total", "counter", "gRPC calls, by their status.");
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort();
        for (calls, count) in calls {
            let code = calls.code.map_or_else(|| "other".to_owned(), |it| it.to_string());
            let mut labels = format!("grpc_status=\"{code}\"");
            label(&mut labels, "route", calls.route.as_deref());
            let _ = writeln!(out, "goodgate_grpc_calls_total{{{labels}}} {count}");
        }
        let totals = [
            ("goodgate_attempts_total", "Tries at targets.", self.attempts),
            ("goodgate_retries_total", "Tries after the first of a request.", self.retries),
            ("goodgate_reused_total", "Tries on a connection that had served before.", self.reused),
            ("goodgate_received_bytes_total", "Bytes of requests.", self.bytes_in),
            ("goodgate_sent_bytes_total", "Bytes of answers' bodies.", self.bytes_out),
        ];
        for (name, help, value) in totals {
            about(out, name, "counter", help);
            let _ = writeln!(out, "{name} {value}");
        }
    }
}

impl Histogram {
    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(self.counts) {
            sum += count;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
        }
        sum += self.counts[BOUNDS.len()];
        let seconds = self.micros as f64 / 1e6;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {sum}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {seconds}");
        let _ = writeln!(out, "{name}_count{{{labels}}} {sum}");
    }
}

impl Gauges {
    fn render(&self, out: &mut String) {
        about(out, "goodgate_connections", "gauge", "Open connections of clients.");
        let _ = writeln!(out, "goodgate_connections {}", self.connections);
        about(
            out,
            "goodgate_client_errors_total",
            "counter",
            "Connections of clients that ended before a request could be read.",
        );
        let _ = writeln!(out, "goodgate_client_errors_total {}", self.front_errors);
        about(
            out,
            "goodgate_http2_floods_total",
            "counter",
            "HTTP/2 connections of clients that were ended for too many frames of a kind.",
        );
        for (kind, count) in &self.floods {
            let _ = writeln!(out, "goodgate_http2_floods_total{{kind=\"{kind}\"}} {count}");
        }
        about(
            out,
            "goodgate_http3_floods_total",
            "counter",
            "HTTP/3 connections of clients that were ended for too many frames of a kind, or turned \
             away (bounds).",
        );
        for (kind, count) in &self.http3_floods {
            let _ = writeln!(out, "goodgate_http3_floods_total{{kind=\"{kind}\"}} {count}");
        }
        about(
            out,
            "goodgate_log_dropped_total",
            "counter",
            "Lines of the access log that were not written, because it was too slow.",
        );
        let _ = writeln!(out, "goodgate_log_dropped_total {}", self.log_dropped);
        about(
            out,
            "goodgate_troubles_total",
            "counter",
            "How often the gateway's own host or its limits were in the way, by kind.",
        );
        for (kind, count) in &self.troubles {
            let _ = writeln!(out, "goodgate_troubles_total{{kind=\"{kind}\"}} {count}");
        }
        let targets = labelled(&self.upstreams);
        render_targets(out, &targets);
        render_health(out, &targets);
        self.render_upstreams(out);
    }

    fn render_upstreams(&self, out: &mut String) {
        about(
            out,
            "goodgate_queue_waiting",
            "gauge",
            "Requests that wait for a target that takes one more (place), or that is there again \
             (return).",
        );
        for it in &self.upstreams {
            let labels = upstream_label(it);
            for (what, count) in [("place", it.queued), ("return", it.awaiting)] {
                let _ = writeln!(out, "goodgate_queue_waiting{{{labels},for=\"{what}\"}} {count}");
            }
        }
        about(out, "goodgate_queue_waited_total", "counter", "Requests that have waited so.");
        for it in &self.upstreams {
            let labels = upstream_label(it);
            for (what, count) in [("place", it.waited), ("return", it.awaited)] {
                let name = "goodgate_queue_waited_total";
                let _ = writeln!(out, "{name}{{{labels},for=\"{what}\"}} {count}");
            }
        }
        let each = |out: &mut String, name, kind, help, value: &dyn Fn(&LiveUpstream) -> u64| {
            about(out, name, kind, help);
            for it in &self.upstreams {
                let _ = writeln!(out, "{name}{{{}}} {}", upstream_label(it), value(it));
            }
        };
        each(
            out,
            "goodgate_queue_refused_total",
            "counter",
            "Requests that were refused since the queue was full or the wait too long.",
            &|it| it.refused,
        );
        each(
            out,
            "goodgate_retries_denied_total",
            "counter",
            "Tries that were not made again, since the budget did not allow it.",
            &|it| it.retries_denied,
        );
        each(
            out,
            "goodgate_upstream_broken",
            "gauge",
            "1 for an upstream of which most tries fail, so that nothing is tried again.",
            &|it| u64::from(it.broken),
        );
    }
}

fn render_targets(out: &mut String, targets: &[Labelled<'_>]) {
    about(out, "goodgate_upstream_connections", "gauge", "Connections to a target.");
    for (labels, target) in targets {
        let busy = target.open.saturating_sub(target.idle);
        for (state, count) in [("busy", busy), ("idle", target.idle)] {
            let name = "goodgate_upstream_connections";
            let _ = writeln!(out, "{name}{{{labels},state=\"{state}\"}} {count}");
        }
    }
    about(
        out,
        "goodgate_upstream_idle_learned_seconds",
        "gauge",
        "How long a target is known to keep idle connections.",
    );
    for (labels, target) in targets {
        if let Some(seconds) = target.idle_limit {
            let name = "goodgate_upstream_idle_learned_seconds";
            let _ = writeln!(out, "{name}{{{labels}}} {seconds}");
        }
    }
    about(
        out,
        "goodgate_target_state",
        "gauge",
        "1 for the state that a target is in, 0 for those that it is not in.",
    );
    for (labels, target) in targets {
        for state in LiveState::ALL {
            let (name, is) = ("goodgate_target_state", u8::from(target.state == state));
            let _ = writeln!(out, "{name}{{{labels},state=\"{}\"}} {is}", state.name());
        }
    }
    about(out, "goodgate_target_pending", "gauge", "Requests that a target has in hand.");
    for (labels, target) in targets {
        let _ = writeln!(out, "goodgate_target_pending{{{labels}}} {}", target.pending);
    }
    about(
        out,
        "goodgate_target_limit_learned",
        "gauge",
        "How many requests a target is known to work on at a time.",
    );
    for (labels, target) in targets {
        if let Some(most) = target.most {
            let _ = writeln!(out, "goodgate_target_limit_learned{{{labels}}} {most}");
        }
    }
}

fn render_health(out: &mut String, targets: &[Labelled<'_>]) {
    let asked = || targets.iter().filter_map(|(labels, it)| Some((labels, it.health.as_ref()?)));
    about(
        out,
        "goodgate_health_checks_total",
        "counter",
        "Questions after a target's health, by how they came out.",
    );
    for (labels, health) in asked() {
        for (outcome, count) in &health.outcomes {
            let name = "goodgate_health_checks_total";
            let _ = writeln!(out, "{name}{{{labels},outcome=\"{outcome}\"}} {count}");
        }
    }
    about(
        out,
        "goodgate_target_healthy",
        "gauge",
        "1 for a target that is well by its health checks, 0 for one that is ill.",
    );
    for (labels, health) in asked() {
        let _ = writeln!(out, "goodgate_target_healthy{{{labels}}} {}", u8::from(health.well));
    }
}

fn about(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Adds a label where there is a value, escaped as the text format wants it.
fn label(labels: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else {
        return;
    };
    let comma = if labels.is_empty() { "" } else { "," };
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let _ = write!(labels, "{comma}{name}=\"{value}\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_their_bucket() {
        let mut histogram = Histogram::default();
        for micros in [5_000, 5_001, 400_000_000] {
            histogram.add(micros);
        }
        let mut out = String::new();
        histogram.render(&mut out, "x", "a=\"b\"");
        assert!(out.contains("x_bucket{a=\"b\",le=\"0.005\"} 1\n"), "{out}");
        assert!(out.contains("x_bucket{a=\"b\",le=\"0.01\"} 2\n"), "{out}");
        assert!(out.contains("x_bucket{a=\"b\",le=\"300\"} 2\n"), "{out}");
        assert!(out.contains("x_bucket{a=\"b\",le=\"+Inf\"} 3\n"), "{out}");
    }

    #[test]
    fn labels_are_escaped() {
        let mut labels = String::from("a=\"b\"");
        label(&mut labels, "c", Some("d\"e\\f\n"));
        assert_eq!(labels, r#"a="b",c="d\"e\\f\n""#);
    }
}
