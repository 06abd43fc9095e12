//! Fails at what it was doing, and says so with RST_STREAM.

use crate::frames::frame;
use crate::scene::{Ask, Expect, Play, Scene, Set};

pub(super) static SCENE: Scene = Scene {
    id: "http2_stream_reset",
    about: "it resets the HTTP/2 stream of a request (INTERNAL_ERROR) that may not be repeated",
    expects: &[Expect::fails(Ask::Post, 502, "http2_stream_reset", "connection_terminated")],
    play: Play::Staged(|| Set::frames(|| frame(3, 0, 1, &2_u32.to_be_bytes()))),
};
