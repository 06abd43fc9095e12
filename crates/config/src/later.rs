//! What the design has and this version does not: such a key is no slip, and is not called unknown.

/// Where (`*` is any name or position) and which keys.
const KEYS: &[(&str, &[&str])] = &[
    ("", &["provider", "model", "prompt", "defaults", "consumer"]),
    ("upstream.*", &["evidence"]),
    ("route.*", &["limit", "auth", "ai", "cache", "max_duration"]),
    ("route.*.timeout", &["max_duration", "tunnel"]),
];

pub(crate) fn is_later_key(path: &[String], key: &str) -> bool {
    KEYS.iter().any(|(place, keys)| is_at(place, path) && keys.contains(&key))
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
        check(&["upstream", "app"], "evidence", true);
        check(&["route", "app", "timeout"], "tunnel", true);
        check(&["upstream"], "evidence", false);
        check(&["route", "app"], "evidence", false);
        check(&["route", "app", "to", "0"], "weight", false);
        check(&[], "evidence", false);
    }
}
