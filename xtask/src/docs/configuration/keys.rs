//! The keys of the configuration, read out of its JSON Schema.

use super::words::{either, literal, takes};
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A table of the file.
pub(super) struct Section {
    /// As a heading, such as `[listen]`.
    pub(super) title: String,
    pub(super) says: String,
    pub(super) keys: Vec<Key>,
}

/// One row of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// With dots, such as `timeout.connect`; a list is followed through as `targets[].url`.
    pub(super) path: String,
    pub(super) takes: String,
    pub(super) default: String,
    pub(super) says: String,
}

pub(super) fn sections(schema: &Value) -> Result<Vec<Section>> {
    let reader = Reader { root: schema };
    let mut sections = Vec::new();
    let mut top = Section { title: "Top level".into(), says: String::new(), keys: Vec::new() };
    for (name, property) in properties(schema) {
        match reader.shapes(property)?.into_iter().find(|it| it["type"] == "object") {
            Some(table) => sections.push(reader.section(name, property, table)?),
            None => reader.key(schema, name, property, name, &mut top.keys)?,
        }
    }
    if !top.keys.is_empty() {
        sections.insert(0, top);
    }
    Ok(sections)
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    fn section(&self, name: &str, property: &'a Value, table: &'a Value) -> Result<Section> {
        let says = prose(property, table);
        let mut keys = Vec::new();
        // `[upstream.<name>]`: a table of tables, whose keys the writer chooses.
        let (title, table) = match &table["additionalProperties"] {
            Value::Object(_) => {
                (format!("[{name}.<name>]"), self.resolve(&table["additionalProperties"])?)
            }
            _ => (format!("[{name}]"), table),
        };
        self.table("", table, &mut keys)?;
        Ok(Section { title: format!("`{title}`"), says, keys })
    }

    fn table(&self, prefix: &str, table: &'a Value, keys: &mut Vec<Key>) -> Result<()> {
        for (name, property) in properties(table) {
            self.key(table, name, property, &format!("{prefix}{name}"), keys)?;
        }
        Ok(())
    }

    /// A row for the key, and rows for the keys below it.
    fn key(
        &self,
        parent: &'a Value,
        name: &str,
        property: &'a Value,
        path: &str,
        keys: &mut Vec<Key>,
    ) -> Result<()> {
        let shapes = self.shapes(property)?;
        let words = shapes.iter().map(|it| self.words(it)).collect::<Result<Vec<_>>>()?;
        let tables_only = shapes.iter().all(|it| it["type"] == "object");
        let says = prose(property, shapes.first().copied().unwrap_or(property));
        let (says, told) = says.split_once("Default: ").unwrap_or((&says, ""));
        // A plain table speaks through its keys, unless there is something to say about it.
        if !tables_only || !says.is_empty() {
            let default = default(parent, name, property, told);
            let (path, says) = (path.to_owned(), says.trim_end().to_owned());
            keys.push(Key { path, takes: one_or_many(words), default, says });
        }
        for shape in &shapes {
            self.below(path, shape, keys)?;
        }
        Ok(())
    }

    fn below(&self, path: &str, shape: &'a Value, keys: &mut Vec<Key>) -> Result<()> {
        if shape["type"] == "object" {
            return self.table(&format!("{path}."), shape, keys);
        }
        if shape["items"].is_object() {
            for item in self.shapes(&shape["items"])? {
                self.below(&format!("{path}[]"), item, keys)?;
            }
        }
        Ok(())
    }

    fn words(&self, shape: &'a Value) -> Result<String> {
        if !shape["items"].is_object() {
            return takes(shape);
        }
        let items = self.shapes(&shape["items"])?;
        let items = items.into_iter().map(takes).collect::<Result<Vec<_>>>()?;
        Ok(format!("a list, each {}", either(items)))
    }

    /// What a value may be, one schema for each alternative, without `null`.
    fn shapes(&self, schema: &'a Value) -> Result<Vec<&'a Value>> {
        let schema = self.resolve(schema)?;
        let alternatives = ["anyOf", "oneOf"].iter().find_map(|it| schema[*it].as_array());
        let Some(alternatives) = alternatives else {
            return Ok(vec![schema]);
        };
        let mut shapes = Vec::new();
        for it in alternatives.iter().filter(|it| it["type"] != "null") {
            shapes.extend(self.shapes(it)?);
        }
        Ok(shapes)
    }

    fn resolve(&self, schema: &'a Value) -> Result<&'a Value> {
        let Some(reference) = schema["$ref"].as_str() else {
            return Ok(schema);
        };
        let Some(pointer) = reference.strip_prefix('#') else {
            bail!("the schema refers to elsewhere: `{reference}`");
        };
        let found =
            self.root.pointer(pointer).with_context(|| format!("`{reference}` is absent"))?;
        self.resolve(found)
    }
}

/// A value that may also be a list of the same is worded once.
fn one_or_many(words: Vec<String>) -> String {
    match words.as_slice() {
        [one, list] if list.strip_prefix("a list, each ") == Some(one) => {
            format!("{one}; or a list of them")
        }
        _ => either(words),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// What holds without the key: a value of the schema, or what its description tells.
fn default(parent: &Value, name: &str, property: &Value, told: &str) -> String {
    let required = parent["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
    match property.get("default") {
        _ if required => "required".to_owned(),
        Some(value) => literal(value),
        None => told.trim_end_matches('.').to_owned(),
    }
}

/// The description, as one paragraph: the key's own, else that of its type.
fn prose(property: &Value, kind: &Value) -> String {
    let own = property["description"].as_str().or(kind["description"].as_str());
    own.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The sections as lines: `[title]`, then `path: takes = default; says`.
    #[track_caller]
    fn check(properties: &Value, expected: &[&str]) {
        let schema = json!({
            "properties": properties,
            "$defs": {
                "Target": { "type": "object", "required": ["url"], "properties": {
                    "url": { "type": "string", "description": "Where to." },
                    "weight": { "type": "integer", "minimum": 1, "default": 1 },
                } },
            },
        });
        let mut lines = Vec::new();
        for section in sections(&schema).unwrap() {
            lines.push(section.title);
            let line = |it: Key| format!("{}: {} = {}; {}", it.path, it.takes, it.default, it.says);
            lines.extend(section.keys.into_iter().map(line));
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn nested_tables_become_dotted_keys() {
        let timeout = json!({ "type": "object", "properties": {
            "connect": { "type": "string", "default": "2s", "description": "Until it\nstands." },
        } });
        let listen = json!({ "type": "object", "properties": { "timeout": timeout } });
        let expected = ["`[listen]`", "timeout.connect: a text = `\"2s\"`; Until it stands."];
        check(&json!({ "listen": listen }), &expected);
    }

    #[test]
    fn tables_with_chosen_names_say_so() {
        let one = json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Target" } });
        let expected = [
            "`[target.<name>]`",
            "url: a text = required; Where to.",
            "weight: a number from 1 = `1`; ",
        ];
        check(&json!({ "target": one }), &expected);
    }

    #[test]
    fn alternatives_in_a_list_are_followed() {
        let either = json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/Target" }] });
        let targets = json!({ "type": "array", "items": either });
        let upstream = json!({ "type": "object", "properties": { "targets": targets } });
        let expected = [
            "`[upstream]`",
            "targets: a list, each a text or a table = ; ",
            "targets[].url: a text = required; Where to.",
            "targets[].weight: a number from 1 = `1`; ",
        ];
        check(&json!({ "upstream": upstream }), &expected);
    }

    #[test]
    fn one_or_a_list_is_worded_once() {
        let text = json!({ "type": "string" });
        let either = json!({ "anyOf": [text, { "type": "array", "items": text }] });
        check(&json!({ "to": either }), &["Top level", "to: a text; or a list of them = ; "]);
    }

    #[test]
    fn a_default_in_the_description_stands_in_its_column() {
        let ca = json!({ "type": "string", "description": "A file. Default: the system's." });
        check(&json!({ "ca": ca }), &["Top level", "ca: a text = the system's; A file."]);
    }

    #[test]
    fn keys_without_a_table_stand_at_the_top() {
        let workers = json!({ "type": ["integer", "null"], "description": "How many." });
        check(&json!({ "workers": workers }), &["Top level", "workers: a number = ; How many."]);
    }
}
