//! Finds nothing acceptable in our hello.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "tls_cipher_mismatch",
    about: "it finds no common cipher (alert 40)",
    expects: &[Expect::fails(Ask::Get, 502, "tls_cipher_mismatch", "tls_alert_received")],
    play: Play::Staged(|| Set::secret(play)),
};

/// A fatal alert: handshake_failure (RFC 8446 6.2).
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

async fn play(mut stream: TcpStream) -> io::Result<()> {
    let mut hello = [0; 4096];
    if stream.read(&mut hello).await? > 0 {
        stream.write_all(ALERT).await?;
    }
    stage::end(stream).await
}
