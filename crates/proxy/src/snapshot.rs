//! One configuration, made ready to serve by: certificates read, TLS settings built, targets
//! joined with what is known of them.

use crate::StartError;
use crate::registry::{Registry, TargetState};
use crate::upstream::pool::PoolKey;
use crate::upstream::tls::{TlsSettings, settings};
use config::{Action, Config, Limits, Upstream};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// One snapshot serves one whole request.
pub(crate) struct Snapshot {
    pub(crate) config: Arc<Config>,
    /// By the index of the route, and by that of the share; none for a route that answers by itself.
    upstreams: Vec<Vec<Arc<Ready>>>,
}

/// An upstream, ready to be sent to.
pub(crate) struct Ready {
    pub(crate) settings: Arc<Upstream>,
    pub(crate) states: Vec<Arc<TargetState>>,
    pub(crate) tls: Option<TlsSettings>,
    /// Stands for the TLS settings in the keys of pools.
    revision: u64,
    turn: AtomicUsize,
}

impl Ready {
    pub(crate) fn pool_key(&self, index: usize) -> PoolKey {
        PoolKey { target: self.states[index].id, settings: self.revision }
    }

    /// Round robin: the target whose turn it is, passing over those in `tried`.
    pub(crate) fn next_target(&self, tried: &[usize]) -> Option<usize> {
        let count = self.states.len();
        if count == 1 {
            return tried.is_empty().then_some(0);
        }
        (0..count)
            .map(|_| self.turn.fetch_add(1, Relaxed) % count)
            .find(|it| !tried.contains(it))
            .or_else(|| (0..count).find(|it| !tried.contains(it)))
    }
}

impl Snapshot {
    pub(crate) fn new(
        config: Arc<Config>,
        registry: &Registry,
        roots: &RootCertStore,
        provider: &Arc<CryptoProvider>,
        revision: u64,
    ) -> Result<Snapshot, StartError> {
        let mut made: HashMap<Arc<str>, Arc<Ready>> = HashMap::new();
        let mut upstreams = Vec::new();
        for route in config.routes.all() {
            let shares = match &route.action {
                Action::Forward(forward) => &forward.shares[..],
                Action::Redirect { .. } | Action::Answer { .. } => &[],
            };
            let mut of_route = Vec::with_capacity(shares.len());
            for upstream in shares.iter().map(|it| &it.upstream) {
                let ready = match made.get(&upstream.name) {
                    Some(it) => it.clone(),
                    None => {
                        let it = Arc::new(ready(upstream, registry, roots, provider, revision)?);
                        made.insert(upstream.name.clone(), it.clone());
                        it
                    }
                };
                of_route.push(ready);
            }
            upstreams.push(of_route);
        }
        Ok(Snapshot { config, upstreams })
    }

    /// Where a share of a forwarding route sends to.
    pub(crate) fn upstream(&self, route: usize, share: usize) -> Option<&Arc<Ready>> {
        self.upstreams.get(route)?.get(share)
    }

    /// The sizes, for one core.
    pub(crate) fn limits(&self) -> Rc<Limits> {
        Rc::new(self.config.limits.clone())
    }
}

fn ready(
    upstream: &Arc<Upstream>,
    registry: &Registry,
    roots: &RootCertStore,
    provider: &Arc<CryptoProvider>,
    revision: u64,
) -> Result<Ready, StartError> {
    let states = upstream.targets.iter().map(|it| registry.target(&upstream.name, &it.name));
    let tls = match upstream.targets.iter().any(|it| it.tls) {
        true => Some(settings(upstream, roots, provider)?),
        false => None,
    };
    Ok(Ready {
        settings: upstream.clone(),
        states: states.collect(),
        tls,
        revision,
        turn: AtomicUsize::new(0),
    })
}
