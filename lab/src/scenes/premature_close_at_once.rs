//! Reads the request and closes at once: too soon for any work, as a TLS server does that is sent
//! plain HTTP.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "premature_close-at_once",
    about: "it reads the request and closes (FIN) at once",
    expects: &[Expect::fails(Ask::Get, 502, "premature_close", "connection_terminated")],
    play: Play::Writes(&[], Ending::End),
};
