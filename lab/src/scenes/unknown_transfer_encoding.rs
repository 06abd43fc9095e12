//! Uses a transfer coding that nobody knows.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "unknown_transfer_encoding",
    about: "it uses a transfer coding that does not exist",
    expects: &[Expect::fails(
        Ask::Get,
        502,
        "unknown_transfer_encoding",
        "http_response_transfer_coding",
    )],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok"], Ending::End),
};
