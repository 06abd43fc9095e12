//! What was asked for: TOML text to typed routes, with every complaint at once.
//!
//! **Invariant:** nothing here reads a file, the environment or a clock; text and a lookup come in
//! as arguments.

mod change;
mod complaint;
mod later;
mod leaf;
pub mod matching;
mod nearest;
mod parse;
pub mod path;
mod render;
mod resolve;
pub mod routes;
mod schema;
mod tree;
pub mod typed;
mod walk;
mod written;

pub use complaint::{Complaint, Complaints, Located, Severity};
pub use leaf::duration;
pub use matching::{Asked, Condition, HostMatch, PathMatch, Rewrite, Test, Where, cookies};
pub use nearest::nearest;
pub use parse::{Context, Parsed, data_dir, for_targets, parse};
pub use path::{PathFault, decoded_segment, encoded_segment, normal_path};
pub use routes::{Choice, Routes, Verdict};
pub use schema::schema;
pub use typed::*;
