//! How long a caller waits, as it says itself, and what its target is told of that.
//!
//! All of it is time that is left, not a time of day: clocks need not agree. A caller can make its time
//! shorter than `timeout.total`, never longer. What cannot be read says nothing, as with Envoy: the
//! caller would otherwise be refused for a field that some library of its own sets.

use exchange::Limit;
use http::header::{HeaderMap, HeaderName};
use std::time::{Duration, Instant};

/// When the caller of a request gives it up.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Limit,
}

/// A field that says how much time is left.
struct Form {
    field: HeaderName,
    /// As the limit is told.
    name: &'static str,
    unit: Duration,
    /// It speaks to whoever works on the request, and is told anew; else of the caller itself.
    goes_on: bool,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const fn form(name: &'static str, unit: Duration, goes_on: bool) -> Form {
    Form { field: HeaderName::from_static(name), name, unit, goes_on }
}

static FORMS: [Form; 4] = [
    form("x-request-timeout-ms", MILLISECOND, true),
    // Envoy, of the requests that it passes on.
    form("x-envoy-expected-rq-timeout-ms", MILLISECOND, true),
    // aio-request.
    form("x-request-timeout", SECOND, true),
    // Clients that Stainless generates, as those of OpenAI and Anthropic: how long they wait for a byte.
    form("x-stainless-read-timeout", SECOND, false),
];

/// The shortest of all that a request says.
pub(crate) fn of(headers: &HeaderMap, now: Instant) -> Option<Deadline> {
    let said = FORMS.iter().flat_map(|form| {
        let lines = headers.get_all(&form.field).iter();
        lines.filter_map(|it| Some((form.name, read(it.as_bytes(), form.unit)?)))
    });
    let (name, left) = said.min_by_key(|it| it.1)?;
    let value = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
    Some(Deadline { at: now.checked_add(left)?, limit: Limit { name, value } })
}

/// A number with a fraction or without. Less than nothing is nothing.
fn read(value: &[u8], unit: Duration) -> Option<Duration> {
    let text = str::from_utf8(value).ok()?.trim();
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if number.len() < text.len() {
        return Some(Duration::ZERO);
    }
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * unit.as_secs_f64()).ok()
}

/// This field is told anew, where one is.
pub(crate) fn is_told(name: &HeaderName) -> bool {
    FORMS.iter().any(|it| it.goes_on && it.field == *name)
}

/// Tells the target how much is left: in our own words, and in those that the caller used.
pub(crate) fn put(left: Duration, headers: &HeaderMap, put: &mut impl FnMut(&[u8], &[&[u8]])) {
    let [ours, others @ ..] = &FORMS;
    let used = others.iter().filter(|it| it.goes_on && headers.contains_key(&it.field));
    for form in [ours].into_iter().chain(used) {
        put(form.name.as_bytes(), &[written(left, form.unit).as_bytes()]);
    }
}

/// Never nothing: that would say that nobody waits.
fn written(left: Duration, unit: Duration) -> String {
    let millis = left.as_millis().max(1);
    match unit {
        MILLISECOND => millis.to_string(),
        _ => format!("{}.{:03}", millis / 1_000, millis % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], expected: Option<(&str, u64)>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let now = Instant::now();
        let found = of(&headers, now);
        let told = found.map(|it| (it.limit.name, it.limit.value));
        assert_eq!(told, expected, "{lines:?}");
        if let Some(Deadline { at, limit }) = found {
            assert_eq!(at - now, Duration::from_micros(limit.value), "{lines:?}");
        }
    }

    #[test]
    fn each_form_has_its_unit() {
        check(&[("x-request-timeout-ms", "1500")], Some(("x-request-timeout-ms", 1_500_000)));
        check(
            &[("x-envoy-expected-rq-timeout-ms", "15000")],
            Some(("x-envoy-expected-rq-timeout-ms", 15_000_000)),
        );
        check(&[("x-request-timeout", "2.5")], Some(("x-request-timeout", 2_500_000)));
        check(
            &[("x-stainless-read-timeout", "600")],
            Some(("x-stainless-read-timeout", 600_000_000)),
        );
        check(&[("x-stainless-read-timeout", "0.25")], Some(("x-stainless-read-timeout", 250_000)));
        check(&[("timeout", "5")], None);
    }

    #[test]
    fn the_shortest_counts() {
        check(
            &[("x-request-timeout-ms", "1500"), ("x-request-timeout", "1")],
            Some(("x-request-timeout", 1_000_000)),
        );
        check(
            &[("x-request-timeout-ms", "1500"), ("x-request-timeout-ms", "700")],
            Some(("x-request-timeout-ms", 700_000)),
        );
        check(
            &[("x-request-timeout-ms", "soon"), ("x-request-timeout", "1")],
            Some(("x-request-timeout", 1_000_000)),
        );
    }

    #[test]
    fn what_is_over_is_nothing() {
        for text in ["0", "0.0", "-5", "-0.001"] {
            check(&[("x-request-timeout-ms", text)], Some(("x-request-timeout-ms", 0)));
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for text in ["", "5s", "1e3", "+5", "inf", "NaN", "1.", ".5", "1,5", "--1", "- 1", "0x10"] {
            check(&[("x-request-timeout-ms", text)], None);
        }
        // So far ahead that it is never.
        check(&[("x-request-timeout-ms", "99999999999999999999999999")], None);
        check(&[("x-request-timeout", "18446744073709551615")], None);
    }

    #[test]
    fn what_is_left_is_told_in_the_words_of_the_caller_too() {
        let mut headers = HeaderMap::new();
        for name in ["x-request-timeout", "x-stainless-read-timeout"] {
            headers.insert(name, HeaderValue::from_static("9"));
        }
        let mut told = String::new();
        let mut note = |name: &[u8], parts: &[&[u8]]| {
            let line = [name, b"=", &parts.concat(), b" "].concat();
            told += &String::from_utf8_lossy(&line);
        };
        put(Duration::from_micros(2_045_900), &headers, &mut note);
        put(Duration::ZERO, &HeaderMap::new(), &mut note);
        let expected = "x-request-timeout-ms=2045 x-request-timeout=2.045 x-request-timeout-ms=1 ";
        assert_eq!(told, expected);
    }
}
