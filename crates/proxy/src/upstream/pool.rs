//! Idle upstream connections of one core, newest first, each only as long as its target is known
//! to keep it.

use super::wire::Wire;
use crate::registry::{Resting, TargetState};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Until the idle limit of a target is known, a connection this young is safe with every server
/// that keeps connections at all.
const UNKNOWN: Duration = Duration::from_millis(1_500);

/// What must be the same for a connection to serve another request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) target: u64,
    /// Address, SNI, verification and client certificate: one number for each set of settings and of
    /// the files that they name.
    pub(crate) settings: u64,
}

#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<PoolKey, Vec<Idle>>>,
}

struct Idle {
    wire: Wire,
    since: Instant,
    /// Its last possible use.
    until: Instant,
    _resting: Resting,
}

/// How long an idle connection may be used again.
pub(crate) fn usable_for(state: &TargetState, configured: Option<Duration>) -> Duration {
    match (configured, state.idle_limit()) {
        (Some(it), _) => it,
        (None, Some(limit)) => limit.mul_f64(0.8),
        (None, None) => UNKNOWN,
    }
}

impl Pool {
    /// A live connection and how long it has been idle.
    pub(crate) fn take(&self, key: PoolKey, now: Instant) -> Option<(Wire, Duration)> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(&key)?;
        while let Some(mut it) = list.pop() {
            if let Some(member) = &it.wire.member {
                member.note_use(now);
            }
            if now < it.until && it.wire.is_current() && it.wire.is_quiet() {
                return Some((it.wire, now - it.since));
            }
        }
        None
    }

    /// Keeps a connection if there is room for it.
    pub(crate) fn put(
        &self,
        key: PoolKey,
        mut wire: Wire,
        state: &Arc<TargetState>,
        room: usize,
        configured: Option<Duration>,
    ) {
        if !wire.is_current() {
            return;
        }
        let Some(resting) = state.rest(room) else {
            return;
        };
        wire.rest();
        let since = Instant::now();
        let until = since + usable_for(state, configured);
        let one = Idle { wire, since, until, _resting: resting };
        self.idle.borrow_mut().entry(key).or_default().push(one);
    }

    /// Closes all of them; how many there were.
    pub(crate) fn give_up(&self) -> usize {
        let idle = self.idle.take();
        idle.values().map(Vec::len).sum()
    }

    /// Closes what is too old, was closed by the other end, leads to an address that the target's name
    /// has no longer, or is of no use any more. Called now and
    /// then.
    pub(crate) fn sweep(&self, now: Instant, is_used: impl Fn(PoolKey) -> bool) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|key, _| is_used(*key));
        for list in idle.values_mut() {
            list.retain_mut(|it| now < it.until && it.wire.is_current() && it.wire.is_quiet());
        }
        idle.retain(|_, list| !list.is_empty());
    }
}
