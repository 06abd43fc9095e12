//! What a route takes: hosts, paths, and what else a request must have. Each test of a request
//! stands here once; [`Routes`](crate::Routes) asks them in order, and `goodgate route` says which
//! of them failed.

use http::HeaderMap;
use regex::Regex;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What of a request routes look at.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// In lower case, without port and trailing dot.
    pub host: &'a str,
    /// As the client sent it, without its query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// Lower-case, no port.
    Exact(Arc<str>),
    /// `*.example.com`, held as `.example.com`: every name below it, however deep.
    Below(Arc<str>),
}

impl HostMatch {
    #[must_use]
    pub fn takes(&self, host: &str) -> bool {
        match self {
            HostMatch::Exact(name) => **name == *host,
            HostMatch::Below(suffix) => suffix.len() < host.len() && host.ends_with(&**suffix),
        }
    }
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostMatch::Exact(name) => f.write_str(name),
            HostMatch::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// Which paths, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathMatch {
    /// `"/x"`.
    Exact(Arc<str>),
    /// `"/x/*"`, held as `/x`: it and all below. `"/*"` is held as the empty string.
    Below(Arc<str>),
    /// `"/users/{id}"`, or with `/*` behind it.
    Segments(Arc<Segments>),
    /// `"~/v[0-9]+/.*"`: the whole path must match.
    Regex(Expression),
}

impl PathMatch {
    /// `path` is in the normal form of the route.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        match self {
            PathMatch::Exact(it) => **it == *path,
            PathMatch::Below(prefix) => below(prefix, path).is_some(),
            PathMatch::Segments(segments) => segments.walk(path, |_, _| {}).is_some(),
            PathMatch::Regex(expression) => expression.is_match(path),
        }
    }

    /// Whether any path that it takes may have more behind its end.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        match self {
            PathMatch::Below(_) => true,
            PathMatch::Segments(it) => it.below,
            PathMatch::Exact(_) | PathMatch::Regex(_) => false,
        }
    }

    /// The names of its parts.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            PathMatch::Exact(_) | PathMatch::Below(_) => Vec::new(),
            PathMatch::Segments(it) => it.names().collect(),
            PathMatch::Regex(it) => it.0.capture_names().flatten().collect(),
        }
    }

    /// The text of a named part, or of the rest where the name is `*`.
    fn part<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        match self {
            PathMatch::Exact(_) => None,
            PathMatch::Below(prefix) => below(prefix, path).filter(|_| name == "*"),
            PathMatch::Segments(segments) => {
                let mut found = None;
                let rest = segments.walk(path, |at, value| {
                    if at == name {
                        found = Some(value);
                    }
                })?;
                if name == "*" { Some(rest) } else { found }
            }
            PathMatch::Regex(it) => it.0.captures(path)?.name(name).map(|it| it.as_str()),
        }
    }

    /// The text before anything that varies; the longer, the more specific.
    pub(crate) fn literal(&self) -> &str {
        match self {
            PathMatch::Exact(it) | PathMatch::Below(it) => it,
            PathMatch::Segments(it) => &it.text[..it.literal],
            PathMatch::Regex(_) => "",
        }
    }

    /// The same for every two that take the same paths, as far as that can be told.
    pub(crate) fn shape(&self) -> String {
        match self {
            PathMatch::Exact(it) => it.to_string(),
            PathMatch::Below(it) => format!("{it}/*"),
            PathMatch::Segments(it) => it.shape(),
            PathMatch::Regex(it) => format!("~{it}"),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathMatch::Exact(it) => f.write_str(it),
            PathMatch::Below(prefix) => write!(f, "{prefix}/*"),
            PathMatch::Segments(it) => f.write_str(&it.text),
            PathMatch::Regex(it) => write!(f, "~{it}"),
        }
    }
}

/// What of a path lies behind a prefix: nothing, or `/` and more.
fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|it| it.is_empty() || it.starts_with('/'))
}

/// A path some of whose segments are open.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Segments {
    /// As written, such as `/users/{id}/*`.
    text: String,
    parts: Vec<Segment>,
    /// The length of the text before the first open segment.
    literal: usize,
    /// It and all below.
    below: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    Open(String),
}

impl Segments {
    /// Of a text whose braces are in order: each stands around a whole segment.
    pub(crate) fn new(text: &str, below: bool) -> Segments {
        let path = if below { text.strip_suffix("/*").unwrap_or(text) } else { text };
        let parts = path[1..].split('/').map(|it| match open_segment(it) {
            Some(name) => Segment::Open(name.to_owned()),
            None => Segment::Literal(it.to_owned()),
        });
        let literal = path.find('{').unwrap_or(path.len());
        Segments { text: text.to_owned(), parts: parts.collect(), literal, below }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|it| match it {
            Segment::Open(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    fn shape(&self) -> String {
        let mut shape = String::new();
        for part in &self.parts {
            shape.push('/');
            shape.push_str(match part {
                Segment::Open(_) => "{}",
                Segment::Literal(it) => it,
            });
        }
        shape + if self.below { "/*" } else { "" }
    }

    /// Tells each open segment by name; what is left is given back, `None` where it does not match.
    fn walk<'p>(&self, path: &'p str, mut tell: impl FnMut(&str, &'p str)) -> Option<&'p str> {
        let mut rest = path;
        for part in &self.parts {
            rest = rest.strip_prefix('/')?;
            let (segment, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match part {
                Segment::Literal(it) if *it != segment => return None,
                Segment::Open(_) if segment.is_empty() => return None,
                Segment::Open(name) => tell(name, segment),
                Segment::Literal(_) => {}
            }
            rest = after;
        }
        (self.below || rest.is_empty()).then_some(rest)
    }
}

/// The name in a segment such as `{id}`.
pub(crate) fn open_segment(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// A regular expression that a whole text must match. Two of the same text are equal.
#[derive(Clone)]
pub struct Expression(Regex);

/// The longest program that an expression may become.
const EXPRESSION_BYTES: usize = 1 << 20;

impl Expression {
    pub(crate) fn new(text: &str) -> Result<Expression, String> {
        let built =
            regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(EXPRESSION_BYTES).build();
        built.map(Expression).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line of several says what is wrong; the others show where.
            other => {
                let told = other.to_string();
                let last = told.lines().last().unwrap_or_default().trim();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    fn text(&self) -> &str {
        let whole = self.0.as_str();
        whole.strip_prefix("^(?:").and_then(|it| it.strip_suffix(")$")).unwrap_or(whole)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Expression {}

impl std::hash::Hash for Expression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Something that a request must have besides host, path and method.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    pub place: Where,
    /// Of a header in lower case.
    pub name: Arc<str>,
    pub test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Where {
    Header,
    Query,
    Cookie,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `"*"`: it is there, whatever it says.
    Present,
    Equals(Arc<str>),
    /// `"~v[0-9]+"`: the whole value matches.
    Matches(Expression),
}

impl Test {
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Test::Present => true,
            Test::Equals(it) => **it == *value,
            Test::Matches(it) => it.is_match(value),
        }
    }
}

impl Condition {
    /// Where a request says it several times, one of them is enough.
    #[must_use]
    pub fn takes(&self, asked: &Asked<'_>) -> bool {
        match self.place {
            Where::Header => {
                let values = asked.headers.get_all(&*self.name).iter();
                // What is no text is there, and equals nothing.
                values.into_iter().any(|it| match it.to_str() {
                    Ok(text) => self.test.takes(text.trim()),
                    Err(_) => self.test == Test::Present,
                })
            }
            Where::Query => {
                let pairs = asked.query.into_iter().flat_map(|it| it.split('&'));
                pairs.filter(|it| !it.is_empty()).any(|it| {
                    let (name, value) = it.split_once('=').unwrap_or((it, ""));
                    *decoded(name) == *self.name && self.test.takes(&decoded(value))
                })
            }
            Where::Cookie => cookies(asked.headers)
                .any(|(name, value)| *name == *self.name && self.test.takes(value)),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Where::Header => "header",
            Where::Query => "query",
            Where::Cookie => "cookie",
        };
        write!(f, "{place} {}", self.name)?;
        match &self.test {
            Test::Present => Ok(()),
            Test::Equals(value) => write!(f, " = {value}"),
            Test::Matches(expression) => write!(f, " = ~{expression}"),
        }
    }
}

/// The cookies of a request (RFC 6265 4.2), in however many fields.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let fields = headers.get_all(http::header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    fields.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='))
}

/// A part of a query as forms write it: percent-decoded, `+` a space.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let (value, length) = match (byte, text.get(at + 1..).and_then(escaped)) {
            (b'%', Some(value)) => (value, 3),
            (b'+', _) => (b' ', 1),
            _ => (byte, 1),
        };
        bytes.push(value);
        at += length;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte that the next two digits say; they are not taken.
fn escaped(rest: &str) -> Option<u8> {
    let digits = rest.get(..2).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

/// What a path becomes before it is sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A named part of the path, `*` for the rest.
    Part(String),
}

impl Rewrite {
    /// `/new/{id}/*`; a name that the path does not have is the error.
    pub(crate) fn new(template: &str, path: &PathMatch) -> Result<Rewrite, String> {
        let known = path.names();
        let (template, rest) = match template.strip_suffix("/*") {
            Some(before) if path.has_rest() => (before, true),
            Some(_) => return Err("*".to_owned()),
            None => (template, false),
        };
        let mut pieces = Vec::new();
        let mut left = template;
        while let Some((text, name, after)) = next_name(left) {
            if !known.contains(&name) {
                return Err(name.to_owned());
            }
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(Piece::Part(name.to_owned()));
            left = after;
        }
        pieces.push(Piece::Text(left.to_owned()));
        if rest {
            pieces.push(Piece::Part("*".to_owned()));
        }
        Ok(Rewrite(pieces))
    }

    /// `path` is one that `matched` takes, in its normal form; so is what comes out, as far as the
    /// template is.
    #[must_use]
    pub fn apply(&self, matched: &PathMatch, path: &str) -> String {
        let pieces = self.0.iter().map(|it| match it {
            Piece::Text(text) => text.as_str(),
            Piece::Part(name) => matched.part(path, name).unwrap_or_default(),
        });
        let new: String = pieces.collect();
        if new.starts_with('/') { new } else { format!("/{new}") }
    }
}

/// What stands before the first `{name}`, the name, and what stands behind.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let (before, after) = text.split_once('{')?;
    let (name, after) = after.split_once('}')?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn segments(text: &str) -> PathMatch {
        PathMatch::Segments(Arc::new(Segments::new(text, text.ends_with("/*"))))
    }

    fn regex(text: &str) -> PathMatch {
        PathMatch::Regex(Expression::new(text).unwrap())
    }

    fn check(matched: &PathMatch, path: &str, expected: bool) {
        assert_eq!(matched.takes(path), expected, "{matched} {path}");
    }

    #[test]
    fn an_open_segment_takes_exactly_one() {
        let user = segments("/users/{id}");
        check(&user, "/users/42", true);
        check(&user, "/users/a%20b", true);
        for path in ["/users", "/users/", "/users/42/", "/users/42/orders", "/user/42", "/"] {
            check(&user, path, false);
        }
        let orders = segments("/users/{id}/orders/{order}/*");
        check(&orders, "/users/42/orders/7", true);
        check(&orders, "/users/42/orders/7/", true);
        check(&orders, "/users/42/orders/7/items/1", true);
        check(&orders, "/users/42/orders", false);
        check(&orders, "/users/42/baskets/7", false);
    }

    #[test]
    fn an_expression_takes_the_whole_path() {
        let version = regex("/v[0-9]+/(?P<rest>.*)");
        check(&version, "/v12/x", true);
        check(&version, "/v/x", false);
        check(&version, "/a/v1/x", false);
        check(&regex("/a|/b"), "/b/c", false);
        assert!(Expression::new("(").is_err());
        assert_eq!(Expression::new("(a{1000}){1000}").unwrap_err(), "it is too large");
    }

    #[test]
    fn a_wildcard_takes_every_name_below_and_not_its_own() {
        let below = HostMatch::Below(".example.com".into());
        for (host, expected) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("badexample.com", false),
        ] {
            assert_eq!(below.takes(host), expected, "{host}");
        }
    }

    fn check_condition(place: Where, test: Test, query: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.append("x-version", HeaderValue::from_static("2"));
        headers.append("x-version", HeaderValue::from_static(" 3 "));
        headers.append("x-raw", HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append("cookie", HeaderValue::from_static("a=1; b=two"));
        headers.append("cookie", HeaderValue::from_static("c=3"));
        let (name, query) = query.split_once(' ').unwrap_or((query, ""));
        let asked =
            Asked { method: "GET", host: "", path: "/", query: Some(query), headers: &headers };
        let condition = Condition { place, name: name.into(), test };
        assert_eq!(condition.takes(&asked), expected, "{condition} in {query}");
    }

    #[test]
    fn conditions() {
        let equals = |it: &str| Test::Equals(it.into());
        let matches = |it: &str| Test::Matches(Expression::new(it).unwrap());
        check_condition(Where::Header, equals("2"), "x-version", true);
        check_condition(Where::Header, equals("3"), "x-version", true);
        check_condition(Where::Header, equals("23"), "x-version", false);
        check_condition(Where::Header, Test::Present, "x-other", false);
        check_condition(Where::Header, Test::Present, "x-raw", true);
        check_condition(Where::Header, matches(".*"), "x-raw", false);
        check_condition(Where::Cookie, equals("two"), "b", true);
        check_condition(Where::Cookie, matches("[0-9]"), "c", true);
        check_condition(Where::Cookie, equals("1"), "c", false);
        check_condition(Where::Query, equals("a b"), "q x=1&q=a+b", true);
        check_condition(Where::Query, equals("a&b"), "q q=a%26b", true);
        check_condition(Where::Query, equals("%zz+"), "q q=%zz%2b", true);
        check_condition(Where::Query, Test::Present, "q q", true);
        check_condition(Where::Query, Test::Present, "q Q=1", false);
        check_condition(Where::Query, Test::Present, "q ", false);
    }

    fn check_rewrite(matched: &PathMatch, template: &str, path: &str, expected: &str) {
        let rewrite = Rewrite::new(template, matched).unwrap();
        assert_eq!(rewrite.apply(matched, path), expected, "{matched} {template} {path}");
    }

    #[test]
    fn rewrites() {
        let user = segments("/users/{id}/posts/{post}/*");
        check_rewrite(&user, "/p/{post}/of/{id}", "/users/4/posts/7", "/p/7/of/4");
        check_rewrite(&user, "/p/{post}/*", "/users/4/posts/7/a/b", "/p/7/a/b");
        check_rewrite(&user, "/p/*", "/users/4/posts/7", "/p");
        let all = PathMatch::Below("/old".into());
        check_rewrite(&all, "/*", "/old", "/");
        check_rewrite(&all, "/*", "/old/x/", "/x/");
        check_rewrite(&all, "/new", "/old/x", "/new");
        check_rewrite(&regex("/v(?<n>[0-9])/.*"), "/api/{n}", "/v3/x", "/api/3");
        assert_eq!(Rewrite::new("/{name}", &user), Err("name".to_owned()));
        assert_eq!(Rewrite::new("/new/*", &PathMatch::Exact("/x".into())), Err("*".to_owned()));
    }
}
