//! `logcli query`: `2026-01-02T03:04:05Z {app="web"} line`, and its `-o jsonl`.

use super::{Inner, Peeled};
use crate::clock;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Entry {
    labels: BTreeMap<String, String>,
    line: String,
    timestamp: String,
}

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if text.starts_with("{\"labels\":") {
        let entry: Entry = serde_json::from_str(text).ok()?;
        let service = NAMES.iter().find_map(|it| entry.labels.get(*it)).cloned();
        let line = entry.line.trim_end_matches(['\n', '\r']).to_owned();
        let at = clock::any(&entry.timestamp);
        return Some(Peeled { inner: Inner::Decoded(line), at, service, ..Peeled::from(0) });
    }
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].trim_start_matches(' ').strip_prefix('{')?;
    let (labels, message) = rest.split_once("} ")?;
    let plain = labels.is_empty() || labels.contains("=\"") && labels.ends_with('"');
    if !plain || !at.zoned {
        return None;
    }
    let value = |name: &str| {
        labels.split(", ").find_map(|it| {
            it.trim().strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"').map(str::to_owned)
        })
    };
    let message = message.trim_start_matches(' ');
    let service = NAMES.iter().find_map(|it| value(it));
    let inset = text.len() - message.len();
    Some(Peeled { at: Some(at), service, ..Peeled::from(inset) })
}

/// Labels that name who wrote a line, the narrowest first.
const NAMES: [&str; 6] = ["container", "compose_service", "service_name", "app", "unit", "job"];
