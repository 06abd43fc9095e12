//! Reads the request and closes without a byte.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "premature_close",
    about: "it reads the request and closes (FIN) without a byte of an answer",
    expects: &[Expect::fails(Ask::Get, 502, "premature_close", "connection_terminated")],
    play: Play::Writes(&[], Ending::End),
};
