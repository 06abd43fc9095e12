//! Where a target lies, for sentences and for commands that a person can paste.
//!
//! **Invariant:** commands are made of our own configuration and of addresses. Nothing that a
//! caller or a target sent gets into one.

use crate::case::Case;
use exchange::Address;
use std::net::IpAddr;

/// The parts of a target's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) https: bool,
    /// A name or an address, without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

impl<'a> Place<'a> {
    /// `None` for a Unix socket.
    fn parse(target: &'a str) -> Option<Place<'a>> {
        if target.starts_with("unix:") {
            return None;
        }
        let (scheme, rest) = target.split_once("://").unwrap_or(("http", target));
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(it) => it.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let https = scheme == "https" || scheme == "https+srv";
        let usual = if https { 443 } else { 80 };
        let port = port.map_or(Some(usual), |it| it.parse().ok())?;
        Some(Place { https, host, port })
    }

    /// The host, where it is a name and no address.
    pub(crate) fn name(&self) -> Option<&'a str> {
        self.host.parse::<IpAddr>().is_err().then_some(self.host)
    }
}

impl<'a> Case<'a> {
    /// The target as configured, taken apart.
    pub(crate) fn place(&self) -> Option<Place<'a>> {
        Place::parse(&self.attempt()?.target)
    }

    /// The host of the target as configured, for sentences.
    pub(crate) fn host(&self) -> &'a str {
        self.place().map_or("the target", |it| it.host)
    }

    /// The host of the target, where it is a name.
    pub(crate) fn name(&self) -> Option<&'a str> {
        self.place()?.name()
    }

    /// The servers stand in SRV records of the name.
    pub(crate) fn is_service(&self) -> bool {
        let scheme = self.attempt().and_then(|it| it.target.split_once("://"));
        scheme.is_some_and(|(scheme, _)| scheme.ends_with("+srv"))
    }

    /// What `dig` is to ask for.
    pub(crate) fn question(&self) -> String {
        let kind = if self.is_service() { " SRV" } else { "" };
        format!("{}{kind}", self.host())
    }

    /// The name, where it has one label only, so that a search list decides what it means.
    pub(crate) fn short_name(&self) -> Option<&'a str> {
        self.name().filter(|it| !it.contains('.') && *it != "localhost")
    }

    /// `HOST:PORT` for commands: the address that was dialled, else the target's.
    pub(crate) fn endpoint(&self) -> String {
        match (self.attempt().and_then(|it| it.address.as_ref()), self.place()) {
            (Some(Address::Inet(address)), _) => address.to_string(),
            (_, Some(place)) if place.host.contains(':') => {
                format!("[{}]:{}", place.host, place.port)
            }
            (_, Some(place)) => format!("{}:{}", place.host, place.port),
            (_, None) => "HOST:PORT".to_owned(),
        }
    }

    /// What stands before the path in a `curl` command that asks the target without the gateway.
    pub(crate) fn url(&self) -> String {
        match (self.unix_path(), self.place()) {
            (Some(path), _) => format!("--unix-socket {path} http://localhost"),
            (None, Some(Place { https: true, host, port })) if !host.contains(':') => {
                format!("https://{host}:{port}")
            }
            (None, Some(Place { https: true, .. })) => format!("https://{}", self.endpoint()),
            (None, _) => format!("http://{}", self.endpoint()),
        }
    }

    /// A setting of this case's upstream, spelled out: `upstream.orders.tls.ca`.
    pub(crate) fn setting(&self, key: &str) -> String {
        let upstream = self.exchange.upstream.as_deref().unwrap_or("NAME");
        format!("`upstream.{upstream}.{key}`")
    }

    /// One handshake as the gateway makes it, without a request.
    pub(crate) fn handshake(&self) -> String {
        let connection = self.attempt().and_then(|it| it.connection.as_ref());
        let sent = connection.and_then(|it| it.tls.as_ref()?.server_name.as_deref());
        let asked = self.certificate().map(|it| it.asked.as_str());
        let asked = asked.filter(|it| it.parse::<IpAddr>().is_err());
        let name = match sent.or(asked).or_else(|| self.name()) {
            Some(name) => format!("-servername {name}"),
            None => "-noservername".to_owned(),
        };
        format!("openssl s_client -connect {} {name}", self.endpoint())
    }

    /// The certificate that such a handshake is shown: its dates, subject and issuer.
    pub(crate) fn show_certificate(&self) -> String {
        format!("{} </dev/null | openssl x509 -noout -dates -subject -issuer", self.handshake())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let found = Place::parse(target).map_or("-".to_owned(), |it| {
            format!("{} {} {} {}", it.https, it.host, it.port, it.name().is_some())
        });
        assert_eq!(found, expected, "{target}");
    }

    #[test]
    fn a_target_is_taken_apart() {
        check("http://127.0.0.1:8000", "false 127.0.0.1 8000 false");
        check("https://app.internal", "true app.internal 443 true");
        check("http://app/base", "false app 80 true");
        check("https://[::1]:8443/", "true ::1 8443 false");
        check("http://[::1]", "false ::1 80 false");
        check("unix:/run/app.sock", "-");
        check("http://app:port", "-");
    }
}
