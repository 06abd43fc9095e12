//! Closes an idle connection just as its second request arrives.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "keepalive_race",
    about: "it answers one request and closes the idle connection as the next one arrives",
    expects: &[
        Expect::whole(Ask::Post, 200),
        Expect::fails(Ask::Post, 502, "keepalive_race", "connection_terminated").after(IDLE),
    ],
    play: Play::Talks(|stream| Box::pin(play(stream))),
};

/// Older than a connection that is merely reused quickly, younger than what a careful gateway
/// would no longer trust.
pub(super) const IDLE: Duration = Duration::from_millis(700);

/// Closing once the next request is there hits the race every time, where a timer would do so
/// only now and then.
pub(super) async fn play(mut stream: TcpStream) -> io::Result<()> {
    if stage::read_request(&mut stream).await?.is_none() {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
    match stage::read_request(&mut stream).await? {
        Some(_) => stage::end(stream).await,
        None => Ok(()),
    }
}
