//! The container runtime interface: `2026-01-02T03:04:05.6Z stderr F line`.

use super::{Inner, Peeled};
use crate::clock;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (at, end) = clock::iso(text)?;
    let rest = &text[end..];
    let rest = rest.strip_prefix(" stdout ").or_else(|| rest.strip_prefix(" stderr "))?;
    let rest = rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "))?;
    let inner = Inner::From(text.len() - rest.len());
    Some(Peeled { inner, at: Some(at), ..Peeled::from(0) })
}
