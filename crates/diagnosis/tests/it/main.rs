//! Trials of the engine: what is said of small worlds whose truth is known, and what must not change
//! it.

mod alone;
mod hostile;
mod large;
mod metamorphic;
mod misleading;
mod properties;
mod scenes;
mod unknown;
mod world;
