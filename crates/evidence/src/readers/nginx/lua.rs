//! Lines of the gateways in Lua: Kong, APISIX, ingress-nginx and what runs on OpenResty.
//!
//! `[lua] balancer.lua:900: execute(): TEXT`: the text is code's own, and begins after the place.

use super::message::Said;
use crate::product::Product;
use crate::reader::{between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) fn read(own: &str) -> Option<Said<'_>> {
    let (kong, rest) = match own.strip_prefix("[kong] ") {
        Some(rest) => (true, rest),
        None => (false, own.strip_prefix("[lua] ")?),
    };
    let (file, text) = place(rest)?;
    kong_says(text)
        .or_else(|| apisix_says(text))
        .map(|(sign, product, words, name)| {
            let product = if kong { Product::Kong } else { product };
            Said::new(sign, span_of(own, words)).product(product).upstream(name).detail(name)
        })
        .or_else(|| {
            let thrown = text.strip_prefix("lua entry thread aborted: runtime error: ")?;
            let span = span_of(own, &text[.."lua entry thread aborted: runtime error".len()]);
            Some(
                Said::new(Sign::UnhandledException, span)
                    .product(Product::OpenResty)
                    .trust(Trust::D)
                    .detail(Some(crate::scan::clip(thrown, 200))),
            )
        })
        .filter(|_| !file.is_empty())
}

/// The file, and the text behind `file.lua:900: function(): `.
fn place(rest: &str) -> Option<(&str, &str)> {
    let (file, after) = rest.split_once(".lua:")?;
    if file.len() > 200 || file.contains(' ') {
        return None;
    }
    let text = after[super::digits(after)..].strip_prefix(": ").or_else(|| {
        // `balancer.lua:900 [balancer] text`
        after[super::digits(after)..].strip_prefix(' ')
    })?;
    let text = match text.split_once("(): ") {
        Some((name, text)) if name.len() < 80 && !name.contains([' ', '"']) => text,
        _ => text,
    };
    // `[upstream:x 1] text`: the health checker and others name themselves.
    let text = match text.strip_prefix('[').and_then(|it| it.split_once("] ")) {
        Some((_, text)) => text,
        None => text,
    };
    Some((file, text))
}

type Word<'a> = (Sign, Product, &'a str, Option<&'a str>);

/// kong/runloop/balancer, kong/resty/dns/client.lua.
fn kong_says(text: &str) -> Option<Word<'_>> {
    for head in ["DNS resolution failed: ", "name resolution failed: "] {
        if let Some(reason) = text.strip_prefix(head) {
            let shown = reason.split([',', '.']).next().unwrap_or(reason);
            let words = &text[..head.len() + shown.len()];
            return Some((dns_sign(shown), Product::Kong, words, tried(reason)));
        }
    }
    if let Some(rest) = text.strip_prefix("failed the initial dns/balancer resolve for '") {
        let (name, reason) = rest.split_once('\'')?;
        let reason = reason.strip_prefix(" with: ")?;
        let shown = reason.split([',', '.']).next().unwrap_or(reason);
        return Some((dns_sign(shown), Product::Kong, shown, Some(name)));
    }
    if text.starts_with("failure to get a peer from the ring-balancer") {
        let words = &text[.."failure to get a peer from the ring-balancer".len()];
        return Some((Sign::NoLiveUpstream, Product::Kong, words, None));
    }
    if text.starts_with("balancer not found for ") {
        let words = &text[.."balancer not found for".len()];
        return Some((Sign::DiscoveryStale, Product::Kong, words, None));
    }
    None
}

/// The name that a DNS client says it asked for: `Tried: ["(short)api:(na) - cache-miss", …]`.
fn tried(reason: &str) -> Option<&str> {
    let name = between(reason, "Tried: [\"(short)", ":");
    name.filter(|it| !it.is_empty() && it.len() < 254)
}

pub(in crate::readers) fn dns_sign(reason: &str) -> Sign {
    match reason {
        // Kong's client writes `3 name error`, APISIX's `3: name error`.
        it if it.contains("name error") => Sign::NameNotFound,
        it if it.contains("server failure") => Sign::NameServerFailed,
        it if it.contains("5 refused") || it.contains("5: refused") => Sign::NameRefused,
        it if it.contains("timeout") => Sign::NameTimedOut,
        _ => Sign::NameUnresolved,
    }
}

/// apisix/balancer.lua, apisix/upstream.lua, apisix/core/resolver.lua.
fn apisix_says(text: &str) -> Option<Word<'_>> {
    const TABLE: [(&str, Sign); 8] = [
        ("failed to find valid upstream server, all upstream servers tried", Sign::NoLiveUpstream),
        ("failed to pick server: ", Sign::NoLiveUpstream),
        ("proxy retry timeout, retry count: ", Sign::Deadline),
        ("all upstream nodes is unhealthy, use default", Sign::ServerDown),
        ("no valid upstream node", Sign::NoEndpoints),
        ("missing upstream configuration in Route or Service", Sign::NoCluster),
        ("failed to parse domain: ", Sign::NameUnresolved),
        ("failed to fetch the upstream by id", Sign::NoCluster),
    ];
    let (words, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    let shown = &text[..words.trim_end_matches([':', ' ']).len()];
    if *sign != Sign::NameUnresolved {
        return Some((*sign, Product::Apisix, shown, None));
    }
    let name = text[words.len()..].split([',', ' ']).next().filter(|it| !it.is_empty());
    let reason = text.split_once("error: ").map_or(shown, |(_, it)| it);
    let reason = reason.split(", client").next().unwrap_or(reason);
    Some((dns_sign(reason), Product::Apisix, reason, name))
}

/// A call that a module in Lua made: `lua tcp socket connect timed out, when connecting to A`.
pub(super) fn socket(own: &str) -> Option<Said<'_>> {
    let rest = own.strip_prefix("lua tcp socket ")?;
    if rest.starts_with("keepalive") || !rest.contains("timed out") {
        return None;
    }
    let end = own.find("timed out")? + "timed out".len();
    let address = own.split_once("when connecting to ").map(|(_, it)| it);
    Some(Said::new(Sign::ExternalTimedOut, 0..end).product(Product::OpenResty).detail(address))
}
