//! States two lengths.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "duplicate_content_length",
    about: "it states two different lengths",
    expects: &[Expect::fails(Ask::Get, 502, "duplicate_content_length", "http_protocol_error")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nok"],
        Ending::End,
    ),
};
