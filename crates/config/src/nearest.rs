//! The known name that was probably meant.

/// Longer names are not compared: nobody mistypes them into a short one.
const LONGEST: usize = 64;
/// How many known names are looked at.
const MOST: usize = 200;

/// The closest of the known names, if one is close at all.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > LONGEST {
        return None;
    }
    let enough = (typed.chars().count() / 3).max(1);
    let close = known.into_iter().take(MOST).filter(|it| it.len() <= LONGEST);
    let ranked = close.map(|it| (distance(typed, it), it));
    ranked.filter(|it| it.0 <= enough).min_by_key(|it| it.0).map(|it| it.1)
}

/// How many letters must be changed, added, removed or swapped with their neighbour; case and the
/// difference of `-` and `_` count for nothing.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (letters(left), letters(right));
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let changed = above[column] + usize::from(a != b);
            let mut best = changed.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

fn letters(text: &str) -> Vec<char> {
    text.chars().map(|it| if it == '-' { '_' } else { it.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: Option<&str>) {
        let known = ["timeout", "targets", "to", "tls", "strip_prefix"];
        assert_eq!(nearest(typed, known), expected, "{typed}");
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        check("time_out", Some("timeout"));
        check("timeuot", Some("timeout"));
        check("target", Some("targets"));
        check("strip-prefix", Some("strip_prefix"));
        check("TLS", Some("tls"));
        check("banana", None);
        check("", None);
        check(&"t".repeat(100), None);
    }
}
