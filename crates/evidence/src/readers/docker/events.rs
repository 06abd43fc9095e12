//! `docker events`, as text and as JSON.

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::exited;
use crate::sign::Sign;
use crate::trust::Trust;
use serde_json::Value;

pub(crate) const EVENTS: Reader = Reader {
    name: "docker events",
    product: Product::Docker,
    hooks: &[" container "],
    fits: |line| event(&line.text).is_some(),
    read: |line, sink| {
        if let Some(event) = event(&line.text) {
            read(line, &event, sink);
        }
    },
    source: "https://docs.docker.com/reference/cli/docker/system/events/",
    example: "2026-11-20T15:16:30.123456789Z container die 3f2e1d0c9b8a (exitCode=137, \
              image=shop:1, name=shop-web-1)",
};

pub(crate) const EVENTS_JSON: Reader = Reader {
    name: "docker events as JSON",
    product: Product::Docker,
    hooks: &["\"Type\":\"container\""],
    fits: |line| line.text.starts_with('{') && line.text.contains(EVENTS_JSON.hooks[0]),
    read: json,
    source: "https://docs.docker.com/reference/api/engine/, /events",
    example: r#"{"status":"oom","id":"3f2e","Type":"container","Action":"oom","Actor":{"ID":"3f2e","Attributes":{"name":"web"}},"time":1700000000}"#,
};

struct Happened<'a> {
    at: Option<Stamp>,
    action: &'a str,
    /// The container's name, or the compose service's, or the id.
    who: Option<&'a str>,
    exit_code: Option<i64>,
    signal: Option<i64>,
    words: &'a str,
}

/// `[TIME] container ACTION ID (key=value, …)`. A layer may have taken the time.
fn event(text: &str) -> Option<Happened<'_>> {
    let (at, rest) = match clock::iso(text) {
        Some((at, end)) => (Some(at), text[end..].strip_prefix(' ')?),
        None => (None, text),
    };
    let body = rest.strip_prefix("container ")?;
    let (head, attributes) = body.split_once(" (")?;
    let attributes = attributes.strip_suffix(')').unwrap_or(attributes);
    let (action, id) = head.rsplit_once(' ')?;
    if id.len() < 12 || !id.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let attribute =
        |name: &str| attributes.split(", ").find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    Some(Happened {
        at,
        action,
        who: attribute("name").or(Some(id)),
        exit_code: attribute("exitCode").and_then(number),
        signal: attribute("signal").and_then(number),
        words: &rest[.."container ".len() + action.len()],
    })
}

fn read(line: &Line, it: &Happened<'_>, sink: &mut dyn Sink) {
    let Some((sign, number)) = says(it) else { return };
    // The exit code is the decisive word, where there is one.
    let code = between(&line.text, "exitCode=", ",")
        .or_else(|| between(&line.text, "exitCode=", ")"))
        .map(|code| span_of(&line.text, code));
    let span = match code {
        Some(code) if it.action == "die" => code.start - "exitCode=".len()..code.end,
        _ => span_of(&line.text, it.words),
    };
    sink.event(
        Event::new(Product::Docker, sign, Trust::B, span).at(it.at).who(it.who).number(number),
    );
}

fn says(it: &Happened<'_>) -> Option<(Sign, Option<i64>)> {
    Some(match it.action {
        "die" => {
            let (sign, number) = exited(it.exit_code?);
            (sign, Some(number))
        }
        "oom" => (Sign::OomKilled, None),
        "kill" => match it.signal? {
            9 => (Sign::ProcessKilled, Some(9)),
            2 | 3 | 15 => (Sign::ShuttingDown, it.signal),
            _ => return None,
        },
        "stop" => (Sign::ProcessStopped, None),
        "start" => (Sign::Started, None),
        "restart" => (Sign::ContainerRestarted, None),
        "health_status: unhealthy" => (Sign::ContainerUnhealthy, None),
        "health_status: healthy" => (Sign::Ready, None),
        _ => return None,
    })
}

fn json(line: &Line, sink: &mut dyn Sink) {
    let Ok(value) = serde_json::from_str::<Value>(&line.text) else { return };
    let Some(action) = value["Action"].as_str() else { return };
    let attributes = &value["Actor"]["Attributes"];
    let count = |name: &str| attributes[name].as_str().and_then(number);
    let at = value["timeNano"].as_f64().or_else(|| value["time"].as_f64()).and_then(clock::epoch);
    let quoted = format!("\"Action\":\"{action}\"");
    let words = match line.text.find(&quoted) {
        Some(at) => &line.text[at..at + quoted.len()],
        None => &line.text,
    };
    let happened = Happened {
        at,
        action,
        who: attributes["name"].as_str().or_else(|| value["Actor"]["ID"].as_str()),
        exit_code: count("exitCode"),
        signal: count("signal"),
        words,
    };
    let Some((sign, number)) = says(&happened) else { return };
    sink.event(
        Event::new(Product::Docker, sign, Trust::B, span_of(&line.text, words))
            .at(at)
            .who(happened.who.map(str::to_owned))
            .number(number),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[track_caller]
    fn text(action: &str, attributes: &str, want: &str) {
        let line = format!(
            "2026-11-20T15:16:30.123456789Z container {action} 3f2e1d0c9b8a ({attributes}name=web)"
        );
        check(&line, want);
    }

    #[test]
    fn the_exit_code_tells_how_a_container_ended() {
        text("die", "exitCode=1, ", "Docker: ProcessExited who=web number=1 | exitCode=1");
        text("die", "exitCode=137, ", "Docker: ProcessKilled who=web number=9 | exitCode=137");
        text("die", "exitCode=139, ", "Docker: WorkerSegfault who=web number=11 | exitCode=139");
        text("die", "exitCode=127, ", "Docker: BootFailed who=web number=127 | exitCode=127");
        text("die", "exitCode=0, ", "Docker: ProcessExited who=web number=0 | exitCode=0");
    }

    #[test]
    fn what_was_done_to_a_container_is_told() {
        text("oom", "", "Docker: OomKilled who=web | container oom");
        text("kill", "signal=15, ", "Docker: ShuttingDown who=web number=15 | container kill");
        text("stop", "", "Docker: ProcessStopped who=web | container stop");
        text(
            "health_status: unhealthy",
            "",
            "Docker: ContainerUnhealthy who=web | container health_status: unhealthy",
        );
        text("exec_die", "exitCode=1, ", "");
        check(
            r#"{"status":"die","id":"3f2e","from":"shop:1","Type":"container","Action":"die","Actor":{"ID":"3f2e","Attributes":{"exitCode":"3","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000000000000}"#,
            r#"Docker: ProcessExited who=web number=3 | "Action":"die""#,
        );
    }

    #[test]
    fn other_lines_about_containers_are_no_events() {
        check_nothing("the container die 3f2e1d0c9b8a (exitCode=1)");
        check_nothing("2026-11-20T15:16:30Z container die zz (exitCode=1, name=web)");
        check_nothing(r#"{"Type":"container","Action":"#);
    }
}
