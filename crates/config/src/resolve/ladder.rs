//! Warnings: settings that are valid each and make no sense together.

use super::Resolve;
use crate::complaint::Complaint;
use crate::typed::{
    Action, Backoff, Config, Forward, Later, Limits, Place, Route, Shutdown, Stale, Upstream,
};
use std::collections::HashSet;
use std::time::Duration;

impl Resolve<'_> {
    /// What ends later than the thing around it never fires.
    pub(super) fn check_ladder(&mut self, config: &Config) {
        let Shutdown { grace, idle, deadline } = config.shutdown;
        for (key, value) in [("grace", grace), ("idle", idle)] {
            if value > deadline {
                let message = format!(
                    "`shutdown.{key}` is {value:?}, but `shutdown.deadline` cuts after {deadline:?}"
                );
                self.warn(&[&["shutdown", key], &["shutdown", "deadline"]], &message);
            }
        }
        let Backoff { first, longest, .. } = config.child.backoff;
        if longest < first {
            let message = format!(
                "`child.backoff.first` is {first:?}, but `child.backoff.longest` is {longest:?}"
            );
            let places: [&[&str]; 2] =
                [&["child", "backoff", "first"], &["child", "backoff", "longest"]];
            self.warn(&places, &message);
        }
        let Limits { uri, request_head, .. } = config.limits;
        if uri > request_head {
            let message = format!(
                "`limits.uri` is {uri} bytes, but `limits.request_head` ends at {request_head}"
            );
            self.warn(&[&["limits", "uri"], &["limits", "request_head"]], &message);
        }
        for upstream in &config.upstreams {
            self.check_pool(upstream);
            self.check_tls(upstream);
            self.check_eject(upstream);
        }
        for route in config.routes.all() {
            if let Action::Forward(forward) = &route.action {
                self.check_total(route, forward, config.dns.timeout);
                self.check_stale(route, forward);
                self.check_later(route, forward);
            }
        }
    }

    fn check_total(&mut self, route: &Route, forward: &Forward, dns: Duration) {
        for share in &forward.shares {
            self.check_total_of(route, forward.total, &share.upstream);
            self.check_second_try(route, forward, &share.upstream);
        }
        let names = |it: &Upstream| {
            let mut places = it.targets.iter().map(|it| &it.place);
            places.any(|it| matches!(it, Place::Name { .. } | Place::Service(_)))
        };
        let total = forward.total;
        if total < dns
            && self.tree.has(&["dns", "timeout"])
            && forward.shares.iter().any(|it| names(&it.upstream))
        {
            let message = format!(
                "`dns.timeout` is {dns:?}, but `route.{}` ends after {total:?}",
                route.name
            );
            self.warn(&[&["dns", "timeout"]], &message);
        }
    }

    fn check_total_of(&mut self, route: &Route, total: Duration, upstream: &Upstream) {
        let Upstream { timeout, queue, .. } = upstream;
        let steps: [(&str, &str, Duration); 6] = [
            ("timeout", "connect", timeout.connect),
            ("timeout", "tls", timeout.tls),
            ("timeout", "send", timeout.send),
            ("timeout", "first_byte", timeout.first_byte),
            ("queue", "full", queue.full),
            ("queue", "gone", queue.gone),
        ];
        for (table, key, value) in steps.into_iter().filter(|it| it.2 > total) {
            let of_upstream = ["upstream", &upstream.name, table, key];
            let of_route = ["route", &route.name, "timeout", "total"];
            let message = format!(
                "`{table}.{key}` of upstream `{}` is {value:?}, but `route.{}` ends after {total:?}",
                upstream.name, route.name
            );
            // A `total` below a step that nobody wrote is meant as it stands.
            if self.tree.has(&of_upstream) {
                self.warn(&[&of_upstream, &of_route], &message);
            }
        }
    }

    fn check_stale(&mut self, route: &Route, forward: &Forward) {
        let Some(Stale { size, answer, .. }) = forward.stale else {
            return;
        };
        if size / 4 < answer {
            let message = format!(
                "`stale.answer` is {answer} bytes, but a quarter of `stale.size` is {}",
                size / 4
            );
            let place = |key| ["route", &*route.name, "stale", key];
            self.warn(&[&place("answer"), &place("size")], &message);
        }
    }

    /// After a target that did not answer in time another is asked only while half of the whole time is
    /// left.
    fn check_second_try(&mut self, route: &Route, forward: &Forward, upstream: &Upstream) {
        let (first_byte, total) = (upstream.timeout.first_byte, forward.total);
        let place = ["upstream", &*upstream.name, "timeout", "first_byte"];
        let may_follow = 1 < forward.retry.attempts && 1 < upstream.targets.len();
        let too_late = total / 2 <= first_byte && first_byte <= total;
        if may_follow && too_late && self.tree.has(&place) {
            let message = format!(
                "`timeout.first_byte` of upstream `{}` is {first_byte:?}, half of what `route.{}` has \
                 ({total:?}) or more: after a target that is too slow no other one is asked",
                upstream.name, route.name
            );
            self.warn(&[&place], &message);
        }
    }

    fn check_later(&mut self, route: &Route, forward: &Forward) {
        let Some(Later { after, total, .. }) = forward.later else {
            return;
        };
        if total <= after {
            let message =
                format!("`later.after` is {after:?}, but `later.total` ends after {total:?}");
            let place = |key| ["route", &*route.name, "later", key];
            self.warn(&[&place("after"), &place("total")], &message);
        }
    }

    fn check_eject(&mut self, upstream: &Upstream) {
        let (first, longest) = (upstream.eject.first, upstream.eject.longest);
        if longest < first {
            let message = format!("`eject.first` is {first:?}, but `eject.longest` is {longest:?}");
            let place = |key| ["upstream", &*upstream.name, "eject", key];
            self.warn(&[&place("first"), &place("longest")], &message);
        }
    }

    fn check_pool(&mut self, upstream: &Upstream) {
        let place = ["upstream", &*upstream.name, "pool", "idle"];
        let Some(connections) = upstream.pool.connections else {
            return;
        };
        if upstream.pool.idle > connections && self.tree.has(&place) {
            let idle = upstream.pool.idle;
            let message =
                format!("`pool.idle` is {idle}, but `pool.connections` allows only {connections}");
            self.warn(&[&place], &message);
        }
    }

    fn check_tls(&mut self, upstream: &Upstream) {
        let name = &*upstream.name;
        let uses_tls = upstream.targets.iter().any(|it| it.tls);
        if uses_tls || upstream.targets.is_empty() {
            return;
        }
        for place in [["upstream", name, "tls"].as_slice(), &["upstream", name, "timeout", "tls"]] {
            if self.tree.has(place) {
                let message = format!("no target of upstream `{name}` is an `https` URL");
                let span = self.tree.at(place).key.clone();
                let complaint = Complaint::warning("no_effect", message).at(span);
                self.complaints.push(complaint.label("this has no effect"));
            }
        }
    }

    /// Upstreams that no route names. Counted in what was typed, since a route with a mistake in it
    /// still names its upstream.
    pub(super) fn check_unused(&mut self, config: &Config) {
        let tree = self.tree;
        let routes = tree.inside("route").into_iter();
        let goals = routes.filter_map(|it| it.1.get("to"));
        let goals = goals.flat_map(|it| [it].into_iter().chain(it.items()));
        let named = goals.filter_map(|it| it.get("upstream").unwrap_or(it).text());
        let used: HashSet<&str> = named.collect();
        for upstream in &config.upstreams {
            let name = &*upstream.name;
            if tree.has(&["upstream", name]) && !used.contains(name) {
                let message = format!("no route uses the upstream `{name}`");
                let span = tree.at(&["upstream", name]).key.clone();
                self.complaints.push(Complaint::warning("unused_upstream", message).at(span));
            }
        }
    }

    /// At the first of the places that was written.
    fn warn(&mut self, places: &[&[&str]], message: &str) {
        let written = places.iter().find(|it| self.tree.has(it)).or(places.first());
        if let Some(place) = written {
            self.complain(place, Complaint::warning("ladder", message));
        }
    }
}
