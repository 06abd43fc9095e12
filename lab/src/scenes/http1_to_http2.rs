//! Speaks HTTP/2 only: its first bytes are a SETTINGS frame.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "http1_to_http2",
    about: "it speaks HTTP/2 only",
    expects: &[Expect::fails(Ask::Get, 502, "http1_to_http2", "http_protocol_error")],
    play: Play::Writes(
        &[b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"],
        Ending::End,
    ),
};
