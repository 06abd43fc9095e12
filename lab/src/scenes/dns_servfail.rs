//! Has a name that its name server fails to look up.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "dns_servfail",
    about: "the name server fails (SERVFAIL)",
    expects: &[Expect::fails(Ask::Get, 502, "dns_servfail", "dns_error")],
    play: Play::Staged(|| dns::set(Says::Code(2))),
};
