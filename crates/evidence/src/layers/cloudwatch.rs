//! `aws logs tail`: `2026-01-02T03:04:05.678000+00:00 STREAM line`, and the objects of `aws logs
//! filter-log-events` and `get-log-events`, one a line or spread over lines.

use super::{Inner, Peeled};
use crate::clock;
use serde::Deserialize;

/// Streams have a slash in their names (`2026/01/02/[$LATEST]0a1b`, `web/app/0a1b`), which hosts do
/// not have.
pub(super) fn tail(text: &str, _: i32) -> Option<Peeled> {
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].strip_prefix(' ')?;
    let (stream, message) = rest.split_once(' ')?;
    let named = at.zoned
        && stream.contains('/')
        && !stream.starts_with('/')
        && stream.len() <= 512
        && stream.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./[]$".contains(&it));
    if !named || stream.contains(".go:") {
        return None;
    }
    let inset = text.len() - message.len();
    Some(Peeled { at: Some(at), service: Some(service(stream)), ..Peeled::from(inset) })
}

/// Without the id of a container or of an instance of a function at its end.
fn service(stream: &str) -> String {
    if stream.contains("[$LATEST]") {
        return "lambda".to_owned();
    }
    stream.rsplit_once('/').map_or(stream, |(it, _)| it).to_owned()
}

#[derive(Deserialize)]
struct Event {
    message: String,
    timestamp: serde_json::Number,
    #[serde(rename = "logStreamName")]
    stream: Option<String>,
    #[serde(rename = "ingestionTime")]
    _ingested: serde_json::Number,
}

pub(super) fn event(text: &str, _: i32) -> Option<Peeled> {
    let text = text.trim().trim_end_matches(',');
    if !text.starts_with('{') || !text.contains("\"ingestionTime\"") {
        return None;
    }
    let event: Event = serde_json::from_str(text).ok()?;
    let message = event.message.trim_end_matches(['\n', '\r']).to_owned();
    Some(Peeled {
        inner: Inner::Decoded(message),
        at: event.timestamp.as_f64().and_then(clock::epoch),
        service: event.stream.as_deref().map(service),
        ..Peeled::from(0)
    })
}
