//! `kubectl logs --prefix`: `[pod/web-7d4/app] line`; stern and kail: `web-7d4-x2x app line`.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let rest = text.strip_prefix("[pod/")?;
    let (name, after) = rest.split_once("] ").or_else(|| Some((rest.strip_suffix(']')?, "")))?;
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-./_".contains(&it);
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    let inset = text.len() - after.len();
    Some(Peeled { service: Some(name.to_owned()), ..Peeled::from(inset) })
}

/// A pod's name as controllers make it, and the container's, with a letter for the first: stern
/// writes no other mark. Its lines on pods that come and go (`+ web-7d4-x2x › app`) are left alone.
pub(super) fn stern(text: &str, _: i32) -> Option<Peeled> {
    let (pod, rest) = text.split_once(' ')?;
    let (container, after) = rest.split_once(' ').unwrap_or((rest, ""));
    if !made_by_controller(pod)
        || !label(container)
        || !container.as_bytes()[0].is_ascii_lowercase()
    {
        return None;
    }
    let service = format!("{pod}/{container}");
    Some(Peeled { service: Some(service), ..Peeled::from(text.len() - after.len()) })
}

/// `web-7d4b9c5f6-x2x9z` (of a deployment), `web-x2x9z` (of a daemon set). `db-0` (of a stateful set)
/// could be anything.
fn made_by_controller(pod: &str) -> bool {
    let Some((name, last)) = pod.rsplit_once('-') else { return false };
    // The letters of generated names: no vowels, and no digits that look like them.
    let generated = |it: &str| it.bytes().all(|it| b"bcdfghjklmnpqrstvwxz2456789".contains(&it));
    label(pod) && !name.is_empty() && last.len() == 5 && generated(last)
}

/// A name of RFC 1123.
fn label(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain)
}
