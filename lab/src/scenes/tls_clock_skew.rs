//! Presents a certificate that begins in decades: as if our clock were far behind.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_clock_skew",
    about: "its certificate is not valid yet",
    expects: &[Expect::fails(Ask::Get, 502, "tls_clock_skew", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    Identity::signed(&Authority::new("Lab Root"), Leaf::named(NAME).valid(2090, 2100))
}
