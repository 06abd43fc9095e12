//! Writes a frame that is larger than any may be.

use crate::scene::{Ask, Expect, Play, Scene, Set};

pub(super) static SCENE: Scene = Scene {
    id: "http2_protocol_error",
    about: "it breaks HTTP/2: its frame is larger than it may be",
    expects: &[Expect::fails(Ask::Get, 502, "http2_protocol_error", "http_protocol_error")],
    play: Play::Staged(|| Set::frames(|| vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])),
};
