//! Is an SSH server.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "wrong_protocol_service",
    about: "the port belongs to an SSH server",
    expects: &[Expect::fails(Ask::Get, 502, "wrong_protocol_service", "http_protocol_error")],
    play: Play::Writes(&[b"SSH-2.0-OpenSSH_9.2p1\r\n"], Ending::End),
};
