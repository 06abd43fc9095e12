//! Routes and upstreams of APISIX (apisix.apache.org/docs/apisix/admin-api).

use super::tree::{Node, documents, entry};
use super::words::millis;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const APISIX: Config = Config {
    name: "APISIX route",
    product: Product::Apisix,
    fits,
    read,
    source: "https://apisix.apache.org/docs/apisix/admin-api/",
    example: "{\"uri\": \"/x\", \"upstream\": {\"type\": \"roundrobin\", \"nodes\": {\"app:8000\": 1}}}\n",
};

fn upstreams<'d, 't>(documents: &'d [Node<'t>]) -> Vec<&'d Node<'t>> {
    let own = |it: &&Node<'_>| {
        it.get("nodes").is_some_and(|it| it.is_map() || !it.items().is_empty())
            && ["type", "scheme", "pass_host", "retries"].iter().any(|name| it.str(name).is_some())
    };
    documents.iter().flat_map(Node::maps).filter(own).collect()
}

fn fits(_: &str, text: &str) -> bool {
    text.contains("nodes") && !upstreams(&documents(text)).is_empty()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Apisix, text);
    for upstream in upstreams(&documents(text)) {
        let scheme = Scheme::of(upstream.str("scheme").unwrap_or("http"));
        for (address, disabled, quote) in nodes(text, upstream) {
            let group = upstream.str("id").or(upstream.str("name")).unwrap_or_default().to_owned();
            places.add(What::Member { group, address: address.clone(), disabled }, quote);
            let decisive = upstream.said(text, "scheme").map_or(quote, |(_, it)| it);
            places.add(What::Dials { to: address, scheme }, decisive);
        }
        for (key, limit) in
            [("connect", Limit::Connect), ("read", Limit::Read), ("send", Limit::Send)]
        {
            if let Some((time, quote)) = upstream.get("timeout").and_then(|it| it.said(text, key)) {
                places.limit(limit, millis(time, 1000), quote);
            }
        }
        if let Some((on, quote)) = upstream.said(text, "retries") {
            places.add(What::Retries { on: on.to_owned() }, quote);
        }
        if let Some((value, quote)) = upstream.said(text, "pass_host") {
            let (name, value) = ("Host".to_owned(), value.to_owned());
            places.add(What::SetsHeader { name, value }, quote);
        }
        if let Some((path, quote)) = upstream.said(text, "checks/active/http_path") {
            let quote = quote.split('?').next().unwrap_or(quote);
            let path = path.split('?').next().unwrap_or(path).to_owned();
            places.add(What::HealthCheck { path: Some(path), port: None, scheme: None }, quote);
        }
    }
    places.settings
}

/// `{"host:port": weight}`, or a list of hosts and ports.
fn nodes<'t>(text: &'t str, upstream: &Node<'t>) -> Vec<(String, bool, &'t str)> {
    let Some(nodes) = upstream.get("nodes") else { return Vec::new() };
    let mapped = nodes.entries().iter().map(|(address, weight)| {
        ((*address).to_owned(), weight.as_str() == Some("0"), entry(text, address, weight))
    });
    let listed = nodes.items().iter().filter_map(|it| {
        let (host, quote) = it.said(text, "host")?;
        let address = it.str("port").map_or(host.to_owned(), |port| format!("{host}:{port}"));
        Some((address, it.str("weight") == Some("0"), quote))
    });
    mapped.chain(listed).collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn both_forms_of_nodes_are_read() {
        for (text, want) in [
            (
                "{\n  \"uri\": \"/a\",\n  \"upstream\": {\n    \"nodes\": [{\"host\": \"app\", \"port\": 9081, \"weight\": 1}],\n    \"scheme\": \"grpc\",\n    \"timeout\": {\"read\": 6}\n  }\n}",
                "APISIX: Member { group: \"\", address: \"app:9081\", disabled: false }; Dials app:9081 Grpc; Limit Read 6000",
            ),
            (
                "upstream:\n  type: roundrobin\n  nodes:\n    \"192.0.2.1:80\": 0\n",
                "APISIX: Member { group: \"\", address: \"192.0.2.1:80\", disabled: true }; Dials 192.0.2.1:80 Http",
            ),
        ] {
            check_config("route.json", text, want);
        }
        assert!(!super::fits("route.json", "{\"nodes\": 3}"));
    }
}
