//! Closes an idle connection just as its second request arrives, which may be repeated.

use super::keepalive_race::{self, IDLE};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "keepalive_race-get",
    about: "it closes the idle connection as a GET arrives, which may be sent again",
    expects: &[Expect::whole(Ask::Get, 200), Expect::whole(Ask::Get, 200).after(IDLE)],
    play: Play::Talks(|stream| Box::pin(keepalive_race::play(stream))),
};
