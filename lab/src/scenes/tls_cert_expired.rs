//! Presents a certificate that ended years ago.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_cert_expired",
    about: "its certificate has expired",
    expects: &[Expect::fails(Ask::Get, 502, "tls_cert_expired", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    Identity::signed(&Authority::new("Lab Root"), Leaf::named(NAME).valid(2020, 2021))
}
