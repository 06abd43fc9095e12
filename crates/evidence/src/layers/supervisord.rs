//! supervisord with `stdout_logfile=/dev/stdout` under `supervisor-stdout`: `web stdout | line`.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (head, after) = text.split_once(" | ").or_else(|| Some((text.strip_suffix(" |")?, "")))?;
    let (name, stream) = head.split_once(' ')?;
    let named = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:".contains(&it));
    if !named || !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    Some(Peeled { service: Some(name.to_owned()), ..Peeled::from(text.len() - after.len()) })
}
