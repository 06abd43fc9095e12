//! Settings in a few words, for the tests of checks.
//!
//! `nginx.conf nginx: dials http://app:8000, read 30s; compose.yml docker app: service app`: a file,
//! a product, perhaps a service with its kind and namespace, and what is set there.

use super::{Advice, examine};
use evidence::{Limit, Object, Origin, Product, Scheme, Setting, Source, Testimony, What};

pub(super) fn testimony(text: &str) -> Testimony {
    let mut testimony = Testimony::default();
    for part in text.split("; ") {
        let (head, words) = part.split_once(": ").expect("a file and what is set");
        let mut head = head.split_whitespace();
        let file = head.next().expect("a file");
        let product = product(head.next().expect("a product"));
        let service = head.next();
        let object = head.next().map(|kind| Object {
            kind: kind.to_owned(),
            namespace: head.next().map(str::to_owned),
        });
        let source = match testimony.sources.iter().position(|it| it.name == file) {
            Some(at) => at,
            None => {
                testimony.sources.push(source(file));
                testimony.sources.len() - 1
            }
        };
        for words in words.split(", ") {
            let line = testimony.settings.len() as u64 + 1;
            let setting = Setting {
                product,
                service: service.map(str::to_owned),
                object: object.clone(),
                what: what(words),
                quote: words.to_owned(),
                line,
                offset: 0,
            };
            testimony.settings.push((source as u32, setting));
        }
    }
    testimony
}

fn source(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        origin: Origin::Elsewhere,
        bytes: None,
        lines: None,
        first: None,
        last: None,
        understood: None,
        products: Vec::new(),
        format: None,
        skipped: None,
        assumed_year: None,
    }
}

fn product(word: &str) -> Product {
    let named = Product::ALL.iter().find(|it| {
        let name = it.name().replace(' ', "-");
        name.eq_ignore_ascii_case(word)
    });
    *named.expect("a product")
}

fn what(words: &str) -> What {
    let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
    let own = || rest.to_owned();
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match name {
        "dials" => {
            let (scheme, to) = addressed(rest);
            What::Dials { to, scheme }
        }
        "member" => {
            let (address, state) = second.split_once(' ').unwrap_or((second, ""));
            let disabled = state == "disabled";
            What::Member { group: first.to_owned(), address: address.to_owned(), disabled }
        }
        "listens" => {
            let (scheme, address) = addressed(rest);
            What::Listens { address, scheme }
        }
        "publishes" => {
            let (host, container) = rest.split_once(':').expect("two ports");
            What::Publishes { host: port(host), container: port(container) }
        }
        "exposes" => What::Exposes { port: port(rest) },
        "target" => What::TargetPort { port: port(rest) },
        "network" => What::Network { name: own() },
        "hostnet" => What::HostNetwork,
        "service" => What::Service { name: own() },
        "container" => What::InContainer,
        "runs" => What::Runs { command: own() },
        "verifies" => What::Verifies { on: rest == "on" },
        "http" => What::HttpVersion { version: own() },
        "upgrade" => What::PassesUpgrade,
        "resolver" => What::Resolver { address: own() },
        "proxy-header" => What::ProxyHeader { sends: rest == "sent" },
        "health" => What::HealthCheck { path: Some(own()), port: None, scheme: None },
        "mesh" => What::MeshTls {
            mode: first.to_owned(),
            host: (!second.is_empty()).then(|| second.to_owned()),
        },
        "selects" => What::Selects { label: own() },
        "restarts" => What::Restarts { policy: own() },
        "on" => What::On { option: own() },
        "retries" => What::Retries { on: own() },
        "sets" => What::SetsHeader { name: first.to_owned(), value: second.to_owned() },
        "labelled" => What::Labelled { label: own() },
        "depends" => What::DependsOn { service: own() },
        _ => What::Limit { limit: limit(name), value: value(rest) },
    }
}

fn addressed(text: &str) -> (Scheme, String) {
    match text.split_once("://") {
        Some((scheme, to)) => (Scheme::of(scheme), to.to_owned()),
        None => (Scheme::Unknown, text.to_owned()),
    }
}

fn port(text: &str) -> u16 {
    text.parse().expect("a port")
}

fn limit(name: &str) -> Limit {
    match name {
        "read" => Limit::Read,
        "pool-wait" => Limit::PoolWait,
        "statement" => Limit::Statement,
        "script" => Limit::Script,
        "total" => Limit::Total,
        "worker" => Limit::Worker,
        "reuse" => Limit::KeepAliveReuse,
        "close" => Limit::KeepAliveClose,
        "keepalive" => Limit::KeepAliveConnections,
        "answer-head" => Limit::AnswerHead,
        "request-head" => Limit::RequestHead,
        "workers" | "threads" => Limit::Workers,
        "concurrency" => Limit::Concurrency,
        "memory" => Limit::Memory,
        "connections" => Limit::Connections,
        "descriptors" => Limit::Descriptors,
        "max-fails" => Limit::MaxFails,
        _ => panic!("no setting is called {name}"),
    }
}

/// Seconds become milliseconds, `k` and `m` bytes.
fn value(text: &str) -> i64 {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: i64 = digits.parse().expect("a number");
    match &text[digits.len()..] {
        "" | "ms" => number,
        "s" => number * 1000,
        "k" => number << 10,
        "m" => number << 20,
        it => panic!("no unit is called {it}"),
    }
}

/// What the checks of one cause say, as `severity: statement`, a line each.
#[track_caller]
pub(super) fn check(cause: &str, settings: &str, want: &str) {
    let testimony = testimony(settings);
    let advice = examine(&testimony);
    let mine: Vec<&Advice> = advice.iter().filter(|it| it.cause == cause).collect();
    let lines: Vec<String> =
        mine.iter().map(|it| format!("{}: {}", it.severity.name(), it.statement)).collect();
    assert_eq!(lines.join("\n"), want, "{settings}");
    for it in mine {
        assert!(!it.exhibits.is_empty(), "{cause} has no proof");
        assert!(!it.fix.now.is_empty(), "{cause} has no fix");
        assert!(!it.statement.ends_with('.'), "{}", it.statement);
    }
}

/// The checks of one cause find nothing.
#[track_caller]
pub(super) fn check_nothing(cause: &str, settings: &str) {
    check(cause, settings, "");
}
