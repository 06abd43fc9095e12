//! Routes: what they match and what they do.

use super::Resolve;
use crate::complaint::Complaint;
use crate::leaf::{Destination, Pattern, To, Word};
use crate::nearest::nearest;
use crate::path::{PathFault, PathRules, normal_path};
use crate::render::shown;
use crate::routes::{Choice, Routes};
use crate::tree::Node;
use crate::typed::{Action, Forward, PathMatch, Route, Upstream};
use crate::written::{self, OneOrMany};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a route does; exactly one of them.
const ACTIONS: [&str; 3] = ["to", "redirect", "answer"];
/// What has no effect on a route without `to`.
const OF_FORWARD: [&str; 4] = ["strip_prefix", "host", "timeout", "retry"];

impl Resolve<'_> {
    /// All routes in the order of the file. URLs in them make upstreams of the same name.
    pub(super) fn routes(
        &mut self,
        mut written: BTreeMap<String, written::Route>,
        upstreams: &mut Vec<Arc<Upstream>>,
    ) -> Vec<Route> {
        let mut routes = Vec::with_capacity(written.len());
        let mut taken = HashMap::new();
        let tree = self.tree;
        for (name, _) in tree.inside("route") {
            let good = self.is_good_name("route", name);
            let acts = self.has_one_action(name);
            let Some(it) = written.remove(name).filter(|_| good) else {
                continue;
            };
            let Some(route) = self.route(name, it, upstreams) else {
                continue;
            };
            self.check_not_taken(&route, &mut taken);
            routes.extend(route.with_action().filter(|_| acts));
        }
        routes
    }

    fn has_one_action(&mut self, name: &str) -> bool {
        let written = ACTIONS.iter().filter(|it| self.tree.has(&["route", name, it]));
        let written: Vec<&str> = written.copied().collect();
        match written.as_slice() {
            [_] => true,
            [] => {
                let complaint = Complaint::error(
                    "missing_key",
                    format!("`route.{}` does nothing with its requests", shown(name)),
                );
                let help = "add one of `to`, `redirect` and `answer`";
                self.complain(&["route", name], complaint.help(help));
                false
            }
            [first, second, ..] => {
                let message = format!("`{second}` cannot stand beside `{first}`");
                let span = self.tree.at(&["route", name, second]).key.clone();
                self.complaints.push(
                    Complaint::error("two_actions", message)
                        .at(span)
                        .help("a route has one of `to`, `redirect` and `answer`"),
                );
                false
            }
        }
    }

    fn route(
        &mut self,
        name: &str,
        written: written::Route,
        upstreams: &mut Vec<Arc<Upstream>>,
    ) -> Option<Matched> {
        let written::Route {
            matching,
            to,
            redirect,
            answer,
            strip_prefix,
            host,
            raw_path,
            merge_slashes,
            timeout: written::RouteTimeout { total },
            retry: written::Retry { attempts },
        } = written;
        let rules = PathRules { merge_slashes, raw: raw_path };
        let (matched_host, path, methods) = match matching {
            written::Match::Path(path) => (None, Some(path.means), None),
            written::Match::Table(written::MatchTable { host, path, methods }) => {
                (host.map(|it| it.means), path.map(|it| it.means), methods)
            }
        };
        let path = self.path(name, path, rules);
        let strip_prefix = strip_prefix.map(|it| it.means);
        if let (Some(prefix), Some(path)) = (&strip_prefix, &path) {
            self.check_prefix(name, prefix, path, rules);
        }
        let action = if let Some(to) = to {
            self.upstream_of(name, to, upstreams).map(|upstream| {
                Action::Forward(Forward {
                    upstream,
                    strip_prefix: strip_prefix.unwrap_or_default().into(),
                    host: host.map(|it| it.means),
                    total: total.means,
                    attempts,
                })
            })
        } else {
            self.check_no_forward(name);
            self.own_action(name, redirect, answer)
        };
        let mut methods: Vec<Arc<str>> =
            methods.into_iter().flatten().map(|it| it.means.into()).collect();
        methods.sort();
        methods.dedup();
        let host = matched_host.map(Arc::from);
        Some(Matched { name: name.into(), host, path: path?, methods, rules, action })
    }

    /// The path in normal form, by the rules of its route; a complaint otherwise.
    fn path(&mut self, name: &str, path: Option<Pattern>, rules: PathRules) -> Option<PathMatch> {
        let Some(pattern) = path else {
            return Some(PathMatch::Below("".into()));
        };
        let written = ["route", name, "match", "path"];
        let place = if self.tree.has(&written) { &written[..] } else { &written[..3] };
        let star = if pattern.below { "*" } else { "" };
        self.check_normal(place, &pattern.path, star, rules).then(|| pattern.matches())
    }

    /// Whether a path is in normal form; `star` is what is shown behind it.
    fn check_normal(&mut self, place: &[&str], path: &str, star: &str, rules: PathRules) -> bool {
        let node = self.tree.at(place);
        let shown_path = node.shown();
        let complaint = match normal_path(path, rules) {
            Ok(normal) if normal == path => return true,
            Ok(normal) => {
                let message = format!("`{shown_path}` is not in normal form and would never match");
                let complaint = Complaint::error("not_normal", message);
                if node.is_expanded() {
                    complaint
                } else {
                    complaint.help(format!("write `\"{}\"`", shown(&format!("{normal}{star}"))))
                }
            }
            Err(PathFault::Invalid) => Complaint::error(
                "bad_value",
                format!("`{shown_path}` has characters that no path can have"),
            )
            .help("percent-encode them, such as `%20` for a space"),
            Err(PathFault::Ambiguous) => Complaint::error(
                "bad_value",
                format!("`{shown_path}` has an escaped slash, a backslash or a NUL"),
            )
            .help("such paths reach only routes with `raw_path = true`"),
            Err(PathFault::LeavesRoot) => {
                Complaint::error("bad_value", format!("`{shown_path}` leaves the root"))
            }
        };
        self.complain(place, complaint);
        false
    }

    /// What is taken off must be in front of every path that the route takes.
    fn check_prefix(&mut self, name: &str, prefix: &str, path: &PathMatch, rules: PathRules) {
        let place = ["route", name, "strip_prefix"];
        if !self.check_normal(&place, prefix, "", rules) {
            return;
        }
        let (PathMatch::Exact(taken) | PathMatch::Below(taken)) = path;
        let fits =
            taken.strip_prefix(prefix).is_some_and(|it| it.is_empty() || it.starts_with('/'));
        if fits {
            return;
        }
        let message = format!(
            "`{}` is not in front of every path that `route.{name}` takes",
            self.tree.at(&place).shown()
        );
        let complaint = Complaint::error("prefix_does_not_fit", message);
        self.complain(&place, complaint.help("a `strip_prefix` begins like the path of `match`"));
    }

    fn check_no_forward(&mut self, name: &str) {
        let Some(action) =
            ["redirect", "answer"].iter().find(|it| self.tree.has(&["route", name, it]))
        else {
            return;
        };
        // A bad `to` was complained about, and the rest belongs to it.
        if self.tree.has(&["route", name, "to"]) {
            return;
        }
        for key in OF_FORWARD {
            if let Some(node) = self.tree.at(&["route", name]).get(key) {
                let message = format!("`{key}` has no effect beside `{action}`");
                let complaint = Complaint::error("no_effect", message).at(node.key.clone());
                self.complaints.push(complaint);
            }
        }
    }

    fn own_action(
        &mut self,
        name: &str,
        redirect: Option<written::Redirect>,
        answer: Option<written::Answer>,
    ) -> Option<Action> {
        match redirect {
            Some(written::Redirect::To(to)) => {
                let status = written::permanently();
                return Some(Action::Redirect { status, to: to.means.into() });
            }
            Some(written::Redirect::Table(written::RedirectTable { to, status })) => {
                return Some(Action::Redirect { status, to: to.means.into() });
            }
            None => {}
        }
        let written::Answer { status, body, content_type } = answer?;
        if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            let message = format!("an answer with status {status} has no body");
            self.error("no_effect", &["route", name, "answer", "body"], &message);
        }
        Some(Action::Answer { status, content_type: content_type.means.into(), body: body.into() })
    }

    fn upstream_of(
        &mut self,
        name: &str,
        to: OneOrMany<Word<Destination>>,
        upstreams: &mut Vec<Arc<Upstream>>,
    ) -> Option<Arc<Upstream>> {
        let node = self.tree.at(&["route", name, "to"]);
        let is_list = !node.items().is_empty();
        let mut targets = Vec::new();
        for (index, it) in to.into_vec().into_iter().enumerate() {
            let item = node.items().get(index).unwrap_or(node);
            match it.means {
                To::Target(target) => targets.push((target, item.span.clone())),
                To::Upstream(_) if is_list => {
                    let message = format!("`{}` is not a URL", item.shown());
                    self.complaints.push(
                        Complaint::error("bad_value", message).at(item.span.clone()).help(
                            "a list holds URLs; a single upstream stands without the brackets",
                        ),
                    );
                    return None;
                }
                To::Upstream(upstream) => return self.known_upstream(name, &upstream),
            }
        }
        if self.tree.has(&["upstream", name]) {
            let message = format!(
                "`route.{name}` has URLs of its own, and there is an upstream `{name}` too"
            );
            let complaint = Complaint::error("same_name", message);
            let help = format!("write `to = \"{name}\"`, or give one of the two another name");
            self.complain(&["route", name, "to"], complaint.help(help));
            return None;
        }
        let targets = self.targets(targets);
        let upstream = Arc::new(self.upstream(name, targets, written::Upstream::default()));
        upstreams.push(upstream.clone());
        Some(upstream)
    }

    fn known_upstream(&mut self, route: &str, upstream: &str) -> Option<Arc<Upstream>> {
        let place = ["route", route, "to"];
        if self.tree.has(&["upstream", upstream]) {
            // Absent if it was complained about.
            return self.upstreams.get(upstream).cloned();
        }
        let node = self.tree.at(&place);
        let message = format!("there is no upstream `{}`", node.shown());
        let mut complaint = Complaint::error("unknown_upstream", message);
        let known = self.tree.get("upstream").map_or(&[][..], Node::entries);
        let known = known.iter().map(|it| it.0.as_str());
        // A value from the environment must not show through a hint.
        if node.is_expanded() {
        } else if let Some(meant) = nearest(upstream, known) {
            complaint = complaint.label(format!("did you mean `{}`?", shown(meant)));
        } else if upstream.contains([':', '.']) {
            complaint =
                complaint.help(format!("a URL is written `\"http://{}\"`", shown(upstream)));
        } else {
            complaint = complaint.help(format!("add `[upstream.{}]`", shown(upstream)));
        }
        self.complain(&place, complaint);
        None
    }

    /// Two routes of the same rank that take the same request: neither order would be right.
    fn check_not_taken(&mut self, route: &Matched, taken: &mut HashMap<Taken, Arc<str>>) {
        let any = [Arc::from("*")];
        let methods = if route.methods.is_empty() { &any[..] } else { &route.methods };
        let mut first = None;
        for method in methods {
            let key = (route.host.clone(), route.path.clone(), method.clone());
            if let Some(other) = taken.get(&key) {
                first = first.or_else(|| Some((other.clone(), method.clone())));
            } else {
                taken.insert(key, route.name.clone());
            }
        }
        let Some((other, method)) = first else {
            return;
        };
        let of = if &*method == "*" { String::new() } else { format!(" with {method}") };
        let message =
            format!("`route.{}` takes the same requests{of} as `route.{other}`", route.name);
        self.complain(&["route", &route.name, "match"], Complaint::error("same_routes", message));
    }

    /// A redirect whose goal comes back to it.
    pub(super) fn check_loops(&mut self, routes: &Routes) {
        for route in routes.all() {
            let Action::Redirect { to, .. } = &route.action else {
                continue;
            };
            if !to.starts_with('/') {
                continue;
            }
            let path = to.split(['?', '#']).next().unwrap_or_default();
            let method = route.methods.first().map_or("GET", |it| it);
            let host = route.host.as_deref().unwrap_or_default();
            let Choice::Route { route: next, .. } = routes.choose(method, host, path) else {
                continue;
            };
            if next.index == route.index {
                let message = format!("`route.{}` redirects to itself, without end", route.name);
                let place = ["route", &*route.name, "redirect"];
                self.error("redirect_loop", &place, &message);
            }
        }
    }
}

/// Host, path and method, `*` for all of them.
type Taken = (Option<Arc<str>>, PathMatch, Arc<str>);

/// A route whose action may have been complained about.
struct Matched {
    name: Arc<str>,
    host: Option<Arc<str>>,
    path: PathMatch,
    methods: Vec<Arc<str>>,
    rules: PathRules,
    action: Option<Action>,
}

impl Matched {
    fn with_action(self) -> Option<Route> {
        let Self { name, host, path, methods, rules, action } = self;
        Some(Route {
            name,
            // Set by `Routes::new`.
            index: 0,
            host,
            path,
            methods,
            raw_path: rules.raw,
            merge_slashes: rules.merge_slashes,
            action: action?,
        })
    }
}
