//! Is the gateway itself.

use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "proxy_loop",
    about: "the target is the gateway itself",
    expects: &[Expect::fails(Ask::Get, 502, "proxy_loop", "proxy_loop_detected")],
    play: Play::Itself,
};
