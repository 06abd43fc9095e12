//! What may be kept, and for whom and how long it may be given again: RFC 9111 3 and 4.2, RFC 5861 4.
//! Pure: fields in, terms out.

use crate::dates;
use config::cookies;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// What `Cache-Control` says, as far as it matters here (RFC 9111 5.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    private: bool,
    public: bool,
    only_if_cached: bool,
    /// `must-revalidate` or `proxy-revalidate`.
    revalidate: bool,
    max_age: Option<Duration>,
    s_maxage: Option<Duration>,
    stale_if_error: Option<Duration>,
}

impl Directives {
    fn of(fields: &HeaderMap) -> Directives {
        let mut all = Directives::default();
        for field in fields.get_all(header::CACHE_CONTROL) {
            let text = String::from_utf8_lossy(field.as_bytes());
            parts(&text).for_each(|it| all.take(it));
        }
        all
    }

    fn take(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        // With a list of fields it holds for these alone; who keeps nothing of it is right either way.
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "public" => self.public = true,
            "only-if-cached" => self.only_if_cached = true,
            "must-revalidate" | "proxy-revalidate" => self.revalidate = true,
            "max-age" => least(&mut self.max_age, value),
            "s-maxage" => least(&mut self.s_maxage, value),
            "stale-if-error" => least(&mut self.stale_if_error, value),
            _ => {}
        }
    }
}

/// Where a directive stands twice, the shorter time holds (RFC 9111 4.2.1).
fn least(known: &mut Option<Duration>, value: &str) {
    let value = seconds(value);
    *known = Some(known.map_or(value, |it| it.min(value)));
}

/// What is no number is no time (RFC 9111 4.2.1).
fn seconds(text: &str) -> Duration {
    let text = text.trim().trim_matches('"');
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Duration::ZERO;
    }
    /// Longer ones are as good as this (RFC 9111 1.2.2).
    const LONGEST: u64 = 1 << 31;
    Duration::from_secs(text.parse().unwrap_or(LONGEST).min(LONGEST))
}

/// The parts of a list; commas in quotes part nothing.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    list.split(move |it| {
        let parts = it == ',' && !quoted;
        if it == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && it == '\\' && !escaped;
        parts
    })
    .map(str::trim)
}

/// What may be done with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep(Terms),
    /// It says nothing of what was kept before.
    Pass,
    /// What was kept before for the same URL is no answer any more.
    Forget,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// For callers with credentials too.
    pub(super) public: bool,
    /// How old it was when it came.
    pub(super) age: Duration,
    /// Up to which age it is fresh.
    pub(super) fresh: Duration,
    /// How long after it came it may be given again, as far as it says so itself.
    pub(super) own: Option<Duration>,
    /// The fields of a request on which it depends.
    pub(super) vary: Vec<HeaderName>,
}

/// Whether an answer to GET may be kept by a cache that is shared.
///
/// Of the statuses that may be kept without being asked (RFC 9110 15.1), those that are an answer. An
/// old 404 or 410 would have a caller believe for good what one more try would show to be over.
pub(super) fn verdict(status: u16, fields: &HeaderMap, has_credentials: bool) -> Verdict {
    let says = Directives::of(fields);
    // What one caller alone is told says nothing of what others are.
    let forget = if has_credentials { Verdict::Pass } else { Verdict::Forget };
    match status {
        404 | 410 => return forget,
        200 | 203 | 300 | 301 | 308 => {}
        _ => return Verdict::Pass,
    }
    if says.no_store || says.private || says.no_cache {
        return forget;
    }
    let Some(vary) = vary(fields) else {
        return Verdict::Pass;
    };
    if fields.contains_key(header::SET_COOKIE) || has_credentials && !says.public {
        return Verdict::Pass;
    }
    let age =
        fields.get(header::AGE).and_then(|it| it.to_str().ok()).map_or(Duration::ZERO, seconds);
    let fresh = says.s_maxage.or(says.max_age).unwrap_or_else(|| until_expiry(fields));
    let left = |until: Duration| until.saturating_sub(age);
    let own = match says.stale_if_error {
        _ if says.revalidate => Some(left(fresh)),
        Some(longer) => Some(left(fresh.saturating_add(longer))),
        // It means `proxy-revalidate` too (RFC 9111 5.2.2.10).
        None => says.s_maxage.map(left),
    };
    if own == Some(Duration::ZERO) {
        return Verdict::Pass;
    }
    Verdict::Keep(Terms { public: says.public, age, fresh, own, vary })
}

/// How long an answer is fresh by `Expires` (RFC 9111 5.3); what cannot be read is over.
fn until_expiry(fields: &HeaderMap) -> Duration {
    let date = |name| dates::read(fields.get(name)?.to_str().ok()?);
    let (expires, made) = (date(header::EXPIRES), date(header::DATE));
    let seconds = expires.zip(made).map_or(0, |(expires, made)| expires.saturating_sub(made));
    Duration::from_secs(seconds)
}

/// What upstreams see of these is written by us, and is not in the request as it came.
const OURS: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
    "x-request-id",
    "traceparent",
];

/// What proxies before us say of where a request was sent.
pub(super) const PLACE: [&str; 4] =
    ["x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server"];

/// The fields that `Vary` names; `None` where no other request is ever the same.
fn vary(fields: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut all = Vec::new();
    for field in fields.get_all(header::VARY) {
        for name in field.to_str().ok()?.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let name: HeaderName = name.parse().ok()?;
            if name == "*" || OURS.contains(&name.as_str()) {
                return None;
            }
            all.push(name);
        }
    }
    all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    all.dedup();
    Some(all)
}

/// The values that a request has of these fields.
pub(super) fn values(names: &[HeaderName], request: &HeaderMap) -> Vec<Vec<HeaderValue>> {
    names.iter().map(|it| request.get_all(it).iter().map(alone).collect()).collect()
}

/// A value that does not hold on to the whole head in which it came.
pub(super) fn alone(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// Words in the names of fields by which an app may know its caller, such as `X-Api-Key`.
const KNOWN_BY: [&str; 9] =
    ["auth", "key", "token", "secret", "session", "jwt", "user", "signature", "assertion"];

/// The caller is known to the app. Cookies of ours say nothing to it.
pub(super) fn has_credentials(request: &HeaderMap, route: &str) -> bool {
    let is_text = |it: &HeaderValue| it.to_str().is_ok_and(|it| it.contains('='));
    let of_route = format!("goodgate-{route}");
    request.keys().any(|it| may_name_a_caller(it.as_str()))
        || !request.get_all(header::COOKIE).iter().all(is_text)
        || cookies(request).any(|(name, _)| name != of_route && !name.starts_with("goodgate~"))
}

/// By its name. The programs of callers name themselves, and their requests, in all their fields alike.
fn may_name_a_caller(field: &str) -> bool {
    let harmless = matches!(field, "user-agent" | "idempotency-key") || field.starts_with("sec-");
    !harmless && KNOWN_BY.iter().any(|word| field.contains(word))
}

/// The request wants a part of something, or only if something holds, or has a body.
pub(super) fn is_special(request: &HeaderMap) -> bool {
    let length = request.get(header::CONTENT_LENGTH).is_some_and(|it| it.as_bytes() != b"0");
    let fields = [
        header::RANGE,
        header::IF_RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    length || fields.iter().any(|it| request.contains_key(it))
}

/// What the caller thinks of an old answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Never,
    /// For so long after it ceased to be fresh.
    Within(Duration),
    Whatever,
}

pub(super) fn wish(request: &HeaderMap) -> Wish {
    let says = Directives::of(request);
    let pragma = !request.contains_key(header::CACHE_CONTROL)
        && request.get(header::PRAGMA).is_some_and(|it| it.as_bytes() == b"no-cache");
    match says.stale_if_error {
        _ if says.no_cache || says.only_if_cached || pragma => Wish::Never,
        Some(it) if it.is_zero() => Wish::Never,
        Some(it) => Wish::Within(it),
        None => Wish::Whatever,
    }
}

/// The caller wants nothing kept of what it gets.
pub(super) fn forbids_keeping(request: &HeaderMap) -> bool {
    Directives::of(request).no_store
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &str) -> HeaderMap {
        let pairs = lines.lines().map(|it| it.split_once(": ").unwrap());
        pairs
            .map(|(name, value)| -> (HeaderName, HeaderValue) {
                (name.parse().unwrap(), value.parse().unwrap())
            })
            .collect()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn terms(lines: &str) -> Option<Terms> {
        match verdict(200, &fields(lines), false) {
            Verdict::Keep(terms) => Some(terms),
            Verdict::Pass | Verdict::Forget => None,
        }
    }

    #[test]
    fn answers_are_kept_and_errors_are_not() {
        for status in [200, 203, 300, 301, 308] {
            assert!(matches!(verdict(status, &HeaderMap::new(), false), Verdict::Keep(_)));
        }
        for status in [201, 204, 206, 302, 304, 307, 400, 401, 403, 405, 429, 500, 501, 503] {
            assert_eq!(verdict(status, &HeaderMap::new(), false), Verdict::Pass, "{status}");
        }
        for status in [404, 410] {
            assert_eq!(verdict(status, &HeaderMap::new(), false), Verdict::Forget, "{status}");
        }
    }

    #[test]
    fn what_is_not_for_a_shared_cache_is_not_kept() {
        let check = |lines: &str, expected: Verdict| {
            assert_eq!(verdict(200, &fields(lines), false), expected, "{lines}");
        };
        check("cache-control: no-store", Verdict::Forget);
        check("cache-control: Private", Verdict::Forget);
        check("cache-control: max-age=60, no-cache=\"x, y\"", Verdict::Forget);
        check("cache-control: max-age=60\ncache-control: private", Verdict::Forget);
        check("set-cookie: a=b", Verdict::Pass);
        check("vary: *", Verdict::Pass);
        check("vary: Accept, X-Forwarded-For", Verdict::Pass);
        check("cache-control: stale-if-error=0", Verdict::Pass);
        check("cache-control: must-revalidate", Verdict::Pass);
        assert!(terms("cache-control: x=\"no-store, private\", max-age=5").is_some());
    }

    #[test]
    fn only_what_is_public_is_kept_of_callers_with_credentials() {
        let public = fields("cache-control: public");
        assert!(matches!(verdict(200, &public, true), Verdict::Keep(it) if it.public));
        for lines in ["cache-control: max-age=9", "cache-control: private"] {
            assert_eq!(verdict(200, &fields(lines), true), Verdict::Pass, "{lines}");
        }
        assert_eq!(verdict(404, &public, true), Verdict::Pass);
    }

    #[test]
    fn an_answer_says_how_long_it_may_be_given_again() {
        let check = |lines: &str, fresh: u64, own: Option<u64>| {
            let terms = terms(lines).unwrap_or_else(|| panic!("{lines} is not kept"));
            assert_eq!((terms.fresh, terms.own), (secs(fresh), own.map(secs)), "{lines}");
        };
        check("etag: \"1\"", 0, None);
        check("cache-control: max-age=60", 60, None);
        check("cache-control: max-age=60, stale-if-error=30", 60, Some(90));
        check("cache-control: max-age=60, stale-if-error=30\nage: 50", 60, Some(40));
        check("cache-control: max-age=60, stale-if-error=\"30\"", 60, Some(90));
        check("cache-control: max-age=60, stale-if-error=soon", 60, Some(60));
        check("cache-control: max-age=60, must-revalidate, stale-if-error=30", 60, Some(60));
        check("cache-control: s-maxage=10, max-age=60", 10, Some(10));
        check("cache-control: s-maxage=10, stale-if-error=60", 10, Some(70));
        check("cache-control: max-age=60, max-age=20", 20, None);
        let dates = "date: Sun, 06 Nov 1994 08:49:37 GMT\nexpires: Sun, 06 Nov 1994 08:50:37 GMT";
        check(dates, 60, None);
        check("date: Sun, 06 Nov 1994 08:49:37 GMT\nexpires: 0", 0, None);
    }

    #[test]
    fn the_fields_of_vary_are_the_same_in_any_order() {
        let one = terms("vary: Accept, accept-language").unwrap().vary;
        let two = terms("vary: Accept-Language\nvary: ACCEPT,").unwrap().vary;
        assert_eq!(one, two);
        assert_eq!(one.len(), 2);
    }

    #[test]
    fn cookies_of_ours_are_no_credentials() {
        let check = |lines: &str, expected: bool| {
            assert_eq!(has_credentials(&fields(lines), "app"), expected, "{lines}");
        };
        check("accept: a", false);
        check("authorization: Bearer x", true);
        check("cookie: sid=1", true);
        check("cookie: goodgate~orders=ab12; goodgate-app=canary", false);
        check("cookie: goodgate~orders=ab12; sid=1", true);
        check("cookie: goodgate-other=1", true);
        check("cookie: nameless", true);
    }

    #[test]
    fn fields_that_may_name_a_caller_are_credentials() {
        let check = |lines: &str, expected: bool| {
            assert_eq!(has_credentials(&fields(lines), "app"), expected, "{lines}");
        };
        for name in [
            "x-api-key",
            "x-goog-api-key",
            "x-auth-token",
            "x-forwarded-user",
            "cf-access-jwt-assertion",
        ] {
            check(&format!("{name}: a"), true);
        }
        check("user-agent: curl", false);
        check("sec-websocket-key: a", false);
        check("accept-language: en", false);
    }

    #[test]
    fn a_caller_may_want_no_old_answer() {
        let check = |lines: &str, expected: Wish| {
            assert_eq!(wish(&fields(lines)), expected, "{lines}");
        };
        check("accept: a", Wish::Whatever);
        check("cache-control: max-age=0", Wish::Whatever);
        check("cache-control: no-cache", Wish::Never);
        check("pragma: no-cache", Wish::Never);
        check("pragma: no-cache\ncache-control: max-age=0", Wish::Whatever);
        check("cache-control: only-if-cached", Wish::Never);
        check("cache-control: stale-if-error=0", Wish::Never);
        check("cache-control: stale-if-error=20", Wish::Within(secs(20)));
    }
}
