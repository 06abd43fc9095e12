//! Closes an idle connection just as a GET arrives: its bytes have left us, so it is explained
//! and not sent again by itself.

use super::keepalive_race::{self, IDLE};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "keepalive_race-get",
    about: "it closes the idle connection as a GET arrives",
    expects: &[
        Expect::whole(Ask::Get, 200),
        Expect::fails(Ask::Get, 502, "keepalive_race", "connection_terminated").after(IDLE),
    ],
    play: Play::Talks(|stream| Box::pin(keepalive_race::play(stream))),
};
