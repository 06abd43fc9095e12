//! Switches to a protocol that nobody asked for.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "unexpected_upgrade",
    about: "it answers 101 although nobody asked for an upgrade",
    expects: &[Expect::fails(Ask::Get, 502, "unexpected_upgrade", "http_upgrade_failed")],
    play: Play::Writes(
        &[b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n"],
        Ending::Stay,
    ),
};
