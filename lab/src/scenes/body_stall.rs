//! Sends half of a body and then nothing.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "body_stall",
    about: "it sends half of a body and falls silent",
    expects: &[Expect::cut(Ask::Get, "body_stall")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], Ending::Stay),
};
