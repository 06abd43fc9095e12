//! Has a field without a colon.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "invalid_header_line",
    about: "it sends a header line without a colon",
    expects: &[Expect::fails(Ask::Get, 502, "invalid_header_line", "http_protocol_error")],
    play: Play::Writes(
        &[b"HTTP/1.1 200 OK\r\nBad Header\r\nContent-Length: 2\r\n\r\nok"],
        Ending::Stay,
    ),
};
