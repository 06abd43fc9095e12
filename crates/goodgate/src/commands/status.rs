//! `goodgate status`: how the running gateway is.

use super::Format;
use super::running::Running;
use crate::output::Output;
use crate::problem::Failure;
use serde_json::Value;

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
    let targets = live["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !targets.is_empty() {
        lines.push(String::new());
        lines.push(table(targets));
    }
    if let Some(error) = reloads["refused"]["error"].as_str() {
        let at = word(&reloads["refused"]["at"]);
        lines.push(format!("\nthe configuration that was read at {at} is refused:\n\n{error}"));
    }
    lines.join("\n") + "\n"
}

/// One line a target: its upstream, its name, and its connections.
fn table(targets: &[Value]) -> String {
    let word = |it: &Value, key: &str| it[key].as_str().unwrap_or("?").to_owned();
    let width = |key| targets.iter().map(|it| word(it, key).chars().count()).max().unwrap_or(0);
    let (upstream, target) = (width("upstream").max(8), width("target").max(6));
    let mut lines = vec![format!("  {:upstream$}  {:target$}  open  idle", "upstream", "target")];
    for it in targets {
        let number = |key: &str| it[key].as_u64().unwrap_or(0);
        let leaves = if it["leaves"] == true { "  leaves" } else { "" };
        lines.push(format!(
            "  {:upstream$}  {:target$}  {:>4}  {:>4}{leaves}",
            word(it, "upstream"),
            word(it, "target"),
            number("open"),
            number("idle")
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
                "targets": [
                    {"upstream": "orders", "target": "http://127.0.0.1:8000", "leaves": false,
                     "open": 3, "idle": 2, "idle_limit": null},
                    {"upstream": "a", "target": "unix:/run/a.sock", "leaves": true, "open": 1,
                     "idle": 0, "idle_limit": 5.0},
                ],
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
}
