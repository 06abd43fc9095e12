//! Wants a client certificate. TLS 1.3 says so only after the handshake is done on our side.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "tls_client_cert_required",
    about: "it wants a client certificate and gets none",
    expects: &[Expect::fails(Ask::Get, 502, "tls_client_cert_required", "tls_alert_received")],
    play: Play::Tls(identity),
};

fn identity() -> Identity {
    let root = Authority::new("Lab Root");
    Identity::signed(&root, Leaf::named(NAME)).wanting(&root)
}
