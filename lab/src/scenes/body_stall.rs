//! Sends half of a body and then nothing, of an answer that is small enough to be held
//! back until it is whole: it is explained instead of handed on in part.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "body_stall",
    about: "it sends half of a body and falls silent",
    expects: &[Expect::fails(Ask::Get, 504, "body_stall", "connection_read_timeout")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], Ending::Stay),
};
