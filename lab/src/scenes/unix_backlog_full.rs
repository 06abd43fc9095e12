//! Never accepts on its Unix socket, whose queue is full.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::scratch::Scratch;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;

pub(super) static SCENE: Scene = Scene {
    id: "unix_backlog_full",
    about: "the listen queue of its Unix socket is full",
    expects: &[Expect::fails(Ask::Get, 503, "unix_backlog_full", "connection_limit_reached")],
    play: Play::Staged(set),
};

const QUEUE: i32 = 0;
/// More than that queue can hold, should the system round it up.
const AT_MOST: usize = 64;

fn set() -> io::Result<Set> {
    let scratch = Scratch::new("unix")?;
    let path = scratch.path().join("app.sock");
    let address = SockAddr::unix(&path)?;
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    listener.bind(&address)?;
    listener.listen(QUEUE)?;
    let mut waiting = Vec::new();
    for _ in 0..AT_MOST {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            Ok(()) => waiting.push(socket),
            Err(_) => break,
        }
    }
    let set = Set::at(format!("unix:{}", path.display()));
    Ok(set.keeps(listener).keeps(waiting).keeps(scratch))
}
