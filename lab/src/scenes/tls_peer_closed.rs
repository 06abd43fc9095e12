//! Closes during the handshake.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "tls_peer_closed",
    about: "it closes the connection during the TLS handshake",
    expects: &[Expect::fails(Ask::Get, 502, "tls_peer_closed", "tls_protocol_error")],
    play: Play::Staged(|| Set::secret(play)),
};

async fn play(mut stream: TcpStream) -> io::Result<()> {
    let mut hello = [0; 4096];
    if stream.read(&mut hello).await? == 0 {
        return Ok(());
    }
    stage::end(stream).await
}
