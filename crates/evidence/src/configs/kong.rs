//! Kong's declarative files and resources (docs.konghq.com/gateway/latest/production/deployment-topologies/db-less-and-declarative-config).

use super::tree::{Node, documents};
use super::words::{host_port, is_safe, millis};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const KONG: Config = Config {
    name: "Kong configuration",
    product: Product::Kong,
    fits,
    read,
    source: "https://developer.konghq.com/gateway/entities/service/",
    example: "_format_version: \"3.0\"\nservices:\n  - name: app\n    url: http://app:8000\n",
};

fn fits(_: &str, text: &str) -> bool {
    let hint = ["_format_version", "connect_timeout", "read_timeout", "strip_path", "upstreams"];
    hint.iter().any(|it| text.contains(it))
        && documents(text).iter().any(|it| {
            let services = it.list("services");
            it.get("_format_version").is_some() || services.iter().any(is_service) || is_service(it)
        })
}

fn is_service(node: &Node<'_>) -> bool {
    let to =
        node.get("url").is_some() || node.get("host").is_some() && node.get("protocol").is_some();
    let own = ["connect_timeout", "read_timeout", "write_timeout", "routes", "retries"];
    to && own.iter().any(|it| node.get(it).is_some())
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Kong, text);
    for document in &documents(text) {
        if document.list("services").is_empty() && is_service(document) {
            service(&mut places, document);
        }
        document.list("services").iter().for_each(|it| service(&mut places, it));
        places.service(None);
        document.list("upstreams").iter().for_each(|it| upstream(&mut places, it));
    }
    places.settings
}

fn service<'t>(places: &mut Places<'t>, service: &Node<'t>) {
    let text = places.text();
    places.service(service.str("name"));
    if let Some((url, quote)) = service.said(text, "url") {
        if let Some(to) = host_port(url) {
            let scheme = Scheme::of(url.split("://").next().unwrap_or_default());
            let quote = if is_safe(url) { quote } else { to };
            places.add(What::Dials { to: to.to_owned(), scheme }, quote);
        }
    } else if let Some((host, quote)) = service.said(text, "host") {
        let to = service.str("port").map_or(host.to_owned(), |it| format!("{host}:{it}"));
        let scheme = Scheme::of(service.str("protocol").unwrap_or("http"));
        places.add(What::Dials { to, scheme }, quote);
    }
    for (key, limit) in [
        ("connect_timeout", Limit::Connect),
        ("read_timeout", Limit::Read),
        ("write_timeout", Limit::Send),
    ] {
        if let Some((time, quote)) = service.said(text, key) {
            places.limit(limit, millis(time, 1), quote);
        }
    }
    if let Some((on, quote)) = service.said(text, "retries") {
        places.add(What::Retries { on: on.to_owned() }, quote);
    }
    if let Some((on, quote)) = service.said(text, "tls_verify") {
        places.add(What::Verifies { on: on == "true" }, quote);
    }
    for route in service.list("routes") {
        for host in route.list("hosts").iter().filter_map(Node::as_str) {
            places.add(What::ServedAs { host: host.to_owned() }, host);
        }
    }
}

fn upstream<'t>(places: &mut Places<'t>, upstream: &Node<'t>) {
    let text = places.text();
    let group = upstream.str("name").unwrap_or_default();
    for target in upstream.list("targets") {
        if let Some((address, quote)) = target.said(text, "target") {
            let disabled = target.str("weight") == Some("0");
            let (group, address) = (group.to_owned(), address.to_owned());
            places.add(What::Member { group, address, disabled }, quote);
        }
    }
    if let Some((path, quote)) = upstream.said(text, "healthchecks/active/http_path") {
        let quote = quote.split('?').next().unwrap_or(quote);
        let path = path.split('?').next().unwrap_or(path).to_owned();
        places.add(What::HealthCheck { path: Some(path), port: None, scheme: None }, quote);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn services_and_targets_are_read() {
        check_config(
            "kong.yml",
            "_format_version: \"3.0\"\nservices:\n- name: app\n  host: group\n  port: 8000\n  protocol: grpc\n  read_timeout: 60000\n  routes:\n  - hosts: [a.example.com]\n- name: other\n  url: https://me:secret@192.0.2.1/x\nupstreams:\n- name: group\n  targets:\n  - target: 192.0.2.2:8000\n    weight: 0\n",
            "Kong: [app] Dials group:8000 Grpc; [app] Limit Read 60000; [app] ServedAs { host: \"a.example.com\" }; \
             [other] Dials 192.0.2.1 Https; Member { group: \"group\", address: \"192.0.2.2:8000\", disabled: true }",
        );
        check_config(
            "",
            "{\"host\": \"app\", \"port\": 80, \"protocol\": \"http\", \"connect_timeout\": 100}",
            "Kong: Dials app:80 Http; Limit Connect 100",
        );
        assert!(!super::fits("kong.yml", "read_timeout: it is too short"));
    }
}
