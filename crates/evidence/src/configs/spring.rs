//! Properties of Spring Boot, in `.properties` and YAML (docs.spring.io/spring-boot, "Common
//! Application Properties").

use super::tree::{Node, documents, entry};
use super::words::{bytes, host_port, integer, lines, millis, offset, port};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const SPRING: Config = Config {
    name: "Spring Boot properties",
    product: Product::Spring,
    fits,
    read,
    source: "https://docs.spring.io/spring-boot/appendix/application-properties/index.html",
    example: "server.port=8080\nserver.tomcat.threads.max=200\n",
};

/// Beginnings of names that are read.
const OWN: [&str; 5] = ["server.", "spring.", "management.", "eureka.", "logging."];

fn fits(_: &str, text: &str) -> bool {
    let flat = properties(text);
    let own = flat.iter().filter(|it| OWN.iter().any(|own| it.0.starts_with(own))).count();
    let all = lines(text).filter(|it| !it.starts_with(['#', '!'])).count();
    let known = |name: &str, value: &str| limit(name, value).is_some() || is_other(name);
    if own > 0 && own * 2 >= all && flat.iter().any(|it| known(it.0, it.1)) {
        return true;
    }
    let hint = text.contains("server:") || text.contains("spring:");
    hint && documents(text).iter().any(|it| {
        it.get("services").is_none() && nested(text, it).iter().any(|it| known(&it.0, it.1))
    })
}

fn is_other(name: &str) -> bool {
    matches!(
        name,
        "server.port"
            | "server.address"
            | "server.ssl.enabled"
            | "spring.datasource.url"
            | "spring.data.redis.host"
            | "spring.redis.host"
            | "server.http2.enabled"
    )
}

/// `name=value`, each with its words.
fn properties(text: &str) -> Vec<(&str, &str, &str)> {
    let named = |line| -> Option<(&str, &str, &str)> {
        let line: &str = line;
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        let plain =
            |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_' | b'[' | b']');
        (name.contains('.') && name.bytes().all(plain)).then_some((name, value.trim(), line))
    };
    lines(text).filter(|it| !it.starts_with(['#', '!'])).filter_map(named).collect()
}

/// The same names from a tree: `server: { port: 1 }` is `server.port`. Only what begins as ours is
/// followed, so that names stay short.
fn nested<'t>(text: &'t str, document: &Node<'t>) -> Vec<(String, &'t str, &'t str)> {
    let mut all = Vec::new();
    let mut open: Vec<(String, &Node<'t>)> = vec![(String::new(), document)];
    while let Some((prefix, node)) = open.pop() {
        for (key, value) in node.entries().iter().rev() {
            let name =
                if prefix.is_empty() { (*key).to_owned() } else { format!("{prefix}.{key}") };
            let ours = OWN.iter().any(|it| format!("{name}.").starts_with(it));
            match value.as_str() {
                Some(word) if ours => all.push((name, word, entry(text, key, value))),
                None if ours && name.len() < 200 => open.push((name, value)),
                _ => {}
            }
        }
    }
    all.sort_by_key(|it| offset(text, it.2));
    all
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Spring, text);
    for (name, value, quote) in properties(text) {
        setting(&mut places, name, value, quote);
    }
    if places.settings.is_empty() {
        for document in &documents(text) {
            for (name, value, quote) in nested(text, document) {
                setting(&mut places, &name, value, quote);
            }
        }
    }
    places.settings
}

fn setting<'t>(places: &mut Places<'t>, name: &str, value: &'t str, quote: &'t str) {
    let default = value.split_once(':').filter(|_| value.starts_with("${"));
    let plain = default.map_or(value, |(_, it)| it.trim_end_matches('}'));
    match name {
        "server.port" => {
            if let Some(port) = port(plain) {
                let address = format!(":{port}");
                places.add(What::Listens { address, scheme: Scheme::Http }, quote);
            }
        }
        "server.address" => {
            let (address, scheme) = (value.to_owned(), Scheme::Http);
            places.add(What::Listens { address, scheme }, quote);
        }
        "server.ssl.enabled" | "server.http2.enabled" if value == "true" => {
            places.add(What::On { option: name.to_owned() }, quote);
        }
        "spring.datasource.url" => {
            if let Some(address) = host_port(value) {
                places.add(What::Uses { address: address.to_owned() }, address);
            }
        }
        "spring.redis.host" | "spring.data.redis.host" => {
            places.add(What::Uses { address: value.to_owned() }, quote);
        }
        _ => {
            if let Some((limit, value)) = limit(name, plain) {
                places.limit(limit, value, quote);
            }
        }
    }
}

fn limit(name: &str, value: &str) -> Option<(Limit, Option<i64>)> {
    let ms = millis(value, 1);
    Some(match name {
        "server.tomcat.threads.max"
        | "server.tomcat.max-threads"
        | "server.jetty.threads.max"
        | "server.undertow.threads.worker" => (Limit::Workers, integer(value)),
        "server.tomcat.max-connections" => (Limit::Concurrency, integer(value)),
        "server.tomcat.accept-count" => (Limit::Backlog, integer(value)),
        "server.tomcat.connection-timeout" | "server.connection-timeout" => (Limit::Client, ms),
        "server.tomcat.keep-alive-timeout" | "server.netty.idle-timeout" => {
            (Limit::KeepAliveClose, ms)
        }
        "server.max-http-header-size" | "server.max-http-request-header-size" => {
            (Limit::RequestHead, bytes(value))
        }
        "spring.lifecycle.timeout-per-shutdown-phase" => (Limit::Graceful, ms),
        "spring.mvc.async.request-timeout" => (Limit::Worker, ms),
        "spring.datasource.hikari.maximum-pool-size" => (Limit::DbPool, integer(value)),
        "spring.datasource.hikari.connection-timeout" => (Limit::PoolWait, ms),
        "spring.jpa.properties.jakarta.persistence.query.timeout"
        | "spring.jpa.properties.javax.persistence.query.timeout" => (Limit::Statement, ms),
        "spring.jdbc.template.query-timeout" => (Limit::Statement, millis(value, 1000)),
        "spring.cloud.gateway.httpclient.connect-timeout" => (Limit::Connect, ms),
        "spring.cloud.gateway.httpclient.response-timeout" => (Limit::Read, ms),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn waits_for_the_database_are_read() {
        check_config(
            "application.properties",
            "spring.datasource.hikari.connection-timeout=20000\nspring.jdbc.template.query-timeout=15\nspring.jpa.properties.jakarta.persistence.query.timeout=9000\n",
            "Spring Boot: Limit PoolWait 20000; Limit Statement 15000; Limit Statement 9000",
        );
    }

    #[test]
    fn both_forms_are_read() {
        for (text, want) in [
            (
                "# app\nserver.port=${PORT:8080}\nserver.tomcat.keep-alive-timeout=20s\nspring.datasource.url=jdbc:postgresql://db:5432/app?password=hush\nspring.datasource.password=hush\nspring.datasource.hikari.maximum-pool-size=10\n",
                "Spring Boot: Listens :8080; Limit KeepAliveClose 20000; Uses { address: \"db:5432\" }; Limit DbPool 10",
            ),
            (
                "server:\n  port: 8081\n  max-http-request-header-size: 16KB\nspring:\n  datasource:\n    hikari:\n      maximum-pool-size: 5\n",
                "Spring Boot: Listens :8081; Limit RequestHead 16384; Limit DbPool 5",
            ),
            ("server.port=9090", "Spring Boot: Listens :9090"),
        ] {
            check_config("application.properties", text, want);
        }
        assert!(!super::fits("application.yml", "server: it is down"));
        assert!(!super::fits("application.log", "2026-01-02 INFO server.port=9090 was read"));
    }
}
