//! Which route takes a request.

use crate::matching::{Asked, Condition, HostMatch, PathMatch};
use crate::path::{PathFault, PathRules, normal_path};
use crate::typed::Route;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// All routes, in the order in which they are tried: host (exact, then the longest wildcard, then
/// any), path (exact, then the longest literal beginning, then expressions as they stand in the
/// file), then those with most conditions, of which the methods are one.
#[derive(Clone, Default)]
pub struct Routes {
    all: Vec<Arc<Route>>,
    /// The rules of some route, the safe ones always first.
    rules: Vec<PathRules>,
    hosts: HashMap<Arc<str>, Host>,
    /// By the suffix of the wildcard, such as `.example.com`.
    wildcards: HashMap<Arc<str>, Host>,
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

/// What became of one route for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It takes the request.
    Takes,
    /// It would, but an earlier one takes it.
    Later,
    Host,
    /// Its reading of the path is this fault.
    Fault(PathFault),
    Path,
    Method,
    Condition(&'a Condition),
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
    /// Paths that must be looked at one by one: open segments and expressions.
    open: Vec<usize>,
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

    /// The route for a request.
    pub fn choose<'a>(&'a self, asked: &Asked<'a>) -> Choice<'a> {
        let mut search = Search { routes: self, asked, best: None, allowed: Vec::new() };
        let path = asked.path;
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
                search.look(rules, Cow::Borrowed(plain));
            }
        } else {
            search.look(0, safe);
            search.with_other_rules(path);
        }
        match search.best {
            Some(best) => self.taken(best),
            None if search.allowed.is_empty() => Choice::NoRoute,
            None => Choice::MethodNotAllowed(search.allowed_methods()),
        }
    }

    /// What each route has to say about a request, in the order in which they are tried.
    pub fn verdicts<'a>(&'a self, asked: &Asked<'a>) -> Vec<(&'a Arc<Route>, Verdict<'a>)> {
        let mut taken = false;
        let verdicts = self.all.iter().map(|route| {
            let verdict = match refusal(route, asked) {
                Some(refusal) => refusal,
                None if std::mem::replace(&mut taken, true) => Verdict::Later,
                None => Verdict::Takes,
            };
            (route, verdict)
        });
        verdicts.collect()
    }

    fn taken<'a>(&'a self, (index, path): (usize, Cow<'a, str>)) -> Choice<'a> {
        Choice::Route { route: &self.all[index], path }
    }

    fn add(&mut self, route: &Route) {
        let rules = self.position_of(route);
        let host = match &route.host {
            Some(HostMatch::Exact(name)) => self.hosts.entry(name.clone()).or_default(),
            Some(HostMatch::Below(suffix)) => self.wildcards.entry(suffix.clone()).or_default(),
            None => &mut self.any_host,
        };
        if host.len() <= rules {
            host.resize_with(rules + 1, Table::default);
        }
        host[rules].add(route);
    }

    /// The tables of a host, those that are tried first at the front.
    fn hosts<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Host> {
        let named = self.hosts.get(host).into_iter();
        // Only where there are wildcards at all; the longest suffix begins at the first dot.
        let dots = host.match_indices('.').filter(|it| 0 < it.0 && !self.wildcards.is_empty());
        let wild = dots.filter_map(move |(at, _)| self.wildcards.get(&host[at..]));
        named.chain(wild).chain([&self.any_host])
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
    let host = match &route.host {
        Some(HostMatch::Exact(name)) => (0, Reverse(0), name.to_string()),
        Some(HostMatch::Below(suffix)) => (1, Reverse(suffix.len()), suffix.to_string()),
        None => (2, Reverse(0), String::new()),
    };
    let methods = usize::from(!route.methods.is_empty());
    let conditions = Reverse(route.conditions.len() + methods);
    let literal = route.path.literal().len();
    let path = match &route.path {
        PathMatch::Exact(path) => (0, Reverse(0), Reverse(0), false, path.to_string(), conditions),
        PathMatch::Below(path) => {
            (1, Reverse(literal), Reverse(0), true, path.to_string(), conditions)
        }
        PathMatch::Segments(_) => {
            let shape = route.path.shape();
            let below = route.path.has_rest();
            let open = shape.matches("{}").count() * 2 + if below { 2 } else { 0 };
            let fixed = shape.len() - open;
            (1, Reverse(literal), Reverse(fixed), below, shape, conditions)
        }
        // Only their order in the file tells expressions apart; equals keep it.
        PathMatch::Regex(_) => (2, Reverse(0), Reverse(0), false, String::new(), Reverse(0)),
    };
    (host, path)
}

/// Why a route does not take a request.
fn refusal<'a>(route: &'a Route, asked: &Asked<'_>) -> Option<Verdict<'a>> {
    if route.host.as_ref().is_some_and(|it| !it.takes(asked.host)) {
        return Some(Verdict::Host);
    }
    match normal_path(asked.path, route.rules()) {
        Err(fault) => return Some(Verdict::Fault(fault)),
        Ok(path) if !route.path.takes(&path) => return Some(Verdict::Path),
        Ok(_) => {}
    }
    if !route.takes_method(asked.method) {
        return Some(Verdict::Method);
    }
    route.conditions.iter().find(|it| !it.takes(asked)).map(Verdict::Condition)
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
            PathMatch::Segments(_) | PathMatch::Regex(_) => self.open.push(route.index),
        }
    }

    /// Positions of the routes whose path matches, in the order in which they are tried.
    fn matching<'t>(
        &'t self,
        routes: &'t [Arc<Route>],
        path: &'t str,
    ) -> impl Iterator<Item = usize> + 't {
        let exact = self.exact.get(path).into_iter().flatten();
        let below = self.lengths.iter().filter_map(move |length| {
            let prefix = path.get(..*length)?;
            let ends = matches!(path.as_bytes().get(*length), None | Some(b'/'));
            if ends { self.below.get(prefix) } else { None }
        });
        let mut below = below.flatten().copied().peekable();
        let mut open = self.open.iter().copied();
        let mut open =
            std::iter::from_fn(move || open.find(|it| routes[*it].path.takes(path))).peekable();
        // Each in order by itself; the smaller position comes first.
        let merged = std::iter::from_fn(move || match (below.peek(), open.peek()) {
            (Some(a), Some(b)) if b < a => open.next(),
            (Some(_), _) => below.next(),
            (None, _) => open.next(),
        });
        exact.copied().chain(merged)
    }
}

/// One request's way through the tables.
struct Search<'a, 'm> {
    routes: &'a Routes,
    asked: &'m Asked<'a>,
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
                self.look(position, normal);
            }
        }
    }

    /// Looks under one reading of the path; what comes first in the order of all routes stays.
    fn look(&mut self, rules: usize, path: Cow<'a, str>) {
        let Some(index) = self.taker(rules, &path) else {
            return;
        };
        if self.best.as_ref().is_none_or(|it| index < it.0) {
            self.best = Some((index, path));
        }
    }

    fn taker(&mut self, rules: usize, path: &str) -> Option<usize> {
        let all = &self.routes.all;
        for table in self.routes.hosts(self.asked.host).filter_map(|it| it.get(rules)) {
            for index in table.matching(all, path) {
                let route = &all[index];
                if !route.conditions.iter().all(|it| it.takes(self.asked)) {
                    continue;
                }
                if route.takes_method(self.asked.method) {
                    return Some(index);
                }
                self.allowed.push(index);
            }
        }
        None
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
    use crate::leaf::{HostMatched, Leaf, PathPattern, Sought};
    use crate::matching::Where;
    use crate::typed::Action;
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    /// `name: [METHOD,METHOD] [host] path [raw] [slashes] [header=value]`, for the tests below.
    fn route(text: &str) -> Route {
        let mut words = text.split(' ');
        let name: Arc<str> = words.next().unwrap().trim_end_matches(':').into();
        let mut route = Route {
            name,
            index: 0,
            host: None,
            path: PathMatch::Below("".into()),
            methods: Vec::new(),
            conditions: Vec::new(),
            raw_path: false,
            merge_slashes: true,
            https_only: false,
            action: Action::Answer { status: 200, content_type: "".into(), body: "".into() },
        };
        for word in words {
            match word {
                "raw" => route.raw_path = true,
                "slashes" => route.merge_slashes = false,
                it if it.starts_with(['/', '~']) => {
                    route.path = PathPattern::read(it).unwrap().matches();
                }
                it if it.contains('=') => {
                    let (name, value) = it.split_once('=').unwrap();
                    let test = Sought::read(value).unwrap();
                    let name = name.into();
                    route.conditions.push(Condition { place: Where::Header, name, test });
                }
                it if it.starts_with(|it: char| it.is_ascii_uppercase()) => {
                    route.methods = it.split(',').map(Arc::from).collect();
                }
                host => route.host = Some(HostMatched::read(host).unwrap()),
            }
        }
        route
    }

    /// `METHOD host path [header=value]`.
    fn asking<T>(request: &str, with: impl FnOnce(&Asked<'_>) -> T) -> T {
        let mut words = request.split(' ');
        let [method, host, path] = [(); 3].map(|()| words.next().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in words.filter_map(|it| it.split_once('=')) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        with(&Asked { method, host, path, query: None, headers: &headers })
    }

    fn chosen(routes: &Routes, request: &str) -> String {
        let by_all: Vec<String> = asking(request, |it| {
            let verdicts = routes.verdicts(it).into_iter();
            let takers = verdicts.filter(|it| it.1 == Verdict::Takes);
            takers.map(|it| it.0.name.to_string()).collect()
        });
        let (name, told) = asking(request, |it| match routes.choose(it) {
            Choice::Route { route, path } if path == it.path => {
                (Some(route.name.to_string()), route.name.to_string())
            }
            Choice::Route { route, path } => {
                (Some(route.name.to_string()), format!("{} {path}", route.name))
            }
            Choice::MethodNotAllowed(methods) => (None, methods.join(",")),
            Choice::NoRoute => (None, "-".to_owned()),
            Choice::Path(fault) => (None, format!("{fault:?}")),
        });
        // What looks at one route after the other must agree with what looks things up.
        assert_eq!(by_all, Vec::from_iter(name), "{request}");
        told
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
    fn the_longest_wildcard_is_taken_after_a_name_and_before_any() {
        check(
            "any: /*\nwide: *.example.com /*\nnarrow: *.a.example.com /*\nname: x.a.example.com /n",
            &[
                ("GET x.a.example.com /n", "name"),
                ("GET x.a.example.com /", "narrow"),
                ("GET a.example.com /", "wide"),
                ("GET y.z.example.com /", "wide"),
                ("GET example.com /", "any"),
                ("GET .example.com /", "any"),
                ("GET  /", "any"),
            ],
        );
    }

    #[test]
    fn open_segments_come_by_their_literal_beginning() {
        check(
            "all: /users/*\none: /users/{id}\nme: /users/me\nposts: /users/{id}/posts\n\
             deep: /users/{id}/*\npost: /users/{id}/posts/{post}\ntwo: /{a}/{b}",
            &[
                ("GET h /users/me", "me"),
                ("GET h /users/42", "one"),
                ("GET h /users/42/", "deep"),
                ("GET h /users/42/posts", "posts"),
                ("GET h /users/42/posts/7", "post"),
                ("GET h /users/42/posts/7/x", "deep"),
                ("GET h /users", "all"),
                ("GET h /users/", "all"),
                ("GET h /x/y", "two"),
                ("GET h /x", "-"),
            ],
        );
    }

    #[test]
    fn expressions_come_last_and_in_the_order_of_the_file() {
        check(
            "second: ~/v[0-9]+/.*\nfirst: ~/v1/.*\nliteral: /v1/x/*",
            &[
                ("GET h /v1/x", "literal"),
                ("GET h /v1/y", "second"),
                ("GET h /v22/y", "second"),
                ("GET h /v/y", "-"),
            ],
        );
    }

    #[test]
    fn most_conditions_come_first() {
        check(
            "plain: /x\nget: GET /x\nbeta: /x x-beta=*\nboth: /x x-beta=2 x-team=~a|b\n\
             get_beta: GET /x x-beta=3",
            &[
                ("GET h /x", "get"),
                ("PUT h /x", "plain"),
                ("PUT h /x x-beta=1", "beta"),
                ("PUT h /x x-beta=2 x-team=b", "both"),
                ("PUT h /x x-beta=2 x-team=c", "beta"),
                ("GET h /x x-beta=3", "get_beta"),
            ],
        );
        check("post: POST /x a=1", &[("GET h /x", "-"), ("GET h /x a=1", "POST")]);
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
            let headers = HeaderMap::new();
            let asked = Asked { method: "GET", host: "h", path, query: None, headers: &headers };
            let choice = routes.choose(&asked);
            assert!(matches!(choice, Choice::Route { path: Cow::Borrowed(_), .. }), "{path}");
        }
    }

    #[test]
    fn no_routes_is_no_route() {
        assert_eq!(chosen(&Routes::default(), "GET h /"), "-");
    }
}
