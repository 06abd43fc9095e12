//! Answers every request well on a Unix socket.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::scratch::Scratch;
use crate::stage;
use std::io;
use tokio::net::{UnixListener, UnixStream};

pub(super) static SCENE: Scene = Scene {
    id: "healthy-unix",
    about: "it answers every request with 200, on a Unix socket",
    expects: &[Expect::whole(Ask::Get, 200), Expect::whole(Ask::Post, 200)],
    play: Play::Staged(set),
};

fn set() -> io::Result<Set> {
    let scratch = Scratch::new("unix")?;
    let path = scratch.path().join("app.sock");
    let serving = stage::serve_unix(UnixListener::bind(&path)?, stage::answer_well::<UnixStream>);
    Ok(Set::at(format!("unix:{}", path.display())).keeps(serving).keeps(scratch))
}
