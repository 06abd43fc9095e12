//! Why it failed: the catalogue of causes, and the first look that ranks them.
//!
//! **Invariant:** nothing here has a clock, a disk, a socket or async. What is judged comes in as a
//! [`Case`]; the same case gives the same words, byte for byte.

mod advice;
mod alert;
pub mod answer;
mod blanks;
mod case;
mod catalogue;
mod causes;
pub mod child;
mod clocks;
mod date;
pub mod doctor;
pub mod dossier;
mod engine;
mod head;
mod http2;
mod incidents;
mod look;
pub mod manual;
mod next;
mod opening;
mod pairs;
mod platform;
mod reach;
pub mod report;
pub mod secrets;
pub mod share;
mod show;
mod signs;
mod signs_on_wire;
pub mod text;
mod tls_words;
mod weigh;
pub mod why;
mod wire;
mod wording;

#[cfg(test)]
mod lint;
#[cfg(test)]
mod testing;

pub use case::{Case, Subject};
pub use catalogue::{Cause, Entry, Family, Finding, RetryClass, Side, entry};
pub use causes::CATALOGUE;
pub use look::{Candidate, Evidence, Fix, Look, Retry, first_look};
pub use wire::wire;
