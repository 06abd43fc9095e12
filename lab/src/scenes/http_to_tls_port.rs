//! Speaks TLS and is sent plain HTTP: it answers with an alert, as Go and OpenSSL do.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "http_to_tls_port",
    about: "it speaks TLS where we speak plain HTTP",
    expects: &[Expect::fails(Ask::Get, 502, "http_to_tls_port", "http_protocol_error")],
    play: Play::Writes(&[b"\x15\x03\x01\x00\x02\x02\x46"], Ending::End),
};
