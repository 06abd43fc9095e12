//! `docker inspect` and `podman inspect` of containers.

use super::{Document, Found, Places, Tell};
use crate::clock;
use crate::event::Event;
use crate::product::Product;
use crate::readers::exited;
use crate::sign::Sign;
use crate::trust::Trust;
use serde_json::Value;
use std::ops::Range;

pub(super) const INSPECT: Document = Document {
    name: "docker inspect",
    product: Product::Docker,
    fits: |_, text| {
        text.trim_start().starts_with(['[', '{'])
            && text.contains("\"State\"")
            && (text.contains("\"OOMKilled\"") || text.contains("\"ExitCode\""))
    },
    read,
    source: "https://docs.docker.com/reference/api/engine/, ContainerInspect",
    example: r#"[{"Id": "3f2e", "State": {"Status": "exited", "OOMKilled": true, "ExitCode": 137, "FinishedAt": "2026-11-20T15:16:30.5Z"}, "Name": "/shop-web-1"}]"#,
};

fn read(text: &str, tell: &mut Tell<'_>) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let one = std::slice::from_ref(&value);
    let mut places = Places::new(text);
    for container in value.as_array().map_or(one, Vec::as_slice) {
        if let Some(id) = container["Id"].as_str() {
            places.skip_to(id);
        }
        read_container(container, &places, tell);
    }
}

fn read_container(it: &Value, places: &Places<'_>, tell: &mut Tell<'_>) {
    let state = &it["State"];
    let who = it["Name"].as_str().map(|it| it.trim_start_matches('/'));
    let at = |name: &str| state[name].as_str().and_then(clock::any).filter(|it| it.micros > 0);
    let ended = at("FinishedAt");
    let status = state["Status"].as_str().unwrap_or("");
    let mut say =
        |sign, place: Option<Range<usize>>, number: Option<i64>, detail: Option<&str>, at| {
            let Some(place) = place else { return };
            let _start = place.start;
            let event = Event::new(Product::Docker, sign, Trust::B, place)
                .at(at)
                .who(who)
                .number(number)
                .detail(detail);
            tell(Found::Event(event));
        };
    let restarts = it["RestartCount"].as_i64().unwrap_or(0);
    if state["OOMKilled"] == true {
        let limit = it["HostConfig"]["Memory"].as_i64().filter(|it| *it > 0);
        say(Sign::OomKilled, places.member("OOMKilled", "true"), limit, None, ended);
    }
    match status {
        "exited" | "dead" | "stopped" => {
            let code = state["ExitCode"].as_i64().unwrap_or(0);
            let (sign, number) = exited(code);
            let place = places.member("ExitCode", &code.to_string());
            say(sign, place, Some(number), None, ended);
        }
        "restarting" => {
            let place = places.member("Status", "\"restarting\"");
            say(Sign::CrashLooping, place, Some(restarts), None, ended);
        }
        "created" => {
            say(Sign::ProcessInactive, places.member("Status", "\"created\""), None, None, None);
        }
        "paused" => {
            say(Sign::Hung, places.member("Status", "\"paused\""), None, Some("paused"), None);
        }
        "running" => {
            let place = places.member("Status", "\"running\"");
            say(Sign::Started, place, None, None, at("StartedAt"));
        }
        _ => {}
    }
    if let Some(error) = state["Error"].as_str().filter(|it| !it.is_empty()) {
        let in_use = ["port is already allocated", "address already in use"];
        let sign = match in_use.iter().any(|it| error.contains(it)) {
            true => Sign::PortInUse,
            false => Sign::BootFailed,
        };
        say(sign, places.member("Error", "\""), None, Some(error), None);
    }
    let health = state["Health"]["Status"].as_str().unwrap_or("");
    let sign = match health {
        "unhealthy" => Sign::ContainerUnhealthy,
        "starting" => Sign::StartingUp,
        "healthy" => Sign::Ready,
        _ => return,
    };
    let log = state["Health"]["Log"].as_array().and_then(|it| it.last());
    let probed = log.and_then(|it| it["End"].as_str()).and_then(clock::any);
    let output = log.filter(|_| sign == Sign::ContainerUnhealthy);
    let output = output.and_then(|it| it["Output"].as_str()).map(str::trim);
    say(sign, places.member("Status", &format!("\"{health}\"")), None, output, probed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[(Sign, &str, &str)]) {
        let mut found = Vec::new();
        read(text, &mut |found_one| {
            let Found::Event(event) = found_one else { return };
            let words = text[event.span.clone()].to_owned();
            found.push((event.sign, event.who.as_deref().unwrap_or("").to_owned(), words));
        });
        let found: Vec<(Sign, &str, &str)> =
            found.iter().map(|(sign, who, words)| (*sign, &**who, &**words)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn the_end_of_a_container_and_its_health_are_read() {
        check(
            INSPECT.example,
            &[
                (Sign::OomKilled, "shop-web-1", "\"OOMKilled\": true"),
                (Sign::ProcessKilled, "shop-web-1", "\"ExitCode\": 137"),
            ],
        );
        check(
            r#"[{"Id":"a","State":{"Status":"running","OOMKilled":false,"ExitCode":0,"Health":{"Status":"unhealthy","Log":[{"ExitCode":1,"Output":"refused\n"}]}},"Name":"/web"},
               {"Id":"b","State":{"Status":"exited","ExitCode":3},"Name":"/db"}]"#,
            &[
                (Sign::Started, "web", r#""Status":"running""#),
                (Sign::ContainerUnhealthy, "web", r#""Status":"unhealthy""#),
                (Sign::ProcessExited, "db", r#""ExitCode":3"#),
            ],
        );
    }

    #[test]
    fn other_json_is_no_container() {
        check(r#"{"State": "x", "ExitCode": []}"#, &[]);
        assert!(!(INSPECT.fits)("", r#"{"level":"info","State":"x"}"#));
    }
}
