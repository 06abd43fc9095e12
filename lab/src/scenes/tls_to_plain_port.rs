//! Speaks plain HTTP on the port that we speak TLS to.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "tls_to_plain_port",
    about: "it speaks plain HTTP where we speak TLS",
    expects: &[Expect::fails(Ask::Get, 502, "tls_to_plain_port", "tls_protocol_error")],
    play: Play::Staged(|| Set::secret(play)),
};

async fn play(mut stream: TcpStream) -> io::Result<()> {
    let mut hello = [0; 4096];
    if stream.read(&mut hello).await? > 0 {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await?;
    }
    stage::end(stream).await
}
