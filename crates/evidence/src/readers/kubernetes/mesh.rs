//! What looks at the mesh and the network: `istioctl analyze`, `istioctl authn tls-check`, Cilium.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const MESH: Reader = Reader {
    name: "istioctl and Cilium",
    product: Product::Kubernetes,
    hooks: &["[IST0", "CONFLICT", "Policy denied"],
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
    analysis(text).or_else(|| tls_check(text)).or_else(|| cilium(text))
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
        check_nothing("CONFLICT (content): Merge conflict in app.py");
        check_nothing("Info [IST0102] (Namespace default) The namespace is not enabled");
    }
}
