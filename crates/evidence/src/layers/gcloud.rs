//! `gcloud logging read`: the `textPayload` of an entry, in JSON of one line an entry, or in the line
//! of YAML or of indented JSON that holds it.

use super::{Inner, Peeled};
use crate::clock;
use serde_json::Value;

pub(super) fn entry(text: &str, _: i32) -> Option<Peeled> {
    let text = text.trim().trim_end_matches(',');
    if !text.starts_with('{') || !text.contains("\"textPayload\"") || !text.contains("\"logName\"")
    {
        return None;
    }
    let entry: Value = serde_json::from_str(text).ok()?;
    let message = entry["textPayload"].as_str()?.trim_end_matches(['\n', '\r']).to_owned();
    let labels = &entry["resource"]["labels"];
    let names = ["container_name", "service_name", "function_name", "module_id"];
    let service = names.iter().find_map(|it| labels[*it].as_str()).map(str::to_owned);
    let at = entry["timestamp"].as_str().and_then(clock::any);
    Some(Peeled { inner: Inner::Decoded(message), at, service, ..Peeled::from(0) })
}

/// `textPayload: line`, `"textPayload": "line",`.
pub(super) fn field(text: &str, _: i32) -> Option<Peeled> {
    let rest = text.trim_start();
    if let Some(value) = rest.strip_prefix("textPayload: ") {
        let quoted = value.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
        return Some(match quoted {
            Some(inner) if inner.contains("''") => {
                Peeled { inner: Inner::Decoded(inner.replace("''", "'")), ..Peeled::from(0) }
            }
            Some(inner) => Peeled { inner: Inner::Decoded(inner.to_owned()), ..Peeled::from(0) },
            None => Peeled::from(text.len() - value.len()),
        });
    }
    let value = rest.strip_prefix("\"textPayload\": ")?.trim_end().trim_end_matches(',');
    let line: String = serde_json::from_str(value).ok()?;
    let line = line.trim_end_matches(['\n', '\r']).to_owned();
    Some(Peeled { inner: Inner::Decoded(line), ..Peeled::from(0) })
}
