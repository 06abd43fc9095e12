//! syslog as files hold it, and `journalctl`: `Nov 20 15:16:30 host unit[pid]: line` (RFC 3164), the
//! same with an ISO time (`-o short-iso`, rsyslog), with the weekday (`-o short-full`,
//! `-o with-unit`), and RFC 5424.

use super::{Inner, Peeled};
use crate::clock::{self, Stamp};

pub(super) fn peel(text: &str, year: i32) -> Option<Peeled> {
    if let Some((priority, rest)) = text.strip_prefix('<').and_then(|it| it.split_once('>')) {
        priority.parse::<u8>().ok()?;
        return rfc5424(text).or_else(|| {
            let peeled = (!rest.starts_with('<')).then(|| peel(rest, year))??;
            let Inner::From(inset) = peeled.inner else { return None };
            Some(Peeled { inner: Inner::From(inset + text.len() - rest.len()), ..peeled })
        });
    }
    let found = clock::syslog(text, year).or_else(|| {
        let (at, end) = clock::iso(text)?;
        // A log that merely begins with a time has no zone before a host's name.
        at.zoned.then_some((at, end))
    });
    let (at, end) = found.or_else(|| weekday(text))?;
    let rest = text[end..].strip_prefix(' ')?;
    let (host, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    if !word(host) || is_no_host(host) || tag.len() > 64 {
        return None;
    }
    let (ident, pid) = match tag.split_once('[') {
        Some((ident, pid)) => (ident, Some(pid.strip_suffix(']')?)),
        None => (tag, None),
    };
    if ident.is_empty() || !ident.bytes().all(|it| it.is_ascii_graphic() && it != b'"') {
        return None;
    }
    Some(tagged(text, message, at, ident, pid))
}

/// `Fri 2026-11-20 15:16:30.123456 UTC`. The names of other zones are not told apart.
pub(super) fn weekday(text: &str) -> Option<(Stamp, usize)> {
    let (day, rest) = text.split_at_checked(4)?;
    if !day.ends_with(' ') || !day.starts_with(|it: char| it.is_ascii_uppercase()) {
        return None;
    }
    let (at, end) = clock::iso(rest)?;
    let zone = rest[end..].strip_prefix(' ').and_then(|it| it.split(' ').next());
    let zone = zone.filter(|it| {
        (2..=5).contains(&it.len())
            && it.bytes().all(|it| {
                it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'+' || it == b'-'
            })
    });
    let end = 4 + end + zone.map_or(0, |it| it.len() + 1);
    let utc = matches!(zone, Some("UTC" | "GMT"));
    Some((if utc { at.ahead_of_utc(0) } else { at }, end))
}

/// `<34>1 2026-11-20T15:16:30Z host app 123 ID - line`.
fn rfc5424(text: &str) -> Option<Peeled> {
    let (priority, rest) = text.strip_prefix('<')?.split_once(">1 ")?;
    priority.parse::<u8>().ok()?;
    let (at, end) = clock::iso(rest)?;
    let mut words = rest[end..].strip_prefix(' ')?.splitn(5, ' ');
    let (_host, ident, pid, _id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let rest = words.next()?;
    let message = match rest.strip_prefix('-') {
        Some(it) => it.strip_prefix(' ').unwrap_or(it),
        None => &rest[structured(rest)?..],
    };
    // A byte order mark says that what follows is UTF-8.
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(tagged(text, message, at, ident, Some(pid)))
}

/// Where `[id name="value" …][…] ` ends; a quote or bracket in a value is written with a backslash.
fn structured(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut quoted) = (0, false);
    if bytes.first() != Some(&b'[') {
        return None;
    }
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted && bytes.get(at + 1) != Some(&b'[') => {
                let space = usize::from(bytes.get(at + 1) == Some(&b' '));
                return Some(at + 1 + space);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn tagged(text: &str, message: &str, at: Stamp, ident: &str, pid: Option<&str>) -> Peeled {
    Peeled {
        inner: Inner::From(text.len() - message.len()),
        at: Some(at),
        service: None,
        ident: Some(ident.to_owned()),
        pid: pid.and_then(|it| it.parse().ok()),
    }
}

/// Loggers write `TIME ERROR target: …`, and `docker events` writes `TIME container health_status: …`.
fn is_no_host(word: &str) -> bool {
    const WORDS: [&str; 13] = [
        "trace",
        "debug",
        "info",
        "notice",
        "warn",
        "warning",
        "error",
        "err",
        "crit",
        "critical",
        "fatal",
        "panic",
        "container",
    ];
    WORDS.iter().any(|it| it.eq_ignore_ascii_case(word.trim_end_matches(':')))
}

fn word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:".contains(&it))
}
