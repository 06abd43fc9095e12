//! Upstreams and their targets.

use super::Resolve;
use crate::complaint::Complaint;
use crate::leaf::{LONGEST_SOCKET_PATH, StickyBy, Word};
use crate::typed::{
    Balance, Concurrency, Eject, Health, HealthBy, HostSent, Place, Pool, Protocol, Queue, Sticky,
    Target, Upstream, UpstreamTimeouts, UpstreamTls,
};
use crate::written;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

impl Resolve<'_> {
    /// All upstreams, in the order of the file.
    pub(super) fn upstreams(
        &mut self,
        written: BTreeMap<String, written::Upstream>,
    ) -> Vec<Arc<Upstream>> {
        let mut upstreams = Vec::with_capacity(written.len());
        let mut written = written;
        let tree = self.tree;
        for (name, node) in tree.inside("upstream") {
            let good = self.is_good_name("upstream", name);
            let Some(it) = written.remove(name) else {
                continue;
            };
            if !good {
                continue;
            }
            let spans = node.at(&["targets"]).items();
            let place = |index: usize| spans.get(index).unwrap_or(node).span.clone();
            let targets = it.targets.into_iter().map(|it| match it {
                written::Target::Url(url) => url.means,
                written::Target::Table(written::TargetTable { url, weight }) => {
                    Target { weight, ..url.means }
                }
            });
            let targets = targets.enumerate().map(|(at, it)| (it, place(at))).collect();
            let targets = self.spoken_to(name, it.protocol, targets);
            let targets = self.targets(targets);
            let rest = written::Upstream { targets: Vec::new(), ..it };
            let upstream = Arc::new(self.upstream(name, targets, rest));
            self.upstreams.insert(name.to_owned(), upstream.clone());
            upstreams.push(upstream);
        }
        upstreams
    }

    /// Puts what is known of an upstream together; its targets come apart, as routes name some.
    pub(super) fn upstream(
        &mut self,
        name: &str,
        targets: Vec<Arc<Target>>,
        written: written::Upstream,
    ) -> Upstream {
        let written::Upstream {
            targets: _,
            protocol: _,
            balance,
            hash,
            sticky,
            health,
            eject,
            slow_start,
            concurrency: written::Concurrency { adaptive, requests },
            queue,
            timeout,
            pool,
            tls,
            proxy_protocol,
            host,
        } = written;
        let written::UpstreamTimeout { connect, tls: handshake, send, first_byte, idle, tunnel } =
            timeout;
        let written::Queue { requests: waiting, full, gone } = queue;
        let written::Pool { idle: idle_connections, connections, streams, idle_for } = pool;
        Upstream {
            name: name.into(),
            targets,
            balance: self.balance(name, balance, hash),
            sticky: sticky == Some(written::StickyTarget::Cookie),
            health: health.and_then(|it| self.health(name, it)),
            eject: eject_by(eject),
            slow_start: slow_start.means,
            concurrency: Concurrency { adaptive, requests },
            queue: Queue { requests: waiting, full: full.means, gone: gone.means },
            timeout: UpstreamTimeouts {
                connect: connect.means,
                tls: handshake.means,
                send: send.means,
                first_byte: first_byte.means,
                idle: idle.means,
                tunnel: tunnel.means,
            },
            pool: Pool {
                idle: idle_connections,
                connections,
                streams,
                idle_for: idle_for.map(|it| it.means),
            },
            tls: self.tls(name, tls),
            proxy_protocol,
            host: host.map_or(HostSent::Auto, |it| it.means),
        }
    }

    fn balance(
        &mut self,
        name: &str,
        balance: written::Balance,
        hash: Option<Word<StickyBy>>,
    ) -> Balance {
        match balance {
            written::Balance::Hash => {
                let by = hash.map_or(Sticky::Address, |it| it.means);
                if by == Sticky::OwnCookie {
                    let complaint =
                        Complaint::error("bad_value", "a hash goes by what callers send")
                            .help("write `sticky = \"cookie\"` instead, or `cookie:NAME`");
                    self.complain(&["upstream", name, "hash"], complaint);
                }
                return Balance::Hash(by);
            }
            _ if hash.is_some() => {
                let message = "`hash` has no effect without `balance = \"hash\"`";
                self.error("no_effect", &["upstream", name, "hash"], message);
            }
            _ => {}
        }
        match balance {
            written::Balance::RoundRobin => Balance::RoundRobin,
            written::Balance::LeastPending => Balance::LeastPending,
            written::Balance::PeakEwma => Balance::PeakEwma,
            written::Balance::Hash => Balance::Hash(Sticky::Address),
            written::Balance::Random => Balance::Random,
        }
    }

    fn health(&mut self, name: &str, health: written::Health) -> Option<Health> {
        let written::Health {
            by,
            path,
            host,
            status,
            service,
            interval,
            timeout,
            unhealthy_after,
            healthy_after,
        } = health;
        let by = by.unwrap_or(match (&path, &service) {
            (Some(_), _) => written::HealthBy::Http,
            (None, Some(_)) => written::HealthBy::Grpc,
            (None, None) => written::HealthBy::Tcp,
        });
        let (word, of_its_own): (&str, &[&str]) = match by {
            written::HealthBy::Http => ("http", &["path", "host", "status"]),
            written::HealthBy::Tcp => ("tcp", &[]),
            written::HealthBy::Grpc => ("grpc", &["service"]),
        };
        for key in ["path", "host", "status", "service"] {
            let place = ["upstream", name, "health", key];
            if self.tree.has(&place) && !of_its_own.contains(&key) {
                let message = format!("`{key}` has no effect where targets are asked by {word}");
                self.error("no_effect", &place, &message);
            }
        }
        let by = match by {
            written::HealthBy::Http => {
                let Some(path) = path else {
                    let complaint = Complaint::error("missing_key", "no path is asked for");
                    let place = ["upstream", name, "health"];
                    self.complain(&place, complaint.help("add `path`, such as `\"/health\"`"));
                    return None;
                };
                let (path, host) = (path.means.into(), host.map(|it| it.means.into()));
                HealthBy::Http { path, host, status: status.means }
            }
            written::HealthBy::Tcp => HealthBy::Tcp,
            written::HealthBy::Grpc => {
                HealthBy::Grpc { service: service.unwrap_or_default().into() }
            }
        };
        let (interval, timeout) = (interval.means, timeout.means);
        Some(Health { by, interval, timeout, unhealthy_after, healthy_after })
    }

    fn tls(&mut self, name: &str, tls: written::Tls) -> UpstreamTls {
        let written::Tls { verify, ca, server_name, cert, key } = tls;
        for (one, other) in [("cert", "key"), ("key", "cert")] {
            let has = |key| self.tree.has(&["upstream", name, "tls", key]);
            if has(one) && !has(other) {
                let message = format!("`{one}` is of use only together with `{other}`");
                self.error("half_a_pair", &["upstream", name, "tls", one], &message);
            }
        }
        UpstreamTls {
            verify,
            ca: ca.map(|it| self.file(it)),
            server_name: server_name.map(|it| it.means.into()),
            client: cert.zip(key).map(|(cert, key)| (self.file(cert), self.file(key))),
        }
    }

    /// Targets with what is spoken to them: what their URL says, else what their upstream says.
    fn spoken_to(
        &mut self,
        name: &str,
        protocol: Option<written::Protocol>,
        mut targets: Vec<(Target, Range<usize>)>,
    ) -> Vec<(Target, Range<usize>)> {
        let Some(protocol) = protocol else {
            return targets;
        };
        for (target, span) in &mut targets {
            let by_url = target.protocol == Protocol::Http2;
            match protocol {
                written::Protocol::Http1 if by_url => {
                    let message =
                        "this target speaks HTTP/2 by its URL, and `protocol` says HTTP/1";
                    self.complaints
                        .push(Complaint::error("protocol_mismatch", message).at(span.clone()));
                }
                written::Protocol::Http1 => {}
                written::Protocol::Http2 => target.protocol = Protocol::Http2,
                written::Protocol::Auto if target.tls => target.protocol = Protocol::Auto,
                written::Protocol::Auto => {}
            }
        }
        if protocol == written::Protocol::Auto && !targets.iter().any(|(it, _)| it.tls) {
            let message = "`auto` asks targets by TLS, and none of them is an `https` one";
            self.error("no_effect", &["upstream", name, "protocol"], message);
        }
        targets
    }

    /// Targets with where they stand: socket files are counted from our folder, repeats refused.
    pub(super) fn targets(&mut self, targets: Vec<(Target, Range<usize>)>) -> Vec<Arc<Target>> {
        let mut seen = HashSet::new();
        let mut good = Vec::with_capacity(targets.len());
        for (mut target, span) in targets {
            if let Place::Unix(path) = &target.place {
                let path = self.base.join(&**path);
                let Some(path) = path.to_str().filter(|it| it.len() <= LONGEST_SOCKET_PATH) else {
                    let message = "from the folder of this file, the path of the socket is longer \
                                   than 107 bytes or not Unicode";
                    self.complaints.push(Complaint::error("bad_value", message).at(span));
                    continue;
                };
                target.place = Place::Unix(path.into());
            }
            let Target { name: _, place, tls, protocol: _, authority: _, base_path, weight: _ } =
                &target;
            if !seen.insert((format!("{place:?}"), *tls, base_path.clone())) {
                let complaint = Complaint::error("same_target", "this target is listed twice");
                self.complaints.push(complaint.at(span));
                continue;
            }
            good.push(Arc::new(target));
        }
        good
    }
}

fn eject_by(eject: written::Eject) -> Eject {
    let written::Eject { after, errors, slower, first, longest, share } = eject;
    Eject {
        after,
        errors: errors.means,
        slower,
        first: first.means,
        longest: longest.means,
        share: share.means,
    }
}
