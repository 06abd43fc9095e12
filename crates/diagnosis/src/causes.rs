//! The catalogue: one file a cause. Adding one is its file, a `mod` line and an `entry!`.

use crate::catalogue::Entry;

mod keepalive_race;
mod process_down;

macro_rules! entry {
    ($name:ident) => {
        Entry {
            cause: &$name::CAUSE,
            source: include_str!(concat!("causes/", stringify!($name), ".rs")),
        }
    };
}

/// Every cause that we know, by family. Ties go to the earlier one.
pub static CATALOGUE: &[Entry] = &[
    // F1
    entry!(process_down),
    // F4
    entry!(keepalive_race),
];
