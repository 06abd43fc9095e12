//! Has a Unix socket that only its owner may use.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::scratch::Scratch;
use crate::stage;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use tokio::net::{UnixListener, UnixStream};

pub(super) static SCENE: Scene = Scene {
    id: "unix_socket_permission",
    about: "its Unix socket belongs to somebody else",
    expects: &[Expect::fails(Ask::Get, 502, "unix_socket_permission", "connection_refused")],
    play: Play::Staged(set),
};

const NOBODY: u32 = 0o000;

fn set() -> io::Result<Set> {
    let scratch = Scratch::new("unix")?;
    let path = scratch.path().join("app.sock");
    let serving = stage::serve_unix(UnixListener::bind(&path)?, stage::answer_well::<UnixStream>);
    fs::set_permissions(&path, Permissions::from_mode(NOBODY))?;
    let mut set = Set::at(format!("unix:{}", path.display())).keeps(serving).keeps(scratch);
    set.conditions.ordinary_user = true;
    Ok(set)
}
