//! `docker logs --timestamps` and `kubectl logs --timestamps`: a time in front of each line, with
//! nanoseconds, and the line's own time often after it.

use super::{Inner, Peeled};
use crate::clock;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (at, end) = clock::iso(text)?;
    let nanoseconds = text
        .as_bytes()
        .get(19..30)
        .is_some_and(|it| it[0] == b'.' && it[1..10].iter().all(u8::is_ascii_digit));
    if !at.zoned || !nanoseconds {
        return None;
    }
    let rest = text[end..].strip_prefix(' ')?;
    Some(Peeled { inner: Inner::From(text.len() - rest.len()), at: Some(at), ..Peeled::from(0) })
}
