//! Sends a good chunk and then one without a size.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "bad_chunk",
    about: "it sends a chunk whose size is no number",
    expects: &[Expect::cut(Ask::Get, "bad_chunk")],
    play: Play::Writes(
        &[
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"zz\r\nworld\r\n0\r\n\r\n",
        ],
        Ending::Stay,
    ),
};
