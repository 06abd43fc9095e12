//! Sends its head a byte at a time, never silent for long.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "slow_headers",
    about: "it sends its head a byte at a time",
    expects: &[Expect::fails(Ask::Get, 504, "slow_headers", "http_response_timeout")],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

const GAP: Duration = Duration::from_millis(50);
/// All of it takes several times as long as the limits of the lab.
const FIELD: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Slow: and steady wins the race\r\n\r\n";

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    for byte in FIELD.bytes() {
        stream.write_u8(byte).await?;
        tokio::time::sleep(GAP).await;
    }
    stage::stay(stream).await
}
