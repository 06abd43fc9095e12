//! Docker: events, tables of containers, what compose and the daemon say.

mod daemon;
mod events;
mod tables;

pub(super) use daemon::{COMPOSE, DAEMON};
pub(super) use events::{EVENTS, EVENTS_JSON};
pub(super) use tables::TABLE;
