//! Fails at what it was doing, says so with RST_STREAM, and does better the next time.

use crate::frames::{STATUS_200, frame, read_head, settings};
use crate::scene::{Ask, Expect, Play, Scene, Set};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "http2_stream_reset-get",
    about: "it resets the HTTP/2 stream of a GET (INTERNAL_ERROR), and answers the next one",
    expects: &[Expect::prevented(Ask::Get, "http2_stream_reset")],
    play: Play::Staged(|| {
        let failed = Arc::new(AtomicBool::new(false));
        Set::h2c(move |stream| play(stream, failed.clone()))
    }),
};

/// The next one may come on the same connection or on another.
async fn play(mut stream: TcpStream, failed: Arc<AtomicBool>) -> io::Result<()> {
    stream.write_all(&settings()).await?;
    let mut is_new = true;
    while let Some(id) = read_head(&mut stream, is_new).await? {
        is_new = false;
        let answer = match failed.swap(true, Relaxed) {
            false => frame(3, 0, id, &2_u32.to_be_bytes()),
            true => frame(1, 5, id, STATUS_200),
        };
        stream.write_all(&answer).await?;
    }
    Ok(())
}
