//! States a length and sends chunks.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "cl_and_te",
    about: "it states a length and chunked coding together",
    expects: &[Expect::fails(Ask::Get, 502, "cl_and_te", "http_protocol_error")],
    play: Play::Writes(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"], Ending::Stay),
};
