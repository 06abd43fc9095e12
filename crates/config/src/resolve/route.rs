//! Routes: what they match and what they do.

use super::Resolve;
use crate::complaint::Complaint;
use crate::leaf::{Pattern, Sought, StickyBy, To, Word, is_token};
use crate::matching::{Asked, Condition, HostMatch, PathMatch, Rewrite, Where};
use crate::nearest::nearest;
use crate::path::{PathFault, PathRules, normal_path};
use crate::render::shown;
use crate::routes::{Choice, Routes};
use crate::tree::Node;
use crate::typed::{Action, Forward, Later, Retry, Route, Share, Stale, Sticky, Upstream};
use crate::written::{self, Goal, OneOrMany};
use http::HeaderMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a route does; exactly one of them.
const ACTIONS: [&str; 3] = ["to", "redirect", "answer"];
/// What has no effect on a route without `to`.
const OF_FORWARD: [&str; 9] =
    ["strip_prefix", "rewrite", "sticky", "host", "grpc_web", "timeout", "retry", "stale", "later"];

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
            rewrite,
            sticky,
            host,
            https_only,
            raw_path,
            merge_slashes,
            grpc_web,
            timeout: written::RouteTimeout { total },
            retry: written::Retry { attempts, budget, body, answer: held_back },
            stale,
            later,
        } = written;
        let rules = PathRules { merge_slashes, raw: raw_path };
        let written::MatchTable { host: matched_host, path, methods, headers, query, cookies } =
            match matching {
                written::Match::Path(path) => {
                    written::MatchTable { path: Some(path), ..written::MatchTable::default() }
                }
                written::Match::Table(table) => table,
            };
        let path = self.path(name, path.map(|it| it.means), rules);
        let kinds = [
            (Where::Header, "headers", headers),
            (Where::Query, "query", query),
            (Where::Cookie, "cookies", cookies),
        ];
        let conditions = kinds
            .into_iter()
            .flat_map(|(place, key, all)| self.conditions(name, place, key, all))
            .collect();
        let strip_prefix = strip_prefix.map(|it| it.means);
        if let (Some(prefix), Some(path)) = (&strip_prefix, &path) {
            self.check_prefix(name, prefix, path, rules);
        }
        let rewrite = match (rewrite, &path) {
            (Some(template), Some(path)) => self.rewrite(name, &template.means, path, rules),
            _ => None,
        };
        let action = if let Some(to) = to {
            self.shares(name, to, upstreams).map(|shares| {
                Action::Forward(Arc::new(Forward {
                    sticky: self.sticky(name, sticky, &shares),
                    shares,
                    strip_prefix: strip_prefix.unwrap_or_default().into(),
                    rewrite,
                    host: host.map(|it| it.means),
                    grpc_web,
                    total: total.means,
                    retry: Retry {
                        attempts,
                        budget: budget.means,
                        body: body.means,
                        answer: held_back.means,
                    },
                    stale: stale.map(|it| Stale {
                        keep: it.keep.means,
                        size: it.size.means,
                        answer: it.answer.means,
                    }),
                    later: later.map(|it| Later {
                        after: it.after.means,
                        total: it.total.means,
                        keep: it.keep.means,
                        requests: it.requests as usize,
                        answer: it.answer.means,
                    }),
                }))
            })
        } else {
            self.check_no_forward(name);
            self.own_action(name, redirect, answer)
        };
        let mut methods: Vec<Arc<str>> =
            methods.into_iter().flatten().map(|it| it.means.into()).collect();
        methods.sort();
        methods.dedup();
        let host = matched_host.map(|it| it.means);
        let name = name.into();
        let https_only = https_only.unwrap_or(self.https_only);
        Some(Matched { name, host, path: path?, methods, conditions, rules, https_only, action })
    }

    /// What a request must have besides; a name that cannot be is complained about.
    fn conditions(
        &mut self,
        route: &str,
        place: Where,
        key: &str,
        all: BTreeMap<String, Word<Sought>>,
    ) -> Vec<Condition> {
        let mut conditions: Vec<Condition> = Vec::with_capacity(all.len());
        for (written, value) in all {
            let name =
                if place == Where::Header { written.to_ascii_lowercase() } else { written.clone() };
            let at = ["route", route, "match", key, &written];
            if place != Where::Query && !is_token(&name) {
                let message = format!(
                    "`{}` cannot be the name of a {}",
                    shown(&written),
                    &key[..key.len() - 1]
                );
                let span = self.tree.at(&at).key.clone();
                self.complaints.push(Complaint::error("bad_value", message).at(span));
                continue;
            }
            if conditions.iter().any(|it| *it.name == *name) {
                let message = format!("`{}` stands here twice, in other letters", shown(&written));
                let span = self.tree.at(&at).key.clone();
                self.complaints.push(Complaint::error("same_name", message).at(span));
                continue;
            }
            conditions.push(Condition { place, name: name.into(), test: value.means });
        }
        conditions
    }

    /// What the path becomes; its names must be those of the path.
    fn rewrite(
        &mut self,
        route: &str,
        template: &str,
        path: &PathMatch,
        rules: PathRules,
    ) -> Option<Rewrite> {
        let place = ["route", route, "rewrite"];
        if let Some(prefix) = self.tree.at(&["route", route]).get("strip_prefix") {
            let complaint =
                Complaint::error("two_actions", "`strip_prefix` cannot stand beside `rewrite`")
                    .at(prefix.key.clone())
                    .help("a `rewrite` says the whole new path");
            self.complaints.push(complaint);
            return None;
        }
        let (plain, star) = match template.strip_suffix("/*") {
            Some(before) => (format!("{before}/"), "*"),
            None => (template.to_owned(), ""),
        };
        if !self.check_normal(&place, &plain, star, rules) {
            return None;
        }
        match Rewrite::new(template, path) {
            Ok(rewrite) => Some(rewrite),
            Err(name) => {
                let (message, help) = if name == "*" {
                    (
                        "`rewrite` ends in `/*`, but the path of `match` does not".to_owned(),
                        "only what a `/*` took can be put behind".to_owned(),
                    )
                } else {
                    let known = path.names();
                    let help = match known.is_empty() {
                        true => "the path of `match` names none".to_owned(),
                        false => format!("it names {}", known.join(", ")),
                    };
                    (format!("the path of `match` has no part named `{}`", shown(&name)), help)
                };
                self.complain(&place, Complaint::error("unknown_name", message).help(help));
                None
            }
        }
    }

    fn sticky(
        &mut self,
        route: &str,
        sticky: Option<Word<StickyBy>>,
        shares: &[Share],
    ) -> Option<Sticky> {
        let sticky = sticky?.means;
        if shares.len() < 2 {
            let message = "`sticky` has no effect where there is one upstream";
            self.error("no_effect", &["route", route, "sticky"], message);
        }
        Some(sticky)
    }

    /// The path in normal form, by the rules of its route; a complaint otherwise.
    fn path(&mut self, name: &str, path: Option<Pattern>, rules: PathRules) -> Option<PathMatch> {
        let Some(pattern) = path else {
            return Some(PathMatch::Below("".into()));
        };
        let written = ["route", name, "match", "path"];
        let place = if self.tree.has(&written) { &written[..] } else { &written[..3] };
        let good = match &pattern {
            Pattern::Regex(_) => true,
            Pattern::Path(text) => match text.strip_suffix('*') {
                Some(before) => self.check_normal(place, before, "*", rules),
                None => self.check_normal(place, text, "", rules),
            },
        };
        good.then(|| pattern.matches())
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
        let fits = path
            .literal()
            .strip_prefix(prefix)
            .is_some_and(|it| it.is_empty() || it.starts_with('/'));
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

    /// The upstreams of a route, with their weights; URLs of its own make one of its name.
    fn shares(
        &mut self,
        name: &str,
        to: OneOrMany<Goal>,
        upstreams: &mut Vec<Arc<Upstream>>,
    ) -> Option<Vec<Share>> {
        let node = self.tree.at(&["route", name, "to"]);
        let is_list = !node.items().is_empty();
        let goals = to.into_vec();
        let count = goals.len();
        let mut targets = Vec::new();
        let mut shares: Vec<Share> = Vec::new();
        for (index, it) in goals.into_iter().enumerate() {
            let item = node.items().get(index).unwrap_or(node);
            match it {
                Goal::Share(written::ShareTable { upstream, weight }) => {
                    let place = item.get("upstream").unwrap_or(item);
                    let upstream = self.known_upstream(place, &upstream)?;
                    if shares.iter().any(|it| it.upstream.name == upstream.name) {
                        let message = format!("`{}` stands here twice", upstream.name);
                        let complaint = Complaint::error("same_name", message);
                        self.complaints.push(complaint.at(place.span.clone()));
                        return None;
                    }
                    shares.push(Share { upstream, weight });
                }
                Goal::To(to) => match to.means {
                    To::Target(target) => targets.push((target, item.span.clone())),
                    To::Upstream(_) if is_list => {
                        let message = format!("`{}` is not a URL", item.shown());
                        self.complaints.push(
                            Complaint::error("bad_value", message).at(item.span.clone()).help(
                                "a list holds URLs, or tables such as \
                                 `{ upstream = \"a\", weight = 9 }`",
                            ),
                        );
                        return None;
                    }
                    To::Upstream(upstream) => {
                        let upstream = self.known_upstream(node, &upstream)?;
                        return Some(vec![Share { upstream, weight: 1 }]);
                    }
                },
            }
        }
        if !shares.is_empty() && shares.len() < count {
            let complaint = Complaint::error("bad_value", "URLs cannot stand beside upstreams");
            let help = "give the URLs an upstream of their own, with a name and a weight";
            self.complain(&["route", name, "to"], complaint.help(help));
            return None;
        }
        if !shares.is_empty() {
            if shares.iter().all(|it| it.weight == 0) {
                let message = "all weights are 0: nothing would be sent anywhere";
                self.error("out_of_range", &["route", name, "to"], message);
                return None;
            }
            return Some(shares);
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
        Some(vec![Share { upstream, weight: 1 }])
    }

    fn known_upstream(&mut self, node: &Node, upstream: &str) -> Option<Arc<Upstream>> {
        if self.tree.has(&["upstream", upstream]) {
            // Absent if it was complained about.
            return self.upstreams.get(upstream).cloned();
        }
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
        self.complaints.push(complaint.at(node.span.clone()));
        None
    }

    /// Two routes of the same rank that take the same request: neither order would be right.
    fn check_not_taken(&mut self, route: &Matched, taken: &mut HashMap<Taken, Arc<str>>) {
        let any = [Arc::from("*")];
        let methods = if route.methods.is_empty() { &any[..] } else { &route.methods };
        let mut first = None;
        for method in methods {
            let mut conditions: Vec<String> =
                route.conditions.iter().map(Condition::to_string).collect();
            conditions.sort();
            let key = (route.host.clone(), route.path.shape(), conditions, method.clone());
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
            let host: &str = match &route.host {
                Some(HostMatch::Exact(name)) => name,
                // Some name below it, and some name at all.
                Some(HostMatch::Below(suffix)) => &format!("any{suffix}"),
                None => "",
            };
            // A redirect is followed with the same headers; those that it wants may be there.
            if !route.conditions.is_empty() {
                continue;
            }
            let headers = HeaderMap::new();
            let asked = Asked { method, host, path, query: None, headers: &headers };
            let Choice::Route { route: next, .. } = routes.choose(&asked) else {
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

/// Host, path, conditions and method, `*` for all of them.
type Taken = (Option<HostMatch>, String, Vec<String>, Arc<str>);

/// A route whose action may have been complained about.
struct Matched {
    name: Arc<str>,
    host: Option<HostMatch>,
    path: PathMatch,
    methods: Vec<Arc<str>>,
    conditions: Vec<Condition>,
    rules: PathRules,
    https_only: bool,
    action: Option<Action>,
}

impl Matched {
    fn with_action(self) -> Option<Route> {
        let Self { name, host, path, methods, conditions, rules, https_only, action } = self;
        Some(Route {
            name,
            // Set by `Routes::new`.
            index: 0,
            host,
            path,
            methods,
            conditions,
            raw_path: rules.raw,
            merge_slashes: rules.merge_slashes,
            https_only,
            action: action?,
        })
    }
}
