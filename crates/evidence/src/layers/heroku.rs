//! `heroku logs`: `2026-01-02T03:04:05.678901+00:00 app[web.1]: line`; and what a log drain gets:
//! `83 <40>1 2026-01-02T03:04:05.678901+00:00 host app web.1 - line`, which has no structured data,
//! behind the receiver's own time or not (devcenter.heroku.com/articles/log-drains).

use super::{Inner, Peeled};
use crate::clock;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if text.contains(">1 ") {
        return drained(text);
    }
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].strip_prefix(' ')?;
    let (source, rest) = rest.split_once('[')?;
    if !matches!(source, "heroku" | "app") {
        return None;
    }
    let (dyno, message) =
        rest.split_once("]: ").or_else(|| Some((rest.strip_suffix("]:")?, "")))?;
    Some(Peeled {
        inner: Inner::From(text.len() - message.len()),
        at: Some(at),
        service: Some(dyno.to_owned()),
        ident: Some(source.to_owned()),
        pid: None,
    })
}

fn drained(text: &str) -> Option<Peeled> {
    let after = clock::iso(text).map_or(text, |(_, end)| text[end..].trim_start());
    // Octets are counted before each line (RFC 6587).
    let after = after.trim_start_matches(|it: char| it.is_ascii_digit()).trim_start();
    let (priority, rest) = after.strip_prefix('<')?.split_once(">1 ")?;
    priority.parse::<u8>().ok()?;
    let (at, end) = clock::iso(rest)?;
    let rest = rest[end..].strip_prefix(' ')?;
    let (first, after) = rest.split_once(' ')?;
    let (source, rest) = match first {
        "app" | "heroku" if !after.starts_with("app ") && !after.starts_with("heroku ") => {
            (first, after)
        }
        _ => after.split_once(' ')?,
    };
    let (dyno, rest) = rest.split_once(' ')?;
    let numbered = dyno.split_once('.').is_some_and(|(name, number)| {
        name.starts_with(|it: char| it.is_ascii_alphabetic())
            && number.bytes().all(|it| it.is_ascii_alphanumeric())
    });
    let named = matches!(dyno, "router" | "api" | "logplex" | "scheduler" | "slug-compiler");
    if !matches!(source, "heroku" | "app") || !(numbered || named) {
        return None;
    }
    let rest = rest.strip_prefix("- ").or_else(|| rest.strip_prefix('-'))?;
    let message = rest.strip_prefix("- ").unwrap_or(rest);
    Some(Peeled {
        inner: Inner::From(text.len() - message.len()),
        at: Some(at),
        service: Some(dyno.to_owned()),
        ident: Some(source.to_owned()),
        pid: None,
    })
}
