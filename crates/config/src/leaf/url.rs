//! Targets: the URLs that requests are sent to.

use super::name::{host, split_port};
use super::{Leaf, Wrong};
use crate::path::{PathRules, normal_path};
use crate::typed::{Place, Protocol, Target};
use std::net::IpAddr;
use std::sync::Arc;

/// One target. The path of its Unix socket still counts from the file.
#[derive(Debug)]
pub(crate) struct TargetUrl;

/// The name of an upstream, or a target.
#[derive(Debug)]
pub(crate) struct Destination;

/// What a [`Destination`] means.
#[derive(Debug)]
pub(crate) enum To {
    Upstream(String),
    Target(Target),
}

/// The longest path that fits into a socket address, its NUL not counted.
pub(crate) const LONGEST_SOCKET_PATH: usize = 107;

impl Leaf for TargetUrl {
    type Value = Target;
    const FORMAT: &str = "goodgate-target-url";
    const WHAT: &str = "a URL such as `\"http://127.0.0.1:8000\"`";

    fn read(text: &str) -> Result<Target, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(text, path);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Wrong::new("is not a URL").help(
                "such as `\"http://127.0.0.1:8000\"`, `\"https://api.example.com\"` or \
                 `\"unix:/run/app.sock\"`",
            ));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => inet(text, rest, false, Protocol::Http1),
            "https" => inet(text, rest, true, Protocol::Http1),
            "h2c" => inet(text, rest, false, Protocol::Http2),
            "http+srv" => service(text, rest, false, Protocol::Http1),
            "https+srv" => service(text, rest, true, Protocol::Http1),
            "h2c+srv" => service(text, rest, false, Protocol::Http2),
            _ => Err(unknown_scheme()),
        }
    }
}

fn unknown_scheme() -> Wrong {
    Wrong::new("has a scheme that cannot be spoken")
        .help("one of `http://`, `https://`, `h2c://`, `unix:`, or `http+srv://` and its like for SRV records")
}

/// The authority and the path of a URL.
fn parts(rest: &str) -> Result<(&str, &str), Wrong> {
    if rest.contains(['?', '#']) {
        return Err(Wrong::new("has a query or a fragment, which a target cannot have"));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Wrong::new("has a user name before its host, which would not be sent"));
    }
    if authority.is_empty() {
        return Err(Wrong::new("has no host"));
    }
    Ok((authority, path))
}

fn inet(text: &str, rest: &str, tls: bool, protocol: Protocol) -> Result<Target, Wrong> {
    let (authority, path) = parts(rest)?;
    let (name, port) = split_port(authority)?;
    let name = host(name)?;
    let usual = if tls { 443 } else { 80 };
    let port = port.unwrap_or(usual);
    let authority = if port == usual { name.clone() } else { format!("{name}:{port}") };
    Ok(Target {
        name: text.into(),
        place: place(&name, port),
        tls,
        protocol,
        authority: authority.into(),
        base_path: base_path(path)?,
        weight: 1,
    })
}

/// A name whose SRV records say where to dial.
fn service(text: &str, rest: &str, tls: bool, protocol: Protocol) -> Result<Target, Wrong> {
    let (authority, path) = parts(rest)?;
    let (name, port) = split_port(authority)?;
    if port.is_some() {
        return Err(Wrong::new("has a port, which stands in the SRV records").help("leave it away"));
    }
    let name = host(name)?;
    if matches!(place(&name, 0), Place::Inet(_)) {
        return Err(Wrong::new("has an address where SRV records have a name")
            .help("such as `\"http+srv://_http._tcp.app.internal\"`"));
    }
    // What the service is called is no part of the host's name, which a certificate has to name: that
    // of the server comes from DNS, which anybody may have written (RFC 6125 6.2.1).
    let mut domain = name.as_str();
    while let Some((_, rest)) = domain.strip_prefix('_').and_then(|it| it.split_once('.')) {
        domain = rest;
    }
    Ok(Target {
        name: text.into(),
        authority: domain.into(),
        place: Place::Service(name.as_str().into()),
        tls,
        protocol,
        base_path: base_path(path)?,
        weight: 1,
    })
}

fn place(name: &str, port: u16) -> Place {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Place::Inet((ip, port).into()),
        Err(_) => Place::Name { host: name.into(), port },
    }
}

fn base_path(path: &str) -> Result<Arc<str>, Wrong> {
    if path.is_empty() {
        return Ok("".into());
    }
    let normal = normal_path(path, PathRules::SAFE)
        .map_err(|_| Wrong::new("has a path that cannot be put before other paths"))?;
    if normal != path {
        return Err(Wrong::new("has a path that is not in normal form")
            .help("without `.` and `..`, `//`, and escapes of plain letters"));
    }
    Ok(normal.trim_end_matches('/').into())
}

fn unix(text: &str, path: &str) -> Result<Target, Wrong> {
    if path.starts_with('@') {
        return Err(Wrong::later("an abstract socket"));
    }
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return Err(Wrong::new("has a host; a socket file is on this one")),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(
            Wrong::new("does not name a socket file").help("such as `\"unix:/run/app.sock\"`")
        );
    }
    if path.len() > LONGEST_SOCKET_PATH {
        return Err(Wrong::new("has a path longer than the 107 bytes that a socket can have"));
    }
    Ok(Target {
        name: text.into(),
        place: Place::Unix(path.into()),
        tls: false,
        protocol: Protocol::Http1,
        authority: "localhost".into(),
        base_path: "".into(),
        weight: 1,
    })
}

impl Leaf for Destination {
    type Value = To;
    const FORMAT: &str = "goodgate-destination";
    const WHAT: &str = "the name of an upstream, or a URL";

    fn read(text: &str) -> Result<To, Wrong> {
        if text.contains("://") || text.starts_with("unix:") {
            return TargetUrl::read(text).map(To::Target);
        }
        Ok(To::Upstream(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match TargetUrl::read(text) {
            Ok(Target { place, tls, protocol, authority, base_path, .. }) => {
                let tls = if tls { "tls " } else { "" };
                let place = match place {
                    Place::Inet(it) => format!("inet {it}"),
                    Place::Name { host, port } => format!("name {host} {port}"),
                    Place::Service(it) => format!("service {it}"),
                    Place::Unix(it) => format!("unix {it}"),
                };
                let h2 = if protocol == Protocol::Http2 { "h2 " } else { "" };
                format!("{tls}{h2}{place} as {authority}{base_path}")
            }
            Err(it) => it.code.to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn targets() {
        check("http://127.0.0.1:8000", "inet 127.0.0.1:8000 as 127.0.0.1:8000");
        check("http://App.internal", "name app.internal 80 as app.internal");
        check("http://app:80/", "name app 80 as app");
        check("https://api.example.com", "tls name api.example.com 443 as api.example.com");
        check("HTTPS://api.example.com:80", "tls name api.example.com 80 as api.example.com:80");
        check("http://[::1]:81", "inet [::1]:81 as [::1]:81");
        check("h2c://127.0.0.1:1", "h2 inet 127.0.0.1:1 as 127.0.0.1:1");
        check("H2C://h", "h2 name h 80 as h");
        check("http://h:1/base", "name h 1 as h:1/base");
        check("http://h:1/base/", "name h 1 as h:1/base");
        check("http://my_app:1", "name my_app 1 as my_app:1");
        let of_app = "service _http._tcp.app.internal as app.internal";
        check("http+srv://_http._tcp.App.internal", of_app);
        check("http+srv://_http._tcp.app.internal./", of_app);
        check("https+srv://_web._tcp.app/base", "tls service _web._tcp.app as app/base");
        check(
            "h2c+srv://web.service.consul",
            "h2 service web.service.consul as web.service.consul",
        );
        check("unix:/run/app.sock", "unix /run/app.sock as localhost");
        check("unix:///run/app.sock", "unix /run/app.sock as localhost");
        check("unix:app.sock", "unix app.sock as localhost");
    }

    #[test]
    fn what_is_no_target() {
        for wrong in [
            "localhost:8000",
            "ftp://x",
            "http://",
            "http:///x",
            "http://h?x",
            "http://h#x",
            "http://u:p@h",
            "http://h:0",
            "http://h:99999",
            "http://h:",
            "http://h/a/../b",
            "http://h/a%2Fb",
            "http://h//a",
            "http://::1:80",
            "http://10.0.0.300",
            "http://a b",
            "http://h/a b",
            "http+srv://_http._tcp.app:80",
            "http+srv://127.0.0.1",
            "http+srv://[::1]",
            "http+srv://",
            "srv://_http._tcp.app",
            "unix:",
            "unix:/run/",
            "unix://host/x",
            "",
        ] {
            check(wrong, "bad_value");
        }
        check(&format!("unix:/{}", "x".repeat(107)), "bad_value");
        check("unix:@app", "not_in_this_version");
    }
}
