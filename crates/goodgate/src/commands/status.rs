//! `goodgate status`: how the running gateway is.

use super::Format;
use super::running::Running;
use crate::output::Output;
use crate::problem::Failure;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Say how the running gateway is
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let status = arguments.running.ask("GET", "status", "")?.body;
    match arguments.format {
        Format::Json => output.json(&status)?,
        Format::Text => output.text(&text(&status))?,
    }
    Ok(())
}

fn text(status: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let number = |value: &Value| value.as_u64().map_or_else(|| "?".to_owned(), |it| it.to_string());
    let mut lines = vec![format!(
        "{}: process {}, Goodgate {}",
        word(&status["state"]),
        number(&status["pid"]),
        word(&status["version"])
    )];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<14} {value}"));
    if status["since"].is_string() {
        row("since", word(&status["since"]));
    }
    if status["configuration"].is_string() {
        row("configuration", word(&status["configuration"]));
    }
    let reloads = &status["reloads"];
    if reloads["succeeded"].is_string() {
        row("reloaded", word(&reloads["succeeded"]));
    }
    let live = &status["live"];
    if !live.is_object() {
        return lines.join("\n") + "\n";
    }
    let http = live["http"].as_array().into_iter().flatten();
    let mut places: Vec<String> = http.map(|it| format!("http://{}", word(it))).collect();
    if live["https"].is_string() {
        let http3 = if live["http3"] == true { " (HTTP/3 too)" } else { "" };
        places.push(format!("https://{}{http3}", word(&live["https"])));
    }
    row("listening", places.join(", "));
    if live["status"].is_string() {
        row("metrics", format!("http://{}/metrics", word(&live["status"])));
    }
    row("connections", number(&live["connections"]));
    let upstreams = live["upstreams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(table) = table(upstreams, now) {
        lines.push(String::new());
        lines.push(table);
    }
    if let Some(error) = reloads["refused"]["error"].as_str() {
        let at = word(&reloads["refused"]["at"]);
        lines.push(format!("\nthe configuration that was read at {at} is refused:\n\n{error}"));
    }
    lines.join("\n") + "\n"
}

/// One line a target, below what is to be said of its upstream. `None` where there is none.
fn table(upstreams: &[Value], now: Duration) -> Option<String> {
    const HEAD: [&str; 10] =
        ["upstream", "target", "state", "pending", "limit", "open", "idle", "kept", "check", ""];
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut notes = Vec::new();
    for upstream in upstreams {
        let name = upstream["name"].as_str().unwrap_or("?");
        notes.extend(note(upstream).map(|it| format!("  {name}: {it}")));
        let targets = upstream["targets"].as_array().into_iter().flatten();
        rows.extend(targets.map(|target| row(name, target, now)));
    }
    if rows.len() == 1 {
        return None;
    }
    let widths: [usize; 10] = std::array::from_fn(|column| {
        rows.iter().map(|it| it[column].chars().count()).max().unwrap_or(0)
    });
    let written = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            // Numbers stand below each other.
            if (3..8).contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        let cells: Vec<String> = cells.collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    });
    let lines: Vec<String> = written.chain(notes).collect();
    Some(lines.join("\n"))
}

/// What is unusual about an upstream.
fn note(upstream: &Value) -> Option<String> {
    let number = |key: &str| upstream[key].as_u64().filter(|it| 0 < *it);
    let mut notes = Vec::new();
    if upstream["broken"] == true {
        notes.push("most tries fail: nothing is tried again".to_owned());
    }
    for (key, words) in [
        ("queued", "wait for a target with room"),
        ("awaiting", "wait for a target to be back"),
        ("refused", "refused since the queue was full or the wait too long"),
        ("retries_denied", "tries not made again for the budget"),
    ] {
        notes.extend(number(key).map(|it| format!("{it} {words}")));
    }
    (!notes.is_empty()).then(|| notes.join(", "))
}

fn row(upstream: &str, target: &Value, now: Duration) -> [String; 10] {
    let number =
        |key: &str| target[key].as_u64().map_or_else(|| "-".to_owned(), |it| it.to_string());
    let word = |key: &str| target[key].as_str().unwrap_or("?").to_owned();
    let kept = target["idle_limit"].as_f64();
    let check = match &target["health"] {
        Value::Null => "-".to_owned(),
        health if health["wrong_path"] == true => "asks for the wrong path".to_owned(),
        health => health["last"]["fault"].as_str().unwrap_or("good").to_owned(),
    };
    [
        upstream.to_owned(),
        word("target"),
        word("state"),
        number("pending"),
        number("most"),
        number("open"),
        number("idle"),
        kept.map_or_else(|| "-".to_owned(), |it| format!("{}s", (it * 10.0).round() / 10.0)),
        check,
        why(target, now),
    ]
}

/// Why it gets no requests, and for how long.
fn why(target: &Value, now: Duration) -> String {
    let mut words = match target["why"].as_str() {
        None => String::new(),
        Some("failures_in_a_row") => "failed in a row".to_owned(),
        Some("errors") => "failed too often".to_owned(),
        Some("slow") => "much slower than the others".to_owned(),
        Some("retry_after") => "asked for a pause".to_owned(),
        Some("checks") => "by its checks".to_owned(),
        Some("order") => "by order".to_owned(),
        Some("announced") => "says that it will end".to_owned(),
        Some(other) => other.to_owned(),
    };
    if let Some(until) = target["until"].as_u64().map(Duration::from_micros) {
        let left = until.saturating_sub(now).as_secs_f64().ceil();
        words.push_str(&match left {
            0.0 => ", may be tried".to_owned(),
            left => format!(", {left} s more"),
        });
    }
    if target["leaves"] == true {
        let comma = if words.is_empty() { "" } else { ", " };
        words.push_str(&format!("{comma}configured no longer"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn upstreams() -> Value {
        json!([
            {"name": "a", "broken": true, "queued": 3, "awaiting": 0, "waited": 9,
             "refused": 2, "awaited": 0, "retries_denied": 5, "targets": [
                {"target": "unix:/run/a.sock", "leaves": true, "open": 1, "idle": 0,
                 "state": "ejected", "why": "failures_in_a_row", "until": 1,
                 "pending": 1, "most": 12, "idle_limit": 5.04, "health": null},
            ]},
            {"name": "orders", "broken": false, "queued": 0, "awaiting": 0, "waited": 9,
             "refused": 0, "awaited": 0, "retries_denied": 0, "targets": [
                {"target": "http://127.0.0.1:8000", "leaves": false, "open": 3, "idle": 2,
                 "state": "healthy", "why": null, "until": null, "pending": 1,
                 "most": null, "idle_limit": null,
                 "health": {"last": {"fault": null}, "wrong_path": false}},
                {"target": "http://127.0.0.1:8001", "leaves": false, "open": 0, "idle": 0,
                 "state": "unhealthy", "why": "checks", "until": null, "pending": 0,
                 "most": null, "idle_limit": 2.0,
                 "health": {"last": {"fault": "connection_refused"}}},
                {"target": "http://127.0.0.1:8002", "leaves": false, "open": 0, "idle": 0,
                 "state": "draining", "why": "order", "until": null, "pending": 0,
                 "most": null, "idle_limit": null, "health": null},
            ]},
        ])
    }

    #[test]
    fn a_status_is_a_short_page() {
        let status = json!({
            "pid": 4242, "version": "1.2.3", "since": "2026-01-02T03:04:05Z", "state": "draining",
            "configuration": "goodgate.toml",
            "reloads": {
                "succeeded": "2026-01-02T04:00:00Z",
                "refused": {"at": "2026-01-02T05:00:00Z", "error": "error: no"},
            },
            "live": {
                "draining": true, "http": ["127.0.0.1:8080", "[::1]:8080"],
                "https": "0.0.0.0:8443", "http3": true, "status": "127.0.0.1:9901",
                "connections": 12,
                "upstreams": upstreams(),
            },
        });
        insta::assert_snapshot!(text(&status));
    }

    #[test]
    fn one_that_stops_says_so_and_an_odd_one_is_shown_as_far_as_it_goes() {
        let status = json!({ "pid": 1, "version": "1.2.3", "state": "stopping" });
        assert_eq!(text(&status), "stopping: process 1, Goodgate 1.2.3\n");
        assert_eq!(text(&json!([])), "?: process ?, Goodgate ?\n");
    }

    #[test]
    fn who_is_out_is_shown_with_why_and_for_how_long() {
        let now = Duration::from_secs(100);
        let check = |target: Value, expected| assert_eq!(why(&target, now), expected);
        check(
            json!({"why": "slow", "until": 112_300_000}),
            "much slower than the others, 13 s more",
        );
        check(json!({"why": "retry_after", "until": 99}), "asked for a pause, may be tried");
        check(
            json!({"why": "announced", "leaves": true}),
            "says that it will end, configured no longer",
        );
        check(json!({"leaves": true}), "configured no longer");
        check(json!({"why": null}), "");
    }
}
