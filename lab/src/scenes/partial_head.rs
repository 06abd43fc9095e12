//! Sends half a head and closes.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "partial_head",
    about: "it sends half a head and closes",
    expects: &[Expect::fails(Ask::Get, 502, "partial_head", "connection_terminated")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Le"], Ending::End),
};
