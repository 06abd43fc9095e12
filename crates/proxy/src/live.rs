//! How upstreams and their targets are now, as values for whoever looks.

use crate::Plane;
use crate::registry::{TargetState, UpstreamState};
use exchange::{LiveTarget, LiveUpstream, Micros};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

impl Plane {
    /// All upstreams by their names. One that is configured no longer stays while something is open to a
    /// target of it.
    pub(crate) fn upstreams(&self) -> Vec<LiveUpstream> {
        let known = self.registry.upstreams();
        let mut all: BTreeMap<Arc<str>, (Duration, LiveUpstream)> = BTreeMap::new();
        for (name, state) in known {
            all.insert(name.clone(), (state.slow_start(), upstream(name, &state)));
        }
        for ((name, target), state) in self.registry.all() {
            let gone = || (Duration::ZERO, upstream(name.clone(), &UpstreamState::default()));
            let (slow_start, upstream) = all.entry(name.clone()).or_insert_with(gone);
            upstream.targets.push(live(target, &state, *slow_start));
        }
        all.into_values().map(|it| it.1).collect()
    }
}

fn upstream(name: Arc<str>, state: &UpstreamState) -> LiveUpstream {
    let UpstreamState { budget, gone, queue, .. } = state;
    LiveUpstream {
        name,
        broken: budget.is_broken(),
        queued: queue.waiting(),
        awaiting: gone.waiting(),
        waited: queue.waited(),
        refused: queue.refused(),
        awaited: gone.waited(),
        retries_denied: budget.denied(),
        targets: Vec::new(),
    }
}

fn live(target: Arc<str>, state: &TargetState, slow_start: Duration) -> LiveTarget {
    let now = Instant::now();
    // One guard: a second one within the same expression would wait for the first.
    let (standing, why, until, latency) = {
        let health = state.whole_health();
        (health.state(slow_start, now), health.why(now), health.until(now), health.latency(now))
    };
    LiveTarget {
        target,
        state: standing,
        why,
        until: until.map(|it| since_1970(it, now)),
        leaves: state.leaves(),
        pending: state.pending(),
        most: state.learned_limit(),
        latency: latency.map(|it| it.0.as_secs_f64()),
        open: state.open(),
        idle: state.idle(),
        idle_limit: state.keeps.limit().map(|it| it.as_secs_f64()),
        health: state.findings.live(),
    }
}

/// A time in microseconds since 1970.
fn since_1970(at: Instant, now: Instant) -> Micros {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ahead = at.saturating_duration_since(now);
    let behind = now.saturating_duration_since(at);
    u64::try_from((clock + ahead).saturating_sub(behind).as_micros()).unwrap_or(u64::MAX)
}
