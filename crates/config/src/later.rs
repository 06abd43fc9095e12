//! What the design has and this version does not: such a key is no slip, and is not called unknown.

/// Where (`*` is any name or position) and which keys.
const KEYS: &[(&str, &[&str])] = &[
    ("", &["provider", "model", "prompt", "defaults", "consumer"]),
    ("upstream.*", &["health", "evidence"]),
    ("upstream.*.targets.*", &["weight"]),
    ("route.*", &["limit", "auth", "ai", "cache", "max_duration"]),
    ("route.*.timeout", &["max_duration", "tunnel"]),
    ("route.*.retry", &["budget", "body"]),
];

/// Where and which words.
const WORDS: &[(&str, &[&str])] =
    &[("upstream.*.balance", &["least_pending", "peak_ewma", "hash", "random"])];

pub(crate) fn is_later_key(path: &[String], key: &str) -> bool {
    is_listed(KEYS, path, key)
}

pub(crate) fn is_later_word(path: &[String], word: &str) -> bool {
    is_listed(WORDS, path, word)
}

fn is_listed(table: &[(&str, &[&str])], path: &[String], word: &str) -> bool {
    table.iter().any(|(place, words)| is_at(place, path) && words.contains(&word))
}

fn is_at(place: &str, path: &[String]) -> bool {
    let mut steps = place.split('.').filter(|it| !it.is_empty());
    path.iter().all(|key| steps.next().is_some_and(|it| it == "*" || it == key))
        && steps.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &[&str], key: &str, expected: bool) {
        let path: Vec<String> = path.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(is_later_key(&path, key), expected, "{path:?} {key}");
    }

    #[test]
    fn a_key_is_later_only_at_its_place() {
        check(&[], "provider", true);
        check(&["upstream", "app"], "health", true);
        check(&["upstream", "app", "targets", "0"], "weight", true);
        check(&["upstream"], "health", false);
        check(&["route", "app"], "health", false);
        check(&["route", "app", "to", "0"], "weight", false);
        check(&[], "health", false);
    }
}
