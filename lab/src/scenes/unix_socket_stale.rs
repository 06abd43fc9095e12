//! Left its Unix socket behind: the file is there, nobody listens.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::scratch::Scratch;
use std::io;
use std::os::unix::net::UnixListener;

pub(super) static SCENE: Scene = Scene {
    id: "unix_socket_stale",
    about: "its Unix socket is there and nobody listens",
    expects: &[Expect::fails(Ask::Get, 502, "unix_socket_stale", "connection_refused")],
    play: Play::Staged(set),
};

fn set() -> io::Result<Set> {
    let scratch = Scratch::new("unix")?;
    let path = scratch.path().join("app.sock");
    // Dropping a listener closes it and leaves its file.
    drop(UnixListener::bind(&path)?);
    Ok(Set::at(format!("unix:{}", path.display())).keeps(scratch))
}
