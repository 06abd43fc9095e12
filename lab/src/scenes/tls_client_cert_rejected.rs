//! Wants a client certificate of one authority and is shown one of another.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_client_cert_rejected",
    about: "it refuses the client certificate that it is shown",
    expects: &[Expect::fails(Ask::Get, 502, "tls_client_cert_rejected", "tls_alert_received")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    let root = Authority::new("Lab Root");
    let identity = Identity::signed(&root, Leaf::named(NAME)).wanting(&root);
    identity.asked_by(&Authority::new("Another Root"))
}
