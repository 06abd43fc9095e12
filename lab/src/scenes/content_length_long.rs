//! Sends more than the length that it stated. The answer itself is whole.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "content_length_long",
    about: "it sends more than the length that it stated",
    expects: &[Expect::noted(Ask::Get, 200, "content_length_long")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"],
        Ending::Stay,
    ),
};
