//! Answers every request well behind TLS, with a certificate that passes.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "healthy-tls",
    about: "it answers every request with 200, over TLS",
    expects: &[Expect::whole(Ask::Get, 200), Expect::whole(Ask::Post, 200)],
    play: Play::Tls(|| Identity::signed(&Authority::new("Lab Root"), Leaf::named(NAME))),
};
