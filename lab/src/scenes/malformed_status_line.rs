//! Has a status that is no number.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "malformed_status_line",
    about: "its status line has no number",
    expects: &[Expect::fails(Ask::Get, 502, "malformed_status_line", "http_protocol_error")],
    play: Play::Writes(&[b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"], Ending::End),
};
