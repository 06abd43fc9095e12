//! `journalctl -o verbose`: a line with the time, then one field a line.

use super::Peeled;
use super::syslog::weekday;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    if let Some(field) = text.strip_prefix("    ") {
        let (name, _) = field.split_once('=')?;
        let is_field = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_');
        // Only the message is the process's own.
        let inset = if name == "MESSAGE" { 4 + "MESSAGE=".len() } else { 4 };
        return is_field.then(|| Peeled::from(inset));
    }
    let (at, end) = weekday(text)?;
    let cursor = text[end..].starts_with(" [s=") && text.ends_with(']');
    cursor.then(|| Peeled { at: Some(at), ..Peeled::from(text.len()) })
}
