//! `docker logs --timestamps` and `kubectl logs --timestamps`: a time in front of each line, with
//! nanoseconds, and the line's own time often after it.

use super::{Inner, Peeled};
use crate::clock;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (at, end) = clock::iso(text)?;
    // Go cuts zeros off the end of a fraction in kubectl's lines; loggers write 3 or 6 digits.
    let fraction = text.get(19..)?.strip_prefix('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if !at.zoned || digits < 7 || text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let rest = match text[end..].strip_prefix(' ') {
        Some(rest) => rest,
        None => text[end..].is_empty().then_some("")?,
    };
    Some(Peeled { inner: Inner::From(text.len() - rest.len()), at: Some(at), ..Peeled::from(0) })
}
