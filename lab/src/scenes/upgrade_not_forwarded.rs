//! Knows the path, and has no library for WebSockets.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "upgrade_not_forwarded",
    about: "it answers a WebSocket as if an ordinary request had been made",
    expects: &[
        Expect::whole(Ask::Get, 404),
        Expect::noted(Ask::WebSocket, 404, "upgrade_not_forwarded"),
    ],
    play: Play::Talks(|stream| Box::pin(talks(stream))),
};

async fn talks(mut stream: TcpStream) -> std::io::Result<()> {
    while stage::read_request(&mut stream).await?.is_some() {
        let answer = "HTTP/1.1 404 Not Found\r\nserver: uvicorn\r\ncontent-type: text/plain\r\n\
                      content-length: 9\r\n\r\nNot Found";
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
