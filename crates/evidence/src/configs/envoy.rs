//! Envoy's bootstrap and dynamic resources in YAML or JSON (envoyproxy.io/docs, "API reference").

use super::tree::{Node, documents, entry};
use super::words::{integer, millis};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const ENVOY: Config = Config {
    name: "Envoy configuration",
    product: Product::Envoy,
    fits,
    read,
    source: "https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto",
    example: "clusters:\n  - name: app\n    connect_timeout: 1s\n    load_assignment:\n      cluster_name: app\n      endpoints:\n        - lb_endpoints:\n            - endpoint:\n                address:\n                  socket_address: { address: 192.0.2.1, port_value: 8000 }\n",
};

const OWN: [&str; 12] = [
    "socket_address",
    "connect_timeout",
    "static_resources",
    "load_assignment",
    "lb_endpoints",
    "http2_protocol_options",
    "route_config",
    "virtual_hosts",
    "typed_extension_protocol_options",
    "lb_policy",
    "filter_chains",
    "transport_socket",
];

fn fits(_: &str, text: &str) -> bool {
    let hint = OWN.iter().any(|it| text.contains(it));
    hint && documents(text).iter().any(|document| {
        let maps = document.maps();
        document.get("_format_version").is_none()
            && document.get("kind").is_none()
            && maps.iter().any(|it| OWN.iter().any(|own| it.get(own).is_some()))
    })
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Envoy, text);
    for document in &documents(text) {
        for map in document.maps() {
            each(&mut places, map);
        }
    }
    places.settings
}

/// Keys have the same meaning wherever they stand, so that pieces read as whole files do.
fn each<'t>(places: &mut Places<'t>, map: &Node<'t>) {
    let text = places.text();
    for (key, value) in map.entries() {
        let quote = entry(text, key, value);
        let word = value.as_str().unwrap_or_default();
        match *key {
            "connect_timeout" => places.limit(Limit::Connect, millis(word, 1000), quote),
            "timeout" if map.get("cluster").is_some() => {
                places.limit(Limit::Total, millis(word, 1000), quote);
            }
            "timeout" if map.get("interval").is_some() => {
                places.limit(Limit::Probe, millis(word, 1000), quote);
            }
            "per_try_timeout" => places.limit(Limit::Read, millis(word, 1000), quote),
            "idle_timeout" => places.limit(Limit::KeepAliveReuse, millis(word, 1000), quote),
            "stream_idle_timeout" | "request_timeout" => {
                places.limit(Limit::Client, millis(word, 1000), quote);
            }
            "max_connections" | "max_requests" => {
                places.limit(Limit::Concurrency, integer(word), quote);
            }
            "max_pending_requests" => places.limit(Limit::Backlog, integer(word), quote),
            "max_request_headers_kb" => {
                let bytes = integer(word).and_then(|it| it.checked_mul(1024));
                places.limit(Limit::RequestHead, bytes, quote);
            }
            "consecutive_5xx" => places.limit(Limit::MaxFails, integer(word), quote),
            "retry_on" => places.add(What::Retries { on: word.to_owned() }, quote),
            "http2_protocol_options" => {
                places.add(What::HttpVersion { version: "2".to_owned() }, key);
            }
            "sni" => places.add(What::SendsName { name: Some(word.to_owned()) }, quote),
            "trusted_ca" => {
                if let Some((file, quote)) = value.said(text, "filename") {
                    places.add(What::Trusts { file: file.to_owned() }, quote);
                }
            }
            "cluster" if !word.is_empty() => {
                places.add(What::Dials { to: word.to_owned(), scheme: Scheme::Unknown }, quote);
            }
            "clusters" => value.items().iter().for_each(|it| cluster(places, it)),
            "load_assignment" if map.get("name").is_none() => members(places, value, ""),
            "listeners" => value.items().iter().for_each(|it| listener(places, it)),
            "domains" => {
                for host in value.texts().into_iter().filter(|it| *it != "*") {
                    places.add(What::ServedAs { host: host.to_owned() }, host);
                }
            }
            "http_health_check" => {
                if let Some((path, quote)) = value.said(text, "path") {
                    let quote = quote.split('?').next().unwrap_or(quote);
                    let path = path.split('?').next().unwrap_or(path).to_owned();
                    places.add(
                        What::HealthCheck { path: Some(path), port: None, scheme: None },
                        quote,
                    );
                }
            }
            _ => {}
        }
    }
}

fn cluster<'t>(places: &mut Places<'t>, cluster: &Node<'t>) {
    let text = places.text();
    let Some((name, quote)) = cluster.said(text, "name") else { return };
    // TLS is a socket of its own kind; `tls_context` is that of older versions.
    let tls = cluster.said(text, "transport_socket/name").filter(|(it, _)| it.contains("tls"));
    let old = cluster.get("tls_context").map(|_| (name, quote));
    let scheme = match (
        tls.or(old),
        cluster.maps().iter().any(|it| it.get("http2_protocol_options").is_some()),
    ) {
        (Some(_), _) => Scheme::Https,
        (None, true) => Scheme::Http2,
        (None, false) => Scheme::Http,
    };
    let quote = tls.map_or(quote, |(_, quote)| quote);
    places.add(What::Dials { to: name.to_owned(), scheme }, quote);
    members(places, cluster, name);
}

fn members<'t>(places: &mut Places<'t>, cluster: &Node<'t>, name: &str) {
    let cluster_name = cluster.maps().iter().find_map(|it| it.str("cluster_name"));
    let group = if name.is_empty() { cluster_name.unwrap_or_default() } else { name };
    let endpoints = cluster.maps().into_iter().filter(|it| {
        it.get("endpoint").is_some() || it.get("hosts").is_some_and(|it| !it.items().is_empty())
    });
    for map in endpoints.flat_map(Node::maps) {
        if let Some((address, quote)) = address(places.text(), map) {
            let group = group.to_owned();
            places.add(What::Member { group, address, disabled: false }, quote);
        }
    }
}

fn listener<'t>(places: &mut Places<'t>, listener: &Node<'t>) {
    let Some(place) = listener.get("address") else { return };
    if let Some((address, quote)) = address(places.text(), place) {
        places.add(What::Listens { address, scheme: Scheme::Unknown }, quote);
    }
}

/// `socket_address: { address, port_value }`, or a pipe.
fn address<'t>(text: &'t str, map: &Node<'t>) -> Option<(String, &'t str)> {
    if let Some((path, quote)) = map.said(text, "pipe/path") {
        return Some((format!("unix:{path}"), quote));
    }
    let socket = map.get("socket_address")?;
    let host = socket.str("address")?;
    let (port, quote) = socket.said(text, "port_value")?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some((format!("{host}:{port}"), quote))
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn whole_files_and_pieces_are_read() {
        for (text, want) in [
            (
                "static_resources:\n  listeners:\n    - address:\n        socket_address: { address: 0.0.0.0, port_value: 10000 }\n      filter_chains:\n        - filters:\n            - typed_config:\n                route_config:\n                  virtual_hosts:\n                    - domains: [\"a.example.com\"]\n                      routes:\n                        - match: { prefix: / }\n                          route: { cluster: app, timeout: 5s }\n  clusters:\n    - name: app\n      connect_timeout: 0.25s\n      http2_protocol_options: {}\n      load_assignment:\n        cluster_name: app\n        endpoints:\n          - lb_endpoints:\n              - endpoint: { address: { socket_address: { address: app, port_value: 8000 } } }\n      transport_socket:\n        name: envoy.transport_sockets.tls\n        typed_config: { sni: app.example.com }\n",
                "Envoy: Listens 0.0.0.0:10000; Dials app Https; Member { group: \"app\", address: \"app:8000\", disabled: false }; \
                 ServedAs { host: \"a.example.com\" }; Dials app Unknown; Limit Total 5000; \
                 Limit Connect 250; HttpVersion { version: \"2\" }; SendsName { name: Some(\"app.example.com\") }",
            ),
            (
                "{\"connect_timeout\": \"0.5s\", \"lb_policy\": \"ROUND_ROBIN\"}",
                "Envoy: Limit Connect 500",
            ),
        ] {
            check_config("envoy.yaml", text, want);
        }
        assert!(!super::fits("envoy.yaml", "[2026-01-02][warning] connect_timeout: was reached"));
        assert!(!super::fits("envoy.yaml", "socket_address"));
    }
}
