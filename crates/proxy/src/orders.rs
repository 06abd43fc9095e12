//! What whoever runs the gateway orders for a target.

use crate::Plane;
use crate::registry::{Named, TargetState, UpstreamState};
use crate::upstream::health::Standing;
use exchange::{LiveState, Obeyed, Order, Treatment};
use std::sync::Arc;
use std::time::Instant;

/// Why an order was not obeyed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("there is no upstream `{name}`")]
    NoUpstream { name: String, known: Vec<Arc<str>> },
    #[error("`{upstream}` has no target `{name}`")]
    NotOfUpstream { upstream: String, name: String, known: Vec<Arc<str>> },
    #[error("no upstream has a target `{name}`")]
    NoTarget { name: String, known: Vec<Arc<str>> },
    #[error("`{target}` is not ejected: it is {}", state.name())]
    NotEjected { target: Arc<str>, state: LiveState },
}

/// How many names a hint lists.
const LISTED: usize = 8;

impl OrderError {
    /// What there is instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (name, known) = match self {
            OrderError::NoUpstream { name, known }
            | OrderError::NotOfUpstream { name, known, .. }
            | OrderError::NoTarget { name, known } => (name, known),
            OrderError::NotEjected { .. } => return None,
        };
        if known.is_empty() {
            return None;
        }
        let (few, more) = (known.iter().take(LISTED), known.len().saturating_sub(LISTED));
        let few: Vec<String> = few.map(|it| format!("`{it}`")).collect();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let list = format!("there is {}{more}", few.join(", "));
        let nearest = config::nearest(name, known.iter().map(|it| &**it));
        Some(match nearest.filter(|_| 1 < known.len()) {
            Some(nearest) => format!("did you mean `{nearest}`? {list}"),
            None => list,
        })
    }
}

impl Plane {
    /// Does it with each target that is meant, or with none.
    pub(crate) fn order(&self, order: &Order) -> Result<Vec<Obeyed>, OrderError> {
        let upstreams = self.registry.upstreams();
        let targets: Vec<Named> =
            self.registry.all().into_iter().filter(|(_, it)| !it.leaves()).collect();
        let meant = meant(order, &upstreams, &targets)?;
        let now = Instant::now();
        if order.treatment == Treatment::Trial {
            tried(&meant, now)?;
        }
        let obeyed = meant.into_iter().map(|((upstream, target), state)| {
            let known = upstreams.iter().find(|it| it.0 == *upstream);
            let of_all = known.map(|it| it.1.clone()).unwrap_or_default();
            treat(state, &of_all, order.treatment, now);
            let others = targets.iter().filter(|it| it.0.0 == *upstream && it.0.1 != *target);
            let others = others.map(|(_, it)| it.standing(of_all.slow_start(), now));
            let own = state.standing(of_all.slow_start(), now);
            let last = is_last(own, others);
            let standing = state.whole_health().state(of_all.slow_start(), now);
            Obeyed {
                upstream: upstream.clone(),
                target: target.clone(),
                state: standing,
                last,
                pending: state.pending(),
            }
        });
        Ok(obeyed.collect())
    }
}

type Meant<'a> = Vec<&'a Named>;

fn meant<'a>(
    order: &Order,
    upstreams: &[(Arc<str>, Arc<UpstreamState>)],
    targets: &'a [Named],
) -> Result<Meant<'a>, OrderError> {
    let of_upstream = |it: &&Named| order.upstream.as_deref().is_none_or(|name| name == &*it.0.0);
    if let Some(name) = &order.upstream
        && !upstreams.iter().any(|it| *it.0 == **name)
    {
        let known = upstreams.iter().map(|it| it.0.clone()).collect();
        return Err(OrderError::NoUpstream { name: name.clone(), known });
    }
    let wanted = bare(&order.target);
    let possible = targets.iter().filter(of_upstream);
    let exact = possible.clone().filter(|it| *it.0.1 == *order.target);
    let mut meant: Meant<'_> = exact.collect();
    if meant.is_empty() {
        meant = possible.clone().filter(|it| bare(&it.0.1) == wanted).collect();
    }
    if !meant.is_empty() {
        return Ok(meant);
    }
    let mut known: Vec<Arc<str>> = possible.map(|it| it.0.1.clone()).collect();
    known.sort();
    known.dedup();
    let name = order.target.clone();
    Err(match order.upstream.clone() {
        Some(upstream) => OrderError::NotOfUpstream { upstream, name, known },
        None => OrderError::NoTarget { name, known },
    })
}

/// A target as people type it: without its scheme and the slash at its end.
fn bare(target: &str) -> &str {
    let rest = target.split_once("://").map_or(target, |it| it.1);
    rest.strip_suffix('/').unwrap_or(rest)
}

/// One that is not out for a while cannot be tried.
fn tried(meant: &Meant<'_>, now: Instant) -> Result<(), OrderError> {
    for ((_, target), state) in meant {
        let health = state.whole_health();
        let state = health.state(std::time::Duration::ZERO, now);
        if state != LiveState::Ejected {
            return Err(OrderError::NotEjected { target: target.clone(), state });
        }
    }
    Ok(())
}

fn treat(state: &Arc<TargetState>, upstream: &UpstreamState, treatment: Treatment, now: Instant) {
    match treatment {
        Treatment::Drain(leave) => state.change_health(|it| it.order_to_leave(leave)),
        Treatment::Eject(length) => state.change_health(|it| it.order_out(length, now)),
        Treatment::Trial => drop(state.change_health(|it| it.order_trial(now))),
        Treatment::Reset => {
            state.forget(upstream);
            upstream.budget.forgive();
            upstream.gone.found();
        }
    }
}

/// Nobody is better off than one that should get no requests: it gets them all the same.
fn is_last(own: Standing, others: impl Iterator<Item = Standing>) -> bool {
    let rank = |it| match it {
        Standing::Well(_) | Standing::Suspect => 0,
        Standing::Due { .. } | Standing::Out => 1,
        Standing::Leaves => 2,
    };
    let best = others.map(rank).min().unwrap_or(2);
    0 < rank(own) && rank(own) <= best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn registry() -> Registry {
        let registry = Registry::default();
        for (upstream, target) in [
            ("app", "http://127.0.0.1:8001"),
            ("app", "http://127.0.0.1:8002"),
            ("shop", "http://127.0.0.1:8001"),
            ("shop", "unix:/run/shop.sock"),
        ] {
            registry.upstream(&upstream.into());
            registry.target(&upstream.into(), &target.into());
        }
        registry
    }

    /// The upstreams of the targets that are meant, or what is said.
    fn check(upstream: Option<&str>, target: &str, expected: Result<&[&str], (&str, &str)>) {
        let registry = registry();
        let (upstreams, targets) = (registry.upstreams(), registry.all());
        let treatment = Treatment::Reset;
        let order =
            Order { upstream: upstream.map(str::to_owned), target: target.to_owned(), treatment };
        match (meant(&order, &upstreams, &targets), expected) {
            (Ok(meant), Ok(expected)) => {
                let meant: Vec<_> = meant.iter().map(|it| &*it.0.0).collect();
                assert_eq!(meant, expected, "{target}");
            }
            (Err(why), Err((error, hint))) => {
                assert_eq!(why.to_string(), error);
                assert_eq!(why.hint().as_deref(), Some(hint));
            }
            (found, _) => panic!("{target}: {found:?}", found = found.map(|it| it.len())),
        }
    }

    #[test]
    fn a_target_is_meant_in_all_upstreams_or_in_one() {
        check(None, "http://127.0.0.1:8001", Ok(&["app", "shop"]));
        check(Some("shop"), "http://127.0.0.1:8001", Ok(&["shop"]));
        check(None, "127.0.0.1:8002", Ok(&["app"]));
        check(None, "http://127.0.0.1:8002/", Ok(&["app"]));
        check(None, "unix:/run/shop.sock", Ok(&["shop"]));
    }

    #[test]
    fn who_is_not_there_is_told_with_who_is() {
        check(
            Some("ap"),
            "x",
            Err(("there is no upstream `ap`", "did you mean `app`? there is `app`, `shop`")),
        );
        check(
            Some("app"),
            "unix:/x",
            Err((
                "`app` has no target `unix:/x`",
                "there is `http://127.0.0.1:8001`, `http://127.0.0.1:8002`",
            )),
        );
        check(
            None,
            "http://127.0.0.1:8003",
            Err((
                "no upstream has a target `http://127.0.0.1:8003`",
                "did you mean `http://127.0.0.1:8001`? there is `http://127.0.0.1:8001`, \
                 `http://127.0.0.1:8002`, `unix:/run/shop.sock`",
            )),
        );
    }

    #[test]
    fn the_last_one_is_who_gets_requests_all_the_same() {
        let check = |own, others: &[Standing], expected| {
            assert_eq!(is_last(own, others.iter().copied()), expected, "{own:?} {others:?}");
        };
        let well = Standing::Well(1.0);
        check(Standing::Leaves, &[], true);
        check(Standing::Leaves, &[well], false);
        check(Standing::Leaves, &[Standing::Leaves], true);
        check(Standing::Leaves, &[Standing::Leaves, Standing::Suspect], false);
        // Rather one that is out than one that was told to leave.
        check(Standing::Leaves, &[Standing::Out], false);
        check(Standing::Out, &[Standing::Leaves], true);
        check(Standing::Out, &[Standing::Out], true);
        check(well, &[Standing::Out], false);
    }
}
