//! Reads the request, works on it for a moment, and closes without a byte.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "premature_close",
    about: "it works on the request and closes (FIN) without a byte of an answer",
    expects: &[Expect::fails(Ask::Get, 502, "premature_close", "connection_terminated")],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// Long enough to have looked at the request, shorter than any limit of an app server.
const WORKS_FOR: Duration = Duration::from_millis(120);

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    tokio::time::sleep(WORKS_FOR).await;
    stage::end(stream).await
}
