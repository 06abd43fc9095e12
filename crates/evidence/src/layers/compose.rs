//! `docker compose logs`: `web-1  | line`, and supervisors that do the same inside a container.

use super::Peeled;

/// A name, at least one space, a bar, and a space or the end.
pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let bar = text.as_bytes().iter().take(64).position(|it| *it == b'|')?;
    let name = text[..bar].trim_end();
    let named = !name.is_empty()
        && name.len() < bar
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
    if !named {
        return None;
    }
    let rest = &text[bar + 1..];
    let inset = bar + 1 + usize::from(rest.starts_with(' '));
    if inset == bar + 1 && !rest.is_empty() {
        return None;
    }
    Some(Peeled { service: Some(service(name).to_owned()), ..Peeled::from(inset) })
}

/// `web-1`, `web_1` and `nginx.1` are replicas of `web` and `nginx`.
fn service(name: &str) -> &str {
    let bare = name.trim_end_matches(|it: char| it.is_ascii_digit());
    match bare.strip_suffix(['-', '_', '.']) {
        Some(service) if bare.len() < name.len() && !service.is_empty() => service,
        _ => name,
    }
}
