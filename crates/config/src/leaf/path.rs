//! Paths: of requests and of files.

use super::{Leaf, Wrong};
use crate::matching::{Expression, PathMatch, Segments, Test, open_segment};
use crate::nearest::nearest;
use crate::typed::AccessLog;
use std::path::PathBuf;
use std::sync::Arc;

/// Which paths a route takes.
#[derive(Debug)]
pub(crate) struct PathPattern;

/// What a path becomes.
#[derive(Debug)]
pub(crate) struct RewriteTo;

/// The path of a request of ours, with a query or without.
#[derive(Debug)]
pub(crate) struct RequestPath;

/// What the value of a header, a query or a cookie must be.
#[derive(Debug)]
pub(crate) struct Sought;

/// What is taken off the front of a path.
#[derive(Debug)]
pub(crate) struct Prefix;

/// Where a redirect leads.
#[derive(Debug)]
pub(crate) struct RedirectTo;

/// A file on disk.
#[derive(Debug)]
pub(crate) struct FilePath;

/// A folder on disk.
#[derive(Debug)]
pub(crate) struct FolderPath;

/// Where the access log goes.
#[derive(Debug)]
pub(crate) struct AccessLogTo;

/// What a pattern says. Whether its path is in normal form depends on the route's rules.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// As written; `/*` stands at the end of one that takes all below.
    Path(String),
    Regex(Expression),
}

impl Pattern {
    /// The pattern, once its path is known to be in normal form.
    pub(crate) fn matches(self) -> PathMatch {
        let path = match self {
            Pattern::Regex(expression) => return PathMatch::Regex(expression),
            Pattern::Path(path) => path,
        };
        let prefix = path.strip_suffix("/*");
        if path.contains('{') {
            return PathMatch::Segments(Arc::new(Segments::new(&path, prefix.is_some())));
        }
        match prefix {
            Some(prefix) => PathMatch::Below(prefix.into()),
            None => PathMatch::Exact(path.into()),
        }
    }
}

impl Leaf for PathPattern {
    type Value = Pattern;
    const FORMAT: &str = "goodgate-path-pattern";
    const WHAT: &str = "a path such as `\"/orders/*\"`";

    fn read(text: &str) -> Result<Pattern, Wrong> {
        if let Some(expression) = text.strip_prefix('~') {
            return self::expression(expression).map(Pattern::Regex);
        }
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with `/`").help(
                "a host stands apart: `match = { host = \"api.example.com\", path = \"/x/*\" }`",
            ));
        }
        let path = text.strip_suffix("/*").unwrap_or(text);
        if path.contains('*') {
            return Err(Wrong::new("has a `*` that is not its last segment")
                .help("`\"/x/*\"` is /x and all below, `\"/*\"` is everything"));
        }
        if path.contains(['?', '#']) {
            return Err(Wrong::new("has a query or a fragment; routes match the path alone").help(
                "`query = { name = \"value\" }` in the table of `match` looks at the query",
            ));
        }
        let mut names = Vec::new();
        for segment in path.split('/').filter(|it| it.contains(['{', '}'])) {
            match open_segment(segment) {
                Some(name) if is_name(name) && !names.contains(&name) => names.push(name),
                Some(name) if is_name(name) => {
                    return Err(Wrong::new(format!("has two segments of the name `{name}`")));
                }
                _ => {
                    return Err(Wrong::new("has braces that do not stand around a whole segment")
                        .help("such as `\"/users/{id}\"`; a part of one needs an expression"));
                }
            }
        }
        Ok(Pattern::Path(text.to_owned()))
    }
}

/// The name of an open segment: a word of letters, digits and `_`.
fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    starts && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

pub(super) fn expression(text: &str) -> Result<Expression, Wrong> {
    Expression::new(text).map_err(|why| {
        Wrong::new(format!("is not a regular expression: {why}"))
            .help("its syntax: https://docs.rs/regex/latest/regex/#syntax")
    })
}

impl Leaf for RequestPath {
    type Value = String;
    const FORMAT: &str = "goodgate-request-path";
    const WHAT: &str = "a path such as `\"/health\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with `/`"));
        }
        if !text.bytes().all(|it| it.is_ascii_graphic() && it != b'#') {
            return Err(Wrong::new("holds what a request line cannot")
                .help("escape it, such as `%20` for a space"));
        }
        Ok(text.to_owned())
    }
}

impl Leaf for RewriteTo {
    type Value = String;
    const FORMAT: &str = "goodgate-rewrite";
    const WHAT: &str = "a path such as `\"/new/{id}\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with `/`"));
        }
        if text.contains(['?', '#']) {
            return Err(Wrong::new("has a query or a fragment; the query stays what it is"));
        }
        if text.strip_suffix("/*").unwrap_or(text).contains('*') {
            return Err(Wrong::new("has a `*` that is not its last segment"));
        }
        let mut left = text;
        while let Some(at) = left.find(['{', '}']) {
            let after = &left[at..];
            let name = after.strip_prefix('{').and_then(|it| it.split_once('}'));
            let Some((_, rest)) = name.filter(|it| is_name(it.0)) else {
                return Err(
                    Wrong::new("has a brace without a name in it").help("such as `\"/new/{id}\"`")
                );
            };
            left = rest;
        }
        Ok(text.to_owned())
    }
}

impl Leaf for Sought {
    type Value = Test;
    const FORMAT: &str = "goodgate-sought";
    const WHAT: &str = "a value, `\"*\"` for any, or `\"~expression\"`";

    fn read(text: &str) -> Result<Test, Wrong> {
        match text.strip_prefix('~') {
            Some(it) => expression(it).map(Test::Matches),
            None if text == "*" => Ok(Test::Present),
            None => Ok(Test::Equals(text.into())),
        }
    }
}

impl Leaf for Prefix {
    type Value = String;
    const FORMAT: &str = "goodgate-path-prefix";
    const WHAT: &str = "a path such as `\"/orders\"`";

    fn read(text: &str) -> Result<String, Wrong> {
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with `/`"));
        }
        if text == "/" {
            return Err(Wrong::new("takes nothing off, since at least `/` stays"));
        }
        if text.ends_with(['/', '*']) {
            return Err(Wrong::new("must end in a segment").help("such as `\"/orders\"`"));
        }
        Ok(text.to_owned())
    }
}

impl Leaf for RedirectTo {
    type Value = String;
    const FORMAT: &str = "goodgate-redirect-target";
    const WHAT: &str = "a path such as `\"/new\"`, or a URL";

    fn read(text: &str) -> Result<String, Wrong> {
        if !text.bytes().all(|it| it.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
            return Err(Wrong::new("has characters that no URL has")
                .help("percent-encode them, such as `%20` for a space"));
        }
        let host = ["http://", "https://"].iter().find_map(|it| text.strip_prefix(it));
        if host.is_some_and(|it| it.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '['))
        {
            return Ok(text.to_owned());
        }
        if text.starts_with('/') && !text.starts_with("//") {
            return Ok(text.to_owned());
        }
        Err(Wrong::new("is neither a path nor a URL")
            .help("such as `\"/new\"` or `\"https://example.com/new\"`"))
    }
}

impl Leaf for FilePath {
    type Value = PathBuf;
    const FORMAT: &str = "goodgate-file";
    const WHAT: &str = "the path of a file";

    fn read(text: &str) -> Result<PathBuf, Wrong> {
        if text.is_empty() || text.contains('\0') || text.ends_with('/') {
            return Err(Wrong::new("is not the path of a file"));
        }
        Ok(PathBuf::from(text))
    }
}

impl Leaf for FolderPath {
    type Value = PathBuf;
    const FORMAT: &str = "goodgate-folder";
    const WHAT: &str = "the path of a folder";

    fn read(text: &str) -> Result<PathBuf, Wrong> {
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::new("is not the path of a folder"));
        }
        Ok(PathBuf::from(text))
    }
}

impl Leaf for AccessLogTo {
    type Value = AccessLog;
    const FORMAT: &str = "goodgate-access-log";
    const WHAT: &str = "`\"stdout\"`, `\"off\"` or the path of a file";

    fn read(text: &str) -> Result<AccessLog, Wrong> {
        match text {
            "stdout" => return Ok(AccessLog::Stdout),
            "off" => return Ok(AccessLog::Off),
            _ => {}
        }
        // A slip in a word must not become a file of that name.
        if !text.contains(['/', '.']) {
            let wrong = Wrong::new("is neither `stdout`, `off` nor the path of a file");
            return Err(match nearest(text, ["stdout", "off"]) {
                Some("off") => wrong.help("did you mean `\"off\"`?"),
                Some(_) => wrong.help("did you mean `\"stdout\"`?"),
                None => wrong.help("a file in this folder is written `\"./access.log\"`"),
            });
        }
        FilePath::read(text).map(AccessLog::File)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    fn check_pattern(text: &str, expected: &str) {
        let got = match PathPattern::read(text) {
            Ok(it) => it.matches().to_string(),
            Err(it) => it.code.to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn patterns() {
        check_pattern("/x", "/x");
        check_pattern("/x/", "/x/");
        check_pattern("/", "/");
        check_pattern("/x/*", "/x/*");
        check_pattern("/*", "/*");
        check_pattern("/~user/*", "/~user/*");
        check_pattern("/{a}/{b}", "/{a}/{b}");
        check_pattern("/users/{id}/*", "/users/{id}/*");
        check_pattern("~/v[0-9]+", "~/v[0-9]+");
        for wrong in ["/x*", "/*/y", "/x/*/", "*", "x", "", "api.example.com/x", "/x?y=1", "/x#y"] {
            check_pattern(wrong, "bad_value");
        }
        for wrong in
            ["/{a}/{a}", "/{}", "/x{a}", "/{a", "/a}", "/{a}b", "/{a-b}", "/{1}", "~(", "~*"]
        {
            check_pattern(wrong, "bad_value");
        }
    }

    #[test]
    fn rewrites_and_values() {
        check::<RewriteTo>("/new/{id}/*", "\"/new/{id}/*\"");
        check::<RewriteTo>("/v{major}.{minor}", "\"/v{major}.{minor}\"");
        for wrong in ["new", "/x?y", "/*/x", "/{", "/}", "/{}", "/{a", "/{a b}", ""] {
            check::<RewriteTo>(wrong, "bad_value");
        }
        check::<Sought>("*", "Present");
        check::<Sought>("2", "Equals(\"2\")");
        check::<Sought>("", "Equals(\"\")");
        check::<Sought>("~v[0-9]", "Matches(\"v[0-9]\")");
        check::<Sought>("~(", "bad_value");
    }

    #[test]
    fn prefixes_and_redirects() {
        check::<Prefix>("/orders", "\"/orders\"");
        check::<Prefix>("/orders/", "bad_value");
        check::<Prefix>("/orders/*", "bad_value");
        check::<Prefix>("/", "bad_value");
        check::<Prefix>("orders", "bad_value");
        check::<RedirectTo>("/new?x=1", "\"/new?x=1\"");
        check::<RedirectTo>("https://example.com", "\"https://example.com\"");
        check::<RedirectTo>("//example.com", "bad_value");
        check::<RedirectTo>("https://", "bad_value");
        check::<RedirectTo>("javascript:x", "bad_value");
        check::<RedirectTo>("/a b", "bad_value");
        check::<RedirectTo>("/a\r\nb", "bad_value");
    }

    #[test]
    fn files_and_logs() {
        check::<AccessLogTo>("stdout", "Stdout");
        check::<AccessLogTo>("off", "Off");
        check::<AccessLogTo>("logs/access.log", "File(\"logs/access.log\")");
        check::<AccessLogTo>("stdot", "bad_value");
        check::<AccessLogTo>("", "bad_value");
        check::<FilePath>("ca.pem", "\"ca.pem\"");
        check::<FilePath>("certs/", "bad_value");
        check::<FolderPath>("data/", "\"data/\"");
        check::<FolderPath>("", "bad_value");
    }
}
