//! Is asked for by address and has a certificate for a name only.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_ip_without_san",
    about: "it is asked for by address, and its certificate names no address",
    expects: &[Expect::fails(Ask::Get, 502, "tls_ip_without_san", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    Identity::signed(&Authority::new("Lab Root"), Leaf::named(NAME)).by_address()
}
