//! What all cores know of a target together, outside of any configuration: it keeps its counters
//! when the settings around it change.

use crate::checks::{Standing, Verdict};
use config::Upstream;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of an upstream, and of a target in it.
type Names = (Arc<str>, Arc<str>);

/// The targets that have ever been configured, by upstream and name.
#[derive(Default)]
pub(crate) struct Registry {
    targets: Mutex<HashMap<Names, Arc<TargetState>>>,
    next: AtomicU64,
}

/// A target with the names that it goes by.
pub(crate) type Named = (Names, Arc<TargetState>);

impl Registry {
    pub(crate) fn target(&self, upstream: &Arc<str>, name: &Arc<str>) -> Arc<TargetState> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(TargetState::new(self.next.fetch_add(1, Relaxed)));
        targets.entry((upstream.clone(), name.clone())).or_insert_with(made).clone()
    }

    /// Lets go of the targets that are not in these upstreams, each when its last connection has
    /// ended: until then it is still counted.
    pub(crate) fn keep(&self, upstreams: &[Arc<Upstream>]) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let named: HashSet<(&str, &str)> = upstreams
            .iter()
            .flat_map(|it| it.targets.iter().map(|target| (&*it.name, &*target.name)))
            .collect();
        for ((upstream, name), state) in targets.iter() {
            state.leaves.store(!named.contains(&(&**upstream, &**name)), Relaxed);
        }
        targets.retain(|_, state| !state.has_left());
    }

    /// Whether this holds for a target of the upstream other than this one.
    pub(crate) fn any_other(
        &self,
        upstream: &str,
        than: &TargetState,
        holds: impl Fn(&TargetState) -> bool,
    ) -> bool {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = targets
            .iter()
            .filter(|((name, _), it)| **name == *upstream && it.id != than.id && !it.leaves());
        others.any(|(_, state)| holds(state))
    }

    /// All states with the names they go by.
    pub(crate) fn all(&self) -> Vec<Named> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, state| !state.has_left());
        let mut all: Vec<_> =
            targets.iter().map(|(it, state)| (it.clone(), state.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// What is known of one target, over all cores.
pub(crate) struct TargetState {
    /// Stands for the target in the keys of pools.
    pub(crate) id: u64,
    /// Connections open or being opened.
    open: AtomicUsize,
    /// Of those, the ones that wait in a pool.
    idle: AtomicUsize,
    /// How long the target keeps idle connections, in microseconds; 0 while it is not known.
    idle_limit: AtomicU64,
    /// The `Server` field of its last answer.
    server: Mutex<Option<Arc<str>>>,
    /// It is configured no longer.
    leaves: AtomicBool,
    /// What came of asking it whether it is well.
    pub(crate) standing: Standing,
    verdict: Mutex<Verdict>,
}

impl TargetState {
    fn new(id: u64) -> TargetState {
        TargetState {
            id,
            open: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            idle_limit: AtomicU64::new(0),
            server: Mutex::default(),
            leaves: AtomicBool::new(false),
            standing: Standing::default(),
            verdict: Mutex::default(),
        }
    }

    pub(crate) fn verdict(&self) -> MutexGuard<'_, Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is configured no longer, and nothing is open to it.
    fn has_left(&self) -> bool {
        self.leaves.load(Relaxed) && self.open() == 0
    }

    pub(crate) fn leaves(&self) -> bool {
        self.leaves.load(Relaxed)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// A place for one more connection, `None` where `limit` of them are open.
    pub(crate) fn place(self: &Arc<TargetState>, limit: Option<usize>) -> Option<Place> {
        let before = self.open.fetch_add(1, Relaxed);
        let place = Place(self.clone());
        (limit.is_none_or(|limit| before < limit)).then_some(place)
    }

    /// A place in the pool, `None` where `limit` of them are taken.
    pub(crate) fn rest(self: &Arc<TargetState>, limit: usize) -> Option<Resting> {
        let before = self.idle.fetch_add(1, Relaxed);
        let resting = Resting(self.clone());
        (before < limit).then_some(resting)
    }

    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        Some(self.idle_limit.load(Relaxed)).filter(|it| *it != 0).map(Duration::from_micros)
    }

    pub(crate) fn server(&self) -> Option<Arc<str>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns from an answer: what `Keep-Alive` promises, else what servers of that name do when
    /// nobody configured them otherwise.
    pub(crate) fn answered(&self, server: Option<&str>, promised: Option<Duration>) {
        if let Some(name) = server {
            let mut known = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            if known.as_deref() != Some(name) {
                *known = Some(name.into());
            }
        }
        let by_name = || server.and_then(usual_idle_limit);
        if let Some(limit) = promised.or_else(by_name) {
            let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX).max(1);
            if self.idle_limit.load(Relaxed) != micros {
                self.idle_limit.store(micros, Relaxed);
            }
        }
    }
}

/// How long servers keep idle connections by default, by the first word of their `Server` field.
fn usual_idle_limit(server: &str) -> Option<Duration> {
    let seconds = match server.split(['/', ' ']).next()? {
        "gunicorn" => 2,
        "uvicorn" | "hypercorn-h11" => 5,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// One open connection; dropping it counts it out.
pub(crate) struct Place(Arc<TargetState>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// One connection in a pool; dropping it counts it out.
pub(crate) struct Resting(Arc<TargetState>);

impl Drop for Resting {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    fn config(targets: &str) -> Config {
        let text = format!("[route.a]\nmatch = \"/*\"\nto = [{targets}]\n");
        let context = config::Context { base: std::path::Path::new(""), env: &|_| None };
        config::parse(&text, &context).unwrap().config
    }

    fn join(registry: &Registry, config: &Config) -> Vec<Arc<TargetState>> {
        registry.keep(&config.upstreams);
        let upstream = &config.upstreams[0];
        upstream.targets.iter().map(|it| registry.target(&upstream.name, &it.name)).collect()
    }

    #[test]
    fn a_target_that_stays_keeps_what_is_known_of_it() {
        let registry = Registry::default();
        let before = join(&registry, &config("\"http://127.0.0.1:1\", \"http://127.0.0.1:2\""));
        let after = join(&registry, &config("\"http://127.0.0.1:2\", \"http://127.0.0.1:3\""));
        assert!(Arc::ptr_eq(&before[1], &after[0]));
        assert_eq!(registry.all().len(), 2);
    }

    #[test]
    fn a_target_that_goes_is_known_until_its_last_connection_ends() {
        let registry = Registry::default();
        let both = config("\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"");
        let before = join(&registry, &both);
        let place = before[0].place(None).unwrap();
        join(&registry, &config("\"http://127.0.0.1:2\""));
        assert_eq!(registry.all().len(), 2);
        assert!(before[0].leaves());
        // It comes back before it has gone.
        assert!(Arc::ptr_eq(&join(&registry, &both)[0], &before[0]));
        assert!(!before[0].leaves());
        join(&registry, &config("\"http://127.0.0.1:2\""));
        drop(place);
        assert_eq!(registry.all().len(), 1);
    }
}
