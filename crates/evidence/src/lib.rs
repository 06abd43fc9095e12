//! What others say: readers of foreign logs and configurations to typed evidence.
//!
//! A *reader* knows one format and turns its lines into *signs*, which mean the same whoever wrote
//! them. Signs are grouped in a *ledger*; configurations become *settings*. Both together are the
//! *testimony* that the engine is given.
//!
//! **Invariant:** nothing here has a clock, a disk, a socket or async. Bytes come in as arguments.

pub mod address;
pub mod clock;
mod configs;
mod documents;
mod event;
mod layers;
mod lead;
mod ledger;
mod line;
mod product;
mod reader;
mod readers;
mod rule;
mod scan;
pub mod seek;
mod setting;
mod sign;
mod source;
mod testimony;
mod trust;

#[cfg(test)]
mod testing;

pub use configs::CONFIGS;
pub use documents::{DOCUMENTS, Document, Found, MAX_DOCUMENT, Tell};
pub use event::{Event, Served, Sink};
pub use layers::{Layers, names as layer_names};
pub use ledger::{
    GAP, Group, Key, Ledger, MAX_RUNS, Place, Run, Sample, Tally, Ticket, ticket_group,
};
pub use line::{Below, Line};
pub use product::{Product, Stack};
pub use reader::Reader;
pub use readers::{LogFormat, READERS, log_formats, sign_of_fault};
pub use scan::{
    LOOK_AHEAD, LOOK_BACK, MAX_LINE, Part, Window, clip, leading_time, scan, scan_holding,
};
pub use setting::{Config, Limit, Object, Scheme, Setting, What};
pub use sign::{Kind, Sign};
pub use source::{Arrival, Origin, SAMPLE, Shape};
pub use testimony::{Source, Testimony};
pub use trust::Trust;
