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
}
