//! Answers every request well behind a name that its name server knows.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "healthy-dns",
    about: "it answers every request with 200, behind a name",
    expects: &[Expect::whole(Ask::Get, 200), Expect::whole(Ask::Post, 200)],
    play: Play::Staged(|| dns::set(Says::Loopback)),
};
