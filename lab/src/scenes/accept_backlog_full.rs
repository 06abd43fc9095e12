//! Never accepts: its queue is full, so the system drops every further SYN.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use std::io;
use std::net::SocketAddr;

pub(super) static SCENE: Scene = Scene {
    id: "accept_backlog_full",
    about: "its listen queue is full and nobody accepts",
    expects: &[Expect::fails(Ask::Get, 504, "accept_backlog_full", "connection_timeout")],
    play: Play::Staged(set),
};

fn set() -> io::Result<Set> {
    let full = stage::full_listener(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let port = full.address.port();
    Ok(Set::at(format!("http://127.0.0.1:{port}")).keeps(full))
}
