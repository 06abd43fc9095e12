//! What a value may be, in words, from its schema.

use anyhow::{Context, Result};
use serde_json::Value;

/// Kinds of words that the configuration reads itself, by their `format` in the schema.
const FORMATS: &[(&str, &str)] = &[
    ("goodgate-access-log", "`\"stdout\"`, `\"off\"` or the path of a file"),
    ("goodgate-content-type", "a media type"),
    ("goodgate-destination", "the name of an upstream, or a URL"),
    ("goodgate-dns-server", "an IP address, with a port or without"),
    ("goodgate-duration", "a time above zero"),
    ("goodgate-duration-or-zero", "a time"),
    ("goodgate-file", "the path of a file"),
    ("goodgate-folder", "the path of a folder"),
    ("goodgate-host", "a host name"),
    ("goodgate-host-sent", "`\"keep\"`, `\"target\"` or a host name"),
    ("goodgate-listen-address", "an address such as `\"127.0.0.1:8080\"`"),
    ("goodgate-listen-address-or-off", "an address such as `\"127.0.0.1:9901\"`, or `\"off\"`"),
    ("goodgate-method", "a method such as `\"GET\"`"),
    ("goodgate-network", "a network such as `\"10.0.0.0/8\"`, or one address"),
    ("goodgate-path-pattern", "a path such as `\"/orders\"` or `\"/orders/*\"`"),
    ("goodgate-path-prefix", "a path such as `\"/orders\"`"),
    ("goodgate-percent", "a share such as `\"20%\"`"),
    ("goodgate-redirect-target", "a path or a URL"),
    ("goodgate-request-path", "a path such as `\"/health\"`"),
    ("goodgate-rewrite", "a path such as `\"/new/{id}\"`"),
    ("goodgate-sought", "a value, `\"*\"` for any, or `\"~expression\"`"),
    ("goodgate-status-range", "a status code or a range such as `\"200-399\"`"),
    ("goodgate-sticky", "`\"cookie\"`, `\"address\"`, `\"cookie:NAME\"` or `\"header:NAME\"`"),
    ("goodgate-server-name", "a host name or an IP address"),
    ("goodgate-size", "a size, or a number of bytes"),
    (
        "goodgate-target-url",
        "a URL such as `\"http://127.0.0.1:8000\"` or `\"unix:/run/app.sock\"`",
    ),
    ("goodgate-token", "a word"),
    ("goodgate-trusted-peer", "a network such as `\"10.0.0.0/8\"`, or one address"),
];

/// What to write for a value, as the end of "takes ...".
pub(super) fn takes(schema: &Value) -> Result<String> {
    if let Some(format) = schema["format"].as_str().filter(|it| it.starts_with("goodgate-")) {
        let known = FORMATS.iter().find(|(name, _)| *name == format);
        let (_, words) = known.with_context(|| format!("no words for the format `{format}`"))?;
        return Ok((*words).to_owned());
    }
    if let Some(choices) = schema["enum"].as_array() {
        return Ok(either(choices.iter().map(literal).collect()));
    }
    if let Some(only) = schema.get("const") {
        return Ok(literal(only));
    }
    if let Some(types) = schema["type"].as_array() {
        let types = types.iter().filter_map(Value::as_str).filter(|it| *it != "null");
        return types.map(|it| typed(it, schema)).collect::<Result<_>>().map(either);
    }
    typed(schema["type"].as_str().unwrap_or("anything"), schema)
}

fn typed(kind: &str, schema: &Value) -> Result<String> {
    Ok(match kind {
        "string" => "a text".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "integer" | "number" => format!("a number{}", bounds(schema)),
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        other => anyhow::bail!("no words for the type `{other}`"),
    })
}

fn bounds(schema: &Value) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => String::new(),
        (least, Value::Null) => format!(" from {least}"),
        (Value::Null, most) => format!(" up to {most}"),
        (least, most) => format!(" from {least} to {most}"),
    }
}

/// A value as it is written in TOML.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::String(it) => format!("`\"{it}\"`"),
        other => format!("`{other}`"),
    }
}

/// `a`, `a or b`, `a, b or c`; each once.
pub(super) fn either(mut words: Vec<String>) -> String {
    let mut seen = Vec::new();
    words.retain(|it| {
        !seen.contains(it) && {
            seen.push(it.clone());
            true
        }
    });
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(schema: &Value, expected: &str) {
        assert_eq!(takes(schema).unwrap(), expected, "{schema}");
    }

    #[test]
    fn plain_types() {
        check(&json!({ "type": "boolean" }), "`true` or `false`");
        check(&json!({ "type": "integer", "minimum": 1 }), "a number from 1");
        check(&json!({ "type": "integer", "minimum": 1, "maximum": 5 }), "a number from 1 to 5");
        check(&json!({ "type": ["string", "null"] }), "a text");
        check(&json!({ "type": ["string", "integer", "null"] }), "a text or a number");
    }

    #[test]
    fn closed_sets_and_formats() {
        check(&json!({ "enum": ["a", "b", 3] }), "`\"a\"`, `\"b\"` or `3`");
        check(&json!({ "type": "string", "format": "goodgate-file" }), "the path of a file");
    }

    #[test]
    fn a_format_without_words_is_a_complaint() {
        assert!(takes(&json!({ "type": "string", "format": "goodgate-new" })).is_err());
    }
}
