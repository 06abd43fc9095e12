//! Names: of hosts, methods, media types and ourselves.

use super::{Leaf, Wrong};
use crate::matching::HostMatch;
use crate::typed::{HostSent, Sticky};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The `Host` that an upstream sees.
#[derive(Debug)]
pub(crate) struct HostToSend;

/// The host that a route takes.
#[derive(Debug)]
pub(crate) struct HostMatched;

/// The name that a certificate is asked for.
#[derive(Debug)]
pub(crate) struct ServerName;

/// A word without separators, RFC 9110 5.6.2.
#[derive(Debug)]
pub(crate) struct Token;

/// A request method.
#[derive(Debug)]
pub(crate) struct Method;

/// A media type, as a field value.
#[derive(Debug)]
pub(crate) struct ContentType;

/// What keeps a caller with one upstream.
#[derive(Debug)]
pub(crate) struct StickyBy;

/// A host as URLs and `Host` hold it, in lower case and without a trailing dot: a DNS name, an IPv4
/// address, or an IPv6 address in brackets.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    if let Some(inner) = text.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|it| it.parse::<Ipv6Addr>().ok());
        return ip.map(|it| format!("[{it}]")).ok_or_else(|| {
            Wrong::new("has brackets around something that is not an IPv6 address")
        });
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Wrong::new("is an IPv6 address without the brackets around it"));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !name.is_ascii() {
        return Err(Wrong::new("has letters beyond ASCII")
            .help("write such a name in its ASCII form, which begins with `xn--`"));
    }
    let is_label = |it: &str| {
        (1..=63).contains(&it.len())
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Wrong::new("is not the name of a host"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|it| it.is_ascii_digit()) && name.parse::<Ipv4Addr>().is_err() {
        return Err(Wrong::new("looks like an IPv4 address and is none"));
    }
    Ok(name)
}

impl Leaf for HostMatched {
    type Value = HostMatch;
    const FORMAT: &str = "goodgate-host";
    const WHAT: &str = "a host name such as `\"api.example.com\"`";

    fn read(text: &str) -> Result<HostMatch, Wrong> {
        if let Some(below) = text.strip_prefix("*.").filter(|it| !it.contains('*')) {
            let name = match HostMatched::read(below)? {
                HostMatch::Exact(name)
                    if !name.starts_with('[') && name.parse::<Ipv4Addr>().is_err() =>
                {
                    name
                }
                _ => return Err(Wrong::new("is a wildcard before an address")),
            };
            return Ok(HostMatch::Below(format!(".{name}").into()));
        }
        if text.contains('*') {
            return Err(Wrong::new("has a `*` that is not its first label")
                .help("`\"*.example.com\"` is every name below example.com"));
        }
        let has_port = text.rsplit_once(':').is_some_and(|(before, port)| {
            !before.contains(':') && port.bytes().all(|it| it.is_ascii_digit())
                || before.ends_with(']')
        });
        if has_port {
            return Err(Wrong::new("has a port; routes match hosts whatever the port")
                .help("leave the port away"));
        }
        host(text).map(|it| HostMatch::Exact(it.into()))
    }
}

impl Leaf for HostToSend {
    type Value = HostSent;
    const FORMAT: &str = "goodgate-host-sent";
    const WHAT: &str = "`\"keep\"`, `\"target\"` or a host name";

    fn read(text: &str) -> Result<HostSent, Wrong> {
        match text {
            "keep" => return Ok(HostSent::Keep),
            "target" => return Ok(HostSent::Target),
            _ => {}
        }
        let (name, port) = split_port(text)?;
        let name = host(name)?;
        Ok(HostSent::Name(match port {
            Some(port) => format!("{name}:{port}").into(),
            None => name.into(),
        }))
    }
}

/// The host and the port of an authority, where it has one.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), Wrong> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    if text.ends_with(']') {
        return Ok((text, None));
    }
    if host.contains(':') && !host.ends_with(']') {
        return Err(Wrong::new("has an IPv6 address without the brackets around it"));
    }
    let is_port = port.bytes().all(|it| it.is_ascii_digit());
    let number = is_port.then(|| port.parse::<u16>().ok()).flatten().filter(|it| *it > 0);
    let number = number.ok_or_else(|| Wrong::new("has no port from 1 to 65535 after its colon"))?;
    Ok((host, Some(number)))
}

impl Leaf for ServerName {
    type Value = String;
    const FORMAT: &str = "goodgate-server-name";
    const WHAT: &str = "a host name or an IP address";

    fn read(text: &str) -> Result<String, Wrong> {
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(ip.to_string());
        }
        if text.starts_with('[') {
            return Err(Wrong::new("has brackets; an IPv6 address stands here without them"));
        }
        host(text)
    }
}

pub(crate) fn is_token(text: &str) -> bool {
    let is_token_byte = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is_token_byte)
}

impl Leaf for Token {
    type Value = String;
    const FORMAT: &str = "goodgate-token";
    const WHAT: &str = "a word such as `\"goodgate\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        if is_token(text) {
            return Ok(text.to_owned());
        }
        Err(Wrong::new("is not a token of RFC 9110")
            .help("1 to 64 letters, digits and any of ! # $ % & ' * + - . ^ _ ` | ~"))
    }
}

impl Leaf for Method {
    type Value = String;
    const FORMAT: &str = "goodgate-method";
    const WHAT: &str = "a method such as `\"GET\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        if !is_token(text) {
            return Err(Wrong::new("is not the name of a method"));
        }
        if text.bytes().any(|it| it.is_ascii_lowercase()) {
            return Err(Wrong::new("has lower-case letters; methods are written in upper case")
                .help("such as `\"GET\"`"));
        }
        Ok(text.to_owned())
    }
}

impl Leaf for StickyBy {
    type Value = Sticky;
    const FORMAT: &str = "goodgate-sticky";
    const WHAT: &str = "`\"cookie\"`, `\"address\"`, `\"cookie:NAME\"` or `\"header:NAME\"`";

    fn read(text: &str) -> Result<Sticky, Wrong> {
        match text.split_once(':') {
            None if text == "cookie" => Ok(Sticky::OwnCookie),
            None if text == "address" => Ok(Sticky::Address),
            Some(("cookie", name)) if is_token(name) => Ok(Sticky::Cookie(name.into())),
            Some(("header", name)) if is_token(name) => {
                Ok(Sticky::Header(name.to_ascii_lowercase().into()))
            }
            _ => Err(Wrong::new("says nothing that callers can be kept apart by").help(
                "`\"cookie\"` (one of ours), `\"address\"`, `\"cookie:NAME\"` or `\"header:NAME\"`",
            )),
        }
    }
}

impl Leaf for ContentType {
    type Value = String;
    const FORMAT: &str = "goodgate-content-type";
    const WHAT: &str = "a media type such as `\"text/plain; charset=utf-8\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let two_tokens = essence.split_once('/').is_some_and(|it| is_token(it.0) && is_token(it.1));
        let is_plain = text.bytes().all(|it| matches!(it, b' '..=b'~')) && !text.ends_with(' ');
        if two_tokens && is_plain && text.len() <= 256 {
            return Ok(text.to_owned());
        }
        Err(Wrong::new("is not a media type").help("such as `\"application/json\"`"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn hosts_that_routes_take() {
        check::<HostMatched>("API.example.com.", "Exact(\"api.example.com\")");
        check::<HostMatched>("localhost", "Exact(\"localhost\")");
        check::<HostMatched>("10.0.0.1", "Exact(\"10.0.0.1\")");
        check::<HostMatched>("[::0001]", "Exact(\"[::1]\")");
        check::<HostMatched>("*.Example.com", "Below(\".example.com\")");
        for wrong in ["*", "*.", "*x.com", "a.*.com", "*.*.com", "*.10.0.0.1", "*.[::1]", "*.a:80"]
        {
            check::<HostMatched>(wrong, "bad_value");
        }
        for wrong in [
            "api.example.com:80",
            "[::1]:80",
            "::1",
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            "10.0.0.300",
            "é.example",
            "http://x",
        ] {
            check::<HostMatched>(wrong, "bad_value");
        }
        check::<HostMatched>(&"a".repeat(64), "bad_value");
        check::<HostMatched>(&"a.".repeat(128), "bad_value");
    }

    #[test]
    fn hosts_that_are_sent() {
        check::<HostToSend>("keep", "Keep");
        check::<HostToSend>("target", "Target");
        check::<HostToSend>("app.internal:81", "Name(\"app.internal:81\")");
        check::<HostToSend>("[::1]", "Name(\"[::1]\")");
        check::<HostToSend>("[::1]:81", "Name(\"[::1]:81\")");
        check::<HostToSend>("a:0", "bad_value");
        check::<HostToSend>("a:", "bad_value");
        check::<HostToSend>("::1", "bad_value");
        check::<ServerName>("::1", "\"::1\"");
        check::<ServerName>("[::1]", "bad_value");
        check::<ServerName>("a.b", "\"a.b\"");
    }

    #[test]
    fn tokens_methods_and_media_types() {
        check::<Token>("my-gate", "\"my-gate\"");
        check::<Token>("my gate", "bad_value");
        check::<Token>("", "bad_value");
        check::<Token>(&"a".repeat(65), "bad_value");
        check::<Method>("M-SEARCH", "\"M-SEARCH\"");
        check::<Method>("get", "bad_value");
        check::<Method>("GET ", "bad_value");
        check::<StickyBy>("cookie", "OwnCookie");
        check::<StickyBy>("address", "Address");
        check::<StickyBy>("cookie:sid", "Cookie(\"sid\")");
        check::<StickyBy>("header:X-User", "Header(\"x-user\")");
        for wrong in ["", "header", "header:", "header:a b", "ip"] {
            check::<StickyBy>(wrong, "bad_value");
        }
        check::<ContentType>("text/plain; charset=utf-8", "\"text/plain; charset=utf-8\"");
        check::<ContentType>("text", "bad_value");
        check::<ContentType>("text/plain\r\nx: y", "bad_value");
    }
}
