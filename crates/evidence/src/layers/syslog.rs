//! syslog as files hold it, and `journalctl`: `Nov 20 15:16:30 host unit[pid]: line` (RFC 3164), the
//! same with an ISO time, and RFC 5424.

use super::{Inner, Peeled};
use crate::clock::{self, Stamp};

pub(super) fn peel(text: &str, year: i32) -> Option<Peeled> {
    if text.starts_with('<') {
        return rfc5424(text);
    }
    let (at, end) = clock::syslog(text, year).or_else(|| {
        let (at, end) = clock::iso(text)?;
        // A log that merely begins with a time has no zone before a host's name.
        at.zoned.then_some((at, end))
    })?;
    let rest = text[end..].strip_prefix(' ')?;
    let (host, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    // `docker events` writes `TIME container health_status: …`.
    if !word(host) || host == "container" || tag.len() > 64 {
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

/// `<34>1 2026-11-20T15:16:30Z host app 123 ID - line`.
fn rfc5424(text: &str) -> Option<Peeled> {
    let (priority, rest) = text.strip_prefix('<')?.split_once(">1 ")?;
    priority.parse::<u8>().ok()?;
    let (at, end) = clock::iso(rest)?;
    let mut words = rest[end..].strip_prefix(' ')?.splitn(5, ' ');
    let (_host, ident, pid, _id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let rest = words.next()?;
    let message = match rest.strip_prefix("- ") {
        Some(it) => it,
        None => rest.split_once("] ").map(|(_, it)| it)?,
    };
    Some(tagged(text, message, at, ident, Some(pid)))
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

fn word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:".contains(&it))
}
