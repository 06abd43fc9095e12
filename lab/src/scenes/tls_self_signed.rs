//! Presents a certificate that it signed itself.

use crate::certificates::{Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_self_signed",
    about: "its certificate is signed by itself",
    expects: &[Expect::fails(Ask::Get, 502, "tls_self_signed", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    Identity::self_signed(Leaf::named(NAME))
}
