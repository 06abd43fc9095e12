//! Has a NUL in a field.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "control_char_in_header",
    about: "it sends a NUL inside a header",
    expects: &[Expect::fails(Ask::Get, 502, "control_char_in_header", "http_protocol_error")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nX-Control: a\x00b\r\nContent-Length: 2\r\n\r\nok"],
        Ending::Stay,
    ),
};
