//! Is a web app that is asked for gRPC.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "grpc_mismatch",
    about: "it answers a gRPC call with a page",
    // A call that fails is 200 to HTTP; what went wrong stands in `grpc-status`.
    expects: &[Expect::fails(Ask::Call, 200, "grpc_mismatch", "http_protocol_error")],
    play: Play::Writes(
        &[b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nnot found"],
        Ending::Stay,
    ),
};
