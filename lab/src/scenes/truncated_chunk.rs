//! Closes before the last chunk.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "truncated_chunk",
    about: "it closes before the last chunk",
    expects: &[Expect::cut(Ask::Get, "truncated_chunk")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nwo"],
        Ending::End,
    ),
};
