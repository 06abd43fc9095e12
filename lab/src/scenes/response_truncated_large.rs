//! The same of an answer above `route.retry.answer`, which is handed on as it comes: where it
//! ends too soon, it breaks off.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "response_truncated-large",
    about: "it sends half of a body and resets the connection, of a large answer",
    expects: &[Expect::cut(Ask::Get, "response_truncated")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello"], Ending::Reset),
};
