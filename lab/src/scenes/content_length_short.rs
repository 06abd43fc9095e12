//! Closes before the length that it stated, of an answer that is small enough to be held
//! back until it is whole: it is explained instead of handed on in part.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "content_length_short",
    about: "it closes before it has sent the length that it stated",
    expects: &[Expect::fails(Ask::Get, 502, "content_length_short", "http_response_incomplete")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b"wo"],
        Ending::End,
    ),
};
