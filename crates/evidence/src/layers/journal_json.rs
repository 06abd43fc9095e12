//! `journalctl -o json`: one object a line, all values text (systemd.journal-fields(7)).

use super::{Inner, Peeled};
use crate::clock::Stamp;
use serde_json::Value;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if !text.starts_with('{') || !text.contains("\"__REALTIME_TIMESTAMP\"") {
        return None;
    }
    let entry: Value = serde_json::from_str(text).ok()?;
    let field = |name: &str| entry[name].as_str().map(str::to_owned);
    let message = match &entry["MESSAGE"] {
        Value::String(it) => it.clone(),
        // Bytes, where the message is no text.
        Value::Array(bytes) => {
            let bytes: Vec<u8> =
                bytes.iter().filter_map(|it| it.as_u64()?.try_into().ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    let at = field("__REALTIME_TIMESTAMP").and_then(|it| it.parse().ok()).map(Stamp::utc);
    Some(Peeled {
        inner: Inner::Decoded(message),
        at,
        service: field("_SYSTEMD_UNIT").filter(|it| it != "init.scope"),
        ident: field("SYSLOG_IDENTIFIER").or_else(|| field("_COMM")),
        pid: field("_PID").and_then(|it| it.parse().ok()),
    })
}
