//! The lab: scenes that make one fault each true on real sockets, and what plays them through
//! goodgate and its neighbours.

mod certificates;
pub mod client;
pub mod dns;
pub mod frames;
pub mod gateway;
pub mod load;
pub mod neighbours;
mod process;
pub mod python;
pub mod scene;
mod scenes;
pub mod scratch;
pub mod stage;
pub mod table;

pub use scene::{Ask, Expect, Playing, Scene};
pub use scenes::{SCENES, scene};
