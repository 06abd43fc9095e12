//! Comparing where a proxy dials with where things listen: what several causes ask.

use crate::dossier::{Cite, Dossier, Listener};
use crate::text::When;
use evidence::{Product, Sign, What, address};

/// An address that the proxy dials, and the line or setting that says so.
pub(crate) struct Dialled {
    pub(crate) to: String,
    pub(crate) cite: Cite,
}

impl Dossier<'_> {
    /// What the failures say was dialled, else what the configurations say will be. A name that only
    /// the proxy's configuration knows is no address: its members are, where they were read.
    pub(crate) fn dialled(&self) -> Vec<Dialled> {
        let members = self.members();
        if !members.is_empty() {
            let all = members.iter();
            return all
                .map(|(to, cite)| Dialled { to: (*to).to_owned(), cite: cite.clone() })
                .collect();
        }
        if let (Some(to), Some(cite)) = (self.upstream(), self.incident.cites.first())
            && self.incident.of_requests()
            && !self.names_a_group(to)
        {
            return vec![Dialled { to: to.to_owned(), cite: cite.clone() }];
        }
        let dials = self.dials().into_iter().filter(|it| !self.index.is_group(it.to));
        dials.map(|it| Dialled { to: it.to.to_owned(), cite: it.cite }).collect()
    }

    /// The addresses behind the name that the failures give for what was dialled.
    fn members(&self) -> Vec<(&str, Cite)> {
        let named = self.incident.upstream.as_deref().filter(|_| self.incident.of_requests());
        let members = named.map_or(&[][..], |it| self.index.members(it));
        members.iter().map(|(to, source, it)| (*to, Cite::setting(*source, it))).collect()
    }

    /// Whether an upstream is the name of a group, or of a server in one, rather than an address:
    /// `shop/s1`, `shop/<NOSRV>` of HAProxy, and what stands where no server was chosen.
    fn names_a_group(&self, upstream: &str) -> bool {
        let path = address::socket(upstream).is_some();
        let unchosen = self.sign() == Sign::NoLiveUpstream && address::port(upstream).is_none();
        !path && (upstream.contains('/') || unchosen || self.index.is_group(upstream))
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

    /// The port of the health check, where it is neither that of the traffic nor one that the app has.
    pub(crate) fn strayed_check(&self) -> Option<(u16, Cite)> {
        let checked = self.settings(|it| match it.what {
            What::HealthCheck { port, .. } => port,
            _ => None,
        });
        let mut used: Vec<u16> =
            self.dialled().iter().filter_map(|it| address::port(&it.to)).collect();
        used.extend(self.listeners().iter().filter_map(|it| address::port(&it.address)));
        let strays = |port: &u16| !used.is_empty() && !used.contains(port);
        checked.into_iter().find(|(port, _)| strays(port))
    }

    /// The app had come up on the very address that is dialled before the first failure: whoever is
    /// refused there later finds it gone.
    pub(crate) fn had_come_up(&self) -> bool {
        let dialled = self.dialled();
        let there = |listener: &Listener| {
            dialled.iter().any(|it| {
                let same = address::host(&it.to) == address::host(&listener.address);
                let covered = same || address::is_unspecified(&listener.address);
                covered
                    && address::port(&it.to) == address::port(&listener.address)
                    && address::is_ipv6(&it.to) == address::is_ipv6(&listener.address)
            })
        };
        let mine = self.dials_loopback() && self.hop_in_container().is_none();
        mine && self
            .listeners_behind()
            .iter()
            .any(|it| it.said && there(it) && self.said_before(it))
    }

    /// For the last time not after the first failure; without times nothing is known.
    fn said_before(&self, listener: &Listener) -> bool {
        let said = self.seen(Sign::Listening, When::Before).into_iter();
        let mut said = said.filter(|it| it.cite() == listener.cite);
        said.any(|it| {
            let at = it.run.opening.at.map(|_| it.run.last + self.clocks.shift(it.key.source));
            at.zip(self.incident.first).is_some_and(|(at, first)| at <= first)
        })
    }

    /// Listeners that can be what the proxy wants to reach: those of the service that it names,
    /// where one of them is of that name.
    pub(crate) fn listeners_behind(&self) -> Vec<Listener> {
        let listeners = self.listeners();
        let host = self.upstream().map(address::host).unwrap_or_default();
        let of_service = |it: &Listener| it.service.as_deref() == Some(host);
        if listeners.iter().any(of_service) {
            return listeners.into_iter().filter(of_service).collect();
        }
        // What other requests are sent to is there for those.
        let ports: Vec<u16> =
            self.dialled().iter().filter_map(|it| address::port(&it.to)).collect();
        let ours = |it: &Listener| {
            address::port(&it.address).is_some_and(|it| ports.contains(&it))
                || it.service.is_some()
                || !self.index.is_dialled(&it.address)
        };
        listeners.into_iter().filter(ours).collect()
    }

    /// Ports of containers and the ports of the host that lead to them.
    pub(crate) fn published(&self) -> Vec<((u16, u16), Cite)> {
        self.settings(|it| match it.what {
            What::Publishes { host, container } => Some((host, container)),
            _ => None,
        })
    }

    /// The same without services of Kubernetes, whose own port is the right one to dial.
    pub(crate) fn published_by_hosts(&self) -> Vec<((u16, u16), Cite)> {
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
