//! Takes our hello and never says one.

use crate::scene::{Ask, Expect, Play, Scene, Set};
use crate::stage;
use tokio::net::TcpStream;

pub(super) static SCENE: Scene = Scene {
    id: "tls_handshake_timeout",
    about: "it never answers the TLS handshake",
    expects: &[Expect::fails(Ask::Get, 504, "tls_handshake_timeout", "connection_timeout")],
    play: Play::Staged(|| Set::secret(stage::stay::<TcpStream>)),
};
