//! Presents a certificate of an authority that is not trusted.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_unknown_ca",
    about: "its certificate is signed by an authority that is not trusted",
    expects: &[Expect::fails(Ask::Get, 502, "tls_unknown_ca", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    let private = Authority::new("Private Root");
    Identity::signed(&private, Leaf::named(NAME)).trusting(&Authority::new("Lab Root"))
}
