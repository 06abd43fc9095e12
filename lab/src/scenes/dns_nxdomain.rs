//! Has a name that its name server does not know.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "dns_nxdomain",
    about: "the name does not exist (NXDOMAIN)",
    expects: &[Expect::fails(Ask::Get, 502, "dns_nxdomain", "dns_error")],
    play: Play::Staged(|| dns::set(Says::Code(3))),
};
