//! Docker's json-file driver: `{"log":"line\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}`.

use super::{Inner, Peeled, Piece};
use crate::clock;
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    log: String,
    time: Option<String>,
}

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if !text.starts_with("{\"log\":") {
        return None;
    }
    let entry: Entry = serde_json::from_str(text).ok()?;
    let at = entry.time.as_deref().and_then(clock::any);
    let line = entry.log.trim_end_matches(['\n', '\r']).to_owned();
    Some(Peeled { inner: Inner::Decoded(line), at, ..Peeled::from(0) })
}

/// What Docker reads at a time (daemon/logger/copier.go, `defaultBufSize`). Only a line that fills it
/// goes on in the next entry; others write entries without line ends as well.
const BUFFER: usize = 16 * 1024;

/// Which stream an entry is of, and whether its line ends there.
pub(super) fn piece(raw: &[u8]) -> Option<Piece> {
    const HEAD: &[u8] = b"{\"log\":\"";
    let rest = raw.strip_prefix(HEAD)?;
    // A quote within the line has a backslash before it.
    let end = memchr::memmem::find(rest, b"\",\"stream\":\"")?;
    let stream = match rest[end..].get(b"\",\"stream\":\"std".len()..)? {
        [b'o', ..] => 0,
        [b'e', ..] => 1,
        _ => return None,
    };
    let log = &rest[..end];
    let slashes = |log: &[u8]| log.iter().rev().take_while(|it| **it == b'\\').count();
    let ends = log.strip_suffix(b"n").is_some_and(|it| slashes(it) % 2 == 1);
    Some(Piece { stream, ends: ends || log.len() < BUFFER })
}
