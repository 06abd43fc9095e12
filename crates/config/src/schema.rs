//! The JSON Schema of the file, made from the types in `written`.

use crate::written::File;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The schema of `goodgate.toml` (draft 2020-12) with descriptions and defaults, for editors.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same, not copied.
pub(crate) fn shared() -> &'static Value {
    &SCHEMA
}

fn generate() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    let mut value = schema.to_value();
    tidy(&mut value);
    if let Some(root) = value.as_object_mut() {
        root.insert("title".to_owned(), "goodgate.toml".into());
    }
    value
}

/// TOML has no null, and a default that is a table or a list only repeats what stands inside it.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            tidy_object(object);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_object(object: &mut Map<String, Value>) {
    if object.get("default").is_some_and(|it| it.is_null() || it.is_object() || it.is_array()) {
        object.shift_remove("default");
    }
    if object.get("format").is_some_and(|it| it.as_str().is_some_and(|it| it.starts_with("uint"))) {
        object.shift_remove("format");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else {
        return;
    };
    branches.retain(|it| it.get("type").is_none_or(|it| it != "null"));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        object.shift_remove("anyOf");
        for (key, it) in only {
            object.entry(key).or_insert(it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::format_named;

    fn visit(value: &Value, see: &mut dyn FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                see(object);
                object.values().for_each(|it| visit(it, see));
            }
            Value::Array(items) => items.iter().for_each(|it| visit(it, see)),
            _ => {}
        }
    }

    #[test]
    fn every_format_has_a_reader_that_takes_the_defaults() {
        let mut seen = 0;
        visit(&schema(), &mut |it| {
            let Some(name) = it.get("format").and_then(Value::as_str) else { return };
            let format = format_named(name).unwrap_or_else(|| panic!("no reader for `{name}`"));
            if let Some(default) = it.get("default").and_then(Value::as_str) {
                assert_eq!((format.check)(default), None, "{default}");
                seen += 1;
            }
        });
        assert!(seen > 10, "only {seen} defaults");
    }

    #[test]
    fn every_setting_is_described_and_nothing_is_null() {
        visit(&schema(), &mut |it| {
            assert_ne!(it.get("type").and_then(Value::as_str), Some("null"), "{it:?}");
            let Some(Value::Object(properties)) = it.get("properties") else { return };
            for (name, it) in properties {
                assert!(it.get("description").is_some(), "`{name}` is not described: {it}");
            }
        });
    }

    #[test]
    fn the_schema_changes_only_on_purpose() {
        insta::with_settings!({ snapshot_path => "../cases" }, {
            insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema()).unwrap());
        });
    }
}
