//! Accepts an upload and never reads it.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use tokio::net::{TcpListener, TcpStream};

pub(super) static SCENE: Scene = Scene {
    id: "request_send_timeout",
    about: "it accepts the connection and never reads the upload",
    expects: &[Expect::fails(
        Ask::Upload(UPLOAD),
        504,
        "request_send_timeout",
        "connection_write_timeout",
    )],
    play: Play::Staged(set),
};

/// More than the buffers between a client and an upstream hold.
const UPLOAD: usize = 16 << 20;
const RECEIVE_BUFFER: usize = 4 << 10;
const QUEUE: i32 = 64;

fn set() -> io::Result<Set> {
    let socket = stage::narrow_listener(QUEUE, Some(RECEIVE_BUFFER))?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into())?;
    let set = Set::at(format!("http://{}", listener.local_addr()?));
    Ok(set.keeps(stage::serve(listener, never_read)))
}

async fn never_read(stream: TcpStream) -> io::Result<()> {
    std::future::pending::<()>().await;
    drop(stream);
    Ok(())
}
