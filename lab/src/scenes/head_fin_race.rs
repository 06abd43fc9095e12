//! Answers a HEAD as if it stayed, and closes as the next request arrives at once.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "head_fin_race",
    about: "it answers HEAD and is already closing as the connection is reused",
    expects: &[
        Expect::whole(Ask::Head, 200),
        Expect::fails(Ask::Post, 502, "head_fin_race", "connection_terminated"),
    ],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// A real server closes by itself right after its answer; waiting for the request instead hits the
/// moment every time.
async fn play(mut stream: TcpStream) -> io::Result<()> {
    if stage::read_request(&mut stream).await?.is_none() {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await?;
    match stage::read_request(&mut stream).await? {
        Some(_) => stage::end(stream).await,
        None => Ok(()),
    }
}
