//! Presents a certificate of an intermediate authority without the intermediate.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_incomplete_chain",
    about: "it leaves out the intermediate certificate",
    expects: &[Expect::fails(Ask::Get, 502, "tls_incomplete_chain", "tls_certificate_error")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    let root = Authority::new("Lab Root");
    let intermediate = root.intermediate("Lab Intermediate");
    Identity::signed(&intermediate, Leaf::named(NAME).public()).trusting(&root)
}
