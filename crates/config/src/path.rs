//! One normal form of a request path (RFC 3986 6.2.2), so that what is matched is what is sent.
//!
//! Unreserved characters are decoded, hexadecimal digits are upper-case, dot segments are removed
//! and repeated slashes merged. What could mean different things to different servers is refused.

use std::borrow::Cow;

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// `%` without two hexadecimal digits, a raw byte that no path may hold, or no leading slash.
    Invalid,
    /// `%2F`, `%5C`, `%00` or a backslash.
    Ambiguous,
    /// `..` beyond the first segment.
    LeavesRoot,
}

/// How to read a path; the defaults are the safe ones.
#[derive(Clone, Copy, Debug)]
pub struct PathRules {
    pub merge_slashes: bool,
    /// Ambiguous characters are kept as they came instead of refused.
    pub raw: bool,
}

impl PathRules {
    pub const SAFE: PathRules = PathRules { merge_slashes: true, raw: false };
}

/// The normal form of a path without its query. Borrowed where the path already was normal, which
/// is nearly always.
pub fn normal_path(path: &str, rules: PathRules) -> Result<Cow<'_, str>, PathFault> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathFault::Invalid);
    }
    if is_plain(bytes) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(bytes, rules)?;
    let normal = remove_dots(&decoded, rules)?;
    // Every byte kept is ASCII: others were refused or are percent-encoded.
    Ok(Cow::Owned(String::from_utf8_lossy(&normal).into_owned()))
}

/// Nothing to do: no escape, no dot segment, no double slash, no odd byte. May say no to a path
/// that is normal after all; the slow way then finds out.
fn is_plain(bytes: &[u8]) -> bool {
    let mut before = 0;
    for &byte in bytes {
        let plain = match byte {
            b'/' => before != b'/',
            b'.' => before != b'/' && before != b'.',
            it => is_path_byte(it),
        };
        if !plain {
            return false;
        }
        before = byte;
    }
    true
}

/// What a segment of a path stands for (RFC 3986 2.1), where it is encoded well and is text.
#[must_use]
pub fn decoded_segment(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let digit = |it: Option<u8>| it.and_then(|it| char::from(it).to_digit(16));
        decoded.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? << 4 | digit(rest.next())?).ok()?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The other way round: everything but unreserved bytes is encoded.
#[must_use]
pub fn encoded_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            it if is_unreserved(it) => encoded.push(char::from(it)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// RFC 3986 `pchar` without `%`, and `/`. A few more that browsers send raw are let through, since
/// no server reads them as structure.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@|^[]{}\"`<>".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn decode_unreserved(bytes: &[u8], rules: PathRules) -> Result<Vec<u8>, PathFault> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let (high, low) = rest.next().zip(rest.next()).ok_or(PathFault::Invalid)?;
                let digit = |it: u8| char::from(it).to_digit(16).ok_or(PathFault::Invalid);
                let value = u8::try_from(digit(high)? << 4 | digit(low)?)
                    .map_err(|_| PathFault::Invalid)?;
                match value {
                    b'/' | b'\\' | 0 if !rules.raw => return Err(PathFault::Ambiguous),
                    it if is_unreserved(it) => decoded.push(it),
                    _ => decoded.extend([b'%', high, low].map(|it| it.to_ascii_uppercase())),
                }
            }
            b'\\' if !rules.raw => return Err(PathFault::Ambiguous),
            b'\\' => decoded.push(byte),
            it if is_path_byte(it) => decoded.push(it),
            _ => return Err(PathFault::Invalid),
        }
    }
    Ok(decoded)
}

/// RFC 3986 5.2.4, refusing to climb above the root, and merging slashes where asked.
fn remove_dots(path: &[u8], rules: PathRules) -> Result<Vec<u8>, PathFault> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path[1..].split(|it| *it == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." if last => kept.push(b""),
            b"." => {}
            b".." => {
                kept.pop().ok_or(PathFault::LeavesRoot)?;
                if last {
                    kept.push(b"");
                }
            }
            b"" if !last && rules.merge_slashes => {}
            it => kept.push(it),
        }
    }
    let mut normal = Vec::with_capacity(path.len());
    for segment in kept {
        normal.push(b'/');
        normal.extend(segment);
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, normal: &str) {
        assert_eq!(normal_path(path, PathRules::SAFE).as_deref(), Ok(normal), "{path}");
    }

    fn check_refused(path: &str, fault: PathFault) {
        assert_eq!(normal_path(path, PathRules::SAFE), Err(fault), "{path}");
    }

    #[test]
    fn a_segment_stands_for_one_text() {
        for text in ["app", "a/b", "é", "100%", "*", ""] {
            let encoded = encoded_segment(text);
            assert_eq!(decoded_segment(&encoded).as_deref(), Some(text), "{encoded}");
        }
        assert_eq!(decoded_segment("a*b%2fc").as_deref(), Some("a*b/c"));
        for wrong in ["%", "a%2", "a%zz", "%+1", "%ff"] {
            assert_eq!(decoded_segment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_normal_stays_and_is_not_copied() {
        for path in ["/", "/a/b.c", "/a/b/", "/users/42:cancel", "/v1/chat/completions"] {
            let normal = normal_path(path, PathRules::SAFE);
            assert!(matches!(normal, Ok(Cow::Borrowed(it)) if it == path), "{path}");
        }
    }

    #[test]
    fn one_form_for_all_spellings() {
        check("/%61dmin", "/admin");
        check("/a/./b/../c", "/a/c");
        check("/a//b///c", "/a/b/c");
        check("//", "/");
        check("/a/..", "/");
        check("/a/b/..", "/a/");
        check("/a/.", "/a/");
        check("/caf%c3%a9", "/caf%C3%A9");
        check("/a%20b", "/a%20b");
    }

    #[test]
    fn dots_that_hide_behind_escapes_are_dots() {
        check("/a/%2E%2e/b", "/b");
        check_refused("/%2e%2e/etc/passwd", PathFault::LeavesRoot);
    }

    #[test]
    fn what_servers_disagree_on_is_refused() {
        check_refused("/a%2fb", PathFault::Ambiguous);
        check_refused("/a%5Cb", PathFault::Ambiguous);
        check_refused("/a\\b", PathFault::Ambiguous);
        check_refused("/a%00", PathFault::Ambiguous);
        check_refused("/..", PathFault::LeavesRoot);
        check_refused("/a/../..", PathFault::LeavesRoot);
        check_refused("/%zz", PathFault::Invalid);
        check_refused("/%4", PathFault::Invalid);
        check_refused("/a b", PathFault::Invalid);
        check_refused("a", PathFault::Invalid);
    }

    #[test]
    fn a_raw_route_keeps_what_it_is_given() {
        let raw = PathRules { merge_slashes: false, raw: true };
        assert_eq!(normal_path("/a%2fb//c", raw).as_deref(), Ok("/a%2Fb//c"));
    }
}
