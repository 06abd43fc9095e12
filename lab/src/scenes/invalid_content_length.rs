//! States a length that is no number.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "invalid_content_length",
    about: "it states a length that is no number",
    expects: &[Expect::fails(Ask::Get, 502, "invalid_content_length", "http_protocol_error")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"], Ending::End),
};
