//! Has no file where its Unix socket should be.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::scratch::Scratch;
use std::io;

pub(super) static SCENE: Scene = Scene {
    id: "unix_socket_missing",
    about: "its Unix socket does not exist",
    expects: &[Expect::fails(Ask::Get, 502, "unix_socket_missing", "connection_refused")],
    play: Play::Staged(set),
};

fn set() -> io::Result<Set> {
    let scratch = Scratch::new("unix")?;
    let path = scratch.path().join("app.sock");
    Ok(Set::at(format!("unix:{}", path.display())).keeps(scratch))
}
