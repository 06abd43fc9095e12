//! The reference of the configuration: the schema, and the same for people.

mod keys;
mod words;

use super::Page;
use anyhow::Result;
use keys::{Key, Section};
use serde_json::Value;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

One TOML file, which `goodgate run --config` names. `goodgate check` reads it and shows every
mistake at once. A key that is not listed here is a mistake, not ignored.
";

const CLOSING: &str = "
The same as a JSON Schema, for editors: [goodgate.schema.json](goodgate.schema.json). Both are
made from the types that the file is parsed into, by `cargo xtask docs`.
";

pub(super) fn pages() -> Result<Vec<Page>> {
    let schema = config::schema();
    let json = serde_json::to_string_pretty(&schema)? + "\n";
    Ok(vec![
        Page { path: "docs/reference/goodgate.schema.json".into(), text: json },
        Page { path: "docs/reference/configuration.md".into(), text: reference(&schema)? },
    ])
}

fn reference(schema: &Value) -> Result<String> {
    let says = schema["description"].as_str().unwrap_or_default();
    let mut text = format!("{INTRODUCTION}\n{says}\n{CLOSING}");
    for section in keys::sections(schema)? {
        // Writing to a string cannot fail.
        let _ = write(&mut text, &section);
    }
    Ok(text)
}

fn write(text: &mut String, section: &Section) -> std::fmt::Result {
    writeln!(text, "\n## {}\n", section.title)?;
    if !section.says.is_empty() {
        writeln!(text, "{}\n", section.says)?;
    }
    writeln!(text, "| key | takes | without it | |\n|---|---|---|---|")?;
    for Key { path, takes, default, says } in &section.keys {
        writeln!(text, "| `{path}` | {} | {default} | {} |", cell(takes), cell(says))?;
    }
    Ok(())
}

/// A bar inside a cell would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
