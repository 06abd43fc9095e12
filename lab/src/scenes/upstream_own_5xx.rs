//! Answers 503 by itself.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "upstream_own_5xx",
    about: "it answers 503 itself",
    expects: &[Expect::noted(Ask::Get, 503, "upstream_own_5xx")],
    play: Play::Writes(
        &[b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"],
        Ending::Stay,
    ),
};
