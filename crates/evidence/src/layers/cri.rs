//! The container runtime interface: `2026-01-02T03:04:05.6Z stderr F line`.

use super::{Inner, Peeled, Piece};
use crate::clock;

/// `F` is a full line, `P` a piece of one of more than 16 KiB; tags may follow after a colon.
/// `podman` writes the same to its k8s-file.
pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (at, end) = clock::iso(text)?;
    let rest = &text[end..];
    let rest = rest.strip_prefix(" stdout ").or_else(|| rest.strip_prefix(" stderr "))?;
    let (tags, message) = rest.split_once(' ').unwrap_or((rest, ""));
    if !matches!(tags.split(':').next(), Some("F" | "P")) {
        return None;
    }
    let inner = Inner::From(text.len() - message.len());
    Some(Peeled { inner, at: Some(at), ..Peeled::from(0) })
}

/// Which stream a line is of, and whether it ends there.
pub(super) fn piece(raw: &[u8]) -> Option<Piece> {
    // A time, a stream and tags are short.
    let head = std::str::from_utf8(&raw[..raw.len().min(80)])
        .unwrap_or_else(|it| std::str::from_utf8(&raw[..it.valid_up_to()]).unwrap_or_default());
    let mut words = head.splitn(4, ' ');
    let (time, stream, tags) = (words.next()?, words.next()?, words.next()?);
    let stream = ["stdout", "stderr"].iter().position(|it| *it == stream)?;
    let timed = time.len() >= 20 && time.as_bytes()[0].is_ascii_digit();
    match tags.split(':').next()? {
        "F" if timed => Some(Piece { stream, ends: true }),
        "P" if timed => Some(Piece { stream, ends: false }),
        _ => None,
    }
}
