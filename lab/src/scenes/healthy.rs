//! Answers every request well: the control without a fault.

use crate::scene::{Ask, Expect, Play, Scene};
use crate::stage;

pub(super) static SCENE: Scene = Scene {
    id: "healthy",
    about: "it answers every request with 200",
    expects: &[
        Expect::whole(Ask::Get, 200),
        Expect::whole(Ask::Post, 200),
        Expect::whole(Ask::Head, 200),
    ],
    play: Play::Talks(|stream| Box::pin(stage::answer_well(stream))),
};
