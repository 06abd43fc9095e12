//! `grep` over several files: `/var/log/nginx/error.log:line`, with `-n` `error.log.1:12:line`.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    const LONGEST: usize = 200;
    let end = text.bytes().take(LONGEST).position(|it| matches!(it, b':' | b' ' | b'"'))?;
    let (file, rest) = text.split_at(end);
    let rest = rest.strip_prefix(':')?;
    // Of a rotated file, too: `error.log.2`, `error.log-20261120`.
    let name = file.rsplit('/').next()?;
    let log = name.split_once(".log").is_some_and(|(stem, end)| {
        let rotated = end.bytes().all(|it| it.is_ascii_digit() || b".-".contains(&it));
        !stem.is_empty() && (rotated || end == ".gz")
    });
    if !log {
        return None;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let rest = rest[digits..].strip_prefix(':').filter(|_| digits > 0).unwrap_or(rest);
    (!rest.trim().is_empty()).then(|| Peeled::from(text.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::peel;
    use crate::layers::Inner;

    #[test]
    fn the_name_of_the_file_comes_off_and_nothing_else() {
        for text in
            ["/var/log/nginx/error.log:boom", "error.log.1:12:boom", "app.log-20261120:boom"]
        {
            let Some(Inner::From(at)) = peel(text, 2026).map(|it| it.inner) else {
                panic!("{text}: not taken off")
            };
            assert_eq!(&text[at..], "boom");
        }
        for text in
            ["", ":", "error.log", "error.log:", "log:boom", "a b.log:c", "é.logé:c", "x.logic:1"]
        {
            assert!(peel(text, 2026).is_none(), "{text}");
        }
    }
}
