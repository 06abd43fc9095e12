//! Warnings: settings that are valid each and make no sense together.

use super::Resolve;
use crate::complaint::Complaint;
use crate::typed::{Action, Backoff, Config, Forward, Limits, Route, Shutdown, Stale, Upstream};
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
        }
        for route in config.routes.all() {
            if let Action::Forward(forward) = &route.action {
                self.check_total(route, forward);
                self.check_stale(route, forward);
            }
        }
    }

    fn check_total(&mut self, route: &Route, forward: &Forward) {
        for share in &forward.shares {
            self.check_total_of(route, forward.total, &share.upstream);
        }
    }

    fn check_total_of(&mut self, route: &Route, total: Duration, upstream: &Upstream) {
        let timeout = &upstream.timeout;
        let steps: [(&str, Duration); 4] = [
            ("connect", timeout.connect),
            ("tls", timeout.tls),
            ("send", timeout.send),
            ("first_byte", timeout.first_byte),
        ];
        for (key, value) in steps.into_iter().filter(|it| it.1 > total) {
            let of_upstream = ["upstream", &upstream.name, "timeout", key];
            let of_route = ["route", &route.name, "timeout", "total"];
            let message = format!(
                "`timeout.{key}` of upstream `{}` is {value:?}, but `route.{}` ends after {total:?}",
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
