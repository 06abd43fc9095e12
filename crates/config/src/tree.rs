//! TOML as a tree in which every value knows its place, with `${NAME}` expanded.

use crate::complaint::{Complaint, Complaints};
use crate::render::shown;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The code of a complaint that the text is not TOML.
pub(crate) const SYNTAX: &str = "syntax";

/// Room for all expanded values together.
const MOST_EXPANDED: usize = 4 << 20;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    /// The key, or the value itself where it has none.
    pub(crate) key: Range<usize>,
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Text {
        value: String,
        /// Before `${NAME}` was expanded; only this may be shown.
        typed: String,
    },
    Number(i64),
    Truth(bool),
    List(Vec<Node>),
    /// Sorted by key.
    Table(Vec<(String, Node)>),
    /// A date, a fraction, an integer beyond 64 bits: no setting takes one.
    Strange(&'static str),
    /// Complained about already.
    Broken,
}

impl Node {
    /// The value of a key, if this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let entries = self.entries();
        let found = entries.binary_search_by(|it| it.0.as_str().cmp(key)).ok()?;
        entries.get(found).map(|it| &it.1)
    }

    /// The deepest node that exists on a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> &Node {
        let Some((first, rest)) = path.split_first() else {
            return self;
        };
        self.get(first).map_or(self, |it| it.at(rest))
    }

    /// Whether a path of keys was written.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        match path.split_first() {
            Some((first, rest)) => self.get(first).is_some_and(|it| it.has(rest)),
            None => true,
        }
    }

    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// What a table of this name holds, in the order of the file.
    pub(crate) fn inside(&self, name: &str) -> Vec<(&str, &Node)> {
        let entries = self.get(name).map_or(&[][..], Node::entries);
        let mut entries: Vec<_> = entries.iter().map(|it| (it.0.as_str(), &it.1)).collect();
        entries.sort_by_key(|it| it.1.key.start);
        entries
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value as it was typed, never as it was expanded.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Text { typed, .. } => shown(typed),
            Value::Number(it) => it.to_string(),
            Value::Truth(it) => it.to_string(),
            Value::List(_) => "[...]".to_owned(),
            Value::Table(_) => "{ ... }".to_owned(),
            Value::Strange(what) => (*what).to_owned(),
            Value::Broken => "...".to_owned(),
        }
    }

    /// Whether the value came from the environment, wholly or in part.
    pub(crate) fn is_expanded(&self) -> bool {
        matches!(&self.value, Value::Text { value, typed } if value != typed)
    }
}

/// The tree of a text. What cannot be read is complained about and left out.
pub(crate) fn read(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    complaints: &mut Complaints,
) -> Node {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        complaints.push(syntax(error.message(), error.span(), text));
    }
    let mut reader = Reader { env, room: MOST_EXPANDED, complaints };
    Node { key: 0..0, span: 0..0, value: reader.table(document.get_ref()) }
}

fn syntax(message: &str, span: Option<Range<usize>>, text: &str) -> Complaint {
    let end = text.trim_end().len();
    let span = span.map_or(end..end, |it| it.start.min(text.len())..it.end.min(text.len()));
    Complaint::error(SYNTAX, format!("this is not TOML: {}", shown(message))).at(span)
}

struct Reader<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    /// Bytes that expanded values may still take.
    room: usize,
    complaints: &'a mut Complaints,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            entries.push((key.get_ref().to_string(), self.node(key.span(), value)));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Table(entries)
    }

    fn node(&mut self, key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(it) => self.text(it, &span),
            DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix())
                .map_or(Value::Strange("an integer beyond 64 bits"), Value::Number),
            DeValue::Float(_) => Value::Strange("a fraction"),
            DeValue::Boolean(it) => Value::Truth(*it),
            DeValue::Datetime(_) => Value::Strange("a date"),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|it| self.node(it.span(), it)).collect())
            }
            DeValue::Table(it) => self.table(it),
        };
        Node { key, span, value }
    }

    fn text(&mut self, typed: &str, span: &Range<usize>) -> Value {
        match self.expand(typed) {
            Ok(value) => Value::Text { value, typed: typed.to_owned() },
            Err(complaint) => {
                self.complaints.push(complaint.at(span.clone()));
                Value::Broken
            }
        }
    }

    fn expand(&mut self, typed: &str) -> Result<String, Complaint> {
        let mut value = String::with_capacity(typed.len());
        let mut rest = typed;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                value.push_str(&rest[..at - 1]);
                value.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            value.push_str(&rest[..at]);
            let (name, after) = rest[at + 2..].split_once('}').ok_or_else(|| bad_name(None))?;
            value.push_str(&self.variable(name)?);
            rest = after;
        }
        value.push_str(rest);
        Ok(value)
    }

    fn variable(&mut self, name: &str) -> Result<String, Complaint> {
        let is_name = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
            && name.bytes().next().is_some_and(|it| !it.is_ascii_digit());
        if !is_name {
            return Err(bad_name(Some(name)));
        }
        let value = (self.env)(name).ok_or_else(|| unset(name))?;
        self.room = self.room.checked_sub(value.len()).ok_or_else(|| {
            Complaint::error("too_large", "the values from the environment exceed 4 MiB")
        })?;
        Ok(value)
    }
}

fn bad_name(name: Option<&str>) -> Complaint {
    let message = match name {
        Some(name) => format!("`{}` cannot name a variable of the environment", shown(name)),
        None => "`${` begins the name of a variable, and no `}` ends it".to_owned(),
    };
    Complaint::error("bad_variable", message).help("write `$${` where `${` itself is meant")
}

fn unset(name: &str) -> Complaint {
    Complaint::error("unset_variable", format!("the environment has no `{}`", shown(name))).help(
        format!("set it, or write `$${{{}}}` if these letters themselves are meant", shown(name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(typed: &str) -> Result<String, &'static str> {
        let env = |name: &str| (name == "A").then(|| "one".to_owned());
        let mut complaints = Complaints::default();
        let root = read(&format!("a = '{typed}'"), &env, &mut complaints);
        match complaints.iter().next() {
            Some(complaint) => Err(complaint.code),
            None => Ok(root.get("a").unwrap().text().unwrap().to_owned()),
        }
    }

    fn check(typed: &str, expected: Result<&str, &'static str>) {
        assert_eq!(expanded(typed).as_deref().map_err(|it| *it), expected, "{typed}");
    }

    #[test]
    fn variables_expand_inside_text() {
        check("${A}", Ok("one"));
        check("x${A}y${A}", Ok("xoneyone"));
        check("$${A}", Ok("${A}"));
        check("$$${A}", Ok("$${A}"));
        check("$A $", Ok("$A $"));
        check("${B}", Err("unset_variable"));
        check("${a b}", Err("bad_variable"));
        check("${}", Err("bad_variable"));
        check("${A", Err("bad_variable"));
    }

    #[test]
    fn what_came_from_the_environment_is_not_shown() {
        let env = |_: &str| Some("secret".to_owned());
        let root = read("a = '${KEY}'", &env, &mut Complaints::default());
        assert_eq!(root.get("a").unwrap().shown(), "${KEY}");
    }

    #[test]
    fn expansion_has_a_limit() {
        let env = |_: &str| Some("x".repeat(1 << 20));
        let mut complaints = Complaints::default();
        read("a = '${A}${A}${A}${A}${A}'", &env, &mut complaints);
        assert_eq!(complaints.iter().next().unwrap().code, "too_large");
    }
}
