//! Traefik: its files in TOML and YAML, and the labels of containers
//! (doc.traefik.io/traefik/routing/services).

use super::tree::{Node, Value, documents, entry, toml};
use super::words::{host_port, is_safe, lines, millis, port};
use crate::address::authority;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const TRAEFIK: Config = Config {
    name: "Traefik configuration",
    product: Product::Traefik,
    fits,
    read,
    source: "https://doc.traefik.io/traefik/routing/services/",
    example: "http:\n  services:\n    app:\n      loadBalancer:\n        servers:\n          - url: http://192.0.2.1:8000\n",
};

const HINTS: [&str; 9] = [
    "loadBalancer",
    "loadbalancer",
    "entryPoints",
    "serversTransport",
    "forwardingTimeouts",
    "traefik.",
    "[backends",
    "[frontends",
    "insecureSkipVerify",
];

fn tree<'t>(text: &'t str) -> Vec<Node<'t>> {
    let section = |it: &str| it.starts_with('[') && it.ends_with(']') && !it.contains(": ");
    match lines(text).any(section) {
        true => toml(text).into_iter().collect(),
        false => documents(text),
    }
}

fn fits(_: &str, text: &str) -> bool {
    if labels(text).count() > 0 {
        return true;
    }
    let hint = HINTS.iter().any(|it| text.contains(it));
    hint && tree(text).iter().any(|document| {
        let own = |it: &Node<'_>, name: &str| {
            it.get(name).is_some_and(|it| !matches!(it.value, Value::Scalar))
        };
        document.get("kind").is_none()
            && (["entryPoints", "serversTransport", "serversTransports"]
                .iter()
                .any(|it| own(document, it))
                || document.get("insecureSkipVerify").is_some()
                || document
                    .maps()
                    .iter()
                    .any(|it| own(it, "loadBalancer") || own(it, "forwardingTimeouts"))
                || own(document, "backends") && document.maps().iter().any(|it| own(it, "servers")))
    })
}

/// Lines that are labels of containers, with a dash, quotes and all: a piece of a compose file.
fn labels(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let all = lines(text).filter(|it| !it.starts_with('#') && *it != "labels:");
    let only = all.clone().all(|it| it.contains("traefik.") && label_of(it).is_some());
    all.filter(move |_| only).filter_map(label_of)
}

fn label_of(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.trim_start_matches(['-', ' ']).trim_matches(['"', '\'', ' ']);
    let (name, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let name = name.trim_matches(['"', '\'']);
    let plain =
        |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_' | b'[' | b']');
    let own = name.starts_with("traefik.") && name.bytes().all(plain);
    own.then_some((name, value.trim().trim_matches(['"', '\'']), line))
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Traefik, text);
    for (name, value, quote) in labels(text) {
        label(&mut places, name, value, quote);
    }
    if places.settings.is_empty() {
        for document in &tree(text) {
            for map in document.maps() {
                each(&mut places, map);
            }
        }
    }
    places.settings
}

/// What a map says, wherever it stands: names are the same in all versions' files.
fn each<'t>(places: &mut Places<'t>, map: &Node<'t>) {
    for (key, value) in map.entries() {
        let quote = entry(places.text(), key, value);
        let word = value.as_str().unwrap_or_default();
        let time = || millis(word, 1000);
        match *key {
            "services" | "backends" => {
                for (name, service) in value.entries() {
                    members(places, name, service);
                }
            }
            "routers" => {
                for (_, router) in value.entries() {
                    route(places, router);
                }
            }
            "entryPoints" => {
                for (_, point) in value.entries() {
                    if let Some((address, quote)) = point.said(places.text(), "address") {
                        let address = address.to_owned();
                        places.add(What::Listens { address, scheme: Scheme::Unknown }, quote);
                    }
                }
            }
            "dialTimeout" => places.limit(Limit::Connect, time(), quote),
            "responseHeaderTimeout" => places.limit(Limit::Read, time(), quote),
            "idleConnTimeout" => places.limit(Limit::KeepAliveReuse, time(), quote),
            "maxIdleConnsPerHost" => {
                places.limit(Limit::KeepAliveConnections, word.parse().ok(), quote);
            }
            "readTimeout" | "writeTimeout" | "idleTimeout" => {
                places.limit(Limit::Client, time(), quote);
            }
            "insecureSkipVerify" => places.add(What::Verifies { on: word != "true" }, quote),
            "serverName" if !word.is_empty() => {
                places.add(What::SendsName { name: Some(word.to_owned()) }, quote);
            }
            "rootCAs" => {
                for file in value.texts() {
                    places.add(What::Trusts { file: file.to_owned() }, file);
                }
            }
            "network" if !word.is_empty() => {
                places.add(What::On { option: format!("network={word}") }, quote);
            }
            "passHostHeader" => {
                let (name, value) = ("Host".to_owned(), word.to_owned());
                places.add(What::SetsHeader { name, value }, quote);
            }
            "healthCheck" => {
                if let Some((path, quote)) = value.said(places.text(), "path") {
                    let path = path.split('?').next().unwrap_or(path).to_owned();
                    let quote = if quote.contains('?') { key } else { quote };
                    let port = value.port("port");
                    places.add(What::HealthCheck { path: Some(path), port, scheme: None }, quote);
                }
            }
            "retry" => {
                if let Some((attempts, quote)) = value.said(places.text(), "attempts") {
                    places.add(What::Retries { on: attempts.to_owned() }, quote);
                }
            }
            _ => {}
        }
    }
}

fn members<'t>(places: &mut Places<'t>, name: &str, service: &Node<'t>) {
    let balancer = ["loadBalancer", "loadbalancer"].iter().find_map(|it| service.get(it));
    let Some(servers) = balancer.unwrap_or(service).get("servers") else { return };
    let listed = servers.items().iter();
    for server in listed.chain(servers.entries().iter().map(|it| &it.1)) {
        let (url, quote) = match server.said(places.text(), "url") {
            Some(it) => it,
            None => match server.said(places.text(), "address") {
                Some(it) => it,
                None => continue,
            },
        };
        let plain = || Some(authority(url)).filter(|_| is_safe(url));
        let Some(address) = host_port(url).or_else(plain) else { continue };
        let quote = if is_safe(url) { quote } else { address };
        let scheme = url.split_once("://").map_or(Scheme::Tcp, |(it, _)| Scheme::of(it));
        let group = name.to_owned();
        let member = What::Member { group, address: address.to_owned(), disabled: false };
        places.add(member, quote);
        places.add(What::Dials { to: address.to_owned(), scheme }, quote);
    }
}

fn route<'t>(places: &mut Places<'t>, router: &Node<'t>) {
    if let Some((to, quote)) = router.said(places.text(), "service") {
        let to = to.split('@').next().unwrap_or(to).to_owned();
        places.add(What::Dials { to, scheme: Scheme::Unknown }, quote);
    }
    if let Some((rule, _)) = router.said(places.text(), "rule") {
        hosts(places, rule);
    }
}

/// The names in ``Host(`a`, `b`)``.
fn hosts<'t>(places: &mut Places<'t>, rule: &'t str) {
    let mut rest = rule;
    while let Some(at) = rest.find("Host(").or_else(|| rest.find("Host:")) {
        rest = &rest[at + 5..];
        let end = rest.find([')', ';']).unwrap_or(rest.len());
        for host in rest[..end].split(',') {
            let host = host.trim_matches(['`', '"', '\'', ' ', '\\']);
            if !host.is_empty() {
                places.add(What::ServedAs { host: host.to_owned() }, host);
            }
        }
        rest = &rest[end..];
    }
}

/// A label of a container, of version 1 or a later one; others are no matter of ours.
pub(super) fn label<'t>(places: &mut Places<'t>, name: &str, value: &'t str, quote: &'t str) {
    let lower = name.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("traefik.") else { return };
    let value = value.trim().trim_matches(['"', '\'']);
    places.product(Product::Traefik);
    let parts: Vec<&str> = rest.split('.').collect();
    match parts.as_slice() {
        ["port"] | [.., "loadbalancer", "server", "port"] => {
            if let Some(port) = port(value) {
                places.add(What::TargetPort { port }, quote);
            }
        }
        ["protocol"] => {
            places.add(What::On { option: format!("{name}={value}") }, quote);
        }
        [_, "services", to, "loadbalancer", "server", "scheme"] => {
            let (to, scheme) = ((*to).to_owned(), Scheme::of(value));
            places.add(What::Dials { to, scheme }, quote);
        }
        [_, "services", to, "loadbalancer", "server", "url"] => {
            if let Some(address) = host_port(value) {
                let group = (*to).to_owned();
                let scheme = Scheme::of(value.split("://").next().unwrap_or_default());
                let member = What::Member { group, address: address.to_owned(), disabled: false };
                places.add(member, address);
                places.add(What::Dials { to: address.to_owned(), scheme }, address);
            }
        }
        [_, "services", _, "loadbalancer", "healthcheck", "path"] => {
            let path = value.split('?').next().unwrap_or(value);
            let check = What::HealthCheck { path: Some(path.to_owned()), port: None, scheme: None };
            places.add(check, path);
        }
        [_, "routers", _, "service"] => {
            let to = value.split('@').next().unwrap_or(value).to_owned();
            places.add(What::Dials { to, scheme: Scheme::Unknown }, quote);
        }
        [_, "routers", _, "rule"] | ["frontend", "rule"] => hosts(places, value),
        ["docker", "network"] => {
            places.add(What::On { option: format!("traefik.docker.network={value}") }, quote);
        }
        ["enable"]
        | [_, "routers", _, "entrypoints"]
        | [_, "services", _, "loadbalancer", "serverstransport"] => {
            places.add(What::On { option: format!("{name}={value}") }, quote);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn files_of_all_versions_and_labels_are_read() {
        for (text, want) in [
            (
                "http:\n  routers:\n    r:\n      rule: Host(`a.example.com`)\n      service: app@file\n  services:\n    app:\n      loadBalancer:\n        servers:\n          - url: \"https://me:secret@192.0.2.1:8443/\"\n        healthCheck:\n          path: /up\n  serversTransports:\n    t:\n      insecureSkipVerify: true\n      forwardingTimeouts:\n        dialTimeout: 5s\n",
                "Traefik: Dials app Unknown; ServedAs { host: \"a.example.com\" }; \
                 Member { group: \"app\", address: \"192.0.2.1:8443\", disabled: false }; Dials 192.0.2.1:8443 Https; \
                 HealthCheck { path: Some(\"/up\"), port: None, scheme: None }; Verifies { on: false }; Limit Connect 5000",
            ),
            (
                "[entryPoints]\n  [entryPoints.http]\n  address = \":80\"\n[backends]\n  [backends.b.servers.one]\n  url = \"http://192.0.2.1:80\"\n",
                "Traefik: Listens :80; Member { group: \"b\", address: \"192.0.2.1:80\", disabled: false }; Dials 192.0.2.1:80 Http",
            ),
            (
                "labels:\n  - \"traefik.enable=true\"\n  - \"traefik.http.services.w.loadbalancer.server.port=3000\"\n  - traefik.docker.network=web\n  - traefik.http.services.w.loadbalancer.server.scheme=https",
                "Traefik: On { option: \"traefik.enable=true\" }; TargetPort { port: 3000 }; On { option: \"traefik.docker.network=web\" }; Dials w Https",
            ),
            ("traefik.port=80", "Traefik: TargetPort { port: 80 }"),
        ] {
            check_config("traefik.yml", text, want);
        }
    }

    #[test]
    fn prose_and_logs_are_none() {
        for text in [
            "traefik.port does not work",
            "time=\"2026-01-02T03:04:05Z\" level=error msg=\"entryPoint insecureSkipVerify\"",
            "the loadBalancer: it is broken",
        ] {
            assert!(!super::fits("traefik.toml", text), "{text}");
        }
    }

    #[test]
    fn the_file_of_version_1_is_read() {
        check_config(
            "config.toml",
            "# config.toml\n[file]\n\n[frontends]\n  [frontends.f]\n  backend = \"b\"\n  [frontends.f.routes.r]\n  rule = \"Host:a.example.com\"\n\n[backends]\n  [backends.b]\n    [backends.b.servers.s]\n    url = \"http://127.0.0.1:8001\"\n",
            "Traefik: Member { group: \"b\", address: \"127.0.0.1:8001\", disabled: false }; Dials 127.0.0.1:8001 Http",
        );
    }
}
