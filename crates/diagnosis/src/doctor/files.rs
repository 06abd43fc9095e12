//! The settings of all files, ready to be asked who dials whom.

use super::Quote;
use evidence::address::{authority, host, is_ip, is_loopback, port, socket};
use evidence::{Limit, Object, Product, Scheme, Setting, Stack, Testimony, What};
use std::collections::HashMap;

/// Settings beyond this are not compared: no set of files that people write has as many.
const MAX_FACTS: usize = 50_000;
/// Dialled addresses beyond this are not followed.
const MAX_DIALS: usize = 1_000;
/// Units that one address may lead to.
const MAX_REACHED: usize = 20;

/// A setting with the file that it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Fact<'t> {
    pub(crate) source: u32,
    pub(crate) name: &'t str,
    pub(crate) setting: &'t Setting,
}

impl<'t> Fact<'t> {
    pub(crate) fn quote(&self) -> Quote {
        let Setting { line, quote, .. } = self.setting;
        Quote { source: self.name.to_owned(), line: *line, quote: quote.clone() }
    }

    pub(crate) fn product(self) -> Product {
        self.setting.product
    }

    pub(crate) fn is_nginx(self) -> bool {
        self.product().stack() == Stack::Nginx
    }

    pub(crate) fn what(self) -> &'t What {
        &self.setting.what
    }

    /// The value of this limit.
    pub(crate) fn limit(self, wanted: Limit) -> Option<i64> {
        match self.what() {
            What::Limit { limit, value } if *limit == wanted => Some(*value),
            _ => None,
        }
    }
}

/// What belongs together in one file: a server block, a container, a pod, a settings file.
pub(crate) struct Unit<'t> {
    pub(crate) source: u32,
    pub(crate) service: Option<&'t str>,
    /// The object of Kubernetes that it is.
    object: Option<&'t Object>,
    pub(crate) facts: Vec<Fact<'t>>,
}

impl<'t> Unit<'t> {
    /// The first fact that a question finds an answer in.
    pub(crate) fn find<R>(&self, ask: impl Fn(Fact<'t>) -> Option<R>) -> Option<(Fact<'t>, R)> {
        self.facts.iter().find_map(|it| ask(*it).map(|answer| (*it, answer)))
    }

    pub(crate) fn all<R>(&self, ask: impl Fn(Fact<'t>) -> Option<R>) -> Vec<(Fact<'t>, R)> {
        self.facts.iter().filter_map(|it| ask(*it).map(|answer| (*it, answer))).collect()
    }

    pub(crate) fn limit(&self, limit: Limit) -> Option<(Fact<'t>, i64)> {
        self.find(|it| it.limit(limit))
    }

    /// It may be a service of Kubernetes: another kind that selects is none.
    pub(crate) fn may_be_service(&self) -> bool {
        self.object.is_none_or(|it| it.kind == "Service")
    }

    fn namespace(&self) -> Option<&'t str> {
        self.object?.namespace.as_deref()
    }

    /// Both may stand in one namespace.
    pub(crate) fn is_beside(&self, other: &Unit<'_>) -> bool {
        may_be(self.namespace(), other.namespace())
    }

    /// The labels that it selects pods by.
    pub(crate) fn selects(&self) -> Vec<&'t str> {
        let selects = self.all(|it| match it.what() {
            What::Selects { label } => Some(&**label),
            _ => None,
        });
        selects.into_iter().map(|(_, it)| it).collect()
    }

    /// Its pods have this label.
    pub(crate) fn has_label(&self, wanted: &str) -> bool {
        self.facts.iter().any(|it| matches!(it.what(), What::Labelled { label } if label == wanted))
    }

    /// The ports that its program says it listens on.
    pub(crate) fn listens(&self) -> Vec<(Fact<'t>, u16)> {
        self.all(|it| match it.what() {
            What::Listens { address, .. } => port(address),
            _ => None,
        })
    }

    /// The server or language that runs in it.
    pub(crate) fn app(&self) -> Option<Fact<'t>> {
        let app =
            |it: &&Fact<'t>| it.product().stack().runs_apps() && it.product() != Product::Unknown;
        self.facts.iter().find(app).copied()
    }

    pub(crate) fn is_proxy(&self) -> bool {
        self.facts.iter().any(|it| it.product().stack().is_proxy())
    }

    /// It is a container: of compose, of a pod, or said to be one by another file.
    pub(crate) fn is_container(&self) -> bool {
        let own = self.service.is_some() && !self.shares_host();
        let platform = |it: &Fact<'t>| {
            matches!(it.product(), Product::Docker | Product::Kubernetes)
                && !matches!(it.what(), What::HostNetwork)
        };
        self.facts.iter().any(|it| *it.what() == What::InContainer)
            || own && self.facts.iter().any(platform)
    }

    pub(crate) fn shares_host(&self) -> bool {
        self.facts.iter().any(|it| *it.what() == What::HostNetwork)
    }

    /// Whether its name, its image or its command names this program.
    fn seems_to_run(&self, word: &str) -> bool {
        let says = |it: &Fact<'_>| match it.what() {
            What::Runs { command } => holds(command, word),
            _ => it.setting.quote.starts_with("image") && holds(&it.setting.quote, word),
        };
        self.service.is_some_and(|it| holds(it, word)) || self.facts.iter().any(says)
    }

    /// Whether any of its words hold this one.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        self.facts.iter().any(|it| {
            let service = it.setting.service.as_deref().unwrap_or_default();
            holds(&it.setting.quote, word) || holds(service, word)
        })
    }
}

/// Where a namespace is not written, whoever applies the file decides.
fn may_be(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Whether a text holds a word, whatever the case of its letters. Words are short.
fn holds(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    !word.is_empty() && text.windows(word.len()).any(|it| it.eq_ignore_ascii_case(word))
}

/// A proxy that sends requests somewhere.
pub(crate) struct Dial<'t> {
    pub(crate) fact: Fact<'t>,
    /// Index of the unit that dials.
    pub(crate) unit: usize,
    pub(crate) scheme: Scheme,
    /// Where the requests end up: itself, or members of the group that it names.
    pub(crate) addresses: Vec<(Fact<'t>, &'t str)>,
}

impl Dial<'_> {
    /// The port of an address, which its scheme may imply.
    pub(crate) fn port(&self, address: &str) -> Option<u16> {
        port(address).or(match self.scheme {
            Scheme::Http | Scheme::Http2 => Some(80),
            Scheme::Https => Some(443),
            _ => None,
        })
    }
}

pub(crate) struct Files<'t> {
    pub(crate) units: Vec<Unit<'t>>,
    pub(crate) dials: Vec<Dial<'t>>,
    /// Units by the names under which they can be dialled, in small letters.
    services: HashMap<String, Vec<usize>>,
    ports: HashMap<u16, Vec<usize>>,
    sockets: HashMap<&'t str, Vec<usize>>,
    /// What a file says outside of any service.
    shared: HashMap<u32, usize>,
    /// The one container in which a product runs, as far as its words show it.
    containers: HashMap<Product, Option<usize>>,
    /// The one app of the files, where they have one app and one dialled address.
    only_app: Option<usize>,
}

impl<'t> Files<'t> {
    pub(crate) fn of(testimony: &'t Testimony) -> Files<'t> {
        let mut files = Files {
            units: Vec::new(),
            dials: Vec::new(),
            services: HashMap::new(),
            ports: HashMap::new(),
            sockets: HashMap::new(),
            shared: HashMap::new(),
            containers: HashMap::new(),
            only_app: None,
        };
        let mut places: HashMap<(u32, Option<&str>, Option<&Object>), usize> = HashMap::new();
        for (source, setting) in testimony.settings.iter().take(MAX_FACTS) {
            let name = testimony.sources.get(*source as usize).map_or("", |it| &*it.name);
            let service = setting.service.as_deref();
            let object = setting.object.as_ref();
            let at = *places.entry((*source, service, object)).or_insert_with(|| {
                files.units.push(Unit { source: *source, service, object, facts: Vec::new() });
                files.units.len() - 1
            });
            files.units[at].facts.push(Fact { source: *source, name, setting });
        }
        files.index();
        files.select();
        files.follow();
        files.containers = files.find_containers();
        files.only_app = files.find_only_app();
        files
    }

    fn index(&mut self) {
        for (at, unit) in self.units.iter().enumerate() {
            if unit.service.is_none() {
                self.shared.insert(unit.source, at);
            }
            for it in &unit.facts {
                match it.what() {
                    What::Service { name } => {
                        let units = self.services.entry(name.to_ascii_lowercase()).or_default();
                        note(units, at);
                    }
                    What::Listens { address, .. } => {
                        if let Some(path) = socket(address) {
                            note(self.sockets.entry(path).or_default(), at);
                        } else if let Some(port) = port(address) {
                            note(self.ports.entry(port).or_default(), at);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The pods behind services of Kubernetes answer to the names of those.
    fn select(&mut self) {
        let mut pods: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, unit) in self.units.iter().enumerate() {
            for it in &unit.facts {
                if let What::Labelled { label } = it.what() {
                    note(pods.entry(label).or_default(), at);
                }
            }
        }
        for (at, service) in self.units.iter().enumerate() {
            let is_service = service.object.is_some_and(|it| it.kind == "Service");
            let (Some(name), true) = (service.service, is_service) else { continue };
            let labels = service.selects();
            let behind = labels.first().and_then(|it| pods.get(it)).map_or(&[][..], Vec::as_slice);
            let units = self.services.entry(name.to_ascii_lowercase()).or_default();
            for pod in behind.iter().copied().take(MAX_REACHED) {
                let unit = &self.units[pod];
                let fits = service.is_beside(unit) && labels.iter().all(|it| unit.has_label(it));
                if fits && pod != at && !units.contains(&pod) && units.len() < MAX_REACHED {
                    units.push(pod);
                }
            }
        }
    }

    fn follow(&mut self) {
        let mut groups: HashMap<(u32, &str), Vec<(Fact<'t>, &'t str)>> = HashMap::new();
        for it in self.units.iter().flat_map(|it| &it.facts) {
            if let What::Member { group, address, disabled: false } = it.what() {
                let members = groups.entry((it.source, group)).or_default();
                if members.len() < MAX_REACHED {
                    members.push((*it, authority(address)));
                }
            }
        }
        for (unit, it) in self.units.iter().enumerate() {
            for fact in &it.facts {
                let What::Dials { to, scheme } = fact.what() else { continue };
                if self.dials.len() >= MAX_DIALS {
                    return;
                }
                let members = groups.get(&(fact.source, &**to)).cloned();
                let addresses = members.unwrap_or_else(|| vec![(*fact, &**to)]);
                self.dials.push(Dial { fact: *fact, unit, scheme: *scheme, addresses });
            }
        }
    }

    /// All facts of all files.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact<'t>> {
        self.units.iter().flat_map(|it| &it.facts).copied()
    }

    /// The units that answer to a name: of compose, or of Kubernetes with or without its namespace.
    pub(crate) fn named(&self, name: &str) -> Vec<usize> {
        let name = name.to_ascii_lowercase();
        let (short, namespace) = match name.split_once('.') {
            Some((first, "internal")) => (first, None),
            Some((first, rest)) => match rest.split_once('.').unwrap_or((rest, "")) {
                (namespace, after) if after == "svc" || after.starts_with("svc.") => {
                    (first, Some(namespace))
                }
                ("svc", _) => (first, None),
                (namespace, "") if self.is_namespace(namespace) => (first, Some(namespace)),
                _ => (&*name, None),
            },
            None => (&*name, None),
        };
        let units = self.services.get(short).map_or(&[][..], Vec::as_slice);
        let there = |it: &&usize| may_be(self.units[**it].namespace(), namespace);
        units.iter().filter(there).copied().collect()
    }

    /// The same, for who stands in a namespace and leaves it out.
    pub(crate) fn named_by(&self, dial: &Dial<'_>, name: &str) -> Vec<usize> {
        let mut units = self.named(name);
        if !name.contains('.') {
            units.retain(|it| self.units[*it].is_beside(&self.units[dial.unit]));
        }
        units
    }

    fn is_namespace(&self, word: &str) -> bool {
        self.units.iter().any(|it| it.namespace() == Some(word))
    }

    pub(crate) fn service_names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = &'t str> {
        self.sockets.keys().copied()
    }

    pub(crate) fn at_socket(&self, path: &str) -> &[usize] {
        self.sockets.get(path).map_or(&[], Vec::as_slice)
    }

    /// The units that an address leads to.
    pub(crate) fn reached(&self, dial: &Dial<'t>, address: &str) -> Vec<usize> {
        let mut units = self.surely_reached(dial, address);
        if units.is_empty() {
            units.extend(self.only_app.filter(|it| *it != dial.unit));
        }
        units
    }

    /// The same, only where a name, a port or a path says so.
    pub(crate) fn surely_reached(&self, dial: &Dial<'t>, address: &str) -> Vec<usize> {
        let mut units: Vec<usize> = match socket(address) {
            Some(path) => self.at_socket(path).to_vec(),
            None => {
                let named = self.named_by(dial, host(address));
                let by_port = dial.port(address).and_then(|it| self.ports.get(&it));
                // A settings file has no name; the port tells whose it is.
                let loose = |it: &&usize| named.is_empty() || self.units[**it].service.is_none();
                let local = !named.is_empty() || is_ip(address) || is_loopback(address);
                let by_port = by_port.into_iter().flatten().filter(loose).filter(|_| local);
                named.iter().chain(by_port).copied().collect()
            }
        };
        units.retain(|it| *it != dial.unit);
        units.sort_unstable();
        units.dedup();
        units.truncate(MAX_REACHED);
        units
    }

    fn find_only_app(&self) -> Option<usize> {
        // `php.ini` is of an app that another file names.
        let is_app = |it: &Unit<'_>| it.app().is_some_and(|it| it.product() != Product::Php);
        let mut apps = self.units.iter().enumerate().filter(|(_, it)| is_app(it));
        let (app, _) = apps.next()?;
        let first = self.dials.first()?.addresses.first()?.1;
        let one = |it: &Dial<'t>| it.addresses.len() == 1 && it.addresses[0].1 == first;
        (apps.next().is_none() && self.dials.iter().all(one)).then_some(app)
    }

    fn find_containers(&self) -> HashMap<Product, Option<usize>> {
        let mut containers = HashMap::new();
        for dial in &self.dials {
            let product = dial.fact.product();
            containers.entry(product).or_insert_with(|| {
                let word = product.name().to_ascii_lowercase();
                let fits = |it: &Unit<'_>| it.is_container() && it.seems_to_run(&word);
                let mut fitting = (0..self.units.len()).filter(|it| fits(&self.units[*it]));
                let first = fitting.next()?;
                fitting.next().is_none().then_some(first)
            });
        }
        containers
    }

    /// The container in which the proxy of this dial runs, as far as the files show it.
    pub(crate) fn container_of(&self, dial: &Dial<'t>) -> Option<&Unit<'t>> {
        let own = &self.units[dial.unit];
        if own.is_container() {
            return Some(own);
        }
        let at = self.containers.get(&dial.fact.product()).copied().flatten();
        at.map(|it| &self.units[it])
    }

    /// The longest limit of this kind that may hold for a dial: of its own block, else of its file.
    pub(crate) fn limit_for(&self, dial: &Dial<'t>, limit: Limit) -> Option<(Fact<'t>, i64)> {
        let longest = |unit: &Unit<'t>| {
            unit.all(|it| it.limit(limit)).into_iter().max_by_key(|(_, value)| *value)
        };
        let own = longest(&self.units[dial.unit]);
        own.or_else(|| self.shared(dial).and_then(longest))
    }

    /// The same for other facts of a proxy.
    pub(crate) fn find_for<R>(
        &self,
        dial: &Dial<'t>,
        ask: impl Fn(Fact<'t>) -> Option<R>,
    ) -> Option<(Fact<'t>, R)> {
        let own = self.units[dial.unit].find(&ask);
        own.or_else(|| self.shared(dial).and_then(|it| it.find(&ask)))
    }

    fn shared(&self, dial: &Dial<'t>) -> Option<&Unit<'t>> {
        self.shared.get(&dial.fact.source).map(|it| &self.units[*it])
    }
}

/// Units are indexed in order, so the last one is the only one that may be there already.
fn note(units: &mut Vec<usize>, at: usize) {
    if units.last() != Some(&at) {
        units.push(at);
    }
}
