//! Says goodbye to each connection before it takes the request on it.

use crate::frames::frame;
use crate::scene::{Ask, Expect, Play, Scene, Set};

pub(super) static SCENE: Scene = Scene {
    id: "http2_goaway",
    about: "it closes each HTTP/2 connection with GOAWAY before it takes the request",
    expects: &[Expect::fails(Ask::Post, 502, "http2_goaway", "connection_terminated")],
    play: Play::Staged(|| Set::frames(|| frame(7, 0, 0, &[0; 8]))),
};
