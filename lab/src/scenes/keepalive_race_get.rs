//! Closes an idle connection just as a GET arrives: that may be sent again, so the caller sees
//! nothing of it.

use super::keepalive_race::{self, IDLE};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "keepalive_race-get",
    about: "it closes the idle connection as a GET arrives",
    expects: &[
        Expect::whole(Ask::Get, 200),
        Expect::prevented(Ask::Get, "keepalive_race").after(IDLE),
    ],
    play: Play::Talks(|stream| Box::pin(keepalive_race::play(stream))),
};
