//! One incident and all that was read about it: what causes are asked about.

use crate::clocks::Clocks;
use crate::incidents::Incident;
use crate::text::{Clue, When};
use evidence::address::{self, authority};
use evidence::clock::{MINUTE, SECOND};
use evidence::{
    GAP, Group, Key, Kind, Limit, Product, Run, Sample, Scheme, Setting, Sign, Testimony, Trust,
    What,
};
use std::collections::{BTreeSet, HashMap};

/// Something that can be quoted.
#[derive(Clone, Debug, PartialEq)]
pub struct Cite {
    pub source: u32,
    pub line: Option<u64>,
    pub offset: Option<u64>,
    pub quote: String,
    pub trust: Trust,
    /// What it says by itself.
    pub says: String,
    pub sign: Option<Sign>,
}

impl Cite {
    #[must_use]
    pub fn sample(key: &Key, sample: &Sample, trust: Trust) -> Cite {
        Cite {
            source: sample.place.source,
            line: sample.place.line,
            offset: sample.inset.map(|it| sample.place.offset + it as u64),
            quote: sample.quote.clone(),
            trust,
            says: key.sign.says().to_owned(),
            sign: Some(key.sign),
        }
    }

    #[must_use]
    pub fn setting(source: u32, setting: &Setting) -> Cite {
        Cite {
            source,
            line: Some(setting.line),
            offset: Some(setting.offset),
            quote: setting.quote.clone(),
            trust: Trust::C,
            says: String::new(),
            sign: None,
        }
    }
}

/// Something that was seen, close enough to the incident to count.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub key: &'a Key,
    pub group: &'a Group,
    /// The run that lies closest.
    pub run: &'a Run,
    /// Between 0 and 1: how surely it belongs to this incident.
    pub near: f32,
    /// Both happened within two seconds, and neither went on for long.
    pub at_once: bool,
}

impl Seen<'_> {
    #[must_use]
    pub fn cite(&self) -> Cite {
        Cite::sample(self.key, &self.run.opening, self.group.trust)
    }

    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.key.detail.as_deref().or(self.run.opening.detail.as_deref())
    }
}

/// An address on which something listens, by a log or a configuration.
#[derive(Clone)]
pub struct Listener {
    pub address: String,
    pub product: Product,
    pub service: Option<String>,
    pub scheme: Scheme,
    /// A process said so; otherwise a configuration asks for it.
    pub said: bool,
    pub cite: Cite,
}

/// An address to which a proxy sends requests, by its configuration.
pub struct Dial<'a> {
    pub to: &'a str,
    pub scheme: Scheme,
    pub product: Product,
    pub service: Option<&'a str>,
    pub cite: Cite,
}

/// One incident and all that was read.
pub struct Dossier<'a> {
    pub testimony: &'a Testimony,
    pub incident: &'a Incident,
    pub clocks: &'a Clocks,
    pub(crate) index: &'a Index<'a>,
    /// A cause that is taken to be unknown to the catalogue.
    pub(crate) without: Option<&'a str>,
}

/// An address, and the setting (with its source) that makes it a member of a group.
type Member<'a> = (&'a str, u32, &'a Setting);

/// What is looked up often, in a fixed order.
pub struct Index<'a> {
    signs: HashMap<Sign, Vec<(&'a Key, &'a Group)>>,
    /// Members by the names under which logs speak of them: `shop`, and `shop/s1` of HAProxy.
    members: HashMap<String, Vec<Member<'a>>>,
    /// Where proxies send requests, by their logs and configurations.
    dialled: BTreeSet<&'a str>,
    /// What failed on the way to an upstream, the first of them.
    faults: Vec<(&'a Key, &'a Group)>,
}

/// Faults beyond this are not looked at where one asks what else failed at a time.
const FAULTS: usize = 128;

impl<'a> Index<'a> {
    pub(crate) fn of(testimony: &'a Testimony) -> Index<'a> {
        let mut groups: Vec<(&Key, &Group)> = testimony.ledger.groups.iter().collect();
        groups.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let wire = groups.iter().filter(|(key, _)| key.sign.kind() == Kind::Wire);
        let faults = wire.take(FAULTS).copied().collect();
        let mut signs: HashMap<Sign, Vec<(&Key, &Group)>> = HashMap::new();
        for (key, group) in groups {
            signs.entry(key.sign).or_default().push((key, group));
        }
        let mut members: HashMap<String, Vec<Member>> = HashMap::new();
        for (source, it) in &testimony.settings {
            let What::Member { group, address, disabled: false } = &it.what else { continue };
            let member = (address.as_str(), *source, it);
            if let Some(server) = server_name(it) {
                members.entry(format!("{group}/{server}")).or_default().push(member);
            }
            members.entry(group.clone()).or_default().push(member);
        }
        let logged = testimony.ledger.groups.keys().filter_map(|it| {
            let failed = matches!(it.sign.kind(), Kind::Wire | Kind::Cut | Kind::Answer);
            it.upstream.as_deref().filter(|_| failed && it.product.stack().is_proxy())
        });
        let asked = testimony.settings.iter().filter_map(|(_, it)| match &it.what {
            What::Dials { to: address, .. } | What::Member { address, .. } => {
                Some(address.as_str())
            }
            _ => None,
        });
        let dialled = logged.chain(asked).collect();
        Index { signs, members, dialled, faults }
    }

    fn of_sign(&self, sign: Sign) -> &[(&'a Key, &'a Group)] {
        self.signs.get(&sign).map_or(&[], Vec::as_slice)
    }

    /// Whether some proxy sends requests to what listens on this address.
    pub(crate) fn is_dialled(&self, address: &str) -> bool {
        self.dialled.iter().any(|it| same_place(it, address) == Some(true))
    }

    pub(crate) fn is_group(&self, name: &str) -> bool {
        !name.is_empty() && self.members.contains_key(name)
    }

    /// The members of a group, or the one server of it that is named.
    pub(crate) fn members(&self, name: &str) -> &[Member<'a>] {
        let group = || self.members.get(name.split_once('/')?.0);
        let found = self.members.get(name).or_else(group).filter(|_| !name.is_empty());
        found.map_or(&[], Vec::as_slice)
    }
}

/// Whether two addresses lead to the same socket of one machine: the same port or path. Nothing, where
/// one of them has neither.
fn same_place(a: &str, b: &str) -> Option<bool> {
    let place = |it| (address::socket(it), address::port(it));
    match (place(a), place(b)) {
        ((None, None), _) | (_, (None, None)) => None,
        (a, b) => Some(a == b),
    }
}

/// The name of a server in its backend, which HAProxy's log gives: `server NAME ADDRESS`.
fn server_name(setting: &Setting) -> Option<&str> {
    (setting.product == Product::HaProxy).then(|| setting.quote.split_whitespace().nth(1)).flatten()
}

/// How far from a failure an act may lie that goes with it.
const AROUND: i64 = MINUTE;
/// At the same moment.
const SAME_MOMENT: i64 = 2 * SECOND;
/// Signs of a process that came up.
const UP: [Sign; 4] = [Sign::Listening, Sign::Ready, Sign::Started, Sign::WorkerBooted];

impl<'a> Dossier<'a> {
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.incident.sign
    }

    /// What was dialled: an address, where the line or a configuration says it, else the name that
    /// the proxy has for it.
    #[must_use]
    pub fn upstream(&self) -> Option<&'a str> {
        let named = self.incident.upstream.as_deref()?;
        match self.index.members(named) {
            [(address, ..)] => Some(address),
            _ => Some(named),
        }
    }

    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.upstream().and_then(address::port)
    }

    /// The product that answered, for sentences: `nginx`.
    #[must_use]
    pub fn hop(&self) -> &'static str {
        match self.incident.hop {
            Product::Unknown | Product::Page => "the proxy",
            it => it.name(),
        }
    }

    /// What was dialled, for sentences: `127.0.0.1:8000`, `the upstream`.
    #[must_use]
    pub fn address(&self) -> &'a str {
        self.upstream().unwrap_or("the upstream")
    }

    /// The product behind the hop, where its lines or settings were read.
    #[must_use]
    pub fn server_product(&self) -> Option<Product> {
        // Of several, the one that said that it listens where requests went.
        let there = self.listener_there().filter(|it| it.said).map(|it| it.product);
        if let Some(it) = there.filter(|it| it.stack().runs_apps() && *it != Product::Unknown) {
            return Some(it);
        }
        let mut products: Vec<Product> = self
            .testimony
            .sources
            .iter()
            .flat_map(|it| it.products.iter().copied())
            .filter(|it| it.stack().runs_apps() && *it != Product::Unknown)
            .collect();
        products.extend(self.listeners().into_iter().map(|it| it.product));
        // Servers before the frameworks and languages in them.
        products.sort_by_key(|it| {
            matches!(
                it,
                Product::Python
                    | Product::Flask
                    | Product::Django
                    | Product::FastApi
                    | Product::Php
                    | Product::Java
                    | Product::Ruby
            )
        });
        let stack = self.incident.hop.stack();
        products.into_iter().find(|it| it.stack() != stack && it.stack().runs_apps())
    }

    /// Who stands behind the hop, for sentences: `gunicorn`, `the upstream`.
    #[must_use]
    pub fn server(&self) -> &'static str {
        self.server_product().map_or("the upstream", Product::name)
    }

    /// The same with its address, where it is no more than `the upstream`.
    #[must_use]
    pub fn server_at(&self) -> String {
        match (self.server_product(), self.upstream()) {
            (Some(it), Some(upstream)) => format!("{} at {upstream}", it.name()),
            (Some(it), None) => it.name().to_owned(),
            (None, Some(upstream)) => upstream.to_owned(),
            (None, None) => "the upstream".to_owned(),
        }
    }

    /// Whether any source is of this product.
    #[must_use]
    pub fn read(&self, product: Product) -> bool {
        self.testimony.sources.iter().any(|it| it.products.contains(&product))
    }

    /// What was seen with a sign, near the incident, most surely first.
    #[must_use]
    pub fn seen(&self, sign: Sign, when: When) -> Vec<Seen<'a>> {
        let groups = self.index.of_sign(sign);
        let mut seen: Vec<Seen> =
            groups.iter().filter_map(|(key, group)| self.near(key, group, when)).collect();
        // Of what lies equally close, the more trusted witness, then the one that says more.
        seen.sort_by(|a, b| {
            let says = |it: &Seen| (it.detail().is_none(), it.key.who.is_none());
            let order = b.near.total_cmp(&a.near).then(a.group.trust.cmp(&b.group.trust));
            order.then_with(|| says(a).cmp(&says(b)))
        });
        seen
    }

    #[must_use]
    pub fn saw(&self, sign: Sign) -> bool {
        !self.seen(sign, When::During).is_empty()
    }

    /// The clue's best witness, and how surely it belongs here.
    pub(crate) fn witness(&self, clue: &Clue) -> Option<Seen<'a>> {
        let weight = |it: &Seen| {
            let cap = crate::text::cap(it.group.trust);
            clue.weight.clamp(-cap, cap).abs() * it.near
        };
        // Of what weighs the same, the first: it says most.
        self.seen(clue.sign, clue.when)
            .into_iter()
            .reduce(|a, b| if weight(&b) > weight(&a) { b } else { a })
    }

    fn near(&self, key: &'a Key, group: &'a Group, when: When) -> Option<Seen<'a>> {
        let link = self.link(key);
        if link == 0.0 {
            return None;
        }
        let (run, time) = self.closest(key, group, when)?;
        let near = link * time;
        let at_once = self.at_once(key, run);
        (near > 0.0).then_some(Seen { key, group, run, near, at_once })
    }

    fn at_once(&self, key: &Key, run: &Run) -> bool {
        let Some((first, last)) = self.incident.first.zip(self.incident.last) else { return false };
        let shift = self.clocks.shift(key.source);
        let timed = run.opening.at.is_some();
        let short = last - first <= MINUTE;
        timed && short && (run.first + shift - last).max(first - run.last - shift) <= SAME_MOMENT
    }

    /// The run that lies closest in time, and what that is worth.
    fn closest(&self, key: &Key, group: &'a Group, when: When) -> Option<(&'a Run, f32)> {
        let shift = self.clocks.shift(key.source);
        let Some((first, last)) = self.incident.first.zip(self.incident.last) else {
            return Some((group.all_runs().next()?, 1.0));
        };
        let untimed = group.untimed.as_ref().map(|it| (it, 0.9));
        let timed = group.runs.iter().filter_map(|run| {
            let (from, to) = (run.first + shift, run.last + shift);
            let gap = (from - last).max(first - to).max(0);
            let worth: f32 = match when {
                When::Any => 1.0,
                _ if gap <= SAME_MOMENT => 1.0,
                _ if gap <= AROUND => 0.9,
                When::Before if to <= last + AROUND => match self.undone(key, to, first) {
                    true => return None,
                    false if first - to > GAP && self.claimed(from, to) => 0.1,
                    false => 0.9,
                },
                _ => return None,
            };
            Some((run, worth))
        });
        let untimed: Option<(&Run, f32)> = untimed;
        timed.chain(untimed).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Requests to another upstream failed around this time: what happened then is rather about them.
    fn claimed(&self, from: i64, to: i64) -> bool {
        let Some(ours) = self.upstream() else { return false };
        self.index.faults.iter().any(|(key, group)| {
            let theirs = key.upstream.as_deref();
            let shift = self.clocks.shift(key.source);
            theirs.is_some_and(|it| same_place(it, ours) == Some(false))
                && group
                    .runs
                    .iter()
                    .any(|it| it.first + shift < to + GAP && from < it.last + shift + GAP)
        })
    }

    /// A service was stopped on purpose before the last failure, and no process came up after that.
    pub(crate) fn stayed_down(&self) -> Option<Cite> {
        let signs = [Sign::ProcessStopped, Sign::ShuttingDown].into_iter();
        let mut stopped = signs.flat_map(|it| self.seen(it, When::Before));
        let stopped = stopped.find(|it| it.key.product.stack() != self.incident.hop.stack())?;
        let came_up = UP.into_iter().flat_map(|it| self.index.of_sign(it)).any(|(up, group)| {
            self.link(up) > 0.0
                && !self.listen_apart(up, stopped.key)
                && group.all_runs().any(|it| self.follows(up, it, &stopped))
        });
        (!came_up && !self.only_then(&stopped)).then(|| stopped.cite())
    }

    /// Requests failed for a few seconds after a process of a cluster was told to end, and no longer
    /// that we know of: what came in its place may be elsewhere.
    fn only_then(&self, stopped: &Seen) -> bool {
        const SECONDS: i64 = 30 * SECOND;
        let timed = stopped.run.opening.at.is_some();
        let told = stopped.run.last + self.clocks.shift(stopped.key.source);
        let in_cluster = stopped.key.product == Product::Kubernetes;
        in_cluster && timed && self.incident.last.is_some_and(|last| last - told <= SECONDS)
    }

    /// Two processes that listen on different addresses: one is not there in place of the other.
    fn listen_apart(&self, one: &Key, other: &Key) -> bool {
        let both = self.addresses_of(one).zip(self.addresses_of(other));
        both.is_some_and(|(one, other)| {
            one.iter().all(|a| other.iter().all(|b| same_place(a, b) == Some(false)))
        })
    }

    /// Whether one of these lines came after what was seen. In one source the order of the lines
    /// says it, where clocks count whole seconds or there are none.
    fn follows(&self, key: &Key, run: &Run, seen: &Seen) -> bool {
        let before = seen.run;
        if key.source == seen.key.source {
            return before.closing.place.offset < run.closing.place.offset;
        }
        match (run.opening.at, before.opening.at) {
            (Some(_), Some(_)) => {
                let shift = |it: &Key| self.clocks.shift(it.source);
                before.first + shift(seen.key) < run.last + shift(key)
            }
            _ => true,
        }
    }

    /// What happened was over before the failures began: the same process came up in between.
    fn undone(&self, key: &Key, at: i64, first: i64) -> bool {
        UP.into_iter().flat_map(|it| self.index.of_sign(it)).any(|(up, group)| {
            let same = up.source == key.source && up.service == key.service;
            let shift = self.clocks.shift(up.source);
            same && group.runs.iter().any(|it| {
                [it.first, it.last].iter().any(|it| at < it + shift && it + shift < first - SECOND)
            })
        })
    }

    /// Whether what was seen can be about this incident's hop or upstream: 0 it is about another.
    fn link(&self, key: &Key) -> f32 {
        let incident = self.incident;
        if key.sign.kind() == Kind::Wire && key.sign != incident.sign {
            // Who was spoken to wrongly tells of the same connection, not of another hop.
            let told_by_listener = matches!(
                key.sign,
                Sign::UwsgiMismatch | Sign::PlainToTlsPort | Sign::ProxyHeaderMissing
            );
            if told_by_listener && key.product.stack() != incident.hop.stack() {
                return 1.0;
            }
            // A fault of another hop, seen at the same time.
            return if key.product.stack() == incident.hop.stack() { 0.5 } else { 0.8 };
        }
        if let (Some(theirs), Some(ours)) = (&key.upstream, &incident.upstream)
            && key.sign.kind() == Kind::Act
            && key.product.stack().is_proxy()
        {
            return if theirs == ours || address::host(theirs) == address::host(ours) {
                1.0
            } else {
                0.3
            };
        }
        let Some(ours) = &incident.upstream else { return 1.0 };
        let host = address::host(ours);
        if let Some(service) = &key.service
            && key.product.stack() != incident.hop.stack()
        {
            // Names of services are hostnames; an address tells nothing.
            let named = self.services();
            if service == host {
                return 1.0;
            }
            if named.contains(host) && !self.depends(host, service) {
                return 0.0;
            }
        }
        // A process that listens elsewhere, while another one listens where we dial, or where others
        // dial.
        if key.product.stack().runs_apps()
            && let Some(ours) = self.upstream()
            && let Some(theirs) = self.addresses_of(key)
            && theirs.iter().all(|it| same_place(it, ours) == Some(false))
            && (self.some_other_source_listens(key, ours)
                || theirs.iter().any(|it| self.index.is_dialled(it)))
        {
            return 0.0;
        }
        1.0
    }

    fn services(&self) -> BTreeSet<&'a str> {
        let keys = self.testimony.ledger.groups.keys().filter_map(|it| it.service.as_deref());
        let named = self.testimony.settings.iter().filter_map(|(_, it)| match &it.what {
            What::Service { name } => Some(name.as_str()),
            _ => None,
        });
        keys.chain(named).collect()
    }

    /// The service named first cannot work without the second.
    fn depends(&self, service: &str, on: &str) -> bool {
        self.testimony.settings.iter().any(|(_, it)| {
            it.service.as_deref() == Some(service)
                && matches!(&it.what, What::DependsOn { service } if service == on)
        }) || matches!(on, "db" | "database" | "postgres" | "mysql" | "mariadb" | "redis" | "mongo")
    }

    /// Where the process that wrote this listens or wants to, as far as its own lines say.
    fn addresses_of(&self, key: &Key) -> Option<Vec<&'a str>> {
        let signs = [Sign::Listening, Sign::PortInUse, Sign::BindFailed].into_iter();
        let addresses: Vec<&str> = signs
            .flat_map(|it| self.index.of_sign(it))
            .filter(|(it, _)| it.source == key.source && it.service == key.service)
            .filter_map(|(it, _)| it.upstream.as_deref().or(it.detail.as_deref()))
            .collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    fn some_other_source_listens(&self, key: &Key, address: &str) -> bool {
        self.index.of_sign(Sign::Listening).iter().any(|(it, _)| {
            (it.source, &it.service) != (key.source, &key.service)
                && it.upstream.as_deref().and_then(|it| same_place(it, address)) == Some(true)
        })
    }

    /// Settings of a kind, with their sources.
    pub fn settings<T>(&self, of: impl Fn(&'a Setting) -> Option<T>) -> Vec<(T, Cite)> {
        self.testimony
            .settings
            .iter()
            .filter_map(|(source, it)| Some((of(it)?, Cite::setting(*source, it))))
            .collect()
    }

    /// The value of a limit, by the first configuration of this kind of product that sets it.
    #[must_use]
    pub fn limit(&self, limit: Limit, of: impl Fn(Product) -> bool) -> Option<(i64, Cite)> {
        let found = self.settings(|it| match it.what {
            What::Limit { limit: there, value } if there == limit && of(it.product) => Some(value),
            _ => None,
        });
        found.into_iter().next()
    }

    /// Where proxies send requests, by their configurations; only the dialled one, where it is
    /// known and there.
    #[must_use]
    pub fn dials(&self) -> Vec<Dial<'a>> {
        let all: Vec<Dial> = self
            .testimony
            .settings
            .iter()
            .filter_map(|(source, it)| match &it.what {
                What::Dials { to, scheme } => Some(Dial {
                    to,
                    scheme: *scheme,
                    product: it.product,
                    service: it.service.as_deref(),
                    cite: Cite::setting(*source, it),
                }),
                What::Member { address, disabled: false, .. } => Some(Dial {
                    to: address,
                    scheme: Scheme::Unknown,
                    product: it.product,
                    service: it.service.as_deref(),
                    cite: Cite::setting(*source, it),
                }),
                _ => None,
            })
            .collect();
        let same = |it: &&Dial| {
            self.upstream().is_some_and(|ours| {
                it.to == ours
                    || address::port(it.to) == address::port(ours)
                        && (address::host(it.to) == address::host(ours)
                            || !address::is_ip(it.to)
                            || address::is_loopback(it.to) && address::is_loopback(ours))
            })
        };
        match all.iter().any(|it| same(&it)) {
            true => all.into_iter().filter(|it| same(&it)).collect(),
            false => all,
        }
    }

    /// Where apps listen, by their logs and configurations.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        let mut all = self.all_listeners();
        all.retain(|it| it.product.stack() != self.incident.hop.stack());
        all
    }

    /// The same, where it is the hop itself too.
    #[must_use]
    pub(crate) fn all_listeners(&self) -> Vec<Listener> {
        let said = self.index.of_sign(Sign::Listening).iter().filter_map(|(key, group)| {
            let address = key.upstream.as_deref()?;
            Some(Listener {
                address: authority(address).to_owned(),
                product: key.product,
                service: key.service.clone(),
                scheme: if address.starts_with("https:") { Scheme::Https } else { Scheme::Unknown },
                said: true,
                cite: Cite::sample(key, group.sample(), group.trust),
            })
        });
        let asked = self.testimony.settings.iter().filter_map(|(source, it)| match &it.what {
            What::Listens { address, scheme } if !it.product.stack().is_proxy() => Some(Listener {
                address: address.clone(),
                product: it.product,
                service: it.service.clone(),
                scheme: *scheme,
                said: false,
                cite: Cite::setting(*source, it),
            }),
            _ => None,
        });
        said.chain(asked).collect()
    }

    /// What shows that the hop runs in a container of its own.
    #[must_use]
    pub fn hop_in_container(&self) -> Option<Cite> {
        let stack = self.incident.hop.stack();
        let by_setting = self.testimony.settings.iter().find(|(_, it)| match &it.what {
            // A report that names no program is about the one that failed.
            What::InContainer => it.product.stack() == stack || it.product == Product::Docker,
            What::Service { name } => name.contains(self.incident.hop.name()),
            _ => false,
        });
        if let Some((source, it)) = by_setting {
            return Some(Cite::setting(*source, it));
        }
        if self.incident.service.is_some() {
            return self.incident.cites.first().cloned();
        }
        let told = self.seen(Sign::InContainer, When::Any);
        told.iter().find(|it| it.key.product.stack() == stack).map(Seen::cite)
    }
}

/// A duration in milliseconds, for sentences: `30 s`, `500 ms`.
#[must_use]
pub fn span(milliseconds: i64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        it if it % 60_000 == 0 && it >= 120_000 => format!("{} min", it / 60_000),
        it if it % 1000 == 0 => format!("{} s", it / 1000),
        it => format!("{:.1} s", it as f64 / 1000.0),
    }
}
