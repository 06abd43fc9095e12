//! Addresses: where we listen, whom we ask for names, whom we trust.

use super::{Leaf, Wrong};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a listener listens.
#[derive(Debug)]
pub(crate) struct ListenAt;

/// Where a listener listens, or `off`.
#[derive(Debug)]
pub(crate) struct StatusAt;

/// A DNS server; its port is 53 where none is written.
#[derive(Debug)]
pub(crate) struct DnsServer;

/// A network, or one address as the network of only itself.
#[derive(Debug)]
pub(crate) struct Network;

/// A network, or later a group of keys.
#[derive(Debug)]
pub(crate) struct TrustedPeer;

impl Leaf for ListenAt {
    type Value = SocketAddr;
    const FORMAT: &str = "goodgate-listen-address";
    const WHAT: &str = "an address such as `\"127.0.0.1:8080\"`";

    fn read(text: &str) -> Result<SocketAddr, Wrong> {
        if let Ok(addr) = text.parse() {
            return Ok(addr);
        }
        let ip = match text.rsplit_once(':').map(|it| it.0) {
            Some("") => Ipv4Addr::UNSPECIFIED,
            Some("localhost") => Ipv4Addr::LOCALHOST,
            _ => return Err(not_an_address(text)),
        };
        let port = text.rsplit_once(':').and_then(|it| port(it.1));
        let port = port.ok_or_else(|| Wrong::new("does not end in a port from 0 to 65535"))?;
        Ok(SocketAddr::new(IpAddr::V4(ip), port))
    }
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn not_an_address(text: &str) -> Wrong {
    let wrong = Wrong::new("is not an address to listen on");
    if port(text).is_some() {
        return wrong.help("a port alone is written with a colon, such as `\":8080\"`");
    }
    if text.parse::<IpAddr>().is_ok() {
        return wrong.help("a port is missing; an IPv6 address is written `\"[::1]:8080\"`");
    }
    wrong.help("an IP address and a port, such as `\"127.0.0.1:8080\"`; `\":8080\"` is all of IPv4")
}

impl Leaf for StatusAt {
    type Value = Option<SocketAddr>;
    const FORMAT: &str = "goodgate-listen-address-or-off";
    const WHAT: &str = "an address such as `\"127.0.0.1:9901\"`, or `\"off\"`";

    fn read(text: &str) -> Result<Option<SocketAddr>, Wrong> {
        if text == "off" {
            return Ok(None);
        }
        ListenAt::read(text).map(Some)
    }
}

impl Leaf for DnsServer {
    type Value = SocketAddr;
    const FORMAT: &str = "goodgate-dns-server";
    const WHAT: &str = "an IP address, such as `\"10.0.0.2\"` or `\"127.0.0.1:5353\"`";

    fn read(text: &str) -> Result<SocketAddr, Wrong> {
        let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
        let addr = match bare.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, 53),
            Err(_) => text.parse().map_err(|_| {
                Wrong::new("is not the address of a DNS server")
                    .help("an IP address, with a port where it is not 53, such as `\"10.0.0.2\"`")
            })?,
        };
        if addr.port() == 0 {
            return Err(Wrong::new("has the port 0, where nothing can be asked"));
        }
        Ok(addr)
    }
}

impl Leaf for Network {
    type Value = IpNet;
    const FORMAT: &str = "goodgate-network";
    const WHAT: &str = "a network such as `\"10.0.0.0/8\"`, or one address";

    fn read(text: &str) -> Result<IpNet, Wrong> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(ip));
        }
        let net: IpNet = text.parse().map_err(|_| {
            Wrong::new("is not a network")
                .help("such as `\"10.0.0.0/8\"`, `\"fd00::/8\"`, or one address")
        })?;
        if net.trunc() != net {
            return Err(Wrong::new("has bits set beyond its prefix length")
                .help("write the first address of the network, or the address alone"));
        }
        Ok(net)
    }
}

impl Leaf for TrustedPeer {
    type Value = IpNet;
    const FORMAT: &str = "goodgate-trusted-peer";
    const WHAT: &str = Network::WHAT;

    fn read(text: &str) -> Result<IpNet, Wrong> {
        if text.starts_with("key:") {
            return Err(Wrong::later("a group of keys"));
        }
        Network::read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn where_to_listen() {
        check::<ListenAt>("127.0.0.1:8080", "127.0.0.1:8080");
        check::<ListenAt>(":8080", "0.0.0.0:8080");
        check::<ListenAt>("localhost:0", "127.0.0.1:0");
        check::<ListenAt>("[::1]:80", "[::1]:80");
        check::<StatusAt>("off", "None");
        check::<StatusAt>(":1", "Some(0.0.0.0:1)");
        for wrong in
            ["8080", "127.0.0.1", "::1", ":", ":99999", ":+80", "app:80", "*:80", "", "off"]
        {
            check::<ListenAt>(wrong, "bad_value");
        }
    }

    #[test]
    fn dns_servers() {
        check::<DnsServer>("10.0.0.2", "10.0.0.2:53");
        check::<DnsServer>("127.0.0.1:5353", "127.0.0.1:5353");
        check::<DnsServer>("::1", "[::1]:53");
        check::<DnsServer>("[::1]", "[::1]:53");
        check::<DnsServer>("[::1]:54", "[::1]:54");
        check::<DnsServer>("dns.example:53", "bad_value");
        check::<DnsServer>("10.0.0.2:0", "bad_value");
        check::<DnsServer>("", "bad_value");
    }

    #[test]
    fn networks() {
        check::<Network>("10.0.0.0/8", "10.0.0.0/8");
        check::<Network>("::1", "::1/128");
        check::<Network>("10.0.0.1", "10.0.0.1/32");
        check::<Network>("10.0.0.1/8", "bad_value");
        check::<Network>("10.0.0.0/33", "bad_value");
        check::<Network>("key:ops", "bad_value");
        check::<TrustedPeer>("key:ops", "not_in_this_version");
        check::<TrustedPeer>("10.0.0.0/8", "10.0.0.0/8");
    }
}
