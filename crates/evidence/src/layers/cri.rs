//! The container runtime interface: `2026-01-02T03:04:05.6Z stderr F line`.

use super::{Inner, Peeled};
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
