//! The same of an answer above `route.retry.answer`, which is handed on as it comes: where it
//! ends too soon, it breaks off.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "content_length_short-large",
    about: "it closes before it has sent the length that it stated, of a large answer",
    expects: &[Expect::cut(Ask::Get, "content_length_short")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello", b"wo"],
        Ending::End,
    ),
};
