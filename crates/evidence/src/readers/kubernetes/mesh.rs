//! What looks at the mesh and the network: `istioctl analyze`, `proxy-status`, `proxy-config endpoints`
//! and `authn tls-check`, Cilium.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::readers::table::columns;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const MESH: Reader = Reader {
    name: "istioctl and Cilium",
    product: Product::Kubernetes,
    hooks: &["[IST0", "CONFLICT", "Policy denied", "STALE", "HEALTHY"],
    fits: |line| found(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = found(&line.text) {
            sink.event(
                Event::new(Product::Kubernetes, it.sign, Trust::B, span_of(&line.text, it.words))
                    .who(it.who)
                    .upstream(it.upstream)
                    .detail(it.detail),
            );
        }
    },
    source: "https://istio.io/latest/docs/reference/config/analysis/; hubble observe",
    example: "Error [IST0101] (VirtualService shop.default) Referenced host not found: \"shop-v2\"",
};

struct Found<'a> {
    sign: Sign,
    words: &'a str,
    who: Option<&'a str>,
    upstream: Option<&'a str>,
    detail: Option<&'a str>,
}

fn found(text: &str) -> Option<Found<'_>> {
    analysis(text)
        .or_else(|| tls_check(text))
        .or_else(|| proxy_status(text))
        .or_else(|| endpoint(text))
        .or_else(|| cilium(text))
}

/// `Warning [IST0103] (Pod shop-7d-x.default) The pod is missing the Istio proxy. …`
fn analysis(text: &str) -> Option<Found<'_>> {
    let text = text.trim_start();
    let rest = ["Error [", "Warning [", "Info ["].iter().find_map(|it| text.strip_prefix(it))?;
    let (code, rest) = rest.split_once("] (")?;
    let (resource, message) = rest.split_once(") ")?;
    let sign = match code {
        // Referenced host, subset or selector not found.
        "IST0101" | "IST0109" => Sign::NoCluster,
        "IST0103" => Sign::SidecarNotReady,
        // Policies and rules that disagree on mutual TLS; a rule without TLS in a strict mesh.
        "IST0113" | "IST0112" | "IST0128" | "IST0129" | "IST0148" => Sign::MtlsMismatch,
        // The name of a port decides its protocol; a port that is bound to localhost.
        "IST0118" => Sign::ProtocolError,
        "IST0143" => Sign::TargetPortMissing,
        _ => return None,
    };
    Some(Found {
        sign,
        words: message.trim_end(),
        who: resource.split(' ').nth(1),
        upstream: None,
        detail: between(message, "\"", "\""),
    })
}

/// `shop.default.svc.cluster.local:8000   CONFLICT   mTLS   HTTP   default/   shop/default`.
fn tls_check(text: &str) -> Option<Found<'_>> {
    let mut words = text.split_ascii_whitespace();
    let (host, status) = (words.next()?, words.next()?);
    let fits = status == "CONFLICT" && crate::address::port(host).is_some() && words.count() >= 2;
    fits.then_some(Found {
        sign: Sign::MtlsMismatch,
        words: status,
        who: None,
        upstream: Some(host),
        detail: None,
    })
}

/// `shop-7d-x.default   Kubernetes   SYNCED   SYNCED   STALE   SYNCED   NOT SENT   istiod-x   1.20.1`:
/// clusters, listeners, endpoints, routes. Only old endpoints send requests to servers that are gone.
fn proxy_status(text: &str) -> Option<Found<'_>> {
    let columns: Vec<&str> = columns(text).take(12).collect();
    let who = *columns.first().filter(|it| it.contains('.') && !it.contains(' '))?;
    let states = ["SYNCED", "STALE", "NOT SENT", "IGNORED"];
    let is_state = |it: &&&str| states.iter().any(|state| it.starts_with(state));
    let cells: Vec<&&str> = columns.iter().skip(1).filter(is_state).collect();
    let endpoints = **cells.get(2)?;
    (cells.len() >= 4 && endpoints.starts_with("STALE")).then_some(Found {
        sign: Sign::DiscoveryStale,
        words: endpoints,
        who: Some(who),
        upstream: None,
        detail: None,
    })
}

/// `192.0.2.7:8000   UNHEALTHY   OK   outbound|8000||shop.default.svc.cluster.local`, and `FAILED` for a
/// server that outlier detection set aside.
fn endpoint(text: &str) -> Option<Found<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(5).collect();
    let &[address, status, outlier, cluster] = &words[..] else { return None };
    crate::address::port(address)?;
    let host = cluster.split('|').nth(3).filter(|it| !it.is_empty())?;
    let (sign, words) = match (status, outlier) {
        ("UNHEALTHY", "OK" | "FAILED") => (Sign::HealthFailed, status),
        ("HEALTHY", "FAILED") => (Sign::ServerDown, outlier),
        _ => return None,
    };
    Some(Found { sign, words, who: Some(host), upstream: Some(address), detail: None })
}

/// `… default/a:51000 (ID:1) <> default/shop:8000 (ID:2) Policy denied DROPPED (TCP Flags: SYN)`.
fn cilium(text: &str) -> Option<Found<'_>> {
    let words = if text.contains("Policy denied DROPPED") {
        "Policy denied DROPPED"
    } else if text.contains("drop (Policy denied") {
        "drop (Policy denied"
    } else {
        return None;
    };
    let arrow = ["<> ", "-> "].iter().find_map(|it| text.rfind(it).map(|at| at + it.len()))?;
    let to = text[arrow..].split(' ').next()?;
    let at = text.find(words)?;
    crate::address::port(to)?;
    Some(Found {
        sign: Sign::PolicyDenied,
        words: &text[at..at + words.len()],
        who: None,
        upstream: Some(to),
        detail: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn analyses_and_drops_are_read() {
        check(
            "Error [IST0113] (DestinationRule shop.default) A DestinationRule and Policy are in \
             conflict with regards to mTLS for host shop",
            "Kubernetes: MtlsMismatch who=shop.default | A DestinationRule and Policy are in \
             conflict with regards to mTLS for host shop",
        );
        check(
            "shop.default.svc.cluster.local:8000   CONFLICT   mTLS   HTTP   default/   shop/default",
            "Kubernetes: MtlsMismatch upstream=shop.default.svc.cluster.local:8000 | CONFLICT",
        );
        check(
            "Nov 20 15:16:30.123: default/a:51000 (ID:1) <> default/shop:8000 (ID:2) Policy denied \
             DROPPED (TCP Flags: SYN)",
            "Kubernetes: PolicyDenied upstream=default/shop:8000 | Policy denied DROPPED",
        );
        check(
            "shop-7d-x.default      Kubernetes   SYNCED   SYNCED   STALE (Never Acknowledged)   SYNCED   NOT SENT   istiod-5f-x   1.20.1",
            "Kubernetes: DiscoveryStale who=shop-7d-x.default | STALE (Never Acknowledged)",
        );
        check(
            "192.0.2.7:8000      UNHEALTHY   OK   outbound|8000||shop.default.svc.cluster.local",
            "Kubernetes: HealthFailed upstream=192.0.2.7:8000 who=shop.default.svc.cluster.local | UNHEALTHY",
        );
        check(
            "192.0.2.7:8000      HEALTHY     FAILED   outbound|8000||shop.default.svc.cluster.local",
            "Kubernetes: ServerDown upstream=192.0.2.7:8000 who=shop.default.svc.cluster.local | FAILED",
        );
        check_nothing(
            "192.0.2.7:8000   HEALTHY   OK   outbound|8000||shop.default.svc.cluster.local",
        );
        check_nothing(
            "shop-7d-x.default   Kubernetes   SYNCED   SYNCED   SYNCED   STALE   NOT SENT   istiod-x   1.20.1",
        );
        check_nothing("the caller sent 192.0.2.7:8000 UNHEALTHY OK outbound|8000||shop");
        check_nothing("CONFLICT (content): Merge conflict in app.py");
        check_nothing("Info [IST0102] (Namespace default) The namespace is not enabled");
    }
}
