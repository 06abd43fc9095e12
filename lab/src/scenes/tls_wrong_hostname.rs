//! Presents a good certificate for another name.

use crate::certificates::{Authority, Identity, Leaf};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_wrong_hostname",
    about: "its certificate is for another name",
    expects: &[Expect::fails(Ask::Get, 502, "tls_wrong_hostname", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    Identity::signed(&Authority::new("Lab Root"), Leaf::named("billing.internal"))
}
