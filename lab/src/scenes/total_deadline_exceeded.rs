//! Never answers, while the route has less time than the upstream.

use crate::scene::{Ask, Expect, Limits, Play, Scene, Set};
use crate::stage;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "total_deadline_exceeded",
    about: "it never answers, and the whole route has less time than this upstream",
    expects: &[Expect::fails(Ask::Get, 504, "total_deadline_exceeded", "http_response_timeout")],
    play: Play::Staged(set),
};

const LIMITS: Limits =
    Limits { patience: Duration::from_millis(1_000), total: Some(Duration::from_millis(400)) };

fn set() -> io::Result<Set> {
    let mut set = Set::http(stage::stay::<TcpStream>)?;
    set.conditions.limits = LIMITS;
    Ok(set)
}
