//! Resets the connection in the middle of a body, of an answer that is small enough to be held
//! back until it is whole: it is explained instead of handed on in part.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "response_truncated",
    about: "it sends half of a body and resets the connection",
    expects: &[Expect::fails(Ask::Get, 502, "response_truncated", "http_response_incomplete")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], Ending::Reset),
};
