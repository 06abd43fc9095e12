//! Addresses as proxies, servers and configurations write them.

/// The address in what a log calls an upstream, without scheme and path: `127.0.0.1:8000`,
/// `unix:/run/app.sock`, `backend` (a group's or a service's name).
#[must_use]
pub fn authority(upstream: &str) -> &str {
    let rest = match upstream.find("://") {
        Some(at) => &upstream[at + 3..],
        None => upstream,
    };
    if let Some(path) = rest.strip_prefix("unix:") {
        // nginx writes `unix:/run/x.sock:/uri`, and `unix:///run/x.sock:` for some schemes.
        let path = path.strip_prefix("//").unwrap_or(path);
        let end = path.find(':').unwrap_or(path.len());
        let start = rest.len() - path.len();
        let whole = &rest[start..start + end];
        return if start == 5 { &rest[..start + end] } else { whole };
    }
    if rest.starts_with('/') {
        return rest.split([':', '|', ' ']).next().unwrap_or(rest);
    }
    let end = rest.find(['/', '?', ' ', ',', '"']).unwrap_or(rest.len());
    let rest = &rest[..end];
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// The port of an address, where it has one.
#[must_use]
pub fn port(authority: &str) -> Option<u16> {
    let (host, port) = authority.rsplit_once(':')?;
    if host.contains(':') && !host.ends_with(']') {
        return None;
    }
    port.parse().ok()
}

/// The host of an address: a name, an IPv4 address, or an IPv6 address without its brackets.
#[must_use]
pub fn host(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port))
            if port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    };
    host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host)
}

/// The path of a unix socket.
#[must_use]
pub fn socket(authority: &str) -> Option<&str> {
    let path = authority.strip_prefix("unix:").unwrap_or(authority);
    path.starts_with('/').then_some(path)
}

/// `localhost`, 127.0.0.0/8, `::1`: the machine or container itself.
#[must_use]
pub fn is_loopback(authority: &str) -> bool {
    let host = host(authority);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// `0.0.0.0`, `::`, `*` or nothing: every interface.
#[must_use]
pub fn is_unspecified(authority: &str) -> bool {
    let host = host(authority);
    matches!(host, "" | "*" | "0.0.0.0" | "::")
}

#[must_use]
pub fn is_ipv6(authority: &str) -> bool {
    host(authority).parse::<std::net::Ipv6Addr>().is_ok()
}

/// A number, not a name.
#[must_use]
pub fn is_ip(authority: &str) -> bool {
    host(authority).parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_all_that_is_written_around_it() {
        for (written, want) in [
            ("http://127.0.0.1:8000/data", "127.0.0.1:8000"),
            ("fastcgi://unix:/var/run/php5-fpm.sock:", "unix:/var/run/php5-fpm.sock"),
            ("uwsgi://unix:///tmp/uwsgi.sock:", "/tmp/uwsgi.sock"),
            ("http://unix:/home/app/app.sock:/new", "unix:/home/app/app.sock"),
            ("grpc://203.0.113.11:9081", "203.0.113.11:9081"),
            ("10.1.17.2:8000", "10.1.17.2:8000"),
            ("https://[2001:db8::1]:443/x", "[2001:db8::1]:443"),
            ("http://backend/x?y", "backend"),
            ("postgres://user:secret@db:5432/app", "db:5432"),
        ] {
            assert_eq!(authority(written), want, "{written}");
        }
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        assert_eq!((host("[::1]:80"), port("[::1]:80")), ("::1", Some(80)));
        assert_eq!((host("::1"), port("::1")), ("::1", None));
        assert_eq!((host("db"), port("db")), ("db", None));
        assert!(
            is_loopback("localhost:80") && is_loopback("127.0.0.2") && !is_loopback("10.0.0.1")
        );
    }
}
