//! YAML, JSON and TOML as one kind of tree, whose texts are parts of the source.
//!
//! Values are what is written between the quotes; escapes stay as they are, so that every value is a
//! quote. What is hostile is refused by name, and what ends in an error counts up to there.

use super::words::{bare, port};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest text that is read as a tree, in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// How deep maps and lists may be nested.
pub(super) const MAX_DEPTH: usize = 48;
/// How many values a text may hold, with those that aliases repeat.
pub(super) const MAX_NODES: usize = 50_000;

/// Why a text is not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Bytes,
    Depth,
    Nodes,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'t> {
    /// The words of a scalar without quotes; of a map or list all of it.
    pub(super) text: &'t str,
    pub(super) value: Value<'t>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'t> {
    Scalar,
    Map(Vec<(&'t str, Node<'t>)>),
    List(Vec<Node<'t>>),
}

impl<'t> Node<'t> {
    fn scalar(text: &'t str) -> Node<'t> {
        Node { text, value: Value::Scalar }
    }

    /// The value of a key of a map; the last of several.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'t>> {
        self.entries().iter().rfind(|(it, _)| *it == key).map(|(_, it)| it)
    }

    /// The value at the end of a way of keys, joined by `/`.
    pub(super) fn at(&self, path: &str) -> Option<&Node<'t>> {
        path.split('/').try_fold(self, |node, key| node.get(key))
    }

    /// A scalar at the end of a way of keys, with the words that say it: `key: value`.
    pub(super) fn said(&self, text: &'t str, path: &str) -> Option<(&'t str, &'t str)> {
        let (map, key) = match path.rsplit_once('/') {
            Some((map, key)) => (self.at(map)?, key),
            None => (self, path),
        };
        let (key, value) = map.entries().iter().rfind(|(it, _)| *it == key)?;
        Some((value.as_str()?, entry(text, key, value)))
    }

    /// The scalar at the end of a way of keys.
    pub(super) fn str(&self, path: &str) -> Option<&'t str> {
        self.at(path).and_then(Node::as_str)
    }

    pub(super) fn as_str(&self) -> Option<&'t str> {
        matches!(self.value, Value::Scalar).then_some(self.text)
    }

    pub(super) fn port(&self, path: &str) -> Option<u16> {
        self.str(path).and_then(port)
    }

    pub(super) fn entries(&self) -> &[(&'t str, Node<'t>)] {
        match &self.value {
            Value::Map(it) => it,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node<'t>] {
        match &self.value {
            Value::List(it) => it,
            _ => &[],
        }
    }

    /// The items of a list at the end of a way of keys.
    pub(super) fn list(&self, path: &str) -> &[Node<'t>] {
        self.at(path).map(Node::items).unwrap_or_default()
    }

    /// The entries of a map at the end of a way of keys.
    pub(super) fn map(&self, path: &str) -> &[(&'t str, Node<'t>)] {
        self.at(path).map(Node::entries).unwrap_or_default()
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The scalars of a list, or the one that stands in its place.
    pub(super) fn texts(&self) -> Vec<&'t str> {
        match &self.value {
            Value::Scalar => vec![self.text],
            Value::List(items) => items.iter().filter_map(Node::as_str).collect(),
            Value::Map(_) => Vec::new(),
        }
    }

    /// Every map within, itself too, from the outside in.
    pub(super) fn maps(&self) -> Vec<&Node<'t>> {
        let mut open = vec![self];
        let mut maps = Vec::new();
        while let Some(node) = open.pop() {
            match &node.value {
                Value::Scalar => {}
                Value::Map(entries) => {
                    maps.push(node);
                    open.extend(entries.iter().rev().map(|(_, it)| it));
                }
                Value::List(items) => open.extend(items.iter().rev()),
            }
        }
        maps
    }

    fn size(&self) -> usize {
        let mut open = vec![self];
        let mut size = 0;
        while let Some(node) = open.pop() {
            size += 1;
            match &node.value {
                Value::Scalar => {}
                Value::Map(entries) => open.extend(entries.iter().map(|(_, it)| it)),
                Value::List(items) => open.extend(items),
            }
        }
        size
    }

    fn depth(&self) -> usize {
        let mut open = vec![(self, 1)];
        let mut deepest = 0;
        while let Some((node, depth)) = open.pop() {
            deepest = deepest.max(depth);
            match &node.value {
                Value::Scalar => {}
                Value::Map(entries) => open.extend(entries.iter().map(|(_, it)| (it, depth + 1))),
                Value::List(items) => open.extend(items.iter().map(|it| (it, depth + 1))),
            }
        }
        deepest
    }
}

/// `key: value` from a map, as it is written, with the quotes around it.
pub(super) fn entry<'t>(text: &'t str, key: &'t str, value: &Node<'t>) -> &'t str {
    let mut start = super::words::offset(text, key);
    let mut end = super::words::offset(text, value.text) + value.text.len();
    let bytes = text.as_bytes();
    let quotes = |at: usize| bytes.get(at).is_some_and(|it| matches!(it, b'"' | b'\''));
    if start > 0 && quotes(start - 1) {
        start -= 1;
    }
    if quotes(end) && !value.is_map() {
        end += 1;
    }
    let whole = text.get(start..end).unwrap_or(value.text);
    // An alias' value stands elsewhere, and a block's words are too many.
    if whole.contains('\n') { value.text } else { whole }
}

/// The documents of a text, JSON or YAML; none where it is refused or is neither.
pub(super) fn documents(text: &str) -> Vec<Node<'_>> {
    let start = text.trim_start();
    let json = start.starts_with('{') || start.starts_with('[');
    match json {
        true => json_documents(text).unwrap_or_default(),
        false => yaml(text).unwrap_or_default(),
    }
}

/// The documents of YAML, each up to its first error.
pub(super) fn yaml(text: &str) -> Result<Vec<Node<'_>>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::Bytes);
    }
    let mut room = MAX_NODES;
    let mut documents = Vec::new();
    for part in parts(text) {
        if let Some(document) = yaml_document(part, &mut room)? {
            documents.push(document);
        }
    }
    Ok(documents)
}

/// Splits at lines that are `---`, so that one broken document does not hide the next.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- #") || bare == "..." {
            parts.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    parts.push(&text[start..]);
    parts.retain(|it| !it.trim().is_empty());
    parts
}

/// A map or list that is not closed yet.
struct Open<'t> {
    start: usize,
    anchor: usize,
    /// A key that waits for its value.
    key: Option<&'t str>,
    /// What `<<` brings, for keys that are not written.
    merged: Vec<(&'t str, Node<'t>)>,
    value: Value<'t>,
}

struct Building<'t, 'r> {
    text: &'t str,
    open: Vec<Open<'t>>,
    anchors: BTreeMap<usize, Node<'t>>,
    room: &'r mut usize,
    root: Option<Node<'t>>,
}

fn yaml_document<'t>(text: &'t str, room: &mut usize) -> Result<Option<Node<'t>>, Refusal> {
    // Marks count letters, not bytes.
    let letters: Vec<usize> = match text.is_ascii() {
        true => Vec::new(),
        false => text.char_indices().map(|(at, _)| at).collect(),
    };
    let place = |letter: usize| match letters.is_empty() {
        true => letter.min(text.len()),
        false => letters.get(letter).copied().unwrap_or(text.len()),
    };
    let range = |span: Span| place(span.start.index())..place(span.end.index());
    let mut building =
        Building { text, open: Vec::new(), anchors: BTreeMap::new(), room, root: None };
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        building.event(event, range(span))?;
    }
    // What an error left open counts as far as it came.
    while !building.open.is_empty() {
        building.close(text.len())?;
    }
    Ok(building.root)
}

impl<'t> Building<'t, '_> {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Refusal> {
        match event {
            Event::Scalar(_, style, anchor, _) => {
                let node = Node::scalar(self.words(span, style));
                self.put(node, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().unwrap_or(Node::scalar(""));
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(Refusal::Depth);
                }
                self.take(node.size())?;
                self.put(node, 0)
            }
            Event::MappingStart(anchor, _) => self.open(span.start, anchor, Value::Map(Vec::new())),
            Event::SequenceStart(anchor, _) => {
                self.open(span.start, anchor, Value::List(Vec::new()))
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(span.end),
            _ => Ok(()),
        }
    }

    /// A scalar's words without quotes, or without the head of a block.
    fn words(&self, span: Range<usize>, style: ScalarStyle) -> &'t str {
        let words = without_marks(self.text.get(span).unwrap_or_default());
        match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let block = words.strip_prefix(['|', '>']).is_some();
                let body = words.split_once('\n').map_or("", |(_, it)| it);
                if block { body.trim() } else { words.trim() }
            }
            ScalarStyle::Plain => words.trim(),
            _ => {
                let words = words.trim();
                let inner = words.strip_prefix(['"', '\'']).unwrap_or(words);
                inner.strip_suffix(['"', '\'']).unwrap_or(inner)
            }
        }
    }

    fn take(&mut self, nodes: usize) -> Result<(), Refusal> {
        *self.room = self.room.checked_sub(nodes).ok_or(Refusal::Nodes)?;
        Ok(())
    }

    fn open(&mut self, start: usize, anchor: usize, value: Value<'t>) -> Result<(), Refusal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        self.open.push(Open { start, anchor, key: None, merged: Vec::new(), value });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Refusal> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let text = self.text.get(open.start..end.max(open.start)).unwrap_or_default();
        let value = match open.value {
            Value::Map(entries) if !open.merged.is_empty() => {
                Value::Map(open.merged.into_iter().chain(entries).collect())
            }
            value => value,
        };
        self.put(Node { text, value }, open.anchor)
    }

    /// Puts a whole value where it belongs.
    fn put(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Refusal> {
        self.take(1)?;
        if anchor > 0 {
            self.take(node.size())?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                None => open.key = Some(node.text),
                Some("<<") => merge(&mut open.merged, node),
                Some(key) => entries.push((key, node)),
            },
            Value::Scalar => {}
        }
        Ok(())
    }
}

/// Without a tag and an anchor before a value: `!Sub &name value`.
fn without_marks(mut words: &str) -> &str {
    for _ in 0..2 {
        words = match words.strip_prefix(['!', '&']) {
            Some(marked) => marked.split_once(char::is_whitespace).map_or("", |(_, it)| it),
            None => words,
        };
    }
    words
}

/// `<<: *defaults`, one map or several.
fn merge<'t>(merged: &mut Vec<(&'t str, Node<'t>)>, node: Node<'t>) {
    match node.value {
        Value::Map(entries) => merged.extend(entries),
        Value::List(items) => {
            for item in items {
                if let Value::Map(entries) = item.value {
                    merged.extend(entries);
                }
            }
        }
        Value::Scalar => {}
    }
}

/// The documents of JSON, one after the other, each up to its first error. Comments and commas at
/// the end of a list are left out.
pub(super) fn json_documents(text: &str) -> Result<Vec<Node<'_>>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::Bytes);
    }
    let mut json = Json { text, at: 0, depth: 0, room: MAX_NODES };
    let mut documents = Vec::new();
    loop {
        json.space();
        if json.at >= text.len() {
            return Ok(documents);
        }
        match json.value()? {
            Some(node) => documents.push(node),
            None => return Ok(documents),
        }
    }
}

struct Json<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    room: usize,
}

impl<'t> Json<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// White space, commas and comments.
    fn space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => self.at += 1,
                b'/' if self.text[self.at..].starts_with("//") => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn value(&mut self) -> Result<Option<Node<'t>>, Refusal> {
        self.room = self.room.checked_sub(1).ok_or(Refusal::Nodes)?;
        let start = self.at;
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Refusal::Depth);
                }
                self.at += 1;
                let value = match open {
                    b'{' => Value::Map(self.entries()?),
                    _ => Value::List(self.items()?),
                };
                self.depth -= 1;
                Ok(Some(Node { text: &self.text[start..self.at], value }))
            }
            Some(b'"') => Ok(self.string().map(Node::scalar)),
            Some(_) => {
                let rest = &self.text[start..];
                let end = rest.find([',', '}', ']', '\n', '{', '[', '"', ':']);
                let word = rest[..end.unwrap_or(rest.len())].trim_end();
                self.at += word.len();
                Ok(Some(word).filter(|it| !it.is_empty()).map(Node::scalar))
            }
            None => Ok(None),
        }
    }

    fn string(&mut self) -> Option<&'t str> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(bytes.len());
        self.at = (end + 1).min(bytes.len());
        self.text.get(start..end)
    }

    /// Up to the closing bracket, or to where it is no JSON any more.
    fn items(&mut self) -> Result<Vec<Node<'t>>, Refusal> {
        let mut items = Vec::new();
        loop {
            self.space();
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(items);
            }
            match self.value()? {
                Some(node) => items.push(node),
                None => return Ok(items),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<(&'t str, Node<'t>)>, Refusal> {
        let mut entries = Vec::new();
        loop {
            self.space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(entries);
            }
            let Some(b'"') = self.peek() else { return Ok(entries) };
            let Some(key) = self.string() else { return Ok(entries) };
            self.space();
            if self.peek() != Some(b':') {
                return Ok(entries);
            }
            self.at += 1;
            self.space();
            match self.value()? {
                Some(node) => entries.push((key, node)),
                None => return Ok(entries),
            }
        }
    }
}

/// A document of TOML, with what its errors left whole.
pub(super) fn toml(text: &str) -> Result<Node<'_>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::Bytes);
    }
    let (document, _) = DeTable::parse_recoverable(text);
    let mut room = MAX_NODES;
    let value = toml_table(text, document.get_ref(), 0, &mut room)?;
    Ok(Node { text, value })
}

fn toml_table<'t>(
    text: &'t str,
    table: &DeTable<'_>,
    depth: usize,
    room: &mut usize,
) -> Result<Value<'t>, Refusal> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let key = bare(text.get(key.span()).unwrap_or_default());
        entries.push((key, toml_node(text, value, depth + 1, room)?));
    }
    entries.sort_by_key(|(key, _)| super::words::offset(text, key));
    Ok(Value::Map(entries))
}

fn toml_node<'t>(
    text: &'t str,
    value: &Spanned<DeValue<'_>>,
    depth: usize,
    room: &mut usize,
) -> Result<Node<'t>, Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::Depth);
    }
    *room = room.checked_sub(1).ok_or(Refusal::Nodes)?;
    let words = text.get(value.span()).unwrap_or_default();
    let value = match value.get_ref() {
        DeValue::Table(table) => toml_table(text, table, depth, room)?,
        DeValue::Array(items) => {
            let items = items.iter().map(|it| toml_node(text, it, depth + 1, room));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        _ => return Ok(Node::scalar(bare(words))),
    };
    Ok(Node { text: words, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parts_of_the_source_even_behind_letters_of_many_bytes() {
        for text in [
            "# größe ✓\na: 'x y'\nb:\n  - c: \"1\"\n",
            "# größe ✓\r\na: 'x y'\r\nb:\r\n  - c: \"1\"\r\n",
            "{\"ö\": 1, \"a\": \"x y\", \"b\": [{\"c\": \"1\",},]}",
        ] {
            let tree = documents(text);
            assert_eq!(tree[0].str("a"), Some("x y"), "{text}");
            assert_eq!(tree[0].list("b")[0].port("c"), Some(1), "{text}");
        }
        let tree = toml("[a.b]\nc = [\"x\", 'y']\n").expect("a tree");
        assert_eq!(tree.at("a/b/c").map(Node::texts), Some(vec!["x", "y"]));
    }

    #[test]
    fn a_broken_document_counts_up_to_its_error_and_hides_no_other() {
        let tree = documents("a: 1\nb: [1, 2\nc: }\n---\nd: 2\n");
        assert_eq!(tree.first().and_then(|it| it.str("a")), Some("1"));
        assert_eq!(tree.last().and_then(|it| it.str("d")), Some("2"));
    }

    #[test]
    fn aliases_are_followed_and_what_is_written_beats_what_is_merged() {
        let tree = documents("x: &x\n  a: 1\n  b: 2\ny:\n  b: 3\n  <<: *x\n");
        assert_eq!((tree[0].str("y/a"), tree[0].str("y/b")), (Some("1"), Some("3")));
    }

    #[test]
    fn what_would_grow_beyond_measure_is_refused_by_name() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in ('b'..='j').zip('a'..) {
            bomb += &format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n");
        }
        assert_eq!(yaml(&bomb), Err(Refusal::Nodes));
        assert_eq!(yaml(&"[".repeat(200)), Err(Refusal::Depth));
        assert_eq!(yaml(&"- ".repeat(5000)), Err(Refusal::Depth));
        assert_eq!(json_documents(&"[".repeat(500_000)), Err(Refusal::Depth));
        assert_eq!(json_documents(&"[1],".repeat(60_000)), Err(Refusal::Nodes));
        assert_eq!(yaml(&"a".repeat(MAX_BYTES + 1)), Err(Refusal::Bytes));
        assert!(toml(&format!("a = {}", "[".repeat(60_000))).is_ok());
    }
}
