//! `heroku logs`: `2026-01-02T03:04:05.678901+00:00 app[web.1]: line`.

use super::{Inner, Peeled};
use crate::clock;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
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
