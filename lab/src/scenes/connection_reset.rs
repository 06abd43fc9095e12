//! Reads the request, works on it for a moment, and resets the connection.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "connection_reset",
    about: "it works on the request and resets the connection (RST)",
    expects: &[Expect::fails(Ask::Get, 502, "connection_reset", "connection_terminated")],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// Long enough to have looked at the request, shorter than any limit of an app server.
const WORKS_FOR: Duration = Duration::from_millis(120);

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    tokio::time::sleep(WORKS_FOR).await;
    stage::reset(stream)
}
