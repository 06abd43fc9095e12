//! Closes before the length that it stated.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "content_length_short",
    about: "it closes before it has sent the length that it stated",
    expects: &[Expect::cut(Ask::Get, "content_length_short")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b"wo"],
        Ending::End,
    ),
};
