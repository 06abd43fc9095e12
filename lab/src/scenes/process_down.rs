//! Has nobody on the port: the connection is refused.

use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "process_down",
    about: "nothing listens on the port",
    expects: &[Expect::fails(Ask::Get, 502, "process_down", "connection_refused")],
    play: Play::Nobody,
};
