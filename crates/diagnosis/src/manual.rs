//! The manual: the pages of all causes, as `goodgate causes | explain` and `docs/causes/` show them.

use crate::causes::CATALOGUE;

/// The page of one cause with its facts on top, in Markdown.
#[must_use]
pub fn page(id: &str) -> Option<String> {
    let entry = crate::entry(id)?;
    let cause = entry.cause;
    Some(format!(
        "# {id}\n\n{title}\n\nFamily: {family} · Side: {side} · Retry: {retry:?}\n\n{page}",
        title = cause.title,
        family = cause.family.title(),
        side = cause.side.name(),
        retry = cause.retry,
        page = entry.page(),
    ))
}

/// The id in the catalogue that looks most like a mistyped one.
#[must_use]
pub fn nearest(id: &str) -> Option<&'static str> {
    let near = CATALOGUE.iter().map(|it| (distance(id, it.cause.id), it.cause.id)).min()?;
    (near.0 <= 3.max(id.len() / 3)).then_some(near.1)
}

/// Levenshtein's, over bytes: ids are ASCII.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let cost = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}
