//! Reads the request and resets the connection.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "connection_reset",
    about: "it reads the request and resets the connection (RST)",
    expects: &[Expect::fails(Ask::Get, 502, "connection_reset", "connection_terminated")],
    play: Play::Writes(&[], Ending::Reset),
};
