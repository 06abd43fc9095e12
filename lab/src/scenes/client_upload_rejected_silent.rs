//! Closes without reading the upload and without an answer, which makes the system send RST.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "client_upload_rejected-silent",
    about: "it closes without reading the upload and without an answer",
    expects: &[Expect::fails(
        Ask::Upload(UPLOAD),
        502,
        "client_upload_rejected",
        "connection_terminated",
    )],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// More than the buffers between a client and an upstream hold.
const UPLOAD: usize = 16 << 20;

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_head(&mut stream).await?;
    Ok(())
}
