//! Tables that commands print: columns with two spaces or more between them.

/// The columns of a row, as parts of it. Tabs part columns too.
pub(super) fn columns(row: &str) -> impl Iterator<Item = &str> {
    row.split("  ").flat_map(|it| it.split('\t')).map(str::trim).filter(|it| !it.is_empty())
}

/// `5s`, `3m12s`, `2d4h`, `47h`: how long ago, as kubectl writes it.
pub(super) fn is_age(text: &str) -> bool {
    let digits = text.bytes().next().is_some_and(|it| it.is_ascii_digit());
    digits
        && text.len() <= 12
        && text.ends_with(['s', 'm', 'h', 'd', 'y'])
        && text.bytes().all(|it| it.is_ascii_digit() || b"smhdy".contains(&it))
}

/// A name as Kubernetes and Docker allow it.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./".contains(&it))
        && text.bytes().any(|it| it.is_ascii_alphanumeric())
}
