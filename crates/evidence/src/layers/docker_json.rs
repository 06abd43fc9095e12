//! Docker's json-file driver: `{"log":"line\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}`.

use super::{Inner, Peeled};
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
