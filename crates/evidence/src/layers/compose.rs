//! `docker compose logs`: `web-1  | line`, and supervisors that do the same inside a container.

use super::Peeled;

/// A name with a letter in it, because rows of tables begin with numbers, at least one space, a bar, and a space or the end. `docker service logs` puts the node
/// behind the name (`web.1.abc@node    | line`), foreman and honcho put the time before it
/// (`10:29:00 web.1  | line`).
pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let bar = text.as_bytes().iter().take(128).position(|it| *it == b'|')?;
    let padded = text[..bar].trim_start();
    let name = clock(padded).unwrap_or(padded);
    let padding = name.len();
    let name = name.trim_end();
    let named = name.bytes().any(|it| it.is_ascii_alphabetic())
        && name.len() < padding
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.@".contains(&it));
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

/// What stands after `10:29:00 `; the day is not written.
fn clock(text: &str) -> Option<&str> {
    let (time, rest) = text.split_at_checked(8)?;
    let digits = |at: usize| time.as_bytes()[at].is_ascii_digit();
    let is_time = [0, 1, 3, 4, 6, 7].into_iter().all(digits)
        && [2, 5].iter().all(|at| time.as_bytes()[*at] == b':');
    rest.strip_prefix(' ').filter(|_| is_time)
}

/// `web-1`, `web_1` and `nginx.1` are replicas of `web` and `nginx`.
fn service(name: &str) -> &str {
    // `web.1.w7kq2@node-1`: service, task number, task id.
    if let Some((task, _)) = name.split_once('@') {
        return task.split('.').next().filter(|it| !it.is_empty()).unwrap_or(task);
    }
    let bare = name.trim_end_matches(|it: char| it.is_ascii_digit());
    match bare.strip_suffix(['-', '_', '.']) {
        Some(service) if bare.len() < name.len() && !service.is_empty() => service,
        _ => name,
    }
}
