//! Comparing where a proxy dials with where things listen: what several causes ask.

use crate::dossier::{Cite, Dossier, Listener};
use evidence::{Product, What, address};

/// An address that the proxy dials, and the line or setting that says so.
pub(crate) struct Dialled {
    pub(crate) to: String,
    pub(crate) cite: Cite,
}

impl Dossier<'_> {
    /// What the failures say was dialled, else what the configurations say will be.
    pub(crate) fn dialled(&self) -> Vec<Dialled> {
        if let (Some(to), Some(cite)) = (self.upstream(), self.incident.cites.first())
            && self.incident.of_requests()
        {
            return vec![Dialled { to: to.to_owned(), cite: cite.clone() }];
        }
        let dials = self.dials().into_iter();
        dials.map(|it| Dialled { to: it.to.to_owned(), cite: it.cite }).collect()
    }

    /// The proxy's own setting that dials this address.
    pub(crate) fn dial_setting(&self, to: &str) -> Option<Cite> {
        self.dials()
            .into_iter()
            .find(|it| address::port(it.to) == address::port(to))
            .map(|it| it.cite)
    }

    /// Only the machine or container itself was dialled.
    pub(crate) fn dials_loopback(&self) -> bool {
        let dialled = self.dialled();
        !dialled.is_empty() && dialled.iter().all(|it| address::is_loopback(&it.to))
    }

    /// What listens on the dialled port.
    pub(crate) fn listener_there(&self) -> Option<Listener> {
        let ports: Vec<u16> =
            self.dialled().iter().filter_map(|it| address::port(&it.to)).collect();
        self.listeners_behind()
            .into_iter()
            .find(|it| address::port(&it.address).is_some_and(|it| ports.contains(&it)))
    }

    /// Listeners that can be what the proxy wants to reach: those of the service that it names,
    /// where one of them is of that name.
    pub(crate) fn listeners_behind(&self) -> Vec<Listener> {
        let listeners = self.listeners();
        let host = self.upstream().map(address::host).unwrap_or_default();
        let of_service = |it: &&Listener| it.service.as_deref() == Some(host);
        match listeners.iter().any(|it| of_service(&it)) {
            true => {
                listeners.into_iter().filter(|it| it.service.as_deref() == Some(host)).collect()
            }
            false => listeners,
        }
    }

    /// Ports of containers and the ports of the host that lead to them. The port of a service of
    /// Kubernetes is none of the host's: who dials it is right.
    pub(crate) fn published(&self) -> Vec<((u16, u16), Cite)> {
        self.settings(|it| match it.what {
            What::Publishes { host, container } if it.product != Product::Kubernetes => {
                Some((host, container))
            }
            _ => None,
        })
    }

    /// The ports that a router (Kubernetes, `VIRTUAL_PORT`) sends requests to.
    pub(crate) fn target_ports(&self) -> Vec<(u16, Cite)> {
        self.settings(|it| match it.what {
            What::TargetPort { port } => Some(port),
            _ => None,
        })
    }

    /// The ports that pods and images name as their own.
    pub(crate) fn exposed(&self) -> Vec<(u16, Cite)> {
        self.settings(|it| match it.what {
            What::Exposes { port } => Some(port),
            _ => None,
        })
    }
}

/// An address that container networks use by default (172.16.0.0/12), as Docker gives them out.
pub(crate) fn is_container_address(authority: &str) -> bool {
    let ip = address::host(authority).parse::<std::net::Ipv4Addr>();
    ip.is_ok_and(|it| it.octets()[0] == 172 && (16..32).contains(&it.octets()[1]))
}
