//! Ends TLS well and chooses no protocol, as a server without HTTP/2 does.

use crate::certificates::{Authority, Identity, Leaf, NAME};
use crate::scene::{Ask, Expect, Play, Scene, Set};

pub(super) static SCENE: Scene = Scene {
    id: "alpn_mismatch",
    about: "it agrees on no HTTP/2 over TLS (ALPN), which is all that it is asked for",
    expects: &[Expect::fails(Ask::Get, 502, "alpn_mismatch", "tls_protocol_error")],
    play: Play::Staged(|| {
        let identity = Identity::signed(&Authority::new("Lab Root"), Leaf::named(NAME));
        Ok(Set::https(&identity)?.speaking("http2"))
    }),
};
