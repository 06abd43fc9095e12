//! `kubectl get … -o json`: pods, events, endpoints, and lists of them.

use super::{Document, Found, Places, Tell};
use crate::clock;
use crate::event::Event;
use crate::product::Product;
use crate::readers::{event_says, exited, probe_reason, state_says};
use crate::sign::Sign;
use crate::trust::Trust;
use serde_json::Value;
use std::ops::Range;

pub(super) const OBJECTS: Document = Document {
    name: "kubectl get -o json",
    product: Product::Kubernetes,
    fits: |_, text| {
        text.trim_start().starts_with('{')
            && text.contains("\"apiVersion\"")
            && text.contains("\"kind\"")
    },
    read,
    source: "https://kubernetes.io/docs/reference/kubernetes-api/, Pod, Event, Endpoints, EndpointSlice",
    example: r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Event", "reason": "BackOff", "message": "Back-off restarting failed container", "involvedObject": {"name": "shop-7d-x"}, "lastTimestamp": "2026-11-20T15:16:30Z"}]}"#,
};

fn read(text: &str, tell: &mut Tell<'_>) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let one = std::slice::from_ref(&value);
    let list = value["kind"].as_str().is_some_and(|it| it.ends_with("List"));
    let kind = value["kind"].as_str().and_then(|it| it.strip_suffix("List")).unwrap_or("");
    let items = value["items"].as_array().filter(|_| list).map_or(one, Vec::as_slice);
    let mut places = Places::new(text);
    for item in items {
        let identity =
            item["metadata"]["uid"].as_str().or_else(|| item["metadata"]["name"].as_str());
        // Members come in any order, but objects come one after the other.
        let object = Object { item, places: &places };
        let mut furthest = places.from;
        let mut say = |said: Said<'_>| {
            let Some(place) = said.place else { return };
            let _start = place.start;
            furthest = furthest.max(place.end);
            let event = Event::new(Product::Kubernetes, said.sign, Trust::B, place)
                .at(said.at.and_then(clock::any))
                .who(said.who)
                .detail(said.detail)
                .number(said.number);
            tell(Found::Event(event));
        };
        match item["kind"].as_str().unwrap_or(kind) {
            "Event" => object.event(&mut say),
            "Pod" => object.pod(&mut say),
            "Endpoints" => object.endpoints("subsets", &mut say),
            "EndpointSlice" => object.endpoints("endpoints", &mut say),
            _ => {}
        }
        places.from = furthest;
        if let Some(identity) = identity {
            places.skip_to(identity);
        }
    }
}

struct Object<'a> {
    item: &'a Value,
    places: &'a Places<'a>,
}

struct Said<'a> {
    sign: Sign,
    place: Option<Range<usize>>,
    who: Option<&'a str>,
    detail: Option<&'a str>,
    number: Option<i64>,
    at: Option<&'a str>,
}

type Say<'s> = dyn FnMut(Said<'_>) + 's;

impl Object<'_> {
    fn name(&self) -> Option<&str> {
        self.item["metadata"]["name"].as_str()
    }

    fn event(&self, say: &mut Say<'_>) {
        let it = self.item;
        let (Some(reason), message) = (it["reason"].as_str(), it["message"].as_str()) else {
            return;
        };
        let message = message.or_else(|| it["note"].as_str()).unwrap_or("");
        let Some(says) = event_says(reason, message) else { return };
        let object =
            if it["involvedObject"].is_null() { &it["regarding"] } else { &it["involvedObject"] };
        let times = [&it["series"]["lastObservedTime"], &it["lastTimestamp"], &it["eventTime"]];
        let probe = matches!(
            says.sign,
            Sign::ReadinessFailed | Sign::LivenessFailed | Sign::StartupProbeFailed
        );
        let words = says.words.and_then(|words| message.get(words));
        let words = words.and_then(|words| {
            let at = self.places.find(words)?;
            Some(at..at + words.len())
        });
        say(Said {
            sign: says.sign,
            place: words.or_else(|| self.places.member("reason", &format!("\"{reason}\""))),
            who: object["name"].as_str(),
            detail: if probe { probe_reason(message) } else { Some(message) },
            number: says.number,
            at: times.iter().find_map(|it| it.as_str()),
        });
    }

    fn pod(&self, say: &mut Say<'_>) {
        let status = &self.item["status"];
        let reasoned = |reason: &str| self.places.member("reason", &format!("\"{reason}\""));
        if let Some(sign) = status["reason"].as_str().and_then(state_says) {
            let reason = status["reason"].as_str().unwrap_or("");
            let detail = status["message"].as_str();
            let place = reasoned(reason);
            say(Said { sign, place, who: self.name(), detail, number: None, at: None });
        }
        let lists = [&status["initContainerStatuses"], &status["containerStatuses"]];
        for container in lists.into_iter().filter_map(Value::as_array).flatten() {
            let waiting = &container["state"]["waiting"];
            let reason = waiting["reason"].as_str();
            if let Some((reason, sign)) = reason.and_then(|it| Some((it, state_says(it)?))) {
                say(Said {
                    sign,
                    place: reasoned(reason),
                    who: self.name(),
                    detail: None,
                    number: container["restartCount"].as_i64().filter(|it| *it > 0),
                    at: None,
                });
            }
            for ended in [&container["state"]["terminated"], &container["lastState"]["terminated"]]
            {
                let Some(code) = ended["exitCode"].as_i64().filter(|it| *it != 0) else { continue };
                let oom = ended["reason"].as_str() == Some("OOMKilled");
                let (sign, number) = if oom { (Sign::OomKilled, code) } else { exited(code) };
                let place = match oom {
                    true => reasoned("OOMKilled"),
                    false => self.places.member("exitCode", &code.to_string()),
                };
                say(Said {
                    sign,
                    place,
                    who: self.name(),
                    detail: None,
                    number: Some(number),
                    at: ended["finishedAt"].as_str(),
                });
            }
            let running = container["state"]["running"].is_object();
            let (sign, value) = match container["ready"].as_bool() {
                Some(true) => (Sign::Ready, "true"),
                Some(false) if running => (Sign::ReadinessFailed, "false"),
                _ => continue,
            };
            let place = self.places.member("ready", value);
            say(Said { sign, place, who: self.name(), detail: None, number: None, at: None });
        }
    }

    /// A service that has no address to send requests to.
    fn endpoints(&self, member: &str, say: &mut Say<'_>) {
        let some = self.item[member].as_array().is_some_and(|it| {
            let has = |it: &Value| it["addresses"].as_array().is_some_and(|it| !it.is_empty());
            let ready = |it: &Value| it["conditions"]["ready"] != false;
            it.iter().any(|it| has(it) && ready(it))
        });
        if some {
            return;
        }
        let Some(name) = self.name() else { return };
        let service = self.item["metadata"]["labels"]["kubernetes.io/service-name"].as_str();
        let place = self.places.member("name", &format!("\"{name}\""));
        let who = Some(service.unwrap_or(name));
        let sign = Sign::SelectorEmpty;
        say(Said { sign, place, who, detail: None, number: None, at: None });
    }
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
    fn pods_events_and_endpoints_are_read() {
        check(OBJECTS.example, &[(Sign::CrashLooping, "shop-7d-x", "\"reason\": \"BackOff\"")]);
        check(
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"shop-0"},"status":{"containerStatuses":[{"ready":false,"restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}}"#,
            &[
                (Sign::CrashLooping, "shop-0", r#""reason":"CrashLoopBackOff""#),
                (Sign::OomKilled, "shop-0", r#""reason":"OOMKilled""#),
            ],
        );
        check(
            r#"{"apiVersion":"v1","kind":"EndpointsList","items":[{"metadata":{"name":"a"},"subsets":[{"addresses":[{"ip":"10.0.0.1"}]}]},{"metadata":{"name":"b"}}]}"#,
            &[(Sign::SelectorEmpty, "b", r#""name":"b""#)],
        );
    }

    #[test]
    fn probes_are_read_with_their_status() {
        check(
            r#"{"apiVersion":"v1","kind":"Event","reason":"Unhealthy","message":"Readiness probe failed: HTTP probe failed with statuscode: 503","involvedObject":{"name":"shop-0"}}"#,
            &[(
                Sign::ReadinessFailed,
                "shop-0",
                "Readiness probe failed: HTTP probe failed with statuscode: 503",
            )],
        );
        check(r#"{"apiVersion":"v1","kind":"Event","reason":7}"#, &[]);
    }
}
