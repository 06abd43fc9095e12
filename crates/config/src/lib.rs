//! What was asked for: TOML text to typed routes, with every complaint at once.
//!
//! **Invariant:** nothing here reads a file, the environment or a clock; text and a lookup come in
//! as arguments.

pub mod path;
pub mod routes;
pub mod typed;

pub use path::{PathFault, normal_path};
pub use routes::{Choice, Routes};
pub use typed::*;
