//! `key=value key="value with \"quotes\""`: the pairs of a line, values as they are written.

/// The pairs, in order. A word without `=` is stepped over.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let end = rest.find([' ', '\t', '=', '"'])?;
            let (key, after) = rest.split_at(end);
            let Some(value) = after.strip_prefix('=') else {
                // A word, or a quote that belongs to no key: what stands in it is stepped over.
                rest = match after.strip_prefix('"') {
                    Some(quoted) => &quoted[closing(quoted)..],
                    None => after,
                };
                rest = rest.strip_prefix('"').unwrap_or(rest);
                continue;
            };
            if let Some(quoted) = value.strip_prefix('"') {
                let end = closing(quoted);
                rest = quoted[end..].strip_prefix('"').unwrap_or("");
                return Some((key, &quoted[..end]));
            }
            let end = value.find([' ', '\t']).unwrap_or(value.len());
            rest = &value[end..];
            return Some((key, &value[..end]));
        }
    })
}

/// The value of a key.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).find(|(it, _)| *it == key).map(|(_, it)| it)
}

/// Where the quote that is open ends.
fn closing(quoted: &str) -> usize {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_quotes_are_whole() {
        let text = r#"at=error code=H12 desc="a \"b\" status=1" path="/x y=1" bare status=503"#;
        assert_eq!(value(text, "code"), Some("H12"));
        assert_eq!(value(text, "desc"), Some(r#"a \"b\" status=1"#));
        assert_eq!(value(text, "status"), Some("503"));
        assert_eq!(value(text, "y"), None);
    }

    #[test]
    fn what_was_cut_does_no_harm() {
        for text in ["a=\"b", "a=\"\\", "=", "\"", "a", "", "é=\"é\\é"] {
            let _ = pairs(text).count();
        }
    }
}
