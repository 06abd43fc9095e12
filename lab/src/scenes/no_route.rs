//! Lies at an address that TCP has no route to. The limited broadcast address is one on every
//! machine: the system refuses it by itself, and no packet leaves.

use crate::scene::{Ask, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "no_route",
    about: "no route leads to the address",
    expects: &[Expect::fails(Ask::Get, 502, "no_route", "destination_ip_unroutable")],
    play: Play::Elsewhere("http://255.255.255.255:80"),
};
