//! Resets the connection in the middle of a body.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "response_truncated",
    about: "it sends half of a body and resets the connection",
    expects: &[Expect::cut(Ask::Get, "response_truncated")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], Ending::Reset),
};
