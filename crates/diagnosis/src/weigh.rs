//! How strongly each cause of the catalogue is supported, as probabilities that exclude each other.
//!
//! The log-odds of a cause are those of its stated prior behind the fault on the wire, plus what was
//! seen. Many lines that say the same are one group and count once; several signs for one cause add
//! up with falling weight, because they are rarely independent. What speaks for an effect does not
//! speak against what brings it about. "None of these" is a candidate that nothing supports.

use crate::catalogue::Entry;
use crate::causes::CATALOGUE;
use crate::dossier::{Cite, Dossier, Seen};
use crate::text::{Clue, cap};
use evidence::{Kind, Trust};
use std::collections::HashMap;

/// One piece of evidence and its weight for one cause.
#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) cite: Option<Cite>,
    pub(crate) weight: f32,
    pub(crate) says: String,
}

/// A cause with what speaks for and against it.
pub(crate) struct Weighed {
    pub(crate) entry: &'static Entry,
    pub(crate) hits: Vec<Hit>,
    /// What it adds up to, without the prior.
    pub(crate) own: f32,
    pub(crate) confidence: f32,
}

/// The prior of a cause that can be behind the fault through another one.
const THROUGH_ANOTHER: f32 = 0.01;
/// The prior of a cause that no table connects with the fault, where the fault does not say much.
const UNCONNECTED: f32 = 0.002;
/// The prior of each cause where a process had an accident and no request was seen to fail.
const ACCIDENT: f32 = 0.05;
/// The prior of a cause where the settings of both sides contradict each other, whatever fault that
/// made on a connection that stood.
const CONTRADICTED: f32 = 0.02;
/// None of the catalogue.
const LEAK: f32 = 0.03;
/// A cause needs this much of its own before it may take over what speaks for its effects.
const STANDS_ALONE: f32 = 1.5;
/// What cannot be weighed up by any number of hints.
const FLOOR: f32 = -9.0;
/// Never sure.
const CEILING: f32 = 0.99;
/// The most for an accident that may have been without harm, where nothing else was seen: that
/// requests failed for it is not said.
const UNSETTLED: f32 = 0.88;
/// Where all rests on loose words of lines that no reader knows.
const LOOSE_CEILING: f32 = 0.85;
/// What a route in common adds: a route is the caller's word, but that it is the same is not.
const SAME_ROUTE: f32 = 1.0;
/// What it adds that both happened in the same two seconds, where failures are few.
const SAME_MOMENT: f32 = 0.7;

/// The causes that the dossier supports, most likely first.
pub(crate) fn weigh(dossier: &Dossier) -> Vec<Weighed> {
    let all: Vec<(&'static Entry, Vec<Hit>, f32)> = CATALOGUE
        .iter()
        .filter(|it| dossier.without != Some(it.cause.id))
        .map(|entry| {
            let hits = hits(entry, dossier);
            let own = total(&hits);
            (entry, hits, own)
        })
        .collect();
    let pairs = dossier.pairs();
    let contradicted = |id: &str| pairs.iter().any(|it| it.cause == id);
    let own: HashMap<&str, f32> = all.iter().map(|(it, _, own)| (it.cause.id, *own)).collect();
    let mut weighed: Vec<(Weighed, f32)> = all
        .into_iter()
        .filter_map(|(entry, hits, mine)| {
            let prior = match contradicted(entry.cause.id) {
                true => prior(entry, dossier, mine).unwrap_or(0.0).max(CONTRADICTED),
                false => prior(entry, dossier, mine)?,
            };
            let inherited = if mine >= STANDS_ALONE { inherited(entry, &own, 0) } else { 0.0 };
            let score = prior.ln() + (mine + inherited).max(FLOOR);
            Some((Weighed { entry, hits, own: mine, confidence: 0.0 }, score.exp()))
        })
        .collect();
    let sum: f32 = LEAK + weighed.iter().map(|(_, odds)| odds).sum::<f32>();
    let ceiling = if dossier.testimony.ledger.loosened { LOOSE_CEILING } else { CEILING };
    for (it, odds) in &mut weighed {
        let ceiling = if it.settled(dossier) { ceiling } else { ceiling.min(UNSETTLED) };
        it.confidence = (*odds / sum).min(ceiling);
    }
    weighed.sort_by(|(a, _), (b, _)| b.confidence.total_cmp(&a.confidence));
    weighed.into_iter().map(|(it, _)| it).collect()
}

fn hits(entry: &Entry, dossier: &Dossier) -> Vec<Hit> {
    let text = &entry.cause.text;
    let clues = text.clues.iter().flat_map(|clue| of_clue(clue, dossier));
    let claims = (text.reason)(dossier).into_iter().flat_map(|claim| {
        // One conclusion from several quotes counts once: with the first of them.
        let mut cites = claim.cites.into_iter();
        let first = Hit { cite: cites.next(), weight: claim.weight, says: claim.says.clone() };
        let rest =
            cites.map(move |it| Hit { cite: Some(it), weight: 0.0, says: claim.says.clone() });
        std::iter::once(first).chain(rest)
    });
    clues.chain(claims).collect()
}

/// What a clue's best witness weighs, and beside it the one that says most.
fn of_clue(clue: &Clue, dossier: &Dossier) -> Vec<Hit> {
    // The fault itself is what is to be explained.
    if clue.sign == dossier.sign() && clue.sign.kind() != Kind::Act {
        return Vec::new();
    }
    let Some(seen) = dossier.witness(clue) else { return Vec::new() };
    let cap = cap(seen.group.trust);
    let mut weight = clue.weight.clamp(-cap, cap) * seen.near;
    let routes = &dossier.incident.routes;
    if weight > 0.0 && seen.run.routes.keys().any(|it| routes.contains_key(it)) {
        weight += SAME_ROUTE;
    }
    if weight > 0.0 && seen.at_once {
        weight += SAME_MOMENT;
    }
    let hit = |seen: &Seen, weight| Hit {
        cite: Some(seen.cite()),
        weight,
        says: clue.sign.says().to_owned(),
    };
    let mut hits = vec![hit(&seen, weight)];
    if weight > 0.0 && seen.detail().is_none() {
        let others = dossier.seen(clue.sign, clue.when).into_iter();
        hits.extend(others.filter(|it| it.detail().is_some()).take(1).map(|it| hit(&it, 0.0)));
    }
    hits
}

/// The strongest whole, the next half, and so on; what speaks against counts whole.
fn total(hits: &[Hit]) -> f32 {
    let mut speaks_for: Vec<f32> = hits.iter().map(|it| it.weight).filter(|it| *it > 0.0).collect();
    speaks_for.sort_by(|a, b| b.total_cmp(a));
    let mut share = 1.0;
    let mut sum = 0.0;
    for weight in speaks_for {
        sum += weight * share;
        share *= 0.5;
    }
    sum + hits.iter().map(|it| it.weight).filter(|it| *it < 0.0).sum::<f32>()
}

fn prior(entry: &Entry, dossier: &Dossier, own: f32) -> Option<f32> {
    let sign = dossier.sign();
    let text = &entry.cause.text;
    if let Some((_, share)) = text.behind.iter().find(|(it, _)| *it == sign) {
        return Some(*share);
    }
    if own <= 0.0 {
        return None;
    }
    if matches!(sign.kind(), Kind::Act | Kind::State) {
        return Some(ACCIDENT);
    }
    if reaches(entry, &|it| it.cause.text.behind.iter().any(|(it, _)| *it == sign), 0) {
        return Some(THROUGH_ANOTHER);
    }
    let says_little = matches!(sign.kind(), Kind::Answer) || says_little(sign);
    says_little.then_some(UNCONNECTED)
}

/// Faults whose line does not say what happened.
fn says_little(sign: evidence::Sign) -> bool {
    use evidence::Sign::*;
    matches!(
        sign,
        ConnectFailed
            | NameUnresolved
            | CertRefused
            | TlsFailed
            | Disconnected
            | ProtocolError
            | LambdaFailed
            | Closed
            | Reset
            | HeadTimedOut
    )
}

/// Accidents whose line states a limit that was reached or a defect: who meets them cannot serve.
/// The others happen to healthy services too, or have several reasons.
fn settles(sign: evidence::Sign) -> bool {
    use evidence::Sign::*;
    matches!(
        sign,
        ProcessInactive
            | BootFailed
            | PortInUse
            | WorkerSegfault
            | WorkerTimedOut
            | OomKilledCgroup
            | OomKilledGlobal
            | OomKilled
            | HeapExhausted
            | ReloadCut
            | ConfigRefused
            | ProxyWorkerCrashed
            | PoolExhausted
            | AppConcurrencyLimit
            | RequestTooBigForUpstream
            | SelinuxDenied
            | ApparmorDenied
            | ConntrackFull
            | NeighbourLost
            | PolicyDenied
            | HealthWrongProtocol
            | DbRefused
            | DbNameUnknown
            | DbAuthFailed
            | DbPoolExhausted
            | DbTooManyClients
            | DbFailover
            | CacheDown
            | BrokerDown
            | AppDiskFull
            | AppFdExhausted
            | ReadOnlyFs
            | ConfigMissing
            | MigrationMissing
            | QuotaDenied
            | NoResponseFromApp
            | PodEvicted
            | PodUnschedulable
            | ImagePullFailed
            | NodeLost
            | VolumeFailed
            | TargetPortMissing
            | SidecarNotReady
            | LbDeregistered
            | DiscoveryStale
    )
}

/// How far effects of effects are followed.
const DEPTH: usize = 4;

pub(crate) fn reaches(entry: &Entry, goal: &dyn Fn(&Entry) -> bool, depth: usize) -> bool {
    depth < DEPTH
        && entry
            .cause
            .text
            .brings
            .iter()
            .filter_map(|it| crate::entry(it))
            .any(|effect| goal(effect) || reaches(effect, goal, depth + 1))
}

/// The best of what speaks for its effects.
fn inherited(entry: &Entry, own: &HashMap<&str, f32>, depth: usize) -> f32 {
    if depth >= DEPTH {
        return 0.0;
    }
    let effects = entry.cause.text.brings.iter().filter_map(|it| crate::entry(it));
    effects
        .map(|it| own.get(it.cause.id).copied().unwrap_or(0.0).max(inherited(it, own, depth + 1)))
        .fold(0.0, f32::max)
}

impl Weighed {
    /// What speaks for it, strongest first.
    pub(crate) fn support(&self) -> impl Iterator<Item = &Hit> {
        let mut hits: Vec<&Hit> = self.hits.iter().filter(|it| it.weight >= 0.0).collect();
        hits.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        hits.into_iter()
    }

    /// Requests were seen to fail, or what happened is enough for that, or two things were seen that
    /// speak for the cause.
    fn settled(&self, dossier: &Dossier) -> bool {
        let sign = dossier.sign();
        let mut for_it = self.hits.iter().filter(|it| it.weight > 0.0);
        let first = for_it.next().and_then(|it| it.cite.as_ref()?.sign);
        sign.kind() != Kind::Act
            || settles(sign)
            || for_it.any(|it| it.cite.as_ref().is_none_or(|it| it.sign != first))
    }

    /// It has a witness of its own that is no guess.
    pub(crate) fn witnessed(&self) -> bool {
        self.hits.iter().any(|it| {
            it.weight >= STANDS_ALONE && it.cite.as_ref().is_some_and(|it| it.trust <= Trust::D)
        })
    }
}
