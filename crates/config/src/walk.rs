//! The tree against the schema: every unknown key, wrong type and bad word, each at its place.
//!
//! What comes out is what serde can read. A value that was complained about is left out, together
//! with all that cannot do without it.

use crate::complaint::{Complaint, Complaints};
use crate::later::is_later_key;
use crate::leaf::{Format, Wrong, format_named};
use crate::nearest::nearest;
use crate::render::shown;
use crate::tree::{Node, Value};
use serde_json::{Map, Value as Json};

/// The code of a complaint that a table lacks a key.
pub(crate) const MISSING: &str = "missing_key";

/// The file as JSON, without what was complained about.
pub(crate) fn walk(root: &Node, schema: &Json, complaints: &mut Complaints) -> Option<Json> {
    let mut walk = Walk { root: schema, path: Vec::new(), complaints };
    walk.value(root, schema)
}

struct Walk<'a> {
    root: &'a Json,
    path: Vec<String>,
    complaints: &'a mut Complaints,
}

impl<'a> Walk<'a> {
    fn value(&mut self, node: &Node, schema: &'a Json) -> Option<Json> {
        let kind = match &node.value {
            Value::Text { .. } => "string",
            Value::Number(_) => "integer",
            Value::Truth(_) => "boolean",
            Value::List(_) => "array",
            Value::Table(_) => "object",
            Value::Strange(_) => "",
            Value::Broken => return None,
        };
        let branches = self.branches(schema);
        let fitting = branches.iter().filter(|it| has_type(it, kind)).copied().collect::<Vec<_>>();
        let Some(first) = fitting.first() else {
            return self.wrong_type(node, &branches);
        };
        match &node.value {
            Value::Text { value, .. } => self.text(node, value, &fitting),
            Value::Number(it) => self.number(node, *it, first),
            Value::Truth(it) => Some(Json::from(*it)),
            Value::List(items) => self.list(node, items, first),
            Value::Table(entries) => self.table(node, entries, first),
            Value::Strange(_) | Value::Broken => None,
        }
    }

    /// The alternatives of a schema, references followed.
    fn branches(&self, schema: &'a Json) -> Vec<&'a Json> {
        let schema = self.followed(schema);
        let choices = ["anyOf", "oneOf"].iter().find_map(|it| schema.get(it)?.as_array());
        match choices {
            Some(choices) => choices.iter().flat_map(|it| self.branches(it)).collect(),
            None => vec![schema],
        }
    }

    fn followed(&self, schema: &'a Json) -> &'a Json {
        let reference = schema.get("$ref").and_then(Json::as_str);
        let target = reference.and_then(|it| self.root.pointer(it.strip_prefix('#')?));
        target.unwrap_or(schema)
    }

    fn text(&mut self, node: &Node, value: &str, branches: &[&'a Json]) -> Option<Json> {
        let words = branches.iter().filter_map(|it| it.get("const")?.as_str()).collect::<Vec<_>>();
        if !words.is_empty() && !words.contains(&value) {
            self.bad_word(node, value, &words);
            return None;
        }
        if let Some(format) = branches.iter().find_map(|it| format_of(it)) {
            return self.word(node, value, format);
        }
        Some(Json::from(value))
    }

    fn word(&mut self, node: &Node, value: &str, format: &Format) -> Option<Json> {
        let Some(wrong) = (format.check)(value) else {
            return Some(Json::from(value));
        };
        self.complaints.push(wrong_word(node, wrong));
        None
    }

    fn bad_word(&mut self, node: &Node, value: &str, words: &[&str]) {
        let name = self.name();
        let message = format!("`{}` is no value of `{name}`", node.shown());
        let mut complaint = Complaint::error("bad_value", message).at(node.span.clone());
        // A value from the environment must not show through a hint.
        let meant = nearest(value, words.iter().copied()).filter(|_| !node.is_expanded());
        if let Some(meant) = meant {
            complaint = complaint.label(format!("did you mean `{meant}`?"));
        }
        self.complaints.push(complaint.help(format!("one of: {}", words.join(", "))));
    }

    fn number(&mut self, node: &Node, value: i64, schema: &Json) -> Option<Json> {
        if let Some(format) = format_of(schema) {
            return self.word(node, &value.to_string(), format).map(|_| Json::from(value));
        }
        let at_least = schema.get("minimum").and_then(Json::as_i64);
        let at_most = schema.get("maximum").and_then(Json::as_i64);
        let allowed = schema.get("enum").and_then(Json::as_array);
        let problem = match (at_least, at_most, allowed) {
            (_, _, Some(allowed)) if !allowed.contains(&Json::from(value)) => {
                let allowed: Vec<String> = allowed.iter().map(Json::to_string).collect();
                format!("must be one of {}", allowed.join(", "))
            }
            (Some(low), _, _) if value < low => format!("must be at least {low}"),
            (_, Some(high), _) if value > high => format!("must be at most {high}"),
            _ => return Some(Json::from(value)),
        };
        let message = format!("`{}` {problem}", self.name());
        self.complaints.push(Complaint::error("out_of_range", message).at(node.span.clone()));
        None
    }

    /// A list with a bad item is bad as a whole: positions must stay what they are.
    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json) -> Option<Json> {
        let at_least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if items.len() < usize::try_from(at_least).unwrap_or(0) {
            let message = format!("`{}` must not be empty", self.name());
            self.complaints.push(Complaint::error("out_of_range", message).at(node.span.clone()));
            return None;
        }
        let item_schema = schema.get("items").unwrap_or(&Json::Null);
        let mut good = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            good.extend(self.inside(&index.to_string(), item, item_schema));
        }
        (good.len() == items.len()).then_some(Json::Array(good))
    }

    fn table(&mut self, node: &Node, entries: &[(String, Node)], schema: &'a Json) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let of_any_name = schema.get("additionalProperties").filter(|it| it.is_object());
        let mut good = Map::new();
        for (key, value) in entries {
            match properties.and_then(|it| it.get(key)).or(of_any_name) {
                Some(schema) => {
                    good.extend(self.inside(key, value, schema).map(|it| (key.clone(), it)));
                }
                None => self.unknown_key(key, value, properties),
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        let required = required.into_iter().flatten().filter_map(Json::as_str);
        let mut is_whole = true;
        for key in required.filter(|it| !good.contains_key(*it)).collect::<Vec<_>>() {
            is_whole = false;
            if node.get(key).is_none() {
                let message = format!("`{}` has no `{key}`", self.name());
                let place = node.key.clone();
                self.complaints.push(Complaint::error(MISSING, message).at(place));
            }
        }
        is_whole.then_some(Json::Object(good))
    }

    fn inside(&mut self, key: &str, node: &Node, schema: &'a Json) -> Option<Json> {
        self.path.push(key.to_owned());
        let value = self.value(node, schema);
        self.path.pop();
        value
    }

    fn unknown_key(&mut self, key: &str, value: &Node, properties: Option<&Map<String, Json>>) {
        if is_later_key(&self.path, key) {
            return self.later_key(key, value);
        }
        let key = shown(key);
        let message = if self.path.is_empty() {
            format!("there is no setting `{key}`")
        } else {
            format!("there is no setting `{key}` in `{}`", self.name())
        };
        let mut complaint = Complaint::error("unknown_key", message).at(value.key.clone());
        let known = || properties.into_iter().flat_map(|it| it.keys().map(String::as_str));
        if let Some(meant) = nearest(&key, known()) {
            complaint = complaint.label(format!("did you mean `{meant}`?"));
        }
        let known: Vec<&str> = known().collect();
        self.complaints.push(complaint.help(format!("known here: {}", known.join(", "))));
    }

    fn later_key(&mut self, key: &str, value: &Node) {
        let message = format!("`{key}` is not in this version");
        let complaint = Complaint::error("not_in_this_version", message);
        self.complaints.push(complaint.at(value.key.clone()));
    }

    fn wrong_type(&mut self, node: &Node, branches: &[&Json]) -> Option<Json> {
        let later = node.entries().iter().filter(|it| is_later_key(&self.path, &it.0));
        let later: Vec<&(String, Node)> = later.collect();
        if !later.is_empty() {
            later.into_iter().for_each(|(key, value)| self.later_key(key, value));
            return None;
        }
        let mut wanted: Vec<&str> = branches.iter().map(|it| described(it)).collect();
        wanted.dedup();
        let got = match &node.value {
            Value::Strange(what) => what,
            Value::Text { .. } => "a string",
            Value::Number(_) => "a number",
            Value::Truth(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) | Value::Broken => "a table",
        };
        let message = format!("`{}` must be {}, not {got}", self.name(), wanted.join(", or "));
        // The header of a table says more than its whole text.
        let place = if node.entries().is_empty() { &node.span } else { &node.key };
        self.complaints.push(Complaint::error("wrong_type", message).at(place.clone()));
        None
    }

    /// The place in the words of the file, such as `route.app.timeout`.
    fn name(&self) -> String {
        if self.path.is_empty() {
            return "the file".to_owned();
        }
        shown(&self.path.join("."))
    }
}

fn wrong_word(node: &Node, wrong: Wrong) -> Complaint {
    let message = format!("`{}` {}", node.shown(), wrong.says);
    let complaint = Complaint::error(wrong.code, message).at(node.span.clone());
    match wrong.help {
        Some(help) => complaint.help(help),
        None => complaint,
    }
}

fn format_of(schema: &Json) -> Option<&'static Format> {
    format_named(schema.get("format")?.as_str()?)
}

fn has_type(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(it)) => it == kind,
        Some(Json::Array(types)) => types.iter().any(|it| it == kind),
        _ => false,
    }
}

fn described(schema: &Json) -> &'static str {
    if let Some(format) = format_of(schema) {
        return format.what;
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("string") => "a string",
        Some("integer") => "a number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        _ => "a table",
    }
}
