//! Speaks TLS and closes at once when it is sent plain HTTP, without an alert.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "http_to_tls_port-silent",
    about: "it speaks TLS and closes without a word where we speak plain HTTP",
    expects: &[Expect::fails(Ask::Get, 502, "http_to_tls_port", "connection_terminated")],
    play: Play::Writes(&[], Ending::End),
};
