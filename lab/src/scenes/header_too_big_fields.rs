//! Sends a thousand small fields.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "header_too_big-fields",
    about: "it sends a thousand header fields",
    expects: &[Expect::fails(Ask::Get, 502, "header_too_big", "http_response_header_section_size")],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

const FIELDS: usize = 1_000;

async fn play(mut stream: TcpStream) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    let many = "X-Field: 1\r\n".repeat(FIELDS);
    let answer = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\nok");
    stream.write_all(answer.as_bytes()).await?;
    stage::stay(stream).await
}
