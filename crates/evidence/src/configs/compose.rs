//! Compose files (docs.docker.com/reference/compose-file), and pieces that begin within `services:`.

use super::systemd::environment;
use super::tree::{Node, documents, entry};
use super::words::{bytes, millis, port, words};
use super::{command, dockerfile, shell, traefik};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Setting, What};

pub(super) const COMPOSE: Config = Config {
    name: "compose file",
    product: Product::Docker,
    fits,
    read,
    source: "https://docs.docker.com/reference/compose-file/services/",
    example: "services:\n  web:\n    image: example/web\n    ports:\n      - \"80:8000\"\n",
};

/// Keys of a service.
const KEYS: [&str; 26] = [
    "image",
    "build",
    "ports",
    "expose",
    "environment",
    "env_file",
    "volumes",
    "networks",
    "network_mode",
    "depends_on",
    "command",
    "entrypoint",
    "restart",
    "links",
    "labels",
    "container_name",
    "healthcheck",
    "hostname",
    "deploy",
    "mem_limit",
    "stop_grace_period",
    "user",
    "working_dir",
    "extra_hosts",
    "logging",
    "tty",
];

/// Keys that name what runs, or how it is reached.
const OWN: [&str; 9] = [
    "image",
    "build",
    "ports",
    "expose",
    "environment",
    "networks",
    "network_mode",
    "command",
    "labels",
];

fn is_service(node: &Node<'_>) -> bool {
    let known = |it: &&(&str, Node<'_>)| KEYS.contains(&it.0);
    let entries = node.entries();
    let own = entries.iter().filter(|it| OWN.contains(&it.0)).count();
    own > 0 && entries.iter().filter(known).count() * 2 > entries.len()
}

/// The services of a document with their names; a piece of one has none.
fn services<'d, 't>(document: &'d Node<'t>) -> Vec<(Option<&'t str>, &'d Node<'t>)> {
    let named = |entries: &'d [(&'t str, Node<'t>)]| -> Vec<(Option<&'t str>, &'d Node<'t>)> {
        entries.iter().filter(|it| is_service(&it.1)).map(|it| (Some(it.0), &it.1)).collect()
    };
    if let Some(services) = document.get("services") {
        return named(services.entries());
    }
    let all = named(document.entries());
    let foreign = document.get("kind").is_some() || document.get("apiVersion").is_some();
    if foreign {
        return Vec::new();
    }
    match all.is_empty() && is_service(document) && piece(document) {
        true => vec![(None, document)],
        false => all,
    }
}

/// Enough keys of a service that it is one, without its name.
fn piece(document: &Node<'_>) -> bool {
    let list = |it: &str| !document.list(it).is_empty();
    let known = document.entries().iter().filter(|it| KEYS.contains(&it.0)).count();
    known >= 2 || list("ports") || list("expose") || document.get("network_mode").is_some()
}

fn fits(_: &str, text: &str) -> bool {
    let hint = OWN.iter().any(|it| text.contains(&format!("{it}:")));
    hint && documents(text).iter().any(|it| !services(it).is_empty())
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let documents = documents(text);
    let mut places = Places::new(Product::Docker, text);
    for document in &documents {
        for (name, node) in services(document) {
            places.service(name);
            if let Some(name) = name {
                places.add(What::Service { name: name.to_owned() }, name);
            }
            for (key, value) in node.entries() {
                setting(&mut places, key, value);
                places.product(Product::Docker);
            }
        }
    }
    places.settings
}

fn setting<'t>(places: &mut Places<'t>, key: &'t str, value: &Node<'t>) {
    let quote = entry(places.text(), key, value);
    let word = value.as_str().unwrap_or_default();
    match key {
        "image" if !word.is_empty() => places.add(What::Image { name: word.to_owned() }, quote),
        "container_name" | "hostname" if !word.is_empty() => {
            places.add(What::Service { name: word.to_owned() }, quote);
        }
        "ports" => value.items().iter().for_each(|it| publish(places, it)),
        "expose" => {
            for word in value.texts() {
                if let Some(port) = port(word.split('/').next().unwrap_or(word)) {
                    places.add(What::Exposes { port }, word);
                }
            }
        }
        "networks" => {
            for name in names(value) {
                places.add(What::Network { name: name.to_owned() }, name);
            }
            for (_, network) in value.entries() {
                for alias in network.at("aliases").map(Node::texts).unwrap_or_default() {
                    places.add(What::Service { name: alias.to_owned() }, alias);
                }
            }
        }
        "network_mode" if word == "host" => places.add(What::HostNetwork, quote),
        "network_mode" if !word.is_empty() => {
            places.add(What::Network { name: word.to_owned() }, quote);
        }
        "depends_on" | "links" => {
            for name in names(value) {
                let service = name.split(':').next().unwrap_or(name).to_owned();
                places.add(What::DependsOn { service }, name);
            }
        }
        "environment" => {
            for (name, value, quote) in pairs(places.text(), value) {
                environment(places, name, value, quote);
            }
        }
        "labels" => {
            for (name, value, quote) in pairs(places.text(), value) {
                traefik::label(places, name, value, quote);
            }
        }
        "command" | "entrypoint" => {
            let all = match value.as_str() {
                Some(line) => words(line),
                None => value.texts(),
            };
            command::runs(places, &all);
            command::read_words(places, &all);
        }
        "healthcheck" => {
            if let Some(test) = value.get("test") {
                dockerfile::health_check(places, test.text);
            }
            if let Some((time, quote)) = value.said(places.text(), "timeout") {
                places.limit(Limit::Probe, millis(time, 1000), quote);
            }
            if let Some((time, quote)) = value.said(places.text(), "start_period") {
                places.limit(Limit::ProbeDelay, millis(time, 1000), quote);
            }
        }
        "restart" if !word.is_empty() => {
            places.add(What::Restarts { policy: word.to_owned() }, quote);
        }
        "mem_limit" => places.limit(Limit::Memory, bytes(word), quote),
        "stop_grace_period" => places.limit(Limit::Graceful, millis(word, 1000), quote),
        "user" if !word.is_empty() => places.add(What::User { name: word.to_owned() }, quote),
        "deploy" => {
            if let Some((size, quote)) = value.said(places.text(), "resources/limits/memory") {
                places.limit(Limit::Memory, bytes(size), quote);
            }
            if let Some(policy) = value.get("restart_policy") {
                // Swarm starts again whatever the end, unless it is told otherwise.
                let said = policy.said(places.text(), "condition");
                let (policy, quote) = said.unwrap_or(("any", quote));
                places.add(What::Restarts { policy: policy.to_owned() }, quote);
            }
            if let Some(labels) = value.get("labels") {
                for (name, value, quote) in pairs(places.text(), labels) {
                    traefik::label(places, name, value, quote);
                }
            }
        }
        _ => {}
    }
}

fn publish<'t>(places: &mut Places<'t>, node: &Node<'t>) {
    if let Some(written) = node.as_str() {
        return shell::publish(places, written, written);
    }
    // The long form: `target: 80`, `published: "8080"`.
    let Some((_, quote)) = node.said(places.text(), "target") else { return };
    let Some(container) = node.port("target") else { return };
    match node.port("published") {
        Some(host) => places.add(What::Publishes { host, container }, quote),
        None => places.add(What::Exposes { port: container }, quote),
    }
}

/// The items of a list, or the keys of a map.
fn names<'t>(node: &Node<'t>) -> Vec<&'t str> {
    match node.is_map() {
        true => node.entries().iter().map(|it| it.0).collect(),
        false => node.texts(),
    }
}

/// `name=value` of a list or `name: value` of a map, each with its words.
pub(super) fn pairs<'t>(text: &'t str, node: &Node<'t>) -> Vec<(&'t str, &'t str, &'t str)> {
    let listed = node.items().iter().filter_map(Node::as_str).filter_map(|it| {
        let (name, value) = it.split_once('=')?;
        Some((name.trim(), value.trim(), it))
    });
    let mapped = node
        .entries()
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_str()?, entry(text, name, value))));
    listed.chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn whole_files_are_read() {
        check_config(
            "compose.yaml",
            "version: '3'\nx-base: &base\n  restart: always\n  networks: [back]\nservices:\n  web:\n    <<: *base\n    build: .\n    command: gunicorn --bind 127.0.0.1:8000 app:app\n    ports:\n      - \"127.0.0.1:8080:8000/tcp\"\n      - target: 9000\n        published: 9001\n    environment:\n      DATABASE_URL: postgres://me:secret@db:5432/app\n      SECRET_KEY: hush\n      PORT: 8000\n    depends_on:\n      db:\n        condition: service_healthy\n    healthcheck:\n      test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:8000/up\"]\n      timeout: 3s\n    labels:\n      - traefik.http.services.web.loadbalancer.server.port=8000\n    deploy:\n      resources:\n        limits:\n          memory: 256M\n  db:\n    image: postgres:16\n    network_mode: host\nnetworks:\n  back: {}\n",
            "Docker: [web] Service web; [web] Restarts { policy: \"always\" }; [web] Network back; [web] Runs { command: \"gunicorn --bind 127.0.0.1:8000 app:app\" }; \
             [web] Listens 127.0.0.1:8000; [web] Publishes 8080->8000; [web] Publishes 9001->9000; [web] Uses { address: \"db:5432\" }; \
             [web] PortGiven { port: 8000 }; [web] DependsOn { service: \"db\" }; \
             [web] HealthCheck { path: Some(\"/up\"), port: Some(8000), scheme: Some(Http) }; [web] Limit Probe 3000; \
             [web] TargetPort { port: 8000 }; [web] Limit Memory 268435456; \
             [db] Service db; [db] Image { name: \"postgres:16\" }; [db] HostNetwork",
        );
    }

    #[test]
    fn pieces_are_read() {
        for (text, want) in [
            (
                "  site:\n    image: nginx:latest\n    environment:\n      - VIRTUAL_HOST=a.example.com,example.com\n      - VIRTUAL_PORT=8000\n    expose:\n      - 8000\n    ports:\n      - 8000:80\n",
                "Docker: [site] Service site; [site] Image { name: \"nginx:latest\" }; [site] ServedAs { host: \"a.example.com\" }; \
                 [site] ServedAs { host: \"example.com\" }; [site] TargetPort { port: 8000 }; [site] Exposes { port: 8000 }; [site] Publishes 8000->80",
            ),
            ("ports:\n  - \"3000\"", "Docker: Exposes { port: 3000 }"),
            (
                "services:\n  web:\n    image: a\n    restart: \"no\"\n    environment:\n      PGOPTIONS: -c statement_timeout=20s -c lock_timeout=1s\n      SPRING_DATASOURCE_HIKARI_CONNECTION_TIMEOUT: 5000\n",
                "Docker: [web] Service web; [web] Image { name: \"a\" }; [web] Restarts { policy: \"no\" }; \
                 [web] Limit Statement 20000; [web] Limit PoolWait 5000",
            ),
            (
                "services:\n  web:\n    image: a\n    deploy:\n      restart_policy:\n        condition: on-failure\n",
                "Docker: [web] Service web; [web] Image { name: \"a\" }; [web] Restarts { policy: \"on-failure\" }",
            ),
            (
                "services: {web: {image: a, network_mode: host}}",
                "Docker: [web] Service web; [web] Image { name: \"a\" }; [web] HostNetwork",
            ),
        ] {
            check_config("docker-compose.yml", text, want);
        }
    }

    #[test]
    fn prose_and_other_files_are_none() {
        for text in [
            "image: it does not load",
            "apiVersion: v1\nkind: Pod\nimage: a\nports: [1]",
            "command: gunicorn",
            "ports: {",
            "web_1  | image: a\nweb_1  | ports: b",
        ] {
            assert!(!super::fits("docker-compose.yml", text), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_written_twice_hides_nothing() {
        check_config(
            "",
            "services:\n  web:\n    image: a\n    networks:\n      - one\n    labels:\n      - x=y\n    networks:\n      - one\n      - two\n  db:\n    image: b\n",
            "Docker: [web] Service web; [web] Image { name: \"a\" }; [web] Network one; [web] Network one; [web] Network two; [db] Service db; [db] Image { name: \"b\" }",
        );
    }
}
