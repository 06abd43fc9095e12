//! Never accepts: its queue is full, so the system drops every further SYN.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use socket2::{Domain, Socket, Type};
use std::io;
use std::time::Duration;

pub(super) static SCENE: Scene = Scene {
    id: "accept_backlog_full",
    about: "its listen queue is full and nobody accepts",
    expects: &[Expect::fails(Ask::Get, 504, "accept_backlog_full", "connection_timeout")],
    play: Play::Staged(set),
};

/// The shortest queue that the system makes.
const QUEUE: i32 = 1;
/// More than that queue can hold, should the system round it up.
const AT_MOST: usize = 64;
/// On loopback a connection that is not there by then was dropped.
const DROPPED_AFTER: Duration = Duration::from_millis(100);

fn set() -> io::Result<Set> {
    let listener = stage::narrow_listener(QUEUE, None)?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    for _ in 0..AT_MOST {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match socket.connect_timeout(&address, DROPPED_AFTER) {
            Ok(()) => waiting.push(socket),
            Err(_) => break,
        }
    }
    let port = address.as_socket().map_or(0, |it| it.port());
    Ok(Set::at(format!("http://127.0.0.1:{port}")).keeps(listener).keeps(waiting))
}
