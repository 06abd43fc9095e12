//! Has a name server that never answers.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "dns_timeout",
    about: "the name server never answers",
    expects: &[Expect::fails(Ask::Get, 504, "dns_timeout", "dns_timeout")],
    play: Play::Staged(|| dns::set(Says::Nothing)),
};
