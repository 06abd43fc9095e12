//! Paths: of requests and of files.

use super::{Leaf, Wrong};
use crate::nearest::nearest;
use crate::typed::{AccessLog, PathMatch};
use std::path::PathBuf;

/// Which paths a route takes.
#[derive(Debug)]
pub(crate) struct PathPattern;

/// What is taken off the front of a path.
#[derive(Debug)]
pub(crate) struct Prefix;

/// Where a redirect leads.
#[derive(Debug)]
pub(crate) struct RedirectTo;

/// A file on disk.
#[derive(Debug)]
pub(crate) struct FilePath;

/// Where the access log goes.
#[derive(Debug)]
pub(crate) struct AccessLogTo;

/// The shape of a pattern. Whether its path is in normal form depends on the route's rules.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Without the `*`, so `/x/` for `/x/*`.
    pub(crate) path: String,
    pub(crate) below: bool,
}

impl Pattern {
    /// The pattern, once its path is known to be in normal form.
    pub(crate) fn matches(&self) -> PathMatch {
        match self.path.strip_suffix('/') {
            Some(prefix) if self.below => PathMatch::Below(prefix.into()),
            _ => PathMatch::Exact(self.path.as_str().into()),
        }
    }
}

impl Leaf for PathPattern {
    type Value = Pattern;
    const FORMAT: &str = "goodgate-path-pattern";
    const WHAT: &str = "a path such as `\"/orders/*\"`";

    fn read(text: &str) -> Result<Pattern, Wrong> {
        if text.starts_with('~') {
            return Err(Wrong::later("a regular expression"));
        }
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with `/`").help(
                "a host stands apart: `match = { host = \"api.example.com\", path = \"/x/*\" }`",
            ));
        }
        if text.contains(['{', '}']) {
            return Err(Wrong::later("a named segment"));
        }
        let (path, below) = match text.strip_suffix("/*") {
            Some(before) => (format!("{before}/"), true),
            None => (text.to_owned(), false),
        };
        if path.contains('*') {
            return Err(Wrong::new("has a `*` that is not its last segment")
                .help("`\"/x/*\"` is /x and all below, `\"/*\"` is everything"));
        }
        if path.contains(['?', '#']) {
            return Err(Wrong::new("has a query or a fragment; routes match the path alone"));
        }
        Ok(Pattern { path, below })
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
            Ok(it) => format!("{:?}", it.matches()),
            Err(it) => it.code.to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn patterns() {
        check_pattern("/x", "Exact(\"/x\")");
        check_pattern("/x/", "Exact(\"/x/\")");
        check_pattern("/", "Exact(\"/\")");
        check_pattern("/x/*", "Below(\"/x\")");
        check_pattern("/*", "Below(\"\")");
        check_pattern("/~user/*", "Below(\"/~user\")");
        check_pattern("/users/{id}", "not_in_this_version");
        check_pattern("~^/x$", "not_in_this_version");
        for wrong in ["/x*", "/*/y", "/x/*/", "*", "x", "", "api.example.com/x", "/x?y=1", "/x#y"] {
            check_pattern(wrong, "bad_value");
        }
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
    }
}
