//! Answers 413 and closes without reading the upload, which makes the system send RST.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "client_upload_rejected",
    about: "it answers 413 before it has read the upload, and closes",
    expects: &[Expect::whole(Ask::Upload(UPLOAD), 413)],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// More than the buffers between a client and an upstream hold.
const UPLOAD: usize = 16 << 20;

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_head(&mut stream).await?;
    let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large";
    stream.write_all(answer.as_bytes()).await
}
