//! Takes the request and never answers.

use crate::scene::{Ask, Ending, Expect, Play, Scene};

pub(super) static SCENE: Scene = Scene {
    id: "response_header_timeout",
    about: "it takes the request and never answers",
    expects: &[Expect::fails(Ask::Get, 504, "response_header_timeout", "http_response_timeout")],
    play: Play::Writes(&[], Ending::Stay),
};
