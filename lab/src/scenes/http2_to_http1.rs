//! Knows HTTP/1 only: the preface of HTTP/2 is a bad request to it.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "http2_to_http1",
    about: "it is asked for HTTP/2, and speaks HTTP/1 only",
    expects: &[Expect::fails(Ask::Get, 502, "http2_to_http1", "http_protocol_error")],
    play: Play::Staged(|| Set::h2c(play)),
};

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_head(&mut stream).await?;
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await?;
    stage::end(stream).await
}
