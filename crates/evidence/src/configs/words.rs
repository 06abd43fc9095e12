//! What many configurations are made of: words, durations, sizes, addresses.

use crate::reader::span_of;

/// The lines of a text that are not empty, without white space around them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.lines().map(str::trim).filter(|it| !it.is_empty())
}

/// The lines of a text that are not empty, of which a backslash at the end joins two.
pub(super) fn joined(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if !line.trim_end().ends_with('\\') {
            all.push(text[start..at].trim());
            start = at;
        }
    }
    all.push(text[start..].trim());
    all.retain(|it| !it.is_empty());
    all
}

/// The words of a line as a shell splits them, as parts of it: quotes around a word are left out,
/// and a `#` at the start of a word ends the line. A backslash before a line end is white space.
pub(super) fn words(line: &str) -> Vec<&str> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            it if it.is_ascii_whitespace() => at += 1,
            b'\\' if matches!(bytes.get(at + 1), Some(b'\n' | b'\r') | None) => at += 1,
            b'#' => break,
            quote @ (b'"' | b'\'') => {
                let start = at + 1;
                let end = closing(bytes, start, quote);
                words.push(line.get(start..end).unwrap_or_default());
                at = end + 1;
            }
            _ => {
                let start = at;
                while at < bytes.len() && !bytes[at].is_ascii_whitespace() {
                    at = match bytes[at] {
                        quote @ (b'"' | b'\'') => closing(bytes, at + 1, quote) + 1,
                        _ => at + 1,
                    };
                }
                words.push(line.get(start..at.min(bytes.len())).unwrap_or_default());
            }
        }
    }
    words
}

/// Where a quote closes: a backslash before it keeps it open.
fn closing(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// Without a quote at either end.
pub(super) fn bare(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

/// A duration in milliseconds: `60`, `60s`, `1m30s`, `500ms`, `1h`, `2min`, `0.5s`. What has no unit
/// counts in pieces of `unit` milliseconds.
pub(super) fn millis(written: &str, unit: i64) -> Option<i64> {
    let mut rest = bare(written.trim());
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let (number, after) = split(rest, |it| it.is_ascii_digit() || it == '.');
        let (name, after) = split(after, |it| it.is_ascii_alphabetic());
        let scale = match name {
            "" => unit,
            "us" => 0,
            "ms" | "msec" => 1,
            "s" | "sec" | "second" | "seconds" => 1000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return None,
        };
        sum = sum.checked_add(scaled(number, scale)?)?;
        rest = after.trim_start();
    }
    Some(sum)
}

/// A size in bytes: `8k`, `64K`, `10M`, `512MiB`, `1g`, `1.5G`, `8KB`.
pub(super) fn bytes(written: &str) -> Option<i64> {
    let written = bare(written.trim());
    let (number, name) = split(written, |it| it.is_ascii_digit() || it == '.');
    let scale = match name.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        "t" | "tb" | "ti" | "tib" => 1_i64 << 40,
        _ => return None,
    };
    scaled(number, scale)
}

/// A number that may have a fraction, times a scale.
fn scaled(number: &str, scale: i64) -> Option<i64> {
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(scale);
    }
    let number: f64 = number.parse().ok()?;
    let product = number * scale as f64;
    (product.is_finite() && product.abs() < 9e15).then_some(product as i64)
}

fn split(text: &str, holds: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|it| !holds(it)).unwrap_or(text.len()))
}

pub(super) fn integer(written: &str) -> Option<i64> {
    bare(written.trim()).parse().ok()
}

pub(super) fn port(written: &str) -> Option<u16> {
    bare(written.trim()).parse().ok().filter(|it| *it != 0)
}

/// Host and port of a URL that may hold a user and a password, neither of which is ever part of it.
pub(super) fn host_port(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(|it: char| it.is_whitespace() || it == '"' || it == '\'');
    let rest = &rest[..end.unwrap_or(rest.len())];
    // A password may hold anything, so that only what follows the last `@` is safe.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, it)| it);
    let end = rest.find(['/', '?', '#', ',']).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|it| is_authority(it))
}

/// `host`, `host:port`, `[::1]:80`, a variable in place of either.
pub(super) fn is_authority(text: &str) -> bool {
    let name = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_' | '$' | '{' | '}');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).map_or_else(
        || !host.is_empty() && host.chars().all(name),
        |it| it.bytes().all(|it| it.is_ascii_hexdigit() || matches!(it, b':' | b'.' | b'%')),
    );
    let number =
        |it: &str| it.starts_with('$') && it.chars().all(name) || it.parse::<u16>().is_ok();
    host && port.is_none_or(number)
}

/// An address and the words to quote for it: all of them, unless they could hold a secret.
pub(super) fn quoted<'t>(whole: &'t str, address: &'t str) -> &'t str {
    if is_safe(whole) { whole } else { address }
}

/// Nothing in it looks like a user's part of a URL, a query, a password, a token or a key.
pub(super) fn is_safe(words: &str) -> bool {
    if words.contains(['@', '?']) {
        return false;
    }
    let lower = words.to_ascii_lowercase();
    !["passw", "passwd", "secret", "token", "apikey", "api_key", "api-key", "credential", "auth"]
        .iter()
        .any(|it| lower.contains(it))
}

/// A line without what follows ` #`.
pub(super) fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let comment = memchr::memchr_iter(b'#', bytes)
        .find(|at| *at == 0 || bytes[*at - 1].is_ascii_whitespace());
    line[..comment.unwrap_or(line.len())].trim()
}

/// `key = value` or `key: value`, without quotes around the value.
pub(super) fn pair(line: &str, sign: char) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(sign)?;
    Some((key.trim(), bare(value.trim())))
}

/// `[name]` alone in a line.
pub(super) fn section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// Where a part begins in the text that it was cut from.
pub(super) fn offset(text: &str, part: &str) -> usize {
    span_of(text, part).start
}

/// The share of lines for which something holds is at least half, and there is one.
pub(super) fn mostly(known: usize, all: usize) -> bool {
    known > 0 && known * 2 >= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(words("a \"b c\" d='e f' \\\n g # h"), ["a", "b c", "d='e f'", "g"]);
        assert_eq!(words("'open"), ["open"]);
        assert_eq!(words("\"x\\"), ["x\\"]);
        assert_eq!(words("a\x0cb \x0c"), ["a", "b"]);
    }

    #[test]
    fn durations_and_sizes_have_many_units() {
        for (written, want) in [
            ("60", Some(60_000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("0.5s", Some(500)),
            ("\"2min\"", Some(120_000)),
            ("", None),
            ("1 fortnight", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(millis(written, 1000), want, "{written}");
        }
        assert_eq!((bytes("8k"), bytes("512MiB"), bytes("x")), (Some(8192), Some(512 << 20), None));
    }

    #[test]
    fn no_part_of_a_password_is_taken_for_a_host() {
        for (url, want) in [
            ("postgres://user:secret@db:5432/app", Some("db:5432")),
            ("postgres://user:se/12@cret@db:5432/app?x=y", Some("db:5432")),
            ("redis://:secret@cache", Some("cache")),
            ("redis://user:se/cret", None),
            ("http://[::1]:80/x", Some("[::1]:80")),
            ("http://", None),
        ] {
            assert_eq!(host_port(url), want, "{url}");
        }
    }
}
