//! Announces an answer again and again, and gives none.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "too_many_interim_responses",
    about: "it sends hundreds of interim answers",
    expects: &[Expect::fails(Ask::Get, 502, "too_many_interim_responses", "http_protocol_error")],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

const TIMES: usize = 500;

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(TIMES);
    stream.write_all(interim.as_bytes()).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
    stage::stay(stream).await
}
