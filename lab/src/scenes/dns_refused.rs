//! Has a name server that refuses to be asked.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "dns_refused",
    about: "the name server refuses to answer (REFUSED)",
    expects: &[Expect::fails(Ask::Get, 502, "dns_refused", "dns_error")],
    play: Play::Staged(|| dns::set(Says::Code(5))),
};
