//! Foreign text and bytes, made fit to stand in a sentence: short, on one line, nothing hidden.

/// A message shows no more of what a target sent than this.
const BYTES: usize = 64;
const CHARACTERS: usize = 120;
const NAMES: usize = 4;

/// The first bytes, in quotes and escaped as in source code.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(BYTES)];
    format!("\"{}\"", shown.escape_ascii())
}

/// Text of a target: control characters would let it forge lines of a log.
pub(crate) fn text(text: &str) -> String {
    let mut shown: String =
        text.chars().take(CHARACTERS).map(|it| if it.is_control() { '?' } else { it }).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        shown.push_str("...");
    }
    shown
}

/// `a, b, c, d and 3 more`, or `no name` for an empty list.
pub(crate) fn names(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|it| text(it)).collect();
    match (shown.is_empty(), names.len().saturating_sub(NAMES)) {
        (true, _) => "no name".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The same text with everything that would take effect written out, line ends too.
pub(crate) fn escaped(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for it in text.chars() {
        match takes_effect(it) {
            true => seen.extend(it.escape_default()),
            false => seen.push(it),
        }
    }
    seen
}

/// Characters that take effect instead of being seen: they move a cursor, clear a terminal, or
/// turn the direction of the text around them.
pub(crate) fn takes_effect(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Breaks a text between words, and not inside a command that stands in backticks; what is longer
/// than a line is cut.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    let words = units(text).into_iter().flat_map(|unit| {
        let whole = unit.chars().nth(columns).is_none();
        let words: Vec<&str> = if whole { vec![unit] } else { unit.split(' ').collect() };
        words.into_iter().flat_map(move |it| pieces(it, columns))
    });
    for word in words {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > columns {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { continue };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += long;
    }
    lines
}

/// The words of a text; one in backticks may hold spaces. A backtick without a partner is a letter.
pub(crate) fn units(text: &str) -> Vec<&str> {
    let mut units = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        let end = unit(rest);
        units.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(' ');
    }
    units
}

fn unit(text: &str) -> usize {
    let space = text.find(' ').unwrap_or(text.len());
    let Some(open) = text[..space].find('`') else { return space };
    let Some(close) = text[open + 1..].find('`') else { return space };
    let after = open + 1 + close + 1;
    after + text[after..].find(' ').unwrap_or(text.len() - after)
}

fn pieces(word: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let cut = rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(cut);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_escaped_and_cut() {
        assert_eq!(bytes(b"\x15\x03\x01\r\n"), r#""\x15\x03\x01\r\n""#);
        assert_eq!(bytes(&[b'a'; 100]).len(), 64 + 2);
    }

    #[test]
    fn text_cannot_start_a_new_line() {
        assert_eq!(text("CN=a\nb"), "CN=a?b");
        assert_eq!(text(&"é".repeat(200)), "é".repeat(120) + "...");
    }

    #[test]
    fn a_long_list_is_counted() {
        let list: Vec<String> = (1..=7).map(|it| format!("n{it}")).collect();
        assert_eq!(names(&list), "n1, n2, n3, n4 and 3 more");
        assert_eq!(names(&list[..2]), "n1, n2");
        assert_eq!(names(&[]), "no name");
    }

    #[test]
    fn a_command_in_a_sentence_is_not_broken() {
        assert_eq!(wrap("run `ss -ltnp` now", 12), ["run", "`ss -ltnp`", "now"]);
        assert_eq!(wrap("run `ss -ltnp sport` now", 10), ["run `ss", "-ltnp", "sport` now"]);
        assert_eq!(wrap("it's ` odd", 8), ["it's `", "odd"]);
        assert_eq!(wrap("0123456789", 4), ["0123", "4567", "89"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn what_would_act_on_a_terminal_is_written_out() {
        assert_eq!(escaped("a\x1b[2Jb\nc\u{202e}d"), r"a\u{1b}[2Jb\nc\u{202e}d");
    }
}
