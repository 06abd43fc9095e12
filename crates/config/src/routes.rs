//! Which route takes a request.

use crate::path::{PathFault, PathRules, normal_path};
use crate::typed::{PathMatch, Route};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// All routes, in the order in which they are tried: host (exact, then any), path (exact, then the
/// longest prefix), then those that name methods before those that do not.
#[derive(Clone, Default)]
pub struct Routes {
    all: Vec<Arc<Route>>,
    /// The rules of some route, the safe ones always first.
    rules: Vec<PathRules>,
    hosts: HashMap<Arc<str>, Host>,
    any_host: Host,
}

/// What the table says of a request.
#[derive(Debug)]
pub enum Choice<'a> {
    Route {
        route: &'a Arc<Route>,
        /// In the route's normal form.
        path: Cow<'a, str>,
    },
    /// Host and path match routes, the method none of them; these methods would.
    MethodNotAllowed(Vec<Arc<str>>),
    NoRoute,
    Path(PathFault),
}

/// The routes of one host: a table for each of [`Routes::rules`].
type Host = Vec<Table>;

/// Routes of one host and one reading of paths, by position in [`Routes::all`].
#[derive(Clone, Default)]
struct Table {
    exact: HashMap<Arc<str>, Vec<usize>>,
    below: HashMap<Arc<str>, Vec<usize>>,
    /// The lengths of the prefixes in `below`, longest first.
    lengths: Vec<usize>,
}

impl Routes {
    /// Puts the routes in order, which sets [`Route::index`]. Equals keep the order they came in.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_cached_key(rank);
        let mut it = Self { rules: vec![PathRules::SAFE], ..Self::default() };
        for (index, mut route) in routes.into_iter().enumerate() {
            route.index = index;
            it.add(&route);
            it.all.push(Arc::new(route));
        }
        it
    }

    /// Every route, in the order in which they are tried.
    pub fn all(&self) -> &[Arc<Route>] {
        &self.all
    }

    /// The route for a request. `host` is in lower case, without port and trailing dot; `path` is as
    /// the client sent it, without its query.
    pub fn choose<'a>(&'a self, method: &str, host: &str, path: &'a str) -> Choice<'a> {
        let hosts = [self.hosts.get(host), Some(&self.any_host)];
        let mut search = Search { routes: self, hosts, method, best: None, allowed: Vec::new() };
        let safe = match normal_path(path, PathRules::SAFE) {
            Ok(normal) => normal,
            Err(fault) => {
                search.with_other_rules(path);
                return search.best.map_or(Choice::Path(fault), |it| self.taken(it));
            }
        };
        // A path that needs no change under the safe rules needs none under any.
        if let Cow::Borrowed(plain) = safe {
            for rules in 0..self.rules.len() {
                search.look(rules, &Cow::Borrowed(plain));
            }
        } else {
            search.look(0, &safe);
            search.with_other_rules(path);
        }
        match search.best {
            Some(best) => self.taken(best),
            None if search.allowed.is_empty() => Choice::NoRoute,
            None => Choice::MethodNotAllowed(search.allowed_methods()),
        }
    }

    fn taken<'a>(&'a self, (index, path): (usize, Cow<'a, str>)) -> Choice<'a> {
        Choice::Route { route: &self.all[index], path }
    }

    fn add(&mut self, route: &Route) {
        let rules = self.position_of(route);
        let host = match &route.host {
            Some(name) => self.hosts.entry(name.clone()).or_default(),
            None => &mut self.any_host,
        };
        if host.len() <= rules {
            host.resize_with(rules + 1, Table::default);
        }
        host[rules].add(route);
    }

    fn position_of(&mut self, route: &Route) -> usize {
        let wanted = (route.merge_slashes, route.raw_path);
        let known = self.rules.iter().position(|it| (it.merge_slashes, it.raw) == wanted);
        known.unwrap_or_else(|| {
            self.rules.push(PathRules { merge_slashes: wanted.0, raw: wanted.1 });
            self.rules.len() - 1
        })
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

/// What orders routes; the smaller is tried first.
fn rank(route: &Route) -> impl Ord + use<> {
    let (is_prefix, path) = match &route.path {
        PathMatch::Exact(path) => (false, path),
        PathMatch::Below(path) => (true, path),
    };
    let shortness = if is_prefix { usize::MAX - path.len() } else { 0 };
    let any_method = route.methods.is_empty();
    (route.host.is_none(), route.host.clone(), is_prefix, shortness, path.clone(), any_method)
}

impl Table {
    fn add(&mut self, route: &Route) {
        match &route.path {
            PathMatch::Exact(path) => self.exact.entry(path.clone()).or_default().push(route.index),
            PathMatch::Below(path) => {
                // Routes come with the longest prefixes first.
                if self.lengths.last() != Some(&path.len()) {
                    self.lengths.push(path.len());
                }
                self.below.entry(path.clone()).or_default().push(route.index);
            }
        }
    }

    /// Positions of the routes whose path matches, in the order in which they are tried.
    fn matching(&self, path: &str) -> impl Iterator<Item = usize> {
        let exact = self.exact.get(path).into_iter();
        let below = self.lengths.iter().filter_map(move |length| {
            let prefix = path.get(..*length)?;
            let ends = matches!(path.as_bytes().get(*length), None | Some(b'/'));
            if ends { self.below.get(prefix) } else { None }
        });
        exact.chain(below).flatten().copied()
    }
}

/// One request's way through the tables.
struct Search<'a, 'm> {
    routes: &'a Routes,
    hosts: [Option<&'a Host>; 2],
    method: &'m str,
    /// The position of the first route found to take the request, and the path as it reads it.
    best: Option<(usize, Cow<'a, str>)>,
    /// Routes that all but the method match.
    allowed: Vec<usize>,
}

impl<'a> Search<'a, '_> {
    /// Reads the path by all but the safe rules; a reading with a fault takes part no more.
    fn with_other_rules(&mut self, path: &'a str) {
        for position in 1..self.routes.rules.len() {
            if let Ok(normal) = normal_path(path, self.routes.rules[position]) {
                self.look(position, &normal);
            }
        }
    }

    fn look(&mut self, rules: usize, path: &Cow<'a, str>) {
        for host in self.hosts.into_iter().flatten() {
            let Some(table) = host.get(rules) else {
                continue;
            };
            for index in table.matching(path) {
                let methods = &self.routes.all[index].methods;
                if !methods.is_empty() && !methods.iter().any(|it| **it == *self.method) {
                    self.allowed.push(index);
                    continue;
                }
                if self.best.as_ref().is_none_or(|it| index < it.0) {
                    self.best = Some((index, path.clone()));
                }
                return;
            }
        }
    }

    fn allowed_methods(&self) -> Vec<Arc<str>> {
        let methods = self.allowed.iter().flat_map(|it| &self.routes.all[*it].methods);
        let mut methods: Vec<Arc<str>> = methods.cloned().collect();
        methods.sort();
        methods.dedup();
        methods
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::Action;

    /// `name: [METHOD,METHOD] [host] path [raw] [slashes]`, for what the tests below need.
    fn route(text: &str) -> Route {
        let mut words = text.split(' ');
        let name: Arc<str> = words.next().unwrap().trim_end_matches(':').into();
        let mut route = Route {
            name,
            index: 0,
            host: None,
            path: PathMatch::Below("".into()),
            methods: Vec::new(),
            raw_path: false,
            merge_slashes: true,
            action: Action::Answer { status: 200, content_type: "".into(), body: "".into() },
        };
        for word in words {
            match word {
                "raw" => route.raw_path = true,
                "slashes" => route.merge_slashes = false,
                it if it.starts_with('/') => {
                    route.path = match it.strip_suffix("/*") {
                        Some(prefix) => PathMatch::Below(prefix.into()),
                        None => PathMatch::Exact(it.into()),
                    }
                }
                it if it.starts_with(|it: char| it.is_ascii_uppercase()) => {
                    route.methods = it.split(',').map(Arc::from).collect();
                }
                host => route.host = Some(host.into()),
            }
        }
        route
    }

    fn chosen(routes: &Routes, request: &str) -> String {
        let mut words = request.split(' ');
        let [method, host, path] = [(); 3].map(|()| words.next().unwrap());
        match routes.choose(method, host, path) {
            Choice::Route { route, path: normal } if normal == path => route.name.to_string(),
            Choice::Route { route, path } => format!("{} {path}", route.name),
            Choice::MethodNotAllowed(methods) => methods.join(","),
            Choice::NoRoute => "-".to_owned(),
            Choice::Path(fault) => format!("{fault:?}"),
        }
    }

    fn check(table: &str, expected: &[(&str, &str)]) {
        let routes = Routes::new(table.lines().map(|it| route(it.trim())).collect());
        for (request, expected) in expected {
            assert_eq!(chosen(&routes, request), *expected, "{request} in {table}");
        }
    }

    #[test]
    fn exact_and_below() {
        check(
            "x: /x/*\ny: /y",
            &[
                ("GET h /x", "x"),
                ("GET h /x/", "x"),
                ("GET h /x/a/b", "x"),
                ("GET h /xy", "-"),
                ("GET h /", "-"),
                ("GET h /y", "y"),
                ("GET h /y/", "-"),
            ],
        );
    }

    #[test]
    fn the_most_specific_path_is_taken() {
        check(
            "all: /*\na: /a/*\nab: /a/b/*\nexact: /a/b",
            &[
                ("GET h /a/b", "exact"),
                ("GET h /a/b/", "ab"),
                ("GET h /a/bc", "a"),
                ("GET h /b", "all"),
                ("GET h /", "all"),
            ],
        );
    }

    #[test]
    fn a_host_comes_before_any_host_and_falls_back_to_it() {
        check(
            "any: /x\nhost: h.example /*\nother: o.example /y",
            &[
                ("GET h.example /x", "host"),
                ("GET o.example /x", "any"),
                ("GET o.example /y", "other"),
                ("GET o.example /z", "-"),
                ("GET  /x", "any"),
            ],
        );
    }

    #[test]
    fn methods_divide_one_path() {
        check(
            "read: GET,HEAD /x\nwrite: POST /x",
            &[
                ("GET h /x", "read"),
                ("POST h /x", "write"),
                ("PUT h /x", "GET,HEAD,POST"),
                ("get h /x", "GET,HEAD,POST"),
                ("PUT h /y", "-"),
            ],
        );
    }

    #[test]
    fn a_method_that_is_not_taken_falls_through() {
        check("rest: /x\nget: GET /x", &[("GET h /x", "get"), ("PUT h /x", "rest")]);
        check("get: GET /x/y\nbelow: /x/*", &[("PUT h /x/y", "below")]);
        check("get: GET h /x\nany: /x", &[("PUT h /x", "any")]);
        check("get: GET h /x\npost: POST /x", &[("PUT h /x", "GET,POST")]);
    }

    #[test]
    fn what_is_matched_is_the_normal_form() {
        check(
            "admin: /admin/*\nall: /*",
            &[
                ("GET h /%61dmin", "admin /admin"),
                ("GET h //admin", "admin /admin"),
                ("GET h /x/../admin/y", "admin /admin/y"),
                ("GET h /admin%2Fx", "Ambiguous"),
                ("GET h /..", "LeavesRoot"),
                ("GET h *", "Invalid"),
                ("GET h ", "Invalid"),
            ],
        );
    }

    #[test]
    fn each_route_reads_the_path_by_its_own_rules() {
        check(
            "all: /*\nraw: /files/* raw\nslashes: /s/* slashes",
            &[
                ("GET h /files/a%2fb", "raw /files/a%2Fb"),
                ("GET h /files/a", "raw"),
                ("GET h /other/a%2fb", "Ambiguous"),
                ("GET h /s//a", "slashes"),
                ("GET h /s/a", "slashes"),
                ("GET h //s/a", "all /s/a"),
                ("GET h /files//a", "raw /files/a"),
            ],
        );
        check("raw: POST /x/* raw", &[("GET h /x/%2F", "Ambiguous"), ("GET h /x/y", "POST")]);
    }

    #[test]
    fn an_index_is_the_position() {
        let routes = Routes::new(["all: /*", "x: /x", "h: h /*"].map(route).to_vec());
        let names: Vec<(usize, &str)> =
            routes.all().iter().map(|it| (it.index, &*it.name)).collect();
        assert_eq!(names, [(0, "h"), (1, "x"), (2, "all")]);
    }

    #[test]
    fn a_plain_path_is_not_copied() {
        let routes = Routes::new(["all: /*", "s: /s/* slashes"].map(route).to_vec());
        for path in ["/a/b", "/s/b"] {
            let choice = routes.choose("GET", "h", path);
            assert!(matches!(choice, Choice::Route { path: Cow::Borrowed(_), .. }), "{path}");
        }
    }

    #[test]
    fn no_routes_is_no_route() {
        assert!(matches!(Routes::default().choose("GET", "h", "/"), Choice::NoRoute));
    }
}
