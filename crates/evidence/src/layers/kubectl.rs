//! `kubectl logs --prefix`: `[pod/web-7d4/app] line`.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let rest = text.strip_prefix("[pod/")?;
    let (name, after) = rest.split_once("] ")?;
    let inset = text.len() - after.len();
    Some(Peeled { service: Some(name.to_owned()), ..Peeled::from(inset) })
}
