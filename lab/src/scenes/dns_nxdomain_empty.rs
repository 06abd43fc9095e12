//! Has a name that exists without an address.

use crate::dns::{self, Says};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "dns_nxdomain-empty",
    about: "the name exists and has no address",
    expects: &[Expect::fails(Ask::Get, 502, "dns_nxdomain", "dns_error")],
    play: Play::Staged(|| dns::set(Says::Empty)),
};
