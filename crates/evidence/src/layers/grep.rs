//! `grep` over several files: `/var/log/nginx/error.log:line`, with `-n` `error.log.1:12:line`, and
//! over one with `-n`: `12:line`.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if let Some(inset) = numbered(text) {
        return Some(Peeled::from(inset));
    }
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

/// Behind the number that `grep -n` puts before a line. A time of day has digits behind its colon, so
/// that of those only dates count.
fn numbered(text: &str) -> Option<usize> {
    let bare = text.trim_start();
    let digits = bare.bytes().take(9).take_while(u8::is_ascii_digit).count();
    let rest = bare[digits..].strip_prefix(':').filter(|_| (1..9).contains(&digits))?;
    let first = *rest.as_bytes().first()?;
    let dated = crate::clock::iso(rest).is_some();
    // Redis begins a line with its process and one letter: `1:M 20 Nov 2026`.
    if rest.as_bytes().get(1) == Some(&b' ') {
        return None;
    }
    (dated || first.is_ascii_alphabetic() || matches!(first, b'[' | b'*' | b'{'))
        .then(|| text.len() - rest.len())
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
        for (text, line) in [
            ("\t12:DAMN ! worker 1", "DAMN ! worker 1"),
            ("7:2026/11/20 15:16:30 [error] x", "2026/11/20 15:16:30 [error] x"),
        ] {
            let Some(Inner::From(at)) = peel(text, 2026).map(|it| it.inner) else {
                panic!("{text}: not taken off")
            };
            assert_eq!(&text[at..], line);
        }
        for text in [
            "15:16:30 boom",
            "1:M 20 Nov 2026 15:16:30.123 * Ready",
            "8: boom",
            "80:/x",
            "1234567890:x",
            "12:",
        ] {
            assert!(peel(text, 2026).is_none(), "{text}");
        }
        for text in
            ["", ":", "error.log", "error.log:", "log:boom", "a b.log:c", "é.logé:c", "x.logic:1"]
        {
            assert!(peel(text, 2026).is_none(), "{text}");
        }
    }
}
