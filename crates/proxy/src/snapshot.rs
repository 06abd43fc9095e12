//! One configuration, made ready to serve by: certificates read, TLS settings built, targets
//! joined with what is known of them.

use crate::StartError;
use crate::doors::{Doors, PlaceId};
use crate::listen::http3::quic;
use crate::listen::tls::acceptor;
use crate::registry::{Registry, TargetState, UpstreamState};
use crate::share::Mark;
use crate::stale::shelf::Shelf;
use crate::upstream::balance::{Candidate, Pick, Seeker, pick};
use crate::upstream::health::{ENOUGH, Showed, Turned, UNFELT, Why, is_outlier};
use crate::upstream::pool::PoolKey;
use crate::upstream::tls::{TlsSettings, settings};
use config::{Action, Config, Protocol, Target, Upstream};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use tokio_rustls::TlsAcceptor;

/// A configuration with everything that it names: what can fail with it has been done.
pub struct Prepared {
    pub(crate) config: Arc<Config>,
    acceptor: Option<Made<TlsAcceptor>>,
    quic: Option<Made<quinn::ServerConfig>>,
    /// By the name of the upstream.
    tls: HashMap<Arc<str>, Made<Arc<TlsSettings>>>,
}

/// Something made of settings and of the files that they name.
#[derive(Clone)]
struct Made<T> {
    of: Fingerprint,
    it: T,
}

/// Equal settings and equal files have the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint(u64);

impl Fingerprint {
    fn of(settings: &impl Debug, files: &[&Path]) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        format!("{settings:?}").hash(&mut hasher);
        for file in files {
            // What cannot be read is complained of by whoever needs it.
            std::fs::read(file).ok().hash(&mut hasher);
        }
        Fingerprint(hasher.finish())
    }
}

/// What was made before where nothing has changed since: sessions can still be resumed then, and
/// connections be used again.
fn made<T: Clone>(
    before: Option<&Made<T>>,
    of: Fingerprint,
    make: impl FnOnce() -> Result<T, StartError>,
) -> Result<Made<T>, StartError> {
    match before.filter(|it| it.of == of) {
        Some(before) => Ok(before.clone()),
        None => Ok(Made { of, it: make()? }),
    }
}

impl Prepared {
    /// Reads the files that are named. What has not changed since `before` is taken over.
    pub(crate) fn new(
        config: Arc<Config>,
        before: Option<&Prepared>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Prepared, StartError> {
        let Config { listen, limits, .. } = &*config;
        let (mut tls_door, mut quic_door) = (None, None);
        if let Some(https) = &listen.https {
            let files: Vec<&Path> = https.files().collect();
            let of = Fingerprint::of(&(https, listen.http2), &files);
            let before_it = before.and_then(|it| it.acceptor.as_ref());
            tls_door = Some(made(before_it, of, || acceptor(https, listen.http2, provider))?);
            if listen.http3 {
                let of = Fingerprint::of(&(https, &limits.http3), &files);
                let before_it = before.and_then(|it| it.quic.as_ref());
                quic_door = Some(made(before_it, of, || quic::settings(https, limits, provider))?);
            }
        }
        let roots = roots(&config);
        let mut tls = HashMap::new();
        for upstream in config.upstreams.iter().filter(|it| it.targets.iter().any(|it| it.tls)) {
            let files: Vec<&Path> = upstream.tls.files().collect();
            let known = upstream.tls.ca.is_none().then(|| known(&roots));
            let of = Fingerprint::of(&(&upstream.tls, known), &files);
            let before_it = before.and_then(|it| it.tls.get(&upstream.name));
            let make = || Ok(Arc::new(settings(upstream, &roots, provider)?));
            tls.insert(upstream.name.clone(), made(before_it, of, make)?);
        }
        Ok(Prepared { config, acceptor: tls_door, quic: quic_door, tls })
    }

    /// How TLS is spoken to the targets of an upstream, with a number for it and for the files that it
    /// names.
    pub(crate) fn tls(&self, upstream: &str) -> Option<(Arc<TlsSettings>, u64)> {
        self.tls.get(upstream).map(|it| (it.it.clone(), it.of.0))
    }

    /// What is said on the socket for QUIC, where there is one.
    pub(crate) fn quic(&self) -> Option<&quinn::ServerConfig> {
        self.quic.as_ref().map(|it| &it.it)
    }
}

/// The system's roots, else a built-in set. Nothing is read where nothing is verified by them.
fn roots(config: &Config) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let needed = config
        .upstreams
        .iter()
        .any(|it| it.tls.ca.is_none() && it.tls.verify && it.targets.iter().any(|it| it.tls));
    if !needed {
        return roots;
    }
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn known(roots: &RootCertStore) -> Vec<&[u8]> {
    roots.roots.iter().map(|it| it.subject_public_key_info.as_ref()).collect()
}

/// One snapshot serves one whole request. Each core has its own.
pub(crate) struct Snapshot {
    pub(crate) config: Arc<Config>,
    /// Where callers speak TLS, and how.
    acceptor: Option<(PlaceId, TlsAcceptor)>,
    /// By the index of the route, and by that of the share; none for a route that answers by itself.
    upstreams: Vec<Vec<Arc<Ready>>>,
    /// What routes keep of answers, by their indexes.
    shelves: Vec<Option<Arc<Shelf>>>,
    /// The pools that requests of this snapshot use.
    keys: HashSet<PoolKey>,
}

/// An upstream, ready to be sent to.
pub(crate) struct Ready {
    pub(crate) settings: Arc<Upstream>,
    pub(crate) state: Arc<UpstreamState>,
    pub(crate) states: Vec<Arc<TargetState>>,
    pub(crate) tls: Option<Arc<TlsSettings>>,
    /// What stands for each target in the cookies of callers; empty where none are kept with one.
    pub(crate) marks: Vec<Mark>,
    keys: Vec<PoolKey>,
    turn: AtomicUsize,
}

impl Ready {
    fn new(
        upstream: &Arc<Upstream>,
        registry: &Registry,
        tls: Option<&Made<Arc<TlsSettings>>>,
    ) -> Ready {
        let state = |it: &Arc<Target>| registry.target(&upstream.name, &it.name);
        let states: Vec<_> = upstream.targets.iter().map(state).collect();
        let key = |(target, state): (&Arc<Target>, &Arc<TargetState>)| {
            let tls = tls.map(|it| it.of).filter(|_| target.tls);
            PoolKey { target: state.id, settings: connected_by(upstream, target, tls) }
        };
        let keys = upstream.targets.iter().zip(&states).map(key).collect();
        let kept = upstream.targets.iter().filter(|_| upstream.sticky);
        let marks = kept.map(|it| Mark::of(&it.name)).collect();
        let (settings, tls) = (upstream.clone(), tls.map(|it| it.it.clone()));
        let of_all = registry.upstream(&upstream.name);
        Ready { settings, state: of_all, states, tls, marks, keys, turn: AtomicUsize::new(0) }
    }

    pub(crate) fn pool_key(&self, index: usize) -> PoolKey {
        self.keys[index]
    }

    /// One of the targets that have not been tried, for a request of this kind.
    pub(crate) fn pick(&self, tried: &[usize], seeker: Seeker, now: Instant) -> Pick {
        let Upstream { targets, slow_start, concurrency, balance, .. } = &*self.settings;
        let candidates = self.states.iter().zip(targets).enumerate();
        let candidates = candidates.filter(|(index, _)| !tried.contains(index));
        let candidates = candidates.map(|(index, (state, target))| {
            let pending = state.pending();
            Candidate {
                index,
                name: &target.name,
                weight: target.weight,
                standing: state.standing(*slow_start, now),
                pending,
                has_room: 0 < state.room(concurrency),
                latency: state.latency(),
                is_silent: state.is_silent(now),
            }
        });
        let candidates: Vec<Candidate<'_>> = candidates.collect();
        let turn = self.turn.fetch_add(1, Relaxed);
        pick(&candidates, balance, Seeker { turn, ..seeker })
    }

    /// A request finds all of them full.
    pub(crate) fn is_full(&self) {
        if self.settings.concurrency.adaptive {
            self.states.iter().for_each(|it| it.is_full(&self.state));
        }
    }

    /// What a request showed of a target. Says whether the target was taken out or came back.
    pub(crate) fn saw(&self, index: usize, showed: Showed) -> Option<Turned> {
        self.state.budget.tried(showed == Showed::Ill);
        if let Showed::Well(_) = showed {
            self.state.gone.found();
        }
        // Asked before the target's own lock is taken: two that look at each other would wait for ever.
        let may_eject = showed == Showed::Ill && self.may_eject(index);
        let turned = self.states[index].saw(showed, &self.settings.eject, may_eject);
        turned.or_else(|| self.is_outlier(index, showed).then(|| self.eject_for_latency(index)))
    }

    /// It is much slower than the others. Looked at now and then, after an answer that was slow.
    fn is_outlier(&self, index: usize, showed: Showed) -> bool {
        let slower = self.settings.eject.slower;
        let slow = matches!(showed, Showed::Well(took) if UNFELT <= took);
        if slower == 0 || !slow || self.states.len() < 2 || !self.state.may_compare() {
            return false;
        }
        let now = Instant::now();
        let latency = |state: &Arc<TargetState>| {
            let found = state.whole_health().typical(now);
            found.filter(|it| ENOUGH <= it.1).map(|it| it.0)
        };
        let Some(own) = latency(&self.states[index]) else {
            return false;
        };
        let others = self.states.iter().enumerate().filter(|(it, _)| *it != index);
        let mut others: Vec<_> = others.filter_map(|(_, it)| latency(it)).collect();
        let is_out = self.states[index].whole_health().is_out();
        !is_out && is_outlier(own, &mut others, slower) && self.may_eject(index)
    }

    fn eject_for_latency(&self, index: usize) -> Turned {
        let (eject, now) = (&self.settings.eject, Instant::now());
        self.states[index].change_health(|it| it.take_out(Why::Slow, eject, now))
    }

    /// One more may be taken out: the share that may be is not reached, and somebody stays.
    fn may_eject(&self, index: usize) -> bool {
        let others = self.states.iter().enumerate().filter(|(it, _)| *it != index);
        let out = others.filter(|(_, it)| it.health().is_some_and(|it| it.is_out())).count();
        let all = self.states.len();
        let most = all * self.settings.eject.share as usize / 100;
        out + 1 < all && out < most.max(1)
    }
}

/// What must be the same for a connection to a target to be used again.
fn connected_by(upstream: &Upstream, target: &Target, tls: Option<Fingerprint>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tls, upstream.proxy_protocol, target.tls).hash(&mut hasher);
    format!("{:?}", target.place).hash(&mut hasher);
    if target.protocol != Protocol::Http1 {
        // Connections that are shared keep the rules that they began with.
        format!("{:?} {:?}", target.protocol, upstream.pool).hash(&mut hasher);
        upstream.timeout.send.hash(&mut hasher);
        upstream.timeout.first_byte.hash(&mut hasher);
    }
    hasher.finish()
}

impl Snapshot {
    pub(crate) fn new(prepared: &Prepared, doors: &Doors, registry: &Registry) -> Snapshot {
        let Prepared { config, acceptor, tls, .. } = prepared;
        let mut made: HashMap<Arc<str>, Arc<Ready>> = HashMap::new();
        let mut ready = |upstream: &Arc<Upstream>| {
            let make = || Arc::new(Ready::new(upstream, registry, tls.get(&upstream.name)));
            made.entry(upstream.name.clone()).or_insert_with(make).clone()
        };
        let shares = |action: &'_ Action| match action {
            Action::Forward(forward) => forward.shares.clone(),
            Action::Redirect { .. } | Action::Answer { .. } => Vec::new(),
        };
        let upstreams: Vec<Vec<_>> = config
            .routes
            .all()
            .iter()
            .map(|it| shares(&it.action).iter().map(|it| ready(&it.upstream)).collect())
            .collect();
        let keys = made.values().flat_map(|it| it.keys.iter().copied()).collect();
        let place = doors.https().map(|it| it.id);
        let acceptor = place.zip(acceptor.as_ref().map(|it| it.it.clone()));
        let shelves = config.routes.all().iter().map(|it| registry.shelf(it)).collect();
        Snapshot { config: config.clone(), acceptor, upstreams, shelves, keys }
    }

    /// How TLS is spoken at this place, where it is.
    pub(crate) fn acceptor(&self, place: PlaceId) -> Option<TlsAcceptor> {
        self.acceptor.as_ref().filter(|it| it.0 == place).map(|it| it.1.clone())
    }

    /// Where a share of a forwarding route sends to.
    pub(crate) fn upstream(&self, route: usize, share: usize) -> Option<&Arc<Ready>> {
        self.upstreams.get(route)?.get(share)
    }

    /// What a route keeps of answers, where it does.
    pub(crate) fn shelf(&self, route: usize) -> Option<&Arc<Shelf>> {
        self.shelves.get(route)?.as_ref()
    }

    pub(crate) fn each_upstream(&self, look: impl FnMut(&Arc<Ready>)) {
        self.upstreams.iter().flatten().for_each(look);
    }

    /// Requests of this snapshot may use connections of that kind.
    pub(crate) fn uses(&self, key: PoolKey) -> bool {
        self.keys.contains(&key)
    }
}
