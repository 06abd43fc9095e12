//! Refuses every version of TLS that we offer.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "tls_version_mismatch",
    about: "it refuses our versions of TLS (alert 70)",
    expects: &[Expect::fails(Ask::Get, 502, "tls_version_mismatch", "tls_alert_received")],
    play: Play::Staged(|| Set::secret(play)),
};

/// A fatal alert: protocol_version (RFC 8446 6.2).
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 70];

async fn play(mut stream: TcpStream) -> io::Result<()> {
    let mut hello = [0; 4096];
    if stream.read(&mut hello).await? > 0 {
        stream.write_all(ALERT).await?;
    }
    stage::end(stream).await
}
