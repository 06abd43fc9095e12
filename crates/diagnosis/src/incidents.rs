//! Failures grouped to incidents: those of one hop, upstream and wire fault without a long pause.

use crate::clocks::Clocks;
use crate::dossier::{Cite, Index};
use evidence::{
    GAP, Group, Key, Kind, Product, Run, Scheme, Sign, Stack, Testimony, Ticket, What, address,
    ticket_group,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The failures of one (hop, upstream, wire fault) without a pause of ten minutes.
#[derive(Clone, Debug)]
pub struct Incident {
    /// The fault at the hop that answered; for incidents without one, the act that stands out.
    pub sign: Sign,
    /// Who answered, or wrote the line.
    pub hop: Product,
    /// The compose service, pod or unit of that hop.
    pub service: Option<String>,
    pub upstream: Option<String>,
    /// Microseconds, on the common clock.
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub zoned: bool,
    pub failed: u64,
    pub client_saw: Option<u64>,
    pub absorbed: Option<u64>,
    pub of: Option<u64>,
    pub routes: BTreeMap<String, u64>,
    pub cites: Vec<Cite>,
    pub sources: BTreeSet<u32>,
    pub status: Option<u16>,
    /// What the opening line says besides: a host name, a limit.
    pub detail: Option<String>,
    pub number: Option<i64>,
}

/// Lines that stand for one incident in the report.
const CITES: usize = 3;
/// An access line comes when the request ends: up to this much after the fault.
const REQUEST: i64 = 300 * evidence::clock::SECOND;
/// Clocks of one machine, written by two processes.
const SLACK: i64 = 2 * evidence::clock::SECOND;

impl Incident {
    /// Failures that clients saw, as far as that is known.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.client_saw.unwrap_or_else(|| self.failed.saturating_sub(self.absorbed.unwrap_or(0)))
    }

    /// A hop, or a caller, got a failure; not only a process had an accident.
    #[must_use]
    pub fn of_requests(&self) -> bool {
        matches!(self.sign.kind(), Kind::Wire | Kind::Cut | Kind::Answer)
    }

    /// Nobody saw it: each request was tried again and succeeded.
    #[must_use]
    pub fn was_absorbed(&self) -> bool {
        self.of_requests()
            && self.sign.kind() != Kind::Cut
            && self.client_saw.unwrap_or(0) == 0
            && self.absorbed.is_some_and(|it| it >= self.failed && it > 0)
    }

    /// No failure was seen; what would fail behind this hop is asked about.
    pub(crate) fn supposed(hop: Product) -> Incident {
        Incident {
            sign: Sign::ProxyStarted,
            hop,
            service: None,
            upstream: None,
            first: None,
            last: None,
            zoned: false,
            failed: 0,
            client_saw: None,
            absorbed: None,
            of: None,
            routes: BTreeMap::new(),
            cites: Vec::new(),
            sources: BTreeSet::new(),
            status: None,
            detail: None,
            number: None,
        }
    }

    fn from_run(key: &Key, group: &Group, run: &Run, timed: bool, shift: i64) -> Incident {
        let cut = key.sign.kind() == Kind::Cut;
        Incident {
            sign: key.sign,
            hop: key.product,
            service: key.service.clone(),
            upstream: key.upstream.as_deref().map(same_machine),
            first: timed.then_some(run.first + shift),
            last: timed.then_some(run.last + shift),
            zoned: group.zoned,
            failed: run.count,
            client_saw: (run.failed > 0).then_some(run.failed),
            absorbed: (run.succeeded > 0 && !cut).then_some(run.succeeded),
            of: None,
            routes: run.routes.clone(),
            cites: vec![Cite::sample(key, &run.opening, group.trust)],
            sources: BTreeSet::from([key.source]),
            status: run.opening.status,
            detail: run.opening.detail.clone(),
            number: run.opening.number,
        }
    }

    /// Whether these failures are what the others come from: a proxy that sets its servers aside
    /// does so for failures that came before, and these are the first of them.
    pub(crate) fn led_to(&self, other: &Incident, index: &Index) -> bool {
        let hop = self.hop.stack() == other.hop.stack();
        let service =
            self.service == other.service || self.service.is_none() || other.service.is_none();
        let before = match (self.first, other.first) {
            (Some(a), Some(b)) => a <= b,
            _ => self.opens_before(other),
        };
        other.sign == Sign::NoLiveUpstream
            && sets_aside(self.sign)
            && hop
            && service
            && before
            && self.near(other)
            && self.same_group(other, index)
    }

    /// Where there are no times, the order of the lines.
    fn opens_before(&self, other: &Incident) -> bool {
        match (self.cites.first(), other.cites.first()) {
            (Some(a), Some(b)) if a.source == b.source => a.offset <= b.offset,
            _ => true,
        }
    }

    fn same_group(&self, other: &Incident, index: &Index) -> bool {
        let (Some(ours), Some(theirs)) = (&self.upstream, &other.upstream) else { return true };
        let members = index.members(theirs);
        let group = |it: &str| it.split_once('/').map_or(it, |it| it.0).to_owned();
        match members.is_empty() {
            false => members.iter().any(|(it, ..)| it == ours) || group(ours) == group(theirs),
            // HAProxy names both by their backend; elsewhere nothing tells them apart.
            true => {
                !ours.contains('/')
                    || address::socket(ours).is_some()
                    || group(ours) == group(theirs)
            }
        }
    }

    fn near(&self, other: &Incident) -> bool {
        match (self.first.zip(self.last), other.first.zip(other.last)) {
            (Some((a, b)), Some((c, d))) => a < d + GAP && c < b + GAP,
            _ => true,
        }
    }

    fn absorb(&mut self, other: Incident) {
        self.failed += other.failed;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
        self.zoned &= other.zoned;
        self.client_saw = sum(self.client_saw, other.client_saw);
        self.absorbed = sum(self.absorbed, other.absorbed);
        for (route, count) in other.routes {
            *self.routes.entry(route).or_default() += count;
        }
        self.sources.extend(other.sources);
        self.status = self.status.or(other.status);
        self.detail = self.detail.take().or(other.detail);
        self.number = self.number.or(other.number);
        let room = CITES.saturating_sub(self.cites.len());
        self.cites.extend(other.cites.into_iter().take(room));
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
    }
}

/// Failures for which proxies set a server aside: all but those of the group itself, and those that
/// say that it was not asked.
fn sets_aside(sign: Sign) -> bool {
    use Sign::*;
    let of_the_proxy = matches!(
        sign,
        NoLiveUpstream
            | NoEndpoints
            | NoCluster
            | QueueTimedOut
            | ConnectionLimit
            | CircuitOpen
            | ConnectionTableFull
            | RouteWrong
            | ProxyLoop
    );
    sign.kind() == Kind::Wire && !of_the_proxy
}

/// `localhost` is 127.0.0.1 for who compares addresses.
fn same_machine(upstream: &str) -> String {
    match upstream.strip_prefix("localhost") {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => format!("127.0.0.1{rest}"),
        _ => upstream.to_owned(),
    }
}

/// All incidents, the one to explain first.
#[must_use]
pub(crate) fn incidents(testimony: &Testimony, clocks: &Clocks) -> Vec<Incident> {
    let mut keys: Vec<(&Key, &Group)> = testimony.ledger.groups.iter().collect();
    keys.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let of_kind = |wanted: fn(Kind) -> bool| {
        let runs = keys.iter().filter(move |(key, _)| wanted(key.sign.kind()));
        joined(runs.flat_map(|(key, group)| {
            let shift = clocks.shift(key.source);
            let timed =
                group.runs.iter().map(move |run| Incident::from_run(key, group, run, true, shift));
            let untimed = group.untimed.iter();
            timed.chain(untimed.map(move |run| Incident::from_run(key, group, run, false, 0)))
        }))
    };
    let mut incidents = of_kind(|it| matches!(it, Kind::Wire | Kind::Cut));
    let mut answers = of_kind(|it| it == Kind::Answer);
    let only = only_proxy(testimony);
    answers.iter_mut().for_each(|it| made_by(it, &keys, only));
    answers.retain(|it| !was_refused(it, &keys, clocks));
    attach(&mut incidents, answers);
    let acts: Vec<Incident> =
        of_kind(|it| it == Kind::Act).into_iter().filter(|it| is_accident(it.sign)).collect();
    let alone = acts.into_iter().filter(|act| !incidents.iter().any(|it| it.near(act)));
    let alone = clustered(alone.collect());
    incidents.extend(alone);
    if !incidents.iter().any(Incident::of_requests) {
        incidents.extend(joined(turned_away(testimony, &keys, clocks).into_iter()));
    }
    follow(&mut incidents, testimony, clocks);
    for incident in &mut incidents {
        incident.of = share(incident, testimony, clocks);
    }
    order(&mut incidents, clocks.newest(testimony));
    incidents
}

/// The proxy that all configurations are about, where there is only one.
fn only_proxy(testimony: &Testimony) -> Option<Product> {
    let mut proxies = testimony.settings.iter().filter(|(_, it)| {
        let tells = !matches!(it.what, What::ServedAs { .. });
        tells && it.product.stack().is_proxy()
    });
    let first = proxies.next()?.1.product;
    proxies.all(|(_, it)| it.product.stack() == first.stack()).then_some(first)
}

/// An answer that was saved, and names the server that made it, is that server's; one that names
/// nobody is that of the only proxy whose configuration is there.
fn made_by(answer: &mut Incident, keys: &[(&Key, &Group)], only: Option<Product>) {
    if answer.sign != Sign::CallerSawError {
        return;
    }
    let named = keys.iter().filter(|(key, _)| {
        let here = answer.sources.contains(&key.source);
        here && matches!(key.sign, Sign::ServerIs | Sign::CallerSawError)
    });
    let mut names = named.filter_map(|(key, _)| key.who.as_deref()).peekable();
    let only = only.filter(|_| names.peek().is_none() && answer.hop == Product::Page);
    let maker = names.find_map(server).or(only);
    let status = answer.number.and_then(|it| u16::try_from(it).ok());
    let Some((maker, status)) = maker.zip(status) else { return };
    let runs_apps = maker.stack().runs_apps();
    answer.sign = match status {
        _ if runs_apps => Sign::RelayedError,
        500 => Sign::Answered500,
        502 => Sign::Answered502,
        503 => Sign::Answered503,
        504 => Sign::Answered504,
        _ => return,
    };
    answer.hop = maker;
    answer.status = Some(status);
}

/// Whether each of these answers was a refusal by a limit of the hop that gave it: the caller's
/// doing, whatever the status (nginx says 503 unless it is told to say 429).
fn was_refused(answer: &Incident, keys: &[(&Key, &Group)], clocks: &Clocks) -> bool {
    if answer.sign == Sign::RelayedError || answer.upstream.is_some() {
        return false;
    }
    let refusals = keys.iter().filter(|(key, _)| {
        let service =
            key.service == answer.service || key.service.is_none() || answer.service.is_none();
        key.sign == Sign::RateLimited && key.product.stack() == answer.hop.stack() && service
    });
    let around = |key: &Key, run: &Run| {
        let shift = clocks.shift(key.source);
        let span = answer.first.zip(answer.last).filter(|_| run.opening.at.is_some());
        span.is_none_or(|(first, last)| {
            run.first + shift <= last + SLACK && first <= run.last + shift + SLACK
        })
    };
    let counts = refusals.flat_map(|(key, group)| {
        group.all_runs().filter(|run| around(key, run)).map(|run| run.count)
    });
    counts.sum::<u64>() >= answer.failed
}

/// The product behind the word of a `Server` header or an error page.
fn server(word: &str) -> Option<Product> {
    const WORDS: [(&str, Product); 22] = [
        ("openresty", Product::OpenResty),
        ("nginx", Product::Nginx),
        ("envoy", Product::Envoy),
        ("awselb", Product::AwsAlb),
        ("cloudflare", Product::Cloudflare),
        ("varnish", Product::Varnish),
        ("haproxy", Product::HaProxy),
        ("traefik", Product::Traefik),
        ("caddy", Product::Caddy),
        ("squid", Product::Squid),
        ("h2o", Product::H2o),
        ("nghttpx", Product::Nghttpx),
        ("kong", Product::Kong),
        ("apisix", Product::Apisix),
        ("gunicorn", Product::Gunicorn),
        ("uvicorn", Product::Uvicorn),
        ("werkzeug", Product::Flask),
        ("hypercorn", Product::Hypercorn),
        ("daphne", Product::Daphne),
        ("waitress", Product::Waitress),
        ("iis", Product::Iis),
        ("apache", Product::Apache),
    ];
    let word = word.to_ascii_lowercase();
    WORDS.iter().find(|(it, _)| word.contains(it)).map(|(_, product)| *product)
}

/// Joins what has the same key and no long pause between.
fn joined(all: impl Iterator<Item = Incident>) -> Vec<Incident> {
    let mut by_key: BTreeMap<_, Vec<Incident>> = BTreeMap::new();
    for it in all {
        let key = (it.hop.stack(), it.upstream.clone(), it.sign, it.service.clone());
        by_key.entry(key).or_default().push(it);
    }
    let mut joined: Vec<Incident> = Vec::new();
    for (_, mut group) in by_key {
        group.sort_by_key(|it| (it.first.is_none(), it.first));
        let start = joined.len();
        for it in group {
            match joined[start..].last_mut().filter(|last| last.near(&it)) {
                Some(last) => last.absorb(it),
                None => joined.push(it),
            }
        }
    }
    joined
}

/// A server's word that the client of a handshake did not take its certificate, where a proxy is
/// configured to greet one over TLS: that client is the proxy, and the request failed there.
fn turned_away(testimony: &Testimony, keys: &[(&Key, &Group)], clocks: &Clocks) -> Vec<Incident> {
    let greets = testimony.settings.iter().find_map(|(_, it)| match &it.what {
        What::Dials { scheme: Scheme::Https, .. } if it.product.stack().is_proxy() => {
            Some(it.product)
        }
        _ => None,
    });
    let Some(proxy) = greets else { return Vec::new() };
    let sign = |detail: &str| {
        let alert = detail.strip_prefix("remote error: ")?;
        Some(match alert.strip_prefix("tls: ").unwrap_or(alert) {
            "unknown certificate authority" => Sign::CertUntrusted,
            "expired certificate" => Sign::CertExpired,
            "bad certificate" | "unknown certificate" => Sign::CertRefused,
            _ => return None,
        })
    };
    let mut found = Vec::new();
    for (key, group) in keys.iter().filter(|(key, _)| key.sign == Sign::ClientTls) {
        let shift = clocks.shift(key.source);
        let timed = group.runs.iter().map(|it| (it, true));
        for (run, timed) in timed.chain(group.untimed.iter().map(|it| (it, false))) {
            let detail = key.detail.as_deref().or(run.opening.detail.as_deref());
            let Some(sign) = detail.and_then(sign) else { continue };
            let shift = if timed { shift } else { 0 };
            let incident = Incident::from_run(key, group, run, timed, shift);
            found.push(Incident { sign, hop: proxy, service: None, ..incident });
        }
    }
    found
}

/// Access lines of the hop that wrote the error lines say what clients saw; those of other hops,
/// and those without any error line, are incidents of their own.
fn attach(incidents: &mut Vec<Incident>, answers: Vec<Incident>) {
    for answer in answers {
        let same_hop = |it: &&mut Incident| {
            let hop = it.hop.stack() == answer.hop.stack()
                || answer.hop.stack() == Stack::Unknown
                // A caller who asked the app itself saw what the proxy did not take.
                || it.hop.stack() == Stack::Caller && answer.hop.stack().is_proxy()
                || matches!(answer.hop.stack(), Stack::Caller)
                || is_of_saved_head(it);
            let service =
                it.service == answer.service || it.service.is_none() || answer.service.is_none();
            hop && service && it.sign.kind() != Kind::Answer && it.near(&answer)
        };
        let relayed = answer.sign == Sign::RelayedError;
        let mut matching: Vec<&mut Incident> = incidents.iter_mut().filter(same_hop).collect();
        // Where the access line names an upstream, it belongs to that one.
        if answer.upstream.is_some() && matching.iter().any(|it| it.upstream == answer.upstream) {
            matching.retain(|it| it.upstream == answer.upstream);
        }
        match &mut matching[..] {
            [] => incidents.push(answer),
            _ if relayed => incidents.push(answer),
            [one] => {
                // The head was saved by a caller; the one who refused it is the hop.
                one.hop = if is_of_saved_head(one) { answer.hop } else { one.hop };
                let saw = answer.client_saw.unwrap_or(answer.failed);
                one.client_saw = sum(one.client_saw, Some(saw));
                one.status = one.status.or(answer.status);
                if one.hop.stack() == Stack::Caller && answer.hop.stack().is_proxy() {
                    one.hop = answer.hop;
                }
                let room = CITES.saturating_sub(one.cites.len());
                one.cites.extend(answer.cites.into_iter().take(room.min(1)));
            }
            // Of several faults it cannot be told which of them these were.
            several => {
                for it in several {
                    it.status = it.status.or(answer.status);
                }
            }
        }
    }
}

/// A fault that stands in the head of an answer which a caller saved.
fn is_of_saved_head(it: &Incident) -> bool {
    it.hop.stack() == Stack::Caller
        && matches!(it.sign, Sign::CodingTwice | Sign::LengthTwice | Sign::LengthAndChunked)
}

/// Acts that are a failure by themselves, even where no request is seen to fail.
fn is_accident(sign: Sign) -> bool {
    use Sign::*;
    sign.kind() == Kind::Act
        && !matches!(
            sign,
            WorkerRecycled
                | StartingUp
                | ShuttingDown
                | ServerUp
                | ServerDown
                | PodKilling
                | ContainerRestarted
                | Rebooted
                | ClockJumped
                | ProcessStopped
                | RequestSlow
                | RetryStorm
                | GcPause
                | ExternalFailed
                | SpokenToInHttp
        )
}

/// Accidents that lie together are one.
fn clustered(mut acts: Vec<Incident>) -> Vec<Incident> {
    acts.sort_by_key(|it| (it.first.is_none(), it.first));
    let mut clusters: Vec<Incident> = Vec::new();
    for act in acts {
        match clusters.last_mut().filter(|it| it.near(&act)) {
            Some(cluster) => cluster.absorb(act),
            None => clusters.push(act),
        }
    }
    clusters
}

/// Follows failed attempts into access logs: did the request succeed in the end?
fn follow(incidents: &mut [Incident], testimony: &Testimony, clocks: &Clocks) {
    let tickets = &testimony.ledger.tickets;
    if testimony.ledger.tickets_overflowed {
        return;
    }
    let at = |it: &Ticket| it.at + clocks.shift(it.source);
    let mut answers: HashMap<u64, Vec<&Ticket>> = HashMap::new();
    let mut faults: HashMap<u64, Vec<&Ticket>> = HashMap::new();
    for it in tickets {
        match it.status {
            0 => faults.entry(it.group).or_default().push(it),
            _ => answers.entry(it.request).or_default().push(it),
        }
    }
    for incident in incidents.iter_mut().filter(|it| it.of_requests()) {
        if incident.absorbed.is_some() {
            continue;
        }
        let group = ticket_group(incident.sign, incident.upstream.as_deref());
        let Some((first, last)) = incident.first.zip(incident.last) else { continue };
        let faults = faults.get(&group).into_iter().flatten().filter(|it| {
            first <= at(it) && at(it) <= last && incident.sources.contains(&it.source)
        });
        let (mut found, mut absorbed, mut saw) = (0, 0, 0);
        for fault in faults {
            let ends = answers.get(&fault.request).into_iter().flatten();
            let end = ends
                .filter(|it| at(fault) - SLACK <= at(it) && at(it) <= at(fault) + REQUEST)
                .min_by_key(|it| (at(it) - at(fault)).abs());
            let Some(end) = end else { continue };
            found += 1;
            match end.status {
                500.. => saw += 1,
                _ => absorbed += 1,
            }
        }
        if found > 0 && incident.sign.kind() != Kind::Cut {
            incident.absorbed = Some(absorbed);
            incident.client_saw = incident
                .client_saw
                .filter(|_| saw > 0 || absorbed < incident.failed)
                .or((saw > 0).then_some(saw));
        }
    }
}

/// Requests of the access log in the window of the incident.
fn share(incident: &Incident, testimony: &Testimony, clocks: &Clocks) -> Option<u64> {
    use evidence::clock::MINUTE;
    let (first, last) = incident.first.zip(incident.last)?;
    let minutes = &testimony.ledger.minutes;
    let mut all = 0;
    for source in 0..testimony.sources.len() as u32 {
        let shift = clocks.shift(source);
        let minute = |at: i64| (at - shift).div_euclid(MINUTE);
        let window = minutes.range((source, minute(first))..=(source, minute(last)));
        all += window.map(|(_, tally)| tally.all).sum::<u64>();
    }
    (all > 0).then_some(all)
}

/// The one still going on with the most failures that clients saw; if none is, the one with the
/// most; ties go to the newest.
///
/// That no server is left follows from what happened to the servers: where that is seen as often, it
/// comes first.
fn order(incidents: &mut [Incident], newest: Option<i64>) {
    let faults: Vec<(Stack, Option<i64>, u64)> = incidents
        .iter()
        .filter(|it| it.sign.kind() == Kind::Wire && it.sign != Sign::NoLiveUpstream)
        .map(|it| (it.hop.stack(), it.first, it.seen()))
        .collect();
    let follows = |it: &Incident| {
        let before = faults.iter().filter(|(hop, first, _)| {
            let time = it.first.zip(*first).is_some_and(|(a, b)| b <= a && a - b < GAP);
            *hop == it.hop.stack() && time
        });
        let sum = before.map(|(.., seen)| seen).sum::<u64>();
        it.sign == Sign::NoLiveUpstream && sum > 0 && sum >= it.seen()
    };
    incidents.sort_by_cached_key(|it| {
        let ongoing = it.last.zip(newest).is_some_and(|(last, newest)| newest - last < GAP);
        std::cmp::Reverse((
            it.of_requests() && !it.was_absorbed(),
            it.sign.kind() != Kind::Answer || it.hop.stack() != Stack::Caller,
            ongoing || newest.is_none(),
            !follows(it),
            it.seen(),
            it.last,
        ))
    });
}
