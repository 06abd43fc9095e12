//! Istio's rules (istio.io/docs/reference/config/networking and /security).

use crate::configs::tree::Node;
use crate::configs::words::{millis, port};
use crate::product::Product;
use crate::setting::{Limit, Places, Scheme, What};

/// Reads a document that is one of them.
pub(super) fn read<'t>(places: &mut Places<'t>, document: &Node<'t>) -> bool {
    places.product(Product::Istio);
    let spec = document.get("spec").unwrap_or(document);
    match document.str("kind") {
        Some("PeerAuthentication") => peers(places, spec),
        Some("DestinationRule") => destination(places, spec),
        Some("VirtualService") => routes(places, spec),
        Some("ServiceEntry") => entries(places, spec),
        Some("Gateway") if !spec.list("servers").is_empty() => {
            for host in spec.list("servers").iter().flat_map(|it| it.list("hosts")) {
                if let Some(host) = host.as_str() {
                    places.add(What::ServedAs { host: host.to_owned() }, host);
                }
            }
        }
        None if document.at("mtls/mode").is_some() => peers(places, document),
        None if document.get("trafficPolicy").is_some() => destination(places, document),
        _ => {
            places.product(Product::Kubernetes);
            return false;
        }
    }
    true
}

fn peers<'t>(places: &mut Places<'t>, spec: &Node<'t>) {
    let ports = spec.map("portLevelMtls").iter().map(|it| &it.1);
    for node in spec.get("mtls").into_iter().chain(ports) {
        if let Some((mode, quote)) = node.said(places.text(), "mode") {
            places.add(What::MeshTls { mode: mode.to_owned(), host: None }, quote);
        }
    }
    for (key, value) in spec.map("selector/matchLabels") {
        if let Some(word) = value.as_str() {
            let quote = crate::configs::tree::entry(places.text(), key, value);
            places.add(What::Selects { label: format!("{key}={word}") }, quote);
        }
    }
}

fn destination<'t>(places: &mut Places<'t>, spec: &Node<'t>) {
    let text = places.text();
    let host = spec.str("host");
    // A rule without TLS sends plain text where it is about a host of the mesh.
    if let (Some((host, quote)), None) = (spec.said(text, "host"), spec.at("trafficPolicy/tls")) {
        places.add(What::Dials { to: host.to_owned(), scheme: Scheme::Unknown }, quote);
    }
    for map in spec.maps() {
        if let Some((mode, quote)) = map.get("tls").and_then(|it| it.said(text, "mode")) {
            let host = host.map(str::to_owned);
            places.add(What::MeshTls { mode: mode.to_owned(), host }, quote);
        }
        if let Some((name, quote)) = map.get("tls").and_then(|it| it.said(text, "sni")) {
            places.add(What::SendsName { name: Some(name.to_owned()) }, quote);
        }
        for (key, limit, scale) in [
            ("connectTimeout", Limit::Connect, 1000),
            ("idleTimeout", Limit::KeepAliveReuse, 1000),
            ("maxConnections", Limit::Concurrency, 1),
            ("http1MaxPendingRequests", Limit::Backlog, 1),
            ("http2MaxRequests", Limit::Concurrency, 1),
            ("consecutive5xxErrors", Limit::MaxFails, 1),
            ("consecutiveGatewayErrors", Limit::MaxFails, 1),
            ("baseEjectionTime", Limit::SetAside, 1000),
        ] {
            if let Some((value, quote)) = map.said(text, key) {
                places.limit(limit, millis(value, scale), quote);
            }
        }
    }
    for subset in spec.list("subsets") {
        if let Some((name, quote)) = subset.said(text, "name") {
            let host = host.unwrap_or_default().to_owned();
            places.add(What::Subset { host, name: name.to_owned(), defined: true }, quote);
        }
        for (key, value) in subset.map("labels") {
            if let Some(word) = value.as_str() {
                let quote = crate::configs::tree::entry(text, key, value);
                places.add(What::Selects { label: format!("{key}={word}") }, quote);
            }
        }
    }
}

fn routes<'t>(places: &mut Places<'t>, spec: &Node<'t>) {
    let text = places.text();
    for host in spec.list("hosts").iter().filter_map(Node::as_str) {
        places.add(What::ServedAs { host: host.to_owned() }, host);
    }
    for map in spec.maps() {
        if let Some(to) = map.get("destination") {
            if let Some((host, quote)) = to.said(text, "host") {
                let number = to.port("port/number");
                let name = number.map_or(host.to_owned(), |it| format!("{host}:{it}"));
                places.add(What::Dials { to: name, scheme: Scheme::Unknown }, quote);
            }
            if let (Some(host), Some((name, quote))) = (to.str("host"), to.said(text, "subset")) {
                let (host, name) = (host.to_owned(), name.to_owned());
                places.add(What::Subset { host, name, defined: false }, quote);
            }
        }
        if let Some((time, quote)) = map.said(text, "timeout") {
            places.limit(Limit::Total, millis(time, 1000), quote);
        }
        if let Some((on, quote)) = map.get("retries").and_then(|it| it.said(text, "attempts")) {
            places.add(What::Retries { on: on.to_owned() }, quote);
        }
    }
}

fn entries<'t>(places: &mut Places<'t>, spec: &Node<'t>) {
    let text = places.text();
    for host in spec.list("hosts").iter().filter_map(Node::as_str) {
        places.add(What::Service { name: host.to_owned() }, host);
    }
    for item in spec.list("ports") {
        if let Some((number, quote)) = item.said(text, "number")
            && let Some(port) = port(item.str("targetPort").unwrap_or(number))
        {
            places.add(What::TargetPort { port }, quote);
        }
    }
    for item in spec.list("endpoints") {
        if let Some((address, quote)) = item.said(text, "address") {
            let group = spec.list("hosts").first().and_then(Node::as_str).unwrap_or_default();
            let (group, address) = (group.to_owned(), address.to_owned());
            places.add(What::Member { group, address, disabled: false }, quote);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn rules_of_the_mesh_are_read() {
        check_config(
            "rules.yaml",
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: all\nspec:\n  mtls:\n    mode: STRICT\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: web\nspec:\n  host: web\n  trafficPolicy:\n    tls:\n      mode: DISABLE\n    connectionPool:\n      tcp: {maxConnections: 10, connectTimeout: 30ms}\n  subsets:\n  - name: v1\n    labels: {version: v1}\n---\nkind: VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [a.example.com]\n  http:\n  - timeout: 2s\n    route:\n    - destination: {host: web, subset: v2, port: {number: 80}}\n",
            "Kubernetes: [all] MeshTls { mode: \"STRICT\", host: None }; [web] MeshTls { mode: \"DISABLE\", host: Some(\"web\") }; \
             [web] Limit Connect 30; [web] Limit Concurrency 10; [web] Subset { host: \"web\", name: \"v1\", defined: true }; \
             [web] Selects { label: \"version=v1\" }; [web] ServedAs { host: \"a.example.com\" }; [web] Limit Total 2000; \
             [web] Dials web:80 Unknown; [web] Subset { host: \"web\", name: \"v2\", defined: false }",
        );
    }

    #[test]
    fn a_rule_without_tls_is_told_apart() {
        check_config(
            "",
            "apiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\nmetadata:\n  name: web\nspec:\n  host: web\n",
            "Kubernetes: [web] Dials web Unknown",
        );
    }
}
